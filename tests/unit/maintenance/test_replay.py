import json
from uuid import uuid4

import pytest

from maintenance import replay
from maintenance.cloud import TaskOverError
from maintenance.events import InvalidEventError
from tests.unit.maintenance.conftest import World


@pytest.fixture
def tagged(memory_world: World) -> World:
    memory_world.tag()
    memory_world.tag_event()
    return memory_world


def bury(world: World, count: int) -> list[str]:
    """Park tasks and let Step Functions call them over by mistake."""
    tokens = world.park(count)
    world.disturb("send_task_success", TaskOverError("states:SendTaskSuccess", "TaskTimedOut"), times=count)
    world.untag()
    world.tag_event()
    world.watched.fault = None
    assert len(world.below("maintenance/~dead/Order/")) == count
    return tokens


def test_a_live_task_that_was_called_dead_is_resumed_by_a_replay(tagged: World) -> None:
    tokens = bury(tagged, 3)

    assert tagged.act("replay", "Order") == {
        "action": "replay",
        "machines": {"Order": "open"},
        "resumed_tokens": 3,
        "replayed": 3,
        "more": False,
    }
    assert list(tagged.aws.outputs) == tokens
    assert tagged.below("") == ["maintenance/~flags/Order.json"]


def test_a_replay_during_maintenance_only_parks_under_new_keys(tagged: World) -> None:
    (token,) = bury(tagged, 1)
    (dead,) = tagged.below("maintenance/~dead/Order/")
    tagged.tag()
    tagged.tag_event()

    answer = tagged.act("replay", "Order")

    assert (answer["machines"], answer["replayed"], answer["resumed_tokens"]) == ({"Order": "closed"}, 1, 0)
    (parked,) = tagged.parked()
    assert tagged.body(parked)["taskToken"] == token
    assert parked.rpartition("/")[2] != dead.rpartition("/")[2]
    assert token in tagged.aws.waiting


def test_what_is_over_comes_back_as_dead_once(tagged: World) -> None:
    tokens = bury(tagged, 2)
    tagged.aws.stop(tokens[0])

    assert tagged.act("replay", "Order")["resumed_tokens"] == 1
    assert [tagged.body(key)["taskToken"] for key in tagged.below("maintenance/~dead/Order/")] == [tokens[0]]


def test_a_repaired_quarantined_task_is_resumed(tagged: World) -> None:
    token = tagged.aws.issue()
    tagged.put(f"maintenance/~quarantine/Order/{uuid4()}.json", json.dumps({"taskToken": token}))
    tagged.untag()

    tagged.act("replay", "Order")

    assert tagged.outputs([token]) == ["resumed"]
    assert tagged.below("maintenance/~quarantine/") == []


def test_more_than_one_invocation_can_take_are_left_for_the_next(
    tagged: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(tagged, 5)
    monkeypatch.setattr(replay, "_AT_ONCE", 3)

    answers = [tagged.act("replay", "Order") for _ in range(2)]

    assert [(answer["replayed"], answer["more"]) for answer in answers] == [(3, True), (2, False)]


def test_a_crash_between_parking_and_removing_loses_nothing(tagged: World) -> None:
    (token,) = bury(tagged, 1)
    tagged.disturb("delete_object", KeyboardInterrupt(), key="~dead")
    with pytest.raises(KeyboardInterrupt):
        tagged.act("replay", "Order")
    tagged.watched.fault = None

    tagged.act("replay", "Order")

    assert tagged.outputs([token]) == ["resumed"]
    assert tagged.parked() == []


def test_a_replay_names_its_state_machine(tagged: World) -> None:
    with pytest.raises(InvalidEventError, match="name the state machine to replay"):
        tagged.act("replay")
