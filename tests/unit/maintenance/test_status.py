from uuid import uuid4

import pytest

from tests.unit.maintenance.conftest import World


@pytest.fixture
def world(memory_world: World) -> World:
    return memory_world


def test_status_shows_every_known_gate_and_what_waits_behind_it(world: World) -> None:
    world.machine("Billing", "Tagged")
    world.check_in("Billing")
    world.act("begin", "Order", reason="database upgrade", by="alice", until="2030-01-01T06:00:00Z")
    world.park(3)
    world.put(f"maintenance/~dead/Order/{uuid4()}.json", "{}")
    world.put(f"maintenance/~quarantine/Order/{uuid4()}.json", "{}")
    world.put("maintenance/Order/README.md", "")
    world.put("maintenance/Foreign/README.md", "")
    world.put(world.keys.task("Unflagged", str(uuid4())), "{}")
    world.tag("Tagged")

    answer = world.act("status")

    assert list(answer["machines"]) == ["Billing", "Order", "Tagged", "Unflagged"]
    assert answer["override"] is None
    order = answer["machines"]["Order"]
    oldest = order.pop("oldest")
    assert order == {
        "stateMachineArn": world.arn("Order"),
        "state": "closed",
        "since": "2030-01-01T00:00:00.000Z",
        "by": "alice",
        "reason": "database upgrade",
        "until": "2030-01-01T06:00:00.000Z",
        "checked_at": "2030-01-01T00:00:00.000Z",
        "parked": 3,
        "dead": 1,
        "quarantined": 1,
    }
    assert oldest.endswith("Z")
    billing = answer["machines"]["Billing"]
    assert (billing["state"], billing["since"], billing["parked"], billing["oldest"]) == ("open", None, 0, None)
    assert answer["machines"]["Tagged"]["state"] == "missing"
    assert answer["machines"]["Unflagged"]["parked"] == 1


def test_status_of_one_state_machine_shows_only_it(world: World) -> None:
    world.put_flag("open", "Billing")

    assert list(world.act("status", "Order")["machines"]) == ["Order"]


def test_status_shows_a_maintenance_of_all(world: World) -> None:
    world.act("begin", scope="all", reason="region move", by="alice")

    assert world.act("status")["override"] == {
        "state": "closed",
        "since": "2030-01-01T00:00:00.000Z",
        "by": "alice",
        "reason": "region move",
        "until": None,
        "checked_at": "2030-01-01T00:00:00.000Z",
    }
