import json
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest

from maintenance.aws import _TIMEOUT
from maintenance.cloud import CloudError, ConflictError, TaskOverError
from maintenance.gate import Limits
from maintenance.refresh import IncompleteError
from tests.unit.maintenance.conftest import World

THROTTLED = CloudError("states:SendTaskSuccess", "ThrottlingException")


@pytest.fixture
def world(memory_world: World) -> World:
    return memory_world


def end(world: World, name: str = "Order") -> dict[str, Any]:
    world.untag(name)
    return world.tag_event(name)


def test_parked_tasks_are_resumed_in_order_of_arrival(tagged: World) -> None:
    tokens = tagged.park(25)

    assert end(tagged) == {"action": "tag change", "machines": {"Order": "open"}, "resumed_tokens": 25}

    assert list(tagged.aws.outputs) == tokens
    assert tagged.outputs(tokens) == ["resumed"] * 25
    assert tagged.below("") == ["maintenance/~flags/Order.json"]


def test_all_of_1200_parked_tasks_are_resumed_in_order(world: World) -> None:
    world.tag()
    tokens = world.park(1200)

    assert end(world)["resumed_tokens"] == 1200

    assert list(world.aws.outputs) == tokens
    assert world.parked() == []


@pytest.mark.parametrize("prefix", ["", "maintenance", "maintenance/"])
def test_order_never_touches_the_tasks_of_order_refund(world: World, prefix: str) -> None:
    world.prefix = prefix
    world.machine("OrderRefund")
    world.tag("Order")
    world.tag("OrderRefund")
    (order,), (refund,) = world.park(1, "Order"), world.park(1, "OrderRefund")

    end(world, "Order")

    assert world.outputs([order, refund]) == ["resumed", None]
    assert len(world.parked("OrderRefund")) == 1
    assert world.state("OrderRefund") == "closed"


def test_a_dead_task_is_kept_and_does_not_hold_up_the_others(tagged: World) -> None:
    first, stopped, last = tagged.park(3)
    tagged.aws.stop(stopped)
    keys = tagged.parked()

    end(tagged)

    assert tagged.outputs([first, stopped, last]) == ["resumed", None, "resumed"]
    (dead,) = tagged.below("maintenance/~dead/")
    assert dead == keys[1].replace("/Order/", "/~dead/Order/")
    assert tagged.body(dead)["taskToken"] == stopped
    assert tagged.state() == "open"


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist"])
def test_a_live_task_that_is_falsely_called_dead_is_kept(tagged: World, code: str) -> None:
    (token,) = tagged.park(1)
    tagged.disturb("send_task_success", TaskOverError("states:SendTaskSuccess", code))

    end(tagged)

    assert token in tagged.aws.waiting
    assert [tagged.body(key)["taskToken"] for key in tagged.below("maintenance/~dead/Order/")] == [token]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not json",
        "[]",
        "null",
        "{}",
        '{"taskToken": 5}',
        '{"taskToken": ""}',
        json.dumps({"taskToken": "x" * 2049}),
        json.dumps({"taskToken": "x", "output": "y" * 262_143}),
        '{"taskToken": "x", "output": NaN}',
    ],
)
def test_a_task_object_without_a_token_is_quarantined(tagged: World, body: str) -> None:
    (token,) = tagged.park(1)
    name = f"{uuid4()}.json"
    tagged.put(f"maintenance/Order/{name}", body)

    end(tagged)

    assert tagged.outputs([token]) == ["resumed"]
    assert tagged.below("maintenance/~quarantine/") == [f"maintenance/~quarantine/Order/{name}"]
    assert tagged.text(f"maintenance/~quarantine/Order/{name}") == body
    assert tagged.state() == "open"


def test_a_token_that_step_functions_refuses_is_quarantined(tagged: World) -> None:
    tagged.put(f"maintenance/Order/{uuid4()}.json", json.dumps({"taskToken": "made-up"}))

    end(tagged)

    assert len(tagged.below("maintenance/~quarantine/Order/")) == 1
    assert tagged.state() == "open"


def test_a_task_parked_by_the_seed_is_resumed(tagged: World) -> None:
    token = tagged.aws.issue()
    tagged.put("maintenance/Order/12345678-1234-4234-9234-123456789ABC.json", json.dumps({"taskToken": token}))

    end(tagged)

    assert tagged.outputs([token]) == ["resumed"]


