"""The function dies before any of its requests (so also after any but the last): the sweep reaches the same end."""

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import pytest

from maintenance.cloud import Execution
from maintenance.gate import Limits
from tests.unit.maintenance.conftest import MemoryAws, World


class LambdaDiedError(BaseException):
    """Nothing of the function's own may catch this."""


def dies(world: World, at: int, act: Callable[[World], object]) -> bool:
    """Let the function die before its n-th request; False if it finished earlier."""
    requests = count(1)

    def fault(method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if next(requests) == at:
            raise LambdaDiedError
        return method(*args, **kwargs)

    world.watched.fault = fault
    try:
        act(world)
    except LambdaDiedError:
        world.known_flags.clear()  # with the container
        return True
    finally:
        world.watched.fault = None
    return False


def begin(world: World) -> None:
    world.act("begin", "Order")


def in_maintenance(world: World) -> None:
    begin(world)
    world.park(3)


def abandoned_drain(world: World) -> None:
    in_maintenance(world)
    world.untag()
    world.put_flag("draining")


def maintenance_without_tag(world: World) -> None:
    in_maintenance(world)
    world.untag()


def overridden(world: World) -> None:
    world.act("begin", scope="all")
    world.park(3)


@pytest.mark.parametrize(
    ("prepare", "act"),
    [
        pytest.param(lambda _: None, World.check_in, id="the first check-in ever"),
        pytest.param(begin, World.check_in, id="a check-in that is parked"),
        pytest.param(abandoned_drain, World.check_in, id="a check-in that helps a drain"),
        pytest.param(lambda _: None, begin, id="a begin"),
        pytest.param(in_maintenance, lambda world: world.act("end", "Order"), id="an end"),
        pytest.param(overridden, lambda world: world.act("end", scope="all"), id="an end of all"),
        pytest.param(maintenance_without_tag, World.tag_event, id="a tag event"),
        pytest.param(maintenance_without_tag, lambda world: world.act("sweep"), id="a sweep"),
    ],
)
def test_a_crash_at_any_request_strands_no_task(
    prepare: Callable[[World], object], act: Callable[[World], object]
) -> None:
    for at in range(1, 100):
        world = World(MemoryAws(), limits=Limits(batch=2))
        prepare(world)
        died = dies(world, at, act)
        # The task of a check-in that died unparked fails in Step Functions; all others must be kept or resumed.
        parked = {world.body(key)["taskToken"] for key in world.parked()}

        world.untag()
        world.aws.delete_object(world.keys.flag("~all"))
        world.advance(31)
        world.act("sweep")

        assert world.state() in {None, "open"}
        assert world.parked() == []
        kept = {world.body(key)["taskToken"] for key in world.below("maintenance/~dead/")}
        assert parked <= world.aws.outputs.keys() | kept
        assert len(world.aws.issued) - len(world.aws.outputs.keys() | kept) <= died
        if not died:
            assert at > 3
            break


@pytest.mark.parametrize("where", [{"name": "Order"}, {"scope": "all"}], ids=["one", "all"])
@pytest.mark.parametrize("action", ["begin", "drain", "end", "sweep"])
def test_a_crash_at_any_request_loses_no_announcement(action: str, where: dict[str, Any]) -> None:
    for at in range(1, 100):
        world = World(MemoryAws(), limits=Limits(batch=2))
        world.check_in()
        if action != "begin":
            world.act("begin", **where)
            world.aws.stop(world.park(5)[3])
        if action in {"drain", "sweep"}:
            world.act("end", **where)  # the first batch
        arguments = {"drain": {"name": "Order"}, "sweep": {}}.get(action, where)
        died = dies(world, at, partial(World.act, action=action, **arguments))

        world.advance(31)
        world.act("sweep")
        began = action != "begin" or world.state() == "closed"
        world.act("end", **where)
        for _ in range(2):
            world.advance(60)
            world.act("sweep")

        told = [(kind, detail.get("kind")) for kind, detail in world.aws.told]
        wanted = ["Began", "Ended"] if began else []
        assert list(dict.fromkeys(kind.removeprefix("Maintenance ") for kind, trouble in told if not trouble)) == wanted
        assert len({detail["since"] for _, detail in world.aws.told if "since" in detail}) == began
        assert world.state() == "open"
        if not died:
            assert began
            assert len(told) == len(set(told))
            break


def test_under_the_tag_a_crash_at_any_request_of_the_sweep_resumes_nothing(memory_world: World) -> None:
    in_maintenance(memory_world)
    for at in range(1, 100):
        died = dies(memory_world, at, lambda world: world.act("sweep"))
        assert memory_world.aws.outputs == {}
        assert memory_world.state() == "closed"
        assert len(memory_world.parked()) == 3
        if not died:
            break


def test_a_crash_at_any_request_of_a_sweep_that_puts_tasks_aside_loses_none() -> None:
    for at in range(1, 100):
        world = World(MemoryAws())
        begin(world)
        for number in range(4):
            execution = world.execution(run=f"run-{number}")
            world.aws.executions[execution] = Execution("ABORTED" if number % 2 else "RUNNING", world.now)
            world.check_in(executionArn=execution)
        waits, stopped = world.aws.issued[::2], world.aws.issued[1::2]
        died = dies(world, at, lambda world: world.act("sweep"))
        there = {world.body(key)["taskToken"] for key in [*world.parked(), *world.below("maintenance/~dead/")]}
        assert there == {*waits, *stopped}

        world.act("sweep")

        assert [world.body(key)["taskToken"] for key in world.parked()] == waits
        assert [world.body(key)["taskToken"] for key in world.below("maintenance/~dead/")] == stopped
        if not died:
            assert at > 10
            break


def test_drains_that_die_again_and_again_get_through(memory_world: World) -> None:
    maintenance_without_tag(memory_world)
    tokens = list(memory_world.aws.issued)

    # Each resumes one task and dies before it resumes or deletes the next.
    for _ in tokens:
        assert dies(memory_world, 11, World.tag_event)
        memory_world.advance(31)
    memory_world.tag_event()

    assert memory_world.outputs(tokens) == ["resumed"] * 3
    assert memory_world.state() == "open"
