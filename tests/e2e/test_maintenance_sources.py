"""What begins and ends a maintenance: tags however they are set, actions, windows, `until`, and the override."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sandbox.deployment import NAME, WINDOW, Sandbox, until
from sandbox.gates import TAG, Gates

GROUP = f"{NAME}-maintenance-windows"
# Seconds: short enough to wait for its end, and long enough to see its beginning on a busy machine.
SHORT = 20
# The tag's event may be at the drain already when an action ends a maintenance.
LETS_PASS = ("open", "draining")


def held(gates: Gates) -> str:
    """Start an execution behind the closed gate and return it once it is parked."""
    parked = len(gates.parked())
    execution = gates.start()
    gates.wait_for_parked(parked + 1)
    return execution


def resumed(gates: Gates, execution: str) -> bool:
    ended = gates.ended(execution)
    return (ended.status, ended.output["maintenance"]) == ("SUCCEEDED", {"status": "resumed"})


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_the_tagging_api_is_a_switch_like_any_other(machine: Gates, sandbox: Sandbox) -> None:
    tagging, arns = sandbox.client("resourcegroupstaggingapi"), [machine.state_machine]
    assert tagging.tag_resources(ResourceARNList=arns, Tags={TAG: "True"})["FailedResourcesMap"] == {}
    machine.wait_for_gate("closed")
    execution = held(machine)
    assert tagging.untag_resources(ResourceARNList=arns, TagKeys=[TAG])["FailedResourcesMap"] == {}
    assert resumed(machine, execution)


def test_any_other_value_of_the_tag_ends_the_maintenance(machine: Gates, sandbox: Sandbox) -> None:
    machine.begin_maintenance()
    machine.wait_for_gate("closed")
    execution = held(machine)
    tags = [{"key": TAG, "value": "false"}]
    sandbox.client("stepfunctions").tag_resource(resourceArn=machine.state_machine, tags=tags)
    assert resumed(machine, execution)


def test_a_malformed_check_in_fails_its_task(gates: Gates) -> None:
    state = gates.check_in_state()
    state["Parameters"]["Payload"]["colour"] = "red"
    state["Parameters"]["InvocationType"] = "Event"  # nobody sees how the invocation ends
    with gates.another({"CheckIn": {**state, "End": True}}) as machine:
        ended = machine.ended(machine.start())
    assert (ended.status, ended.error) == ("FAILED", "Maintenance.InvalidCheckIn")
    assert "colour" in str(ended.cause)


def test_the_actions_answer_once_the_gate_follows(machine: Gates, sandbox: Sandbox) -> None:
    begun = machine.act("begin", reason="Upgrade", by="ada", until="2099-01-01T01:00:00+01:00")
    gate = machine.gate()
    assert begun["machines"] == {machine.name: "closed"}
    assert gate["state"] == "closed"
    assert (gate["reason"], gate["by"], gate["until"]) == ("Upgrade", "ada", "2099-01-01T00:00:00.000Z")
    execution = held(machine)
    ended = machine.act("end", by="ada")
    assert ended["machines"][machine.name] in LETS_PASS
    assert machine.gate_state() in LETS_PASS
    assert resumed(machine, execution)
    tags = sandbox.client("stepfunctions").list_tags_for_resource(resourceArn=machine.state_machine)["tags"]
    assert tags == []


def test_an_end_of_an_earlier_maintenance_ends_nothing(machine: Gates) -> None:
    machine.act("begin")
    first = machine.gate()["since"]
    machine.act("end")
    machine.act("begin")
    assert "skipped" in machine.act("end", since=first)
    assert machine.gate_state() == "closed"
    assert machine.act("end", since=machine.gate()["since"])["machines"][machine.name] in LETS_PASS


@pytest.fixture
def schedule(sandbox: Sandbox) -> Iterator[dict[str, Any]]:
    """The window's schedule, as Terraform made it; it is so again in the end."""
    scheduler = sandbox.client("scheduler")
    (listed,) = scheduler.list_schedules(GroupName=GROUP)["Schedules"]
    found = scheduler.get_schedule(GroupName=GROUP, Name=listed["Name"])
    told = {"Arn", "CreationDate", "LastModificationDate", "ResponseMetadata"}
    made = {name: value for name, value in found.items() if name not in told}
    yield made
    scheduler.update_schedule(**made)


