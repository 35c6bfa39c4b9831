"""What the event bus is told, and that nothing of it is lost or told every minute."""

from typing import Any

import pytest

from maintenance.announce import Trouble, trouble
from maintenance.cloud import CloudError, ConflictError
from maintenance.gate import Limits
from maintenance.machines import Machine
from maintenance.refresh import IncompleteError
from tests.unit.maintenance.conftest import World

NOW = "2030-01-01T00:00:00.000Z"
UNTIL = "2030-01-01T06:00:00.000Z"
ORDER = Machine("Order", World.arn("Order"))
REFUSED = CloudError("events:PutEvents", "AccessDeniedException")

ONE = {"name": "Order"}
ALL = {"scope": "all"}
SCOPES = pytest.mark.parametrize("where", [ONE, ALL], ids=["one", "all"])


@pytest.fixture
def world(memory_world: World) -> World:
    return memory_world


def kinds(world: World) -> list[str]:
    return [kind.removeprefix("Maintenance ") for kind, _ in world.aws.told]


def last(world: World) -> dict[str, Any]:
    return world.aws.told[-1][1]


def sweeps(world: World, count: int = 2) -> None:
    for _ in range(count):
        world.advance(60)
        world.act("sweep")


def test_a_maintenance_is_announced_once_with_who_why_and_until(world: World) -> None:
    world.act("begin", "Order", reason="database upgrade", by="alice", until=UNTIL)
    sweeps(world)
    world.act("begin", "Order", reason="another")

    assert world.aws.told == [
        (
            "Maintenance Began",
            {
                "environment": "orders-test",
                "scope": "stateMachine",
                "state_machine_arn": ORDER.arn,
                "name": "Order",
                "reason": "database upgrade",
                "by": "alice",
                "until": UNTIL,
                "since": NOW,
            },
        )
    ]


def test_its_end_is_announced_once_with_counts_when_all_tasks_are_resumed(world: World) -> None:
    world.act("begin", "Order", reason="database upgrade", by="alice", until=UNTIL)
    began = last(world)
    world.limits = Limits(batch=2)
    tokens = world.park(5)
    world.aws.stop(tokens[3])
    world.advance(60)

    world.act("end", "Order", reason="done", by="bob")
    assert kinds(world) == ["Began"]

    world.advance(1)
    world.act("drain", "Order")
    sweeps(world)

    assert kinds(world) == ["Began", "Trouble", "Ended"]
    assert last(world) == {
        **began,
        "ended_at": "2030-01-01T00:01:00.000Z",
        "ended_by": "bob",
        "end_reason": "done",
        "resumed": 4,
        "dead": 1,
        "quarantined": 0,
    }


def test_a_tag_in_the_console_announces_too(world: World) -> None:
    world.tag()
    world.tag_event()
    world.untag()
    world.tag_event()

    assert kinds(world) == ["Began", "Ended"]
    assert (last(world)["reason"], last(world)["ended_by"], last(world)["resumed"]) == (None, None, 0)


def test_a_begin_that_its_own_tag_event_overtakes_is_announced_with_its_reason(world: World) -> None:
    world.check_in()
    world.before("get_object", world.tag_event, key="~flags/Order")
    world.act("begin", "Order", reason="database upgrade", by="alice", until=UNTIL)
    sweeps(world)

    assert kinds(world) == ["Began", "Began"]
    first, second = (detail for _, detail in world.aws.told)
    assert (first["reason"], first["by"]) == (None, None)
    assert second == {**first, "reason": "database upgrade", "by": "alice"}

    world.act("end", "Order")
    assert (last(world)["reason"], last(world)["by"], last(world)["since"]) == ("database upgrade", "alice", NOW)


def test_an_end_that_its_own_tag_event_overtakes_is_announced_with_who_ended_it(world: World) -> None:
    def overtake() -> None:
        world.untag()
        world.tag_event()

    world.act("begin", "Order")
    world.park(2)
    world.before("untag", overtake)
    world.act("end", "Order", by="bob", reason="done")

    assert kinds(world) == ["Began", "Ended"]
    ended = last(world)
    assert (ended["ended_by"], ended["end_reason"], ended["resumed"]) == ("bob", "done", 2)


def test_who_was_about_to_end_a_maintenance_that_went_on_did_not_end_it(world: World) -> None:
    world.act("begin", "Order")
    world.disturb("untag", CloudError("states:UntagResource", "ThrottlingException"))
    with pytest.raises(CloudError):
        world.act("end", "Order", by="bob")
    sweeps(world)
    world.untag()
    world.tag_event()

    assert last(world)["ended_by"] is None


