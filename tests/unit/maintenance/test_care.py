"""Tasks that stay parked: those whose execution has ended are put aside, and limits that come near are told."""

from datetime import timedelta
from typing import Any

import pytest

from maintenance.care import LOOKS
from maintenance.cloud import CloudError, Execution
from maintenance.refresh import IncompleteError
from tests.unit.maintenance.conftest import World

DAY = 24 * 3600


@pytest.fixture
def world(memory_world: World) -> World:
    memory_world.act("begin", "Order")
    return memory_world


def waiting(world: World, run: str = "run-1", status: str = "RUNNING", **more: Any) -> str:
    """Park a task of an execution that starts now."""
    execution = world.execution(run=run)
    world.aws.executions[execution] = Execution(status, world.now)
    token, _ = world.check_in(executionArn=execution, **more)
    return token


def ends(world: World, run: str, status: str) -> None:
    execution = world.execution(run=run)
    world.aws.executions[execution] = Execution(status, world.aws.executions[execution].started)


def dead(world: World) -> list[str]:
    return [world.body(key)["taskToken"] for key in world.below("maintenance/~dead/Order/")]


def kept(world: World) -> list[str]:
    return [world.body(key)["taskToken"] for key in world.parked()]


def troubles(world: World) -> list[dict[str, Any]]:
    return [detail for kind, detail in world.aws.told if kind == "Maintenance Trouble"]


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"])
def test_a_parked_task_whose_execution_has_ended_is_put_aside_and_the_others_stay(world: World, status: str) -> None:
    first, stopped, last = (waiting(world, run) for run in ("run-1", "run-2", "run-3"))
    ends(world, "run-2", status)

    world.act("sweep")

    assert kept(world) == [first, last]
    assert dead(world) == [stopped]
    assert world.aws.outputs == {}
    assert world.state() == "closed"


def test_an_execution_that_nobody_knows_has_not_ended_for_all_that_is_said(world: World) -> None:
    token = waiting(world)
    world.aws.executions.clear()

    assert world.act("sweep")["machines"] == {"Order": "closed"}

    assert (kept(world), dead(world)) == ([token], [])


def test_throttling_puts_nothing_aside_and_does_not_fail_the_sweep(world: World) -> None:
    token = waiting(world, status="ABORTED")
    world.disturb("describe_execution", CloudError("states:DescribeExecution", "ThrottlingException"))

    assert world.act("sweep")["machines"] == {"Order": "closed"}
    assert (kept(world), dead(world)) == ([token], [])

    world.act("sweep")
    assert (kept(world), dead(world)) == ([], [token])


def test_a_role_that_may_not_look_puts_nothing_aside_and_fails_the_sweep(world: World) -> None:
    token = waiting(world, status="ABORTED")
    world.disturb("describe_execution", CloudError("states:DescribeExecution", "AccessDeniedException"), times=99)

    with pytest.raises(IncompleteError, match=r"\(parked\): states:DescribeExecution .*AccessDeniedException"):
        world.act("sweep")

    assert (kept(world), dead(world)) == ([token], [])
    assert world.state() == "closed"


def test_an_execution_that_waits_to_be_redriven_may_still_need_its_task(world: World) -> None:
    token = waiting(world, status="PENDING_REDRIVE")

    world.act("sweep")

    assert kept(world) == [token]


def test_what_was_put_aside_can_be_replayed_and_is_resumed_if_its_execution_did_wait(world: World) -> None:
    token = waiting(world, status="FAILED")
    world.act("sweep")
    assert kept(world) == []

    world.act("end", "Order")
    world.act("replay", "Order")

    assert world.outputs([token]) == ["resumed"]


def test_tasks_without_an_execution_and_objects_of_others_are_left_alone(world: World) -> None:
    world.park(2)
    world.put("maintenance/Order/00000000-0000-7000-8000-000000000000.json", "garbage")
    world.put("maintenance/Order/README.md", "not a task")
    before = world.below("maintenance/Order/")

    world.act("sweep")

    assert world.below("maintenance/Order/") == before
    assert "describe_execution" not in world.watched.calls