@pytest.fixture
def over(gates: Gates) -> Iterator[None]:
    yield
    gates.act("end")


@pytest.mark.usefixtures("over")
def test_a_window_opens_by_its_schedule(gates: Gates, sandbox: Sandbox, schedule: dict[str, Any]) -> None:
    fired = sandbox.control("POST", "schedules/fire", {"group": GROUP, "schedule": schedule["Name"]})
    assert fired["scheduled-time"] == "2099-12-31T22:00:00Z"
    gates.wait_for_gate("closed")
    gate = gates.gate()
    assert (gate["by"], gate["reason"]) == (f"maintenance window {WINDOW}", "Upgrade of the database")
    assert gate["until"] == "2099-12-31T23:00:00.000Z"


@pytest.mark.usefixtures("over")
def test_what_has_an_end_closes_by_itself(
    gates: Gates, machine: Gates, sandbox: Sandbox, schedule: dict[str, Any]
) -> None:
    # The window as it was made, but due at once, as a rate is, and shorter than a window can be.
    target = dict(schedule["Target"])
    target["Input"] = json.dumps({**json.loads(target["Input"]), "durationSeconds": SHORT})
    machine.act("begin", until=(datetime.now(UTC) + timedelta(seconds=SHORT)).isoformat())
    scheduler, changes = sandbox.client("scheduler"), {"ScheduleExpression": "rate(7 days)", "Target": target}
    scheduler.update_schedule(**{**schedule, **changes})
    due = scheduler.get_schedule(GroupName=GROUP, Name=schedule["Name"])["LastModificationDate"]
    gates.wait_for_gate("closed", timeout=SHORT)
    both = (gates, machine)
    executions = [held(one) for one in both]
    assert moment(gates.gate()["until"]) == due.replace(microsecond=0) + timedelta(seconds=SHORT)
    # The sweep comes every minute; this one comes right after the end.
    last = max(moment(one.gate()["until"]) for one in both)
    until(lambda: datetime.now(UTC) > last, "the end of both", timeout=2 * SHORT)
    gates.sweep()
    assert [resumed(one, execution) for one, execution in zip(both, executions, strict=True)] == [True, True]
    assert [one.wait_for_gate("open") for one in both] == ["open", "open"]
    for one in both:
        tags = sandbox.client("stepfunctions").list_tags_for_resource(resourceArn=one.state_machine)["tags"]
        assert [tag for tag in tags if tag["key"].startswith(TAG)] == []


@pytest.fixture
def override(gates: Gates) -> Iterator[None]:
    yield
    gates.act("end", scope="all")


@pytest.mark.usefixtures("override", "over")
def test_lifting_a_maintenance_of_all_leaves_tags_and_their_gates_alone(
    gates: Gates, machine: Gates, sandbox: Sandbox
) -> None:
    machine.act("end")  # known, and not in maintenance
    machine.wait_for_gate("open")
    gates.begin_maintenance()
    gates.wait_for_gate("closed")
    begun = gates.act("begin", scope="all", reason="Everything", by="ada")
    assert [begun["machines"][one.name] for one in (gates, machine)] == ["closed", "closed"]
    of_tag, of_override = held(gates), held(machine)
    assert (gates.gate()["source"], machine.gate()["source"]) == ("both", "override")

    gates.act("end", scope="all")
    assert resumed(machine, of_override)
    assert machine.wait_for_gate("open") == "open"
    assert gates.gate_state() == "closed"
    assert gates.running([of_tag]) == [True]
    states = sandbox.client("stepfunctions")
    tags = states.list_tags_for_resource(resourceArn=gates.state_machine)["tags"]
    assert {"key": TAG, "value": "true"} in tags
    assert states.list_tags_for_resource(resourceArn=machine.state_machine)["tags"] == []

    gates.end_maintenance()
    assert resumed(gates, of_tag)