@SCOPES
def test_an_end_by_itself_says_so(world: World, where: dict[str, Any]) -> None:
    world.check_in()
    world.act("begin", **where, until=UNTIL)
    world.advance(6 * 3600)
    world.act("sweep")

    assert kinds(world) == ["Began", "Ended"]
    assert (last(world)["ended_by"], last(world)["end_reason"]) == (None, f"it was to end at {UNTIL}")


def test_who_ends_it_is_told_even_if_the_removed_tag_was_noticed_first(world: World) -> None:
    world.act("begin", "Order")
    world.limits = Limits(batch=1)
    world.park(2)

    def notice() -> None:
        world.watched.fault = None
        world.seconds_left = lambda: 300 if world.aws.outputs == {} else 0
        world.tag_event()
        world.seconds_left = lambda: 300

    world.before("get_object", notice, key="~flags/Order")
    world.untag()
    world.act("end", "Order", by="bob", reason="done")
    sweeps(world)

    assert (last(world)["ended_by"], last(world)["end_reason"]) == ("bob", "done")


def test_the_first_check_in_ever_announces_nothing(world: World) -> None:
    world.check_in()
    sweeps(world)

    assert world.aws.told == []


def test_counts_begin_anew_with_each_maintenance(world: World) -> None:
    for parked in (3, 2):
        world.act("begin", "Order")
        world.park(parked)
        world.act("end", "Order")
        assert last(world)["resumed"] == parked


def test_a_maintenance_begun_again_before_its_last_task_was_resumed_goes_on(world: World) -> None:
    world.act("begin", "Order", by="alice")
    world.limits = Limits(batch=1)
    world.park(3)
    world.advance(60)
    world.act("end", "Order", by="bob")
    assert world.state() == "draining"

    world.act("begin", "Order", by="carol")
    assert kinds(world) == ["Began"]
    flag = world.flag()
    assert flag is not None
    assert flag["closed_at"] == NOW
    world.advance(60)
    world.limits = Limits()
    world.act("end", "Order", by="dave")

    assert kinds(world) == ["Began", "Ended"]
    ended = last(world)
    assert (ended["since"], ended["by"], ended["ended_by"], ended["resumed"]) == (NOW, "alice", "dave", 3)
    assert ended["ended_at"] == "2030-01-01T00:02:00.000Z"


def test_a_maintenance_of_all_is_announced_once_and_not_for_each_state_machine(world: World) -> None:
    world.machine("Billing")
    world.check_in("Order")
    world.check_in("Billing")

    world.act("begin", scope="all", reason="region move", by="alice")
    sweeps(world)

    ((kind, began),) = world.aws.told
    assert kind == "Maintenance Began"
    assert began == {
        "environment": "orders-test",
        "scope": "all",
        "state_machine_arn": None,
        "name": None,
        "reason": "region move",
        "by": "alice",
        "until": None,
        "since": NOW,
    }


def test_its_end_is_announced_once_when_the_last_gate_is_open_with_the_sum_of_counts(world: World) -> None:
    world.machine("Billing", "Stock")
    for name in ("Order", "Billing", "Stock"):
        world.check_in(name)
    world.act("begin", "Stock", by="bob")
    world.park(1, "Stock")
    world.act("begin", scope="all", by="alice")
    world.limits = Limits(batch=2)
    world.park(3, "Order")
    world.park(2, "Billing")
    world.advance(60)

    world.act("end", scope="all", by="carol", reason="done")
    assert kinds(world) == ["Began", "Began"]
    sweeps(world)

    assert kinds(world) == ["Began", "Began", "Ended"]
    ended = last(world)
    assert (ended["scope"], ended["since"], ended["resumed"]) == ("all", NOW, 5)
    assert (ended["by"], ended["ended_by"], ended["end_reason"]) == ("alice", "carol", "done")
    assert ended["ended_at"] == "2030-01-01T00:01:00.000Z"
    assert world.state("Stock") == "closed"


def test_a_maintenance_of_all_begun_again_before_all_gates_are_open_goes_on(world: World) -> None:
    world.check_in()
    world.act("begin", scope="all", by="alice")
    world.limits = Limits(batch=1)
    world.park(3)
    world.act("end", scope="all")
    world.advance(60)

    world.act("begin", scope="all", by="bob")
    sweeps(world)
    assert kinds(world) == ["Began"]
    world.limits = Limits()
    world.act("end", scope="all", since=NOW)

    assert kinds(world) == ["Began", "Ended"]
    assert (last(world)["since"], last(world)["resumed"]) == (NOW, 3)


def test_one_begun_under_a_maintenance_of_all_is_announced_when_that_one_ends(world: World) -> None:
    world.check_in()
    world.act("begin", scope="all")
    world.act("begin", "Order", reason="database upgrade")
    sweeps(world)
    assert kinds(world) == ["Began"]

    world.act("end", scope="all")

    assert sorted(kinds(world)) == ["Began", "Began", "Ended"]
    (own,) = [detail for _, detail in world.aws.told if detail["scope"] == "stateMachine"]
    assert own["reason"] == "database upgrade"


