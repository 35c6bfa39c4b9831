from typing import Any

import pytest

from maintenance.cloud import CloudError, ConflictError, MachineGoneError
from maintenance.gate import Limits
from maintenance.operate import UnconfirmedError
from maintenance.refresh import IncompleteError
from tests.unit.maintenance.conftest import World

UNTIL = "2030-01-01T06:00:00.000Z"


@pytest.fixture
def world(memory_world: World) -> World:
    return memory_world


def notes(world: World, name: str = "Order") -> dict[str, Any]:
    flag = world.flag(name)
    assert flag is not None
    return {key: flag[key] for key in ("state", "reason", "by", "until")}


def test_begin_tags_one_state_machine_and_answers_once_its_gate_is_closed(world: World) -> None:
    world.check_in()

    answer = world.act("begin", "Order", reason="database upgrade", by="alice", until="2030-01-01T07:00:00+01:00")

    assert answer == {"action": "begin", "machines": {"Order": "closed"}, "resumed_tokens": 0}
    assert world.tags() == {"Maintenance": "true", "MaintenanceUntil": UNTIL}
    assert notes(world) == {"state": "closed", "reason": "database upgrade", "by": "alice", "until": UNTIL}
    assert world.check_in()[1]["status"] == "maintenance"


def test_a_begin_without_an_end_leaves_no_empty_tag(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.act("begin", "Order")
    world.act("sweep")

    assert world.tags() == {"Maintenance": "true", "MaintenanceUntil": "none"}
    assert notes(world)["until"] is None
    assert "taken as no end" not in caplog.text


def test_end_untags_one_state_machine_and_resumes_its_tasks(world: World) -> None:
    world.act("begin", "Order", until=UNTIL)
    tokens = world.park(3)

    answer = world.act("end", "Order", reason="done", by="bob")

    assert answer == {"action": "end", "machines": {"Order": "open"}, "resumed_tokens": 3}
    assert world.outputs(tokens) == ["resumed"] * 3
    assert world.tags() == {}
    assert notes(world) == {"state": "open", "reason": None, "by": None, "until": None}


def test_end_resumes_one_batch_and_hands_over_the_rest(world: World) -> None:
    world.act("begin", "Order")
    world.limits = Limits(batch=3)
    world.park(4)

    answer = world.act("end", "Order")

    assert answer == {"action": "end", "machines": {"Order": "draining"}, "resumed_tokens": 3}
    assert world.aws.invoked == [{"action": "drain", "stateMachineArn": world.arn("Order")}]


def test_the_notes_of_begin_survive_later_refreshes(world: World) -> None:
    world.act("begin", "Order", reason="database upgrade", by="alice")

    world.tag_event()
    world.act("sweep")

    assert notes(world) == {"state": "closed", "reason": "database upgrade", "by": "alice", "until": None}


def test_begin_again_replaces_notes_and_end(world: World) -> None:
    world.act("begin", "Order", reason="first", until=UNTIL)
    world.advance(60)

    world.act("begin", "Order", reason="second")

    assert notes(world) == {"state": "closed", "reason": "second", "by": None, "until": None}
    flag = world.flag()
    assert flag is not None
    assert flag["closed_at"] == "2030-01-01T00:00:00.000Z"
    world.advance(86400)
    assert world.act("sweep")["machines"] == {"Order": "closed"}


def test_begin_of_a_state_machine_that_does_not_exist_fails(world: World) -> None:
    world.disturb("tag", MachineGoneError("states:TagResource", "ResourceNotFound", "Resource not found: 'Ordre'"))

    with pytest.raises(MachineGoneError, match=r"states:TagResource failed with ResourceNotFound: .*'Ordre'"):
        world.act("begin", "Ordre")

    assert world.flag("Ordre") is None


def test_begin_repeats_when_an_end_takes_its_tag_away(world: World) -> None:
    world.before("list_tags", world.untag)

    assert world.act("begin", "Order")["machines"] == {"Order": "closed"}
    assert world.tags()["Maintenance"] == "true"
    assert world.state() == "closed"


def test_begin_repeats_when_its_tag_goes_away_after_the_gate_was_closed(world: World) -> None:
    reads = iter(range(9))
    world.before("list_tags", lambda: world.untag() if next(reads) == 1 else None, times=9)

    world.act("begin", "Order")

    assert world.tags()["Maintenance"] == "true"


def test_begin_that_cannot_win_says_so(world: World) -> None:
    world.before("list_tags", world.untag, times=99)

    with pytest.raises(UnconfirmedError, match="the tag Maintenance of Order does not stay"):
        world.act("begin", "Order")


def test_begin_does_not_answer_when_the_gate_could_not_be_closed(world: World) -> None:
    world.disturb("create_object", CloudError("s3:PutObject", "InternalError"))

    with pytest.raises(CloudError):
        world.act("begin", "Order")

    world.act("sweep")
    assert world.state() == "closed"


def test_end_that_cannot_win_says_so(tagged: World) -> None:
    tagged.before("list_tags", tagged.tag, times=99)

    with pytest.raises(UnconfirmedError, match="the tag Maintenance of Order comes back"):
        tagged.act("end", "Order")


def test_end_of_a_deleted_state_machine_resumes_its_tasks(tagged: World) -> None:
    (token,) = tagged.park(1)

    tagged.untag()
    tagged.disturb("untag", MachineGoneError("states:UntagResource", "ResourceNotFound"))
    tagged.act("end", "Order")

    assert tagged.outputs([token]) == ["resumed"]


def test_a_maintenance_of_all_closes_every_gate_and_leaves_the_tags(world: World) -> None:
    world.machine("Billing")
    world.check_in("Order")
    world.check_in("Billing")
    world.tag("Billing")
    world.tag_event("Billing")

    answer = world.act("begin", scope="all", reason="region move", by="alice", until=UNTIL)

    assert answer == {"action": "begin", "machines": {"Billing": "closed", "Order": "closed"}, "resumed_tokens": 0}
    assert notes(world, "~all") == {"state": "closed", "reason": "region move", "by": "alice", "until": UNTIL}
    assert (world.tags("Order"), world.tags("Billing")) == ({}, {"Maintenance": "true"})
    order, billing = world.park(1, "Order") + world.park(1, "Billing")

    answer = world.act("end", scope="all")

    assert answer == {"action": "end", "machines": {"Billing": "closed", "Order": "open"}, "resumed_tokens": 1}
    assert world.outputs([order, billing]) == ["resumed", None]


def test_a_maintenance_of_all_leaves_the_notes_of_a_machines_own(world: World) -> None:
    world.act("begin", "Order", reason="database upgrade", by="bob", until=UNTIL)
    own = notes(world)

    world.act("begin", scope="all", reason="region move", by="alice")
    world.act("sweep")
    assert notes(world) == own

    world.act("end", scope="all")
    assert notes(world) == own


def test_ending_a_machines_own_maintenance_under_one_of_all_removes_its_notes(world: World) -> None:
    world.act("begin", "Order", reason="database upgrade", by="bob", until=UNTIL)
    world.act("begin", scope="all")

    world.act("end", "Order")

    assert notes(world) == {"state": "closed", "reason": None, "by": None, "until": None}


def test_a_maintenance_of_all_holds_machines_that_check_in_for_the_first_time(world: World) -> None:
    world.act("begin", scope="all")

    (token,) = world.park(1)
    world.act("sweep")
    assert world.outputs([token]) == [None]

    world.act("end", scope="all")
    assert world.outputs([token]) == ["resumed"]


def test_under_a_maintenance_of_all_no_tag_is_read(world: World) -> None:
    world.put_flag("open")
    world.act("begin", scope="all")
    world.act("sweep")

    assert "list_tags" not in world.watched.calls


def test_ending_one_under_a_maintenance_of_all_leaves_its_gate_closed(tagged: World) -> None:
    tagged.act("begin", scope="all")

    assert tagged.act("end", "Order")["machines"] == {"Order": "closed"}
    assert tagged.tags() == {}

    assert tagged.act("end", scope="all")["machines"] == {"Order": "open"}


def test_a_gate_that_could_not_be_closed_is_named(world: World) -> None:
    world.put_flag("open", "Billing")
    world.put_flag("open", "Order")
    world.disturb("replace_object", CloudError("s3:PutObject", "SlowDown"), key="Order")

    with pytest.raises(IncompleteError, match=r"begin: 1 of 2 gates are not confirmed .*Order: s3:PutObject"):
        world.act("begin", scope="all")

    world.act("sweep")
    assert (world.state("Order"), world.state("Billing")) == ("closed", "closed")


def test_ending_all_twice_is_fine(world: World) -> None:
    assert world.act("end", scope="all") == {"action": "end", "machines": {}, "resumed_tokens": 0}
    assert world.flag("~all") is None


def test_beginning_all_gives_way_to_nobody_for_ever(world: World) -> None:
    world.disturb("create_object", ConflictError("s3:PutObject", "PreconditionFailed"), times=99)

    with pytest.raises(UnconfirmedError, match="scope: others keep beginning or ending"):
        world.act("begin", scope="all")


def test_an_override_that_makes_no_sense_closes_until_it_is_ended(world: World) -> None:
    world.put_flag("open")
    world.put(world.keys.flag("~all"), "garbage")
    assert world.act("sweep")["machines"] == {"Order": "closed"}

    assert world.act("end", scope="all")["machines"] == {"Order": "open"}


def test_the_sweep_ends_a_maintenance_whose_time_is_over(world: World) -> None:
    world.act("begin", "Order", until=UNTIL)
    (token,) = world.park(1)
    world.advance(6 * 3600 - 1)
    assert world.act("sweep")["machines"] == {"Order": "closed"}

    world.advance(1)
    assert world.act("sweep") == {"action": "sweep", "machines": {"Order": "open"}, "resumed_tokens": 1}
    assert world.outputs([token]) == ["resumed"]
    assert world.tags() == {}


def test_the_sweep_ends_a_maintenance_of_all_whose_time_is_over(world: World) -> None:
    world.act("begin", scope="all", until=UNTIL)
    (token,) = world.park(1)
    world.advance(6 * 3600)

    world.act("sweep")

    assert world.outputs([token]) == ["resumed"]
    assert world.state("~all") == "open"


def test_a_maintenance_begun_again_at_the_last_moment_is_not_ended(world: World) -> None:
    world.act("begin", "Order", until=UNTIL)
    world.advance(6 * 3600)
    world.before("list_tags", lambda: world.tag(MaintenanceUntil="2030-01-02T06:00:00.000Z"))

    assert world.act("sweep")["machines"] == {"Order": "closed"}
    assert world.tags()["Maintenance"] == "true"


def test_a_maintenance_of_all_begun_again_at_the_last_moment_is_not_ended(world: World) -> None:
    world.put_flag("open")
    world.act("begin", scope="all", until=UNTIL)
    world.advance(6 * 3600)
    world.before("replace_object", lambda: world.put_flag("closed", "~all", until=None), key="~all")

    assert world.act("sweep")["machines"] == {"Order": "closed"}


def test_an_end_left_by_a_maintenance_does_not_end_the_next_one(world: World) -> None:
    world.act("begin", "Order", until=UNTIL)
    world.untag()  # in the console, which leaves MaintenanceUntil
    world.tag_event()
    assert world.tags() == {}

    world.tag()
    world.advance(6 * 3600)
    assert world.act("sweep")["machines"] == {"Order": "closed"}


def test_the_sweep_clears_an_end_that_an_event_could_not(world: World) -> None:
    world.act("begin", "Order", until=UNTIL)
    world.untag()
    world.disturb("untag", CloudError("states:UntagResource", "ThrottlingException"))
    with pytest.raises(IncompleteError):
        world.tag_event()
    assert world.tags() == {"MaintenanceUntil": UNTIL}

    world.act("sweep")
    assert world.tags() == {}
    assert world.state() == "open"


def test_an_end_that_is_no_time_is_no_end(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.tag(MaintenanceUntil="tomorrow")

    assert world.act("sweep")["machines"] == {"Order": "closed"}
    assert "MaintenanceUntil is 'tomorrow'" in caplog.text


def test_a_maintenance_that_cannot_be_ended_fails_the_sweep(world: World) -> None:
    world.act("begin", "Order", until=UNTIL)
    world.advance(6 * 3600)
    world.disturb("untag", CloudError("states:UntagResource", "AccessDeniedException"))

    with pytest.raises(IncompleteError, match="Order: states:UntagResource failed with AccessDeniedException"):
        world.act("sweep")


# A window that a schedule begins: 2030-01-01T00:00 to 02:00.
WINDOW: dict[str, Any] = {
    "scheduledAt": "2030-01-01T00:00:00Z",
    "durationSeconds": 7200,
    "by": "maintenance window nightly",
}
WINDOW_END = "2030-01-01T02:00:00.000Z"
SCOPES = pytest.mark.parametrize("where", [{"name": "Order"}, {"scope": "all"}], ids=["one", "all"])


def ends_at(world: World, where: dict[str, Any]) -> str | None:
    until: str | None = notes(world, "Order" if "name" in where else "~all")["until"]
    return until


@SCOPES
def test_a_window_begins_a_maintenance_that_ends_with_it(world: World, where: dict[str, Any]) -> None:
    world.check_in()
    world.advance(30)  # a schedule comes late

    assert world.act("begin", **where, **WINDOW)["machines"] == {"Order": "closed"}

    assert ends_at(world, where) == WINDOW_END
    world.advance(7169)
    assert world.act("sweep")["machines"] == {"Order": "closed"}
    world.advance(1)
    assert world.act("sweep")["machines"] == {"Order": "open"}


@SCOPES
def test_a_window_that_is_over_does_nothing(world: World, where: dict[str, Any]) -> None:
    world.check_in()
    world.advance(7200)

    assert world.act("begin", **where, **WINDOW) == {"action": "begin", "skipped": "the window is over"}

    assert (world.state(), world.tags(), world.flag("~all")) == ("open", {}, None)


@SCOPES
@pytest.mark.parametrize("until", [None, UNTIL, WINDOW_END])
def test_a_window_does_not_shorten_a_maintenance_that_is_on(
    world: World, where: dict[str, Any], until: str | None
) -> None:
    world.act("begin", **where, reason="database upgrade", by="alice", until=until)
    world.check_in()
    before = notes(world, "Order" if "name" in where else "~all")

    assert world.act("begin", **where, **WINDOW)["machines"] == {"Order": "closed"}

    assert notes(world, "Order" if "name" in where else "~all") == before


@SCOPES
def test_a_window_prolongs_a_maintenance_that_would_end_earlier(world: World, where: dict[str, Any]) -> None:
    world.act("begin", **where, until="2030-01-01T01:00:00Z")

    world.act("begin", **where, **WINDOW)

    assert ends_at(world, where) == WINDOW_END


def test_a_window_takes_the_place_of_a_maintenance_that_ends_at_that_moment(world: World) -> None:
    world.act("begin", "Order")
    reads = iter(range(9))
    world.before("list_tags", lambda: world.untag() if next(reads) == 1 else None, times=9)

    assert world.act("begin", "Order", **WINDOW)["machines"] == {"Order": "closed"}

    assert world.tags() == {"Maintenance": "true", "MaintenanceUntil": WINDOW_END}


@SCOPES
def test_only_the_maintenance_that_began_then_is_ended(world: World, where: dict[str, Any]) -> None:
    world.check_in()
    world.act("begin", **where)
    since = "2030-01-01T01:00:00+01:00"
    world.advance(60)

    answer = world.act("end", **where, since="2030-01-01T00:00:00.001Z")
    assert answer["action"] == "end"
    assert answer["skipped"].endswith("that began at 2030-01-01T00:00:00.001Z is on")
    assert world.state() == "closed"

    assert world.act("end", **where, since=since)["machines"] == {"Order": "open"}
    assert "skipped" in world.act("end", **where, since=since)


def test_an_end_meant_for_an_earlier_maintenance_of_all_gives_way_to_a_begin_at_that_moment(world: World) -> None:
    world.act("begin", scope="all")
    later = {"closed_at": "2030-01-01T09:00:00.000Z"}
    world.before("replace_object", lambda: world.put_flag("closed", "~all", **later), key="~all")

    assert "skipped" in world.act("end", scope="all", since="2030-01-01T00:00:00Z")

    assert world.state("~all") == "closed"
