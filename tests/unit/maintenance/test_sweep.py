import json
from uuid import uuid4

import pytest

from maintenance.cloud import CloudError
from maintenance.refresh import IncompleteError
from tests.unit.maintenance.conftest import World


@pytest.fixture
def world(memory_world: World) -> World:
    return memory_world


def test_the_sweep_alone_begins_and_ends_a_maintenance(world: World) -> None:
    world.check_in()
    world.tag()
    assert world.act("sweep") == {"action": "sweep", "machines": {"Order": "closed"}, "resumed_tokens": 0}
    tokens = world.park(3)

    world.untag()
    assert world.act("sweep") == {"action": "sweep", "machines": {"Order": "open"}, "resumed_tokens": 3}
    assert world.outputs(tokens) == ["resumed"] * 3


def test_the_sweep_closes_the_gate_of_a_tagged_machine_that_never_checked_in(world: World) -> None:
    world.tag()

    world.act("sweep")

    assert world.state() == "closed"


def test_the_sweep_neither_reads_nor_writes_quiet_open_gates(world: World) -> None:
    names = [f"Machine{number}" for number in range(5)]
    for name in names:
        world.put_flag("open", name)
    world.act("sweep")
    world.watched.calls.clear()

    assert world.act("sweep") == {"action": "sweep", "machines": {}, "resumed_tokens": 0}

    # The override, the tagging API for both tags, the flags, the folders, the report.
    assert world.watched.calls == [
        "get_object", "list_tagged", "list_tagged", "list_folder", "list_folder", "put_object",
    ]  # fmt: skip


def test_the_sweep_reads_a_flag_again_when_it_changed(world: World) -> None:
    world.put_flag("open")
    world.act("sweep")
    world.put_flag("closed")

    assert world.act("sweep")["machines"] == {"Order": "open"}


def test_the_sweep_leaves_tagged_machines_of_names_that_it_does_not_serve_alone(world: World) -> None:
    world.names = ("Order*",)
    world.machine("Billing", "Orders")
    for name in ("Billing", "Orders"):
        world.tag(name)

    assert world.act("sweep")["machines"] == {"Orders": "closed"}


def test_the_sweep_resumes_what_was_parked_before_the_served_names_changed(world: World) -> None:
    world.tag()
    tokens = world.park(1)
    world.untag()
    world.names = ("Billing",)

    world.act("sweep")

    assert world.outputs(tokens) == ["resumed"]


def test_the_sweep_finds_tasks_parked_behind_an_open_gate(world: World) -> None:
    world.put_flag("open")
    token = world.aws.issue()
    world.put(world.keys.task("Order", str(uuid4())), json.dumps({"taskToken": token}))

    world.act("sweep")

    assert world.outputs([token]) == ["resumed"]


def test_the_sweep_finds_tasks_parked_without_a_flag(world: World) -> None:
    token = world.aws.issue()
    world.put(world.keys.task("Order", str(uuid4())), json.dumps({"taskToken": token}))

    world.act("sweep")

    assert world.outputs([token]) == ["resumed"]
    assert world.state() == "open"


def test_a_failing_machine_does_not_stop_the_others_and_fails_the_sweep(world: World) -> None:
    world.machine("Billing", "Zebra")
    tokens = []
    for name in ("Billing", "Order", "Zebra"):
        world.tag(name)
        tokens += world.park(1, name)
        world.untag(name)
    world.disturb("list_tags", CloudError("states:ListTagsForResource", "ThrottlingException"), key="Order")

    with pytest.raises(IncompleteError, match=r"sweep: 1 of 3 gates are not confirmed .*Order: .*Throttling"):
        world.act("sweep")

    assert world.outputs(tokens) == ["resumed", None, "resumed"]


def test_an_unreadable_flag_does_not_stop_the_sweep(world: World) -> None:
    world.machine("Billing")
    world.put_flag("closed", "Billing")
    world.put_flag("closed")
    world.disturb("get_object", CloudError("s3:GetObject", "InternalError"), key="Billing")

    with pytest.raises(IncompleteError, match="Billing: s3:GetObject failed with InternalError"):
        world.act("sweep")

    assert world.state() == "open"


def test_without_the_tagging_api_the_sweep_still_looks_after_known_gates(world: World) -> None:
    world.tag()
    (token,) = world.park(1)
    world.untag()
    world.disturb("list_tagged", CloudError("tag:GetResources", "ThrottledException"))

    with pytest.raises(IncompleteError, match="tag:GetResources failed with ThrottledException"):
        world.act("sweep")

    assert world.outputs([token]) == ["resumed"]


def test_gates_are_closed_before_others_are_drained(world: World) -> None:
    world.machine("Billing", "Zebra")
    world.put_flag("closed", "Billing")
    world.put_flag("open", "Zebra")
    world.tag("Zebra")

    assert list(world.act("sweep")["machines"]) == ["Billing", "Zebra"]

    tags = [call for call in world.watched.calls if call == "list_tags"]
    assert len(tags) == 2


def test_the_sweep_leaves_gates_to_the_next_one_when_time_is_short(world: World) -> None:
    world.put_flag("closed")
    world.seconds_left = lambda: 19

    with pytest.raises(IncompleteError, match="Order: no time left"):
        world.act("sweep")


def test_without_a_prefix_the_folders_of_others_are_no_state_machines(world: World) -> None:
    world.prefix = ""
    world.put("functions/orders-approval/abc.zip", "")
    world.put(f"approval-claims/{'0' * 64}.json", "{}")
    world.put("bad name/x.json", "")

    assert world.act("sweep")["machines"] == {}
    assert world.below("~flags/") == []


def test_a_maintenance_goes_on_through_sweeps(tagged: World) -> None:
    tokens = tagged.park(2)

    for _ in range(3):
        tagged.advance(60)
        assert tagged.act("sweep")["machines"] == {"Order": "closed"}

    assert tagged.outputs(tokens) == [None, None]
    assert len(tagged.parked()) == 2


def test_a_sweep_that_cannot_list_the_flags_says_so_in_its_report(world: World) -> None:
    world.disturb("list_folder", CloudError("s3:ListObjectsV2", "SlowDown"))

    with pytest.raises(IncompleteError, match="ListObjectsV2 failed with SlowDown"):
        world.act("sweep")

    assert world.body(world.keys.report)["complete"] is False


def test_a_sweep_that_cannot_write_its_report_fails(world: World) -> None:
    world.disturb("put_object", CloudError("s3:PutObject", "SlowDown"), key="~sweep")

    with pytest.raises(IncompleteError, match="PutObject failed with SlowDown"):
        world.act("sweep")