@SCOPES
def test_what_the_bus_does_not_take_fails_no_begin_but_the_sweep_until_it_does(
    world: World, where: dict[str, Any]
) -> None:
    world.check_in()
    world.disturb("put_events", REFUSED, times=99)
    who = "Order" if where == ONE else "~all"

    assert world.act("begin", **where)["machines"] == {"Order": "closed"}
    with pytest.raises(IncompleteError, match=f"{who}: not announced"):
        world.act("sweep")
    assert world.act("end", **where)["machines"] == {"Order": "open"}
    assert world.aws.told == []

    world.watched.fault = None
    sweeps(world)
    assert kinds(world) == ["Began", "Ended"]


@SCOPES
def test_what_was_told_but_could_not_be_noted_is_told_once_more(world: World, where: dict[str, Any]) -> None:
    world.check_in()
    world.act("begin", **where)
    world.aws.told.clear()
    key = world.keys.flag("Order" if where == ONE else "~all")
    world.before("put_events", lambda: world.disturb("replace_object", CloudError("s3:PutObject", "SlowDown"), key=key))

    world.act("end", **where)
    assert kinds(world) == ["Ended"]
    sweeps(world)

    assert kinds(world) == ["Ended", "Ended"]
    assert world.aws.told[0] == world.aws.told[1]


def test_whoever_changes_the_flag_before_it_is_noted_tells_again(world: World) -> None:
    world.before("put_events", lambda: world.act("sweep"))

    assert world.act("begin", "Order")["machines"] == {"Order": "closed"}
    sweeps(world)

    assert kinds(world) == ["Began", "Began"]


def test_tasks_that_could_not_be_resumed_are_announced_once_per_maintenance(world: World) -> None:
    for _ in range(2):
        world.act("begin", "Order")
        world.aws.told.clear()
        for token in world.park(2):
            world.aws.stop(token)
        world.put(world.keys.task("Order", "00000000-0000-7000-8000-000000000000"), "garbage")
        world.limits = Limits(batch=1)
        while world.state() != "open":
            world.act("end", "Order")
        world.limits = Limits()
        sweeps(world)

        assert kinds(world) == ["Trouble", "Trouble", "Ended"]
        dead, quarantined = (detail for _, detail in world.aws.told[:2])
        if dead["kind"] == "tasks_quarantined":
            dead, quarantined = quarantined, dead
        assert dead == {
            "environment": "orders-test",
            "kind": "tasks_dead",
            "state_machine_arn": ORDER.arn,
            "name": "Order",
            "message": dead["message"],
            "fix": dead["fix"],
        }
        assert "of Order could not be resumed" in dead["message"]
        assert quarantined["kind"] == "tasks_quarantined"
        assert "1 parked task of Order cannot be resumed" in quarantined["message"]


def near(world: World, kind: Trouble = Trouble.TIMEOUT_NEAR) -> None:
    trouble(world.gate, kind, ORDER, "5 parked tasks time out within an hour.", "End the maintenance.")


def test_trouble_is_announced_once_per_kind_and_maintenance(world: World) -> None:
    world.act("begin", "Order")
    world.aws.told.clear()

    near(world)
    near(world)
    sweeps(world)
    near(world)
    near(world, Trouble.EXECUTION_LIMIT_NEAR)

    assert [detail["kind"] for _, detail in world.aws.told] == ["timeout_near", "execution_limit_near"]
    assert world.aws.told[0] == (
        "Maintenance Trouble",
        {
            "environment": "orders-test",
            "kind": "timeout_near",
            "state_machine_arn": ORDER.arn,
            "name": "Order",
            "message": "5 parked tasks time out within an hour.",
            "fix": "End the maintenance.",
        },
    )

    world.act("end", "Order")
    near(world)
    world.act("begin", "Order")
    world.aws.told.clear()
    near(world)
    assert kinds(world) == ["Trouble"]


def test_trouble_that_cannot_be_told_now_is_told_later(world: World) -> None:
    world.act("begin", "Order")
    world.aws.told.clear()

    world.disturb("replace_object", ConflictError("s3:PutObject", "PreconditionFailed"))
    near(world)
    assert world.aws.told == []
    world.disturb("put_events", REFUSED)
    near(world)
    assert world.aws.told == []
    sweeps(world, 1)

    assert kinds(world) == ["Trouble"]
    assert world.state() == "closed"


def test_a_gate_without_a_flag_has_no_trouble(world: World) -> None:
    near(world)

    assert world.flag() is None