def test_objects_of_others_stay_and_do_not_keep_the_gate_from_opening(tagged: World) -> None:
    foreign = [
        "maintenance/Order/",
        "maintenance/Order/README.md",
        "maintenance/Order/000.json",
        f"maintenance/Order/archive/{uuid4()}.json",
        f"maintenance/Order/{uuid4()}.json.bak",
        f"maintenance/{uuid4()}.json",
        "maintenance/~flags/notes.txt",
    ]
    for key in foreign:
        tagged.put(key, "{}")
    (token,) = tagged.park(1)

    end(tagged)
    tagged.act("sweep")

    assert tagged.outputs([token]) == ["resumed"]
    assert tagged.state() == "open"
    assert tagged.below("") == sorted([*foreign, "maintenance/~flags/Order.json", "maintenance/~sweep.json"])


def test_more_foreign_objects_than_a_batch_hide_no_task(tagged: World) -> None:
    tagged.limits = Limits(batch=5)
    for number in range(12):
        tagged.put(f"maintenance/Order/0-{number}", "{}")
    tokens = tagged.park(3)

    end(tagged)

    assert tagged.outputs(tokens) == ["resumed"] * 3


def test_a_folder_of_foreign_objects_costs_few_listings(world: World) -> None:
    world.put_flag("open")
    for number in range(1500):
        world.put(f"maintenance/Order/0-{number}", "{}")

    world.tag_event()

    assert world.watched.calls.count("list_folder") == 3


def test_a_drain_stops_when_the_gate_closes_again(tagged: World) -> None:
    tagged.limits = Limits(batch=2)
    tokens = tagged.park(6)
    tagged.untag()

    def begin() -> None:
        tagged.tag()
        tagged.put_flag("closed")

    # The third batch is listed when a new maintenance begins.
    listings = iter(range(9))
    tagged.before("list_folder", lambda: begin() if next(listings) == 2 else None, key="/Order/", times=9)

    answer = tagged.tag_event()

    assert answer == {"action": "tag change", "machines": {"Order": "closed"}, "resumed_tokens": 4}
    assert tagged.outputs(tokens) == ["resumed"] * 4 + [None] * 2
    assert len(tagged.parked()) == 2


def test_a_drain_that_sleeps_through_a_new_maintenance_resumes_nothing_of_it(tagged: World) -> None:
    tokens = tagged.park(2)
    tagged.untag()

    def sleep() -> None:
        tagged.advance(6)
        tagged.tag()
        tagged.put_flag("closed")

    tagged.before("get_object", sleep, key="/Order/")

    tagged.tag_event()

    assert tagged.outputs(tokens) == [None, None]
    assert tagged.state() == "closed"


def test_a_slow_batch_checks_the_flag_again_every_5_seconds(tagged: World) -> None:
    tagged.park(6)
    tagged.untag()
    tagged.before("send_task_success", lambda: tagged.advance(2), key="", times=6)
    tagged.watched.calls.clear()

    tagged.tag_event()

    # Acquired, checked at 0 s, again after more than 5 s, opened, and announced.
    assert tagged.watched.calls.count("replace_object") == 5
    assert tagged.state() == "open"


def test_a_lease_outlives_the_guard_and_the_longest_request() -> None:
    limits = Limits()

    assert (limits.batch, limits.guard, limits.lease) == (100, 5, 30)
    assert limits.lease > limits.guard + 2 * _TIMEOUT  # to connect, and to be answered


def test_a_throttled_task_is_tried_again_in_its_turn(tagged: World) -> None:
    tokens = tagged.park(3)
    tagged.disturb("send_task_success", THROTTLED, key=tokens[1], times=3)

    end(tagged)

    assert list(tagged.aws.outputs) == tokens


def test_a_task_that_cannot_be_resumed_stays_and_is_reported_and_the_others_go(tagged: World) -> None:
    tokens = tagged.park(5)
    tagged.limits = Limits(batch=2)
    tagged.disturb(
        "send_task_success", CloudError("states:SendTaskSuccess", "KmsAccessDeniedException"), key=tokens[1], times=99
    )
    tagged.untag()

    with pytest.raises(IncompleteError, match=r"1 parked tasks of Order .*KmsAccessDeniedException.*next sweep"):
        tagged.tag_event()

    assert tagged.outputs(tokens) == ["resumed", None, "resumed", "resumed", "resumed"]
    assert tagged.state() == "draining"
    assert len(tagged.parked()) == 1

    tagged.watched.fault = None
    tagged.act("sweep")
    assert tagged.outputs(tokens) == ["resumed"] * 5
    assert tagged.state() == "open"


