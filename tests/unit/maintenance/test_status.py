from uuid import uuid4

import pytest

from maintenance import tasks
from maintenance.cloud import CloudError
from maintenance.refresh import IncompleteError
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
        "warnings": [],
        "more": False,
        "source": "tag",
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


def test_status_says_what_asks_for_maintenance(world: World) -> None:
    world.put_flag("open", "Billing")
    world.tag("Order")

    def sources() -> dict[str, str | None]:
        return {name: one["source"] for name, one in world.act("status")["machines"].items()}

    assert sources() == {"Billing": "none", "Order": "tag"}
    world.act("begin", scope="all")
    assert sources() == {"Billing": "override", "Order": "both"}
    world.act("end", scope="all")
    assert sources() == {"Billing": "none", "Order": "tag"}


def test_status_is_shown_without_the_tagging_api(world: World) -> None:
    world.put_flag("open")
    world.disturb("list_tagged", CloudError("tag:GetResources", "ThrottledException"))

    shown = world.act("status", "Order")["machines"]["Order"]

    assert (shown["state"], shown["source"]) == ("open", None)


def test_status_shows_the_last_sweep(world: World) -> None:
    assert world.act("status")["last_sweep"] is None
    world.tag()
    world.act("sweep")
    assert world.act("status")["last_sweep"] == {"at": "2030-01-01T00:00:00.000Z", "complete": True, "machines": 1}

    world.advance(60)
    world.machine("Billing")
    world.tag("Billing")
    world.disturb("list_tags", CloudError("states:ListTagsForResource", "ThrottlingException"), key="Order")
    with pytest.raises(IncompleteError):
        world.act("sweep")

    assert world.act("status")["last_sweep"] == {"at": "2030-01-01T00:01:00.000Z", "complete": False, "machines": 1}


def test_a_report_that_makes_no_sense_is_none_until_the_next_sweep(world: World) -> None:
    world.put(world.keys.report, '{"at": "yesterday"}')

    assert world.act("status")["last_sweep"] is None

    world.act("sweep")
    assert world.act("status")["last_sweep"]["complete"] is True


def test_status_of_many_tasks_and_machines_costs_a_limited_number_of_requests(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "COUNTED", 3)
    for number in range(20):
        world.put_flag("open", f"Quiet{number}")
    world.act("begin", "Order")
    world.park(4)
    world.act("sweep")
    world.watched.calls.clear()

    answer = world.act("status")["machines"]

    assert (answer["Order"]["parked"], answer["Order"]["more"]) == (3, True)
    assert (answer["Quiet0"]["parked"], answer["Quiet0"]["more"]) == (0, False)
    # The override, the report; the tags; flags, folders of three kinds, and Order's tasks. No quiet gate costs one.
    read = [call for call in world.watched.calls if call == "get_object"]
    assert len(read) <= 3
    assert len(world.watched.calls) <= 3 + 1 + 5