def test_a_sweep_looks_at_few_of_many_tasks_and_at_all_in_time(world: World) -> None:
    count = 3 * LOOKS
    for number in range(count):
        waiting(world, f"run-{number}", status="ABORTED")
    world.watched.calls.clear()

    world.act("sweep")
    assert world.watched.calls.count("describe_execution") == LOOKS
    assert len(kept(world)) == count - LOOKS
    world.act("sweep")
    world.act("sweep")

    assert kept(world) == []
    assert len(dead(world)) == count


def test_the_looks_are_shared_among_state_machines(world: World) -> None:
    for name in ("Billing", "Stock"):
        world.machine(name)
        world.act("begin", name)
        for number in range(LOOKS):
            execution = world.execution(name, f"run-{number}")
            world.aws.executions[execution] = Execution("RUNNING", world.now)
            world.check_in(name, executionArn=execution)
    world.watched.calls.clear()
    seen: list[str] = []
    world.before("describe_execution", lambda: seen.append("Billing"), key=":Billing:", times=999)

    world.act("sweep")

    assert world.watched.calls.count("describe_execution") == LOOKS
    assert len(seen) == LOOKS // 2


def test_a_drain_at_the_same_moment_changes_nothing(world: World) -> None:
    stopped, other = waiting(world, "run-1"), waiting(world, "run-2")
    ends(world, "run-1", "ABORTED")
    world.aws.stop(stopped)
    world.before("describe_execution", lambda: world.act("end", "Order"), key="run-1")

    world.act("sweep")

    assert world.outputs([stopped, other]) == [None, "resumed"]
    assert dead(world) == [stopped]
    assert world.state() == "open"
    assert kept(world) == []


def test_a_task_that_is_resumed_while_the_sweep_looks_is_not_lost(world: World) -> None:
    token = waiting(world)

    def resumed_and_over() -> None:
        world.act("end", "Order")
        ends(world, "run-1", "SUCCEEDED")

    world.before("describe_execution", resumed_and_over)
    world.act("sweep")

    assert world.outputs([token]) == ["resumed"]
    assert kept(world) == []


def test_a_timeout_that_comes_near_is_told_once_with_its_time(world: World) -> None:
    waiting(world, timeoutSeconds=8 * 3600)
    world.advance(5.9 * 3600)
    world.act("sweep")
    assert troubles(world) == []

    world.advance(0.2 * 3600)
    for _ in range(3):
        world.act("sweep")

    [trouble] = troubles(world)
    assert (trouble["kind"], trouble["name"]) == ("timeout_near", "Order")
    assert "2030-01-01T08:00:00.000Z" in trouble["message"]
    assert world.act("status", "Order")["machines"]["Order"]["warnings"] == ["timeout_near"]


def test_a_long_timeout_is_told_a_day_before(world: World) -> None:
    waiting(world, timeoutSeconds=100 * DAY)
    world.advance(98.9 * DAY)
    world.act("sweep")
    assert troubles(world) == []

    world.advance(0.2 * DAY)
    world.act("sweep")

    assert [trouble["kind"] for trouble in troubles(world)] == ["timeout_near"]


def test_the_year_that_an_execution_may_take_is_told_a_month_before(world: World) -> None:
    waiting(world)
    world.aws.executions[world.execution()] = Execution("RUNNING", world.now - timedelta(days=300))
    world.advance(34 * DAY)
    world.act("sweep")
    assert troubles(world) == []

    world.advance(2 * DAY)
    for _ in range(2):
        world.act("sweep")

    [trouble] = troubles(world)
    assert trouble["kind"] == "execution_limit_near"
    assert "2030-03-07" in trouble["message"]
    assert len(kept(world)) == 1


def test_a_bus_that_does_not_take_a_warning_fails_the_sweep_until_it_does(world: World) -> None:
    waiting(world, timeoutSeconds=3600)
    world.advance(3000)
    refused = CloudError("events:PutEvents", "AccessDeniedException")
    world.disturb("put_events", refused, times=99)
    world.act("sweep")
    with pytest.raises(IncompleteError, match="Order: not announced"):
        world.act("sweep")

    world.watched.fault = None
    world.act("sweep")
    world.act("sweep")

    assert [trouble["kind"] for trouble in troubles(world)] == ["timeout_near"]