def test_a_batch_of_tasks_that_cannot_be_resumed_ends_the_drain(tagged: World) -> None:
    tagged.limits = Limits(batch=3)
    tokens = tagged.park(9)
    tagged.disturb("send_task_success", THROTTLED, times=999)
    tagged.untag()

    with pytest.raises(IncompleteError, match="3 parked tasks of Order"):
        tagged.tag_event()

    assert len(tagged.parked()) == 9
    assert tagged.aws.invoked == []
    assert tagged.outputs(tokens) == [None] * 9


def test_a_drain_short_of_time_hands_over_to_a_fresh_invocation(tagged: World) -> None:
    tokens = tagged.park(5)
    tagged.untag()
    tagged.seconds_left = lambda: 300 if len(tagged.aws.outputs) < 3 else 19

    assert tagged.tag_event()["machines"] == {"Order": "draining"}
    assert tagged.outputs(tokens) == ["resumed"] * 3 + [None] * 2
    flag = tagged.flag()
    assert flag is not None
    assert flag["lease"] is None

    tagged.seconds_left = lambda: 300
    (handed_over,) = tagged.aws.invoked
    assert tagged.send(handed_over) == {"action": "drain", "machines": {"Order": "open"}, "resumed_tokens": 2}
    assert list(tagged.aws.outputs) == tokens


def test_a_drain_without_time_for_a_single_task_does_not_hand_over_for_ever(tagged: World) -> None:
    tagged.park(1)
    tagged.untag()
    left = iter([300])
    tagged.seconds_left = lambda: next(left, 19)

    tagged.tag_event()

    assert tagged.aws.invoked == []
    assert len(tagged.parked()) == 1


def test_the_sweep_goes_on_when_a_hand_over_is_lost(tagged: World) -> None:
    tokens = tagged.park(3)
    tagged.untag()
    tagged.seconds_left = lambda: 300 if not tagged.aws.outputs else 19
    tagged.disturb("invoke", CloudError("lambda:Invoke", "TooManyRequestsException"))
    tagged.tag_event()

    tagged.seconds_left = lambda: 300
    tagged.act("sweep")

    assert tagged.outputs(tokens) == ["resumed"] * 3


def test_a_live_lease_keeps_others_away_and_an_expired_one_does_not(tagged: World) -> None:
    (token,) = tagged.park(1)
    tagged.untag()
    tagged.put_flag("draining", lease={"owner": "crashed", "expires": "2030-01-01T00:00:30.000Z"})

    assert tagged.tag_event()["machines"] == {"Order": "draining"}
    assert tagged.outputs([token]) == [None]

    tagged.advance(31)
    tagged.act("sweep")
    assert tagged.outputs([token]) == ["resumed"]
    assert tagged.state() == "open"


def test_the_lease_is_30_seconds_and_of_a_new_owner_in_every_attempt(tagged: World) -> None:
    owners = set()
    for _ in range(2):
        tagged.park(1)
        tagged.untag()

        def look() -> None:
            flag = tagged.flag()
            assert flag is not None
            expires = datetime.fromisoformat(flag["lease"]["expires"])
            assert (expires - tagged.now).total_seconds() == 30
            owners.add(flag["lease"]["owner"])

        tagged.before("send_task_success", look)
        tagged.tag_event()
        tagged.tag()
        tagged.tag_event()
    assert len(owners) == 2


def test_a_closing_ignores_the_lease_of_a_drain(tagged: World) -> None:
    tagged.put_flag("draining", lease={"owner": "somebody", "expires": "2030-01-01T00:00:30.000Z"})

    assert tagged.tag_event()["machines"] == {"Order": "closed"}


def test_a_drain_whose_flag_write_lost_its_response_goes_on(tagged: World) -> None:
    tokens = tagged.park(3)
    tagged.untag()
    tagged.disturb("replace_object", ConflictError("s3:PutObject", "PreconditionFailed"), times=3, late=True)

    assert tagged.tag_event() == {"action": "tag change", "machines": {"Order": "open"}, "resumed_tokens": 3}
    assert list(tagged.aws.outputs) == tokens


def test_two_drains_never_send_a_task_twice(tagged: World) -> None:
    tokens = tagged.park(4)
    tagged.untag()
    tagged.before("list_folder", tagged.tag_event, key="/Order/")

    tagged.tag_event()

    assert tagged.outputs(tokens) == ["resumed"] * 4
    assert tagged.below("maintenance/~dead/") == []


def test_a_task_resumed_by_its_own_check_in_is_passed_over(tagged: World) -> None:
    gone, stays = tagged.park(2)
    key = tagged.parked()[0]
    tagged.untag()
    tagged.before("get_object", lambda: tagged.aws.delete_object(key), key=key)

    tagged.tag_event()

    assert tagged.outputs([gone, stays]) == [None, "resumed"]
    assert tagged.state() == "open"
