from collections.abc import Callable
from threading import Barrier, Event
from typing import Any

import pytest

from maintenance.cloud import CloudError, TaskOverError
from maintenance.crew import Crew
from maintenance.gate import Limits
from maintenance.refresh import IncompleteError
from tests.unit.maintenance.conftest import World

_SOON = 10  # seconds: a test that hangs fails


@pytest.fixture
def tagged(memory_world: World) -> World:
    memory_world.crew = Crew(4, 1e6)
    memory_world.tag()
    memory_world.tag_event()
    return memory_world


def test_acts_begin_in_order_at_the_rate() -> None:
    now = 0.0
    begun: list[tuple[str, float]] = []

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    crew = Crew(1, 10, monotonic=lambda: now, sleep=sleep)
    crew.each(lambda key: begun.append((key, now)), "abc")
    crew.each(lambda key: begun.append((key, now)), "de")

    assert [key for key, _ in begun] == list("abcde")
    assert now == pytest.approx(0.4)


def test_time_that_went_by_without_work_is_not_made_up_for() -> None:
    now = 0.0
    waits: list[float] = []
    crew = Crew(1, 10, monotonic=lambda: now, sleep=waits.append)
    now = 60.0

    crew.each(lambda _: None, "ab")

    assert waits == [pytest.approx(0.1)]


def test_an_act_that_raises_ends_the_work_once_all_that_began_have_ended() -> None:
    crew = Crew(2, 1e6)
    raised, ended = Event(), []

    def act(key: str) -> None:
        if key == "a":
            raised.set()
            raise CloudError("s3:PutObject", "PreconditionFailed")
        assert raised.wait(_SOON)
        ended.append(key)

    with pytest.raises(CloudError):
        crew.each(act, "ab")

    before = list(ended)
    crew.each(act, "c")  # its thread is free again
    assert ended == [*before, "c"]


def test_several_tasks_are_in_flight_at_once(tagged: World) -> None:
    tokens = tagged.park(4)
    together = Barrier(4, timeout=_SOON)
    tagged.before("send_task_success", together.wait, times=4)
    tagged.untag()

    assert tagged.tag_event()["resumed_tokens"] == 4
    assert tagged.outputs(tokens) == ["resumed"] * 4


def test_many_tasks_are_each_resumed_once_batch_by_batch(tagged: World) -> None:
    tagged.limits = Limits(batch=20)
    tokens = tagged.park(110)
    tagged.aws.stop(tokens[5])
    listings: list[set[str]] = []
    tagged.before("list_folder", lambda: listings.append(set(tagged.aws.outputs)), key="/Order/", times=99)
    tagged.untag()

    assert tagged.tag_event() == {"action": "tag change", "machines": {"Order": "open"}, "resumed_tokens": 109}

    # At each listing the batches before it are done, whole.
    assert [one - {tokens[5]} for one in listings] == [
        set(tokens[: 20 * number]) - {tokens[5]} for number in range(6)
    ] + [set(tokens) - {tokens[5]}]
    assert len(tagged.below("maintenance/~dead/Order/")) == 1
    assert tagged.parked() == []


def test_one_check_of_the_flag_serves_all_in_flight_and_one_refused_stops_them_all(tagged: World) -> None:
    tokens = tagged.park(8)
    tagged.untag()
    closed = Event()
    slept = False

    def fault(method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        nonlocal slept
        if method.__name__ == "get_object" and "/Order/" in args[0]:
            if args[0] == first:
                tagged.advance(6)
                tagged.tag()
                tagged.put_flag("closed")
                slept = True
                closed.set()
            assert closed.wait(_SOON)
        return method(*args, **kwargs)

    first = tagged.parked()[0]
    tagged.watched.fault = fault

    assert tagged.tag_event()["machines"] == {"Order": "closed"}

    assert slept
    assert tagged.outputs(tokens) == [None] * 8
    assert len(tagged.parked()) == 8


def test_those_that_fail_stay_and_are_reported(tagged: World) -> None:
    tokens = tagged.park(6)
    tagged.untag()
    tagged.disturb("send_task_success", CloudError("states:SendTaskSuccess", "KmsAccessDenied"), key=tokens[2], times=9)

    with pytest.raises(IncompleteError, match="1 parked tasks of Order"):
        tagged.tag_event()

    assert tagged.outputs(tokens) == ["resumed", "resumed", None, "resumed", "resumed", "resumed"]
    assert len(tagged.parked()) == 1


def test_without_time_nothing_more_begins(tagged: World) -> None:
    tokens = tagged.park(6)
    tagged.crew = Crew(1, 1e6)
    tagged.untag()
    tagged.seconds_left = lambda: 300 if len(tagged.aws.outputs) < 3 else 19

    assert tagged.tag_event()["machines"] == {"Order": "draining"}
    assert tagged.outputs(tokens) == ["resumed"] * 3 + [None] * 3
    assert tagged.aws.invoked == [{"action": "drain", "stateMachineArn": tagged.arn("Order")}]


def test_dead_tasks_are_counted_by_every_thread(tagged: World) -> None:
    tagged.park(30)
    tagged.untag()
    tagged.disturb("send_task_success", TaskOverError("states:SendTaskSuccess", "TaskTimedOut"), times=1000)

    assert tagged.tag_event()["resumed_tokens"] == 0
    assert len(tagged.below("maintenance/~dead/Order/")) == 30
