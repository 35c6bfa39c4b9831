import json
import re
from typing import Any

import pytest

from maintenance.check_in import InvalidCheckInError
from maintenance.cloud import CloudError, ConflictError
from maintenance.gate import Limits
from tests.unit.maintenance.conftest import World

S3_DOWN = CloudError("s3:GetObject", "InternalError")
THROTTLED = CloudError("states:SendTaskSuccess", "ThrottlingException")


def test_a_task_waits_while_its_state_machine_has_the_tag(tagged: World) -> None:
    token, answer = tagged.check_in()

    key = answer["saved_token_key"]
    assert answer == {"status": "maintenance", "saved_token_key": key}
    assert re.fullmatch(r"maintenance/Order/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\.json", key)
    assert tagged.body(key) == {"taskToken": token, "timestamp": "2030-01-01T00:00:00.000Z"}
    assert token in tagged.aws.waiting


@pytest.mark.parametrize("value", ["true", "TRUE", "True", " true "])
def test_the_tag_means_maintenance_in_any_case(world: World, value: str) -> None:
    world.tag(value=value)

    assert world.check_in()[1]["status"] == "maintenance"


@pytest.mark.parametrize("value", ["false", "", "yes", "1"])
def test_no_other_value_of_the_tag_means_maintenance(world: World, value: str) -> None:
    world.tag(value=value)

    assert world.check_in()[1] == {"status": "proceeding", "resumed_tokens": 0}


def test_a_parked_task_keeps_what_its_check_in_tells(tagged: World) -> None:
    more: dict[str, Any] = {
        "executionArn": tagged.execution(),
        "stateName": "Wait here",
        "timeoutSeconds": 86400,
        "output": {"order": "\u00e9t\u00e9", "total": 12.5},
    }
    token, answer = tagged.check_in(**more)

    assert tagged.body(answer["saved_token_key"]) == {
        "taskToken": token,
        "timestamp": "2030-01-01T00:00:00.000Z",
        **more,
    }


@pytest.mark.parametrize("output", [{"order": "\u00e9t\u00e9"}, ["a", 1, 2.5], "text", 0, False, None, {}, ""])
def test_a_task_ends_with_the_output_that_its_check_in_brought(world: World, output: Any) -> None:
    at_once, _ = world.check_in(output=output)
    world.act("begin", "Order")
    parked, answer = world.check_in(output=output)
    assert answer["status"] == "maintenance"
    world.act("end", "Order")

    for token in (at_once, parked):
        assert json.loads(world.aws.outputs[token]) == output


def test_an_output_may_be_as_large_as_step_functions_takes(tagged: World) -> None:
    output = "\u00e9" * 131_071  # 2 bytes each, and the quotes

    token, _ = tagged.check_in(output=output)
    tagged.untag()
    tagged.tag_event()

    assert len(tagged.aws.outputs[token].encode()) == 262_144
    assert json.loads(tagged.aws.outputs[token]) == output


def test_a_task_proceeds_at_once_with_one_read_and_one_answer(world: World) -> None:
    world.check_in()
    world.watched.calls.clear()

    token, answer = world.check_in()

    assert answer == {"status": "proceeding", "resumed_tokens": 0}
    assert world.outputs([token]) == ["proceeding"]
    assert world.watched.calls == ["get_object", "send_task_success"]
    assert world.parked() == []


@pytest.mark.parametrize(
    ("prefix", "start"),
    [("", ""), ("/", ""), ("tokens", "tokens/"), ("tokens/", "tokens/"), ("/a/b/", "a/b/")],
)
def test_parks_and_resumes_below_any_prefix(world: World, prefix: str, start: str) -> None:
    world.prefix = prefix
    world.tag()

    token, answer = world.check_in()
    assert answer["saved_token_key"].startswith(f"{start}Order/")

    world.untag()
    world.tag_event()
    assert world.outputs([token]) == ["resumed"]
    assert world.below("") == [f"{start}~flags/Order.json"]


@pytest.mark.parametrize("suffix", ["", ":5", ":live", "/MapLabel"])
def test_versions_aliases_and_map_runs_share_the_state_machines_gate(tagged: World, suffix: str) -> None:
    token = tagged.aws.issue()

    answer = tagged.send({"taskToken": token, "stateMachineArn": tagged.arn("Order") + suffix})

    assert answer["saved_token_key"].startswith("maintenance/Order/")


def test_the_first_check_in_ever_opens_the_gate_itself(world: World) -> None:
    token, answer = world.check_in()

    assert answer == {"status": "proceeding", "resumed_tokens": 0}
    assert world.outputs([token]) == ["proceeding"]
    assert world.state() == "open"
    assert world.parked() == []
    assert world.aws.invoked == [{"action": "drain", "stateMachineArn": world.arn("Order")}]


def test_the_first_check_in_ever_waits_under_the_tag(world: World) -> None:
    world.tag()

    token, answer = world.check_in()

    assert answer["status"] == "maintenance"
    assert world.state() == "closed"
    assert token in world.aws.waiting


def test_the_first_check_in_waits_when_the_tag_cannot_be_read_and_the_sweep_resumes_it(world: World) -> None:
    world.disturb("list_tags", CloudError("states:ListTagsForResource", "ThrottlingException"))

    token, answer = world.check_in()
    assert answer["status"] == "maintenance"

    world.act("sweep")
    assert world.outputs([token]) == ["resumed"]
    assert world.state() == "open"


def test_of_two_first_check_ins_one_looks_at_the_tag_and_the_other_joins(world: World) -> None:
    other: list[Any] = []
    world.before("create_object", lambda: other.append(world.check_in()))

    _, answer = world.check_in()

    assert [answer["status"], other[0][1]["status"]] == ["proceeding", "proceeding"]
    assert world.watched.calls.count("list_tags") == 1
    assert len(world.aws.outputs) == 2


def test_a_check_in_that_loses_the_race_for_the_flag_to_a_begin_stays_parked(world: World) -> None:
    def begin() -> None:
        world.tag()
        world.tag_event()

    world.before("create_object", begin)

    assert world.check_in()[1]["status"] == "maintenance"


def test_a_check_in_whose_flag_closes_before_it_opens_it_stays_parked(world: World) -> None:
    world.before("replace_object", lambda: world.put_flag("closed"))

    assert world.check_in()[1]["status"] == "maintenance"
    assert world.state() == "closed"


@pytest.mark.parametrize("flag", ["", "{}", "[]", "null", "not json", '{"state": "ajar", "seq": 1, "nonce": ""}'])
def test_a_flag_that_makes_no_sense_counts_as_closed_until_the_sweep_repairs_it(world: World, flag: str) -> None:
    world.put(world.keys.flag("Order"), flag)

    token, answer = world.check_in()
    assert answer["status"] == "maintenance"

    world.act("sweep")
    assert world.outputs([token]) == ["resumed"]
    assert world.state() == "open"


def test_a_flag_that_cannot_be_read_counts_as_closed(world: World) -> None:
    world.put_flag("open")
    world.disturb("get_object", S3_DOWN, times=2)

    token, answer = world.check_in()

    assert answer["status"] == "maintenance"
    assert world.body(answer["saved_token_key"])["taskToken"] == token


def test_a_check_in_that_read_closed_resumes_itself_if_the_gate_opened_meanwhile(tagged: World) -> None:
    def end() -> None:
        tagged.untag()
        tagged.tag_event()

    tagged.before("put_object", end)

    token, answer = tagged.check_in()

    assert answer == {"status": "proceeding", "resumed_tokens": 0}
    assert tagged.outputs([token]) == ["proceeding"]
    assert tagged.parked() == []


def test_a_check_in_helps_a_drain_that_its_holder_left(tagged: World) -> None:
    waiting = tagged.park(2)
    tagged.put_flag("draining")

    token, answer = tagged.check_in()

    assert answer == {"status": "proceeding", "resumed_tokens": 2}
    assert tagged.outputs([token, *waiting]) == ["proceeding", "resumed", "resumed"]
    assert tagged.state() == "open"


def test_a_check_in_leaves_a_live_drain_alone(tagged: World) -> None:
    waiting = tagged.park(2)
    tagged.put_flag("draining", lease={"owner": "somebody", "expires": "2030-01-01T00:00:20Z"})

    assert tagged.check_in()[1] == {"status": "proceeding", "resumed_tokens": 0}
    assert tagged.outputs(waiting) == [None, None]


def test_a_check_in_drains_one_batch_at_most_and_hands_over_the_rest(tagged: World) -> None:
    tagged.limits = Limits(batch=3)
    waiting = tagged.park(5)
    tagged.put_flag("draining")

    assert tagged.check_in()[1] == {"status": "proceeding", "resumed_tokens": 3}
    assert tagged.outputs(waiting) == ["resumed"] * 3 + [None] * 2
    assert tagged.aws.invoked == [{"action": "drain", "stateMachineArn": tagged.arn("Order")}]


def test_a_check_in_that_stalls_after_reading_the_flag_reads_it_again(world: World) -> None:
    world.put_flag("open")

    def close() -> None:
        world.advance(6)
        world.before("get_object", lambda: world.put_flag("closed"))

    world.before("get_object", close)

    assert world.check_in()[1]["status"] == "maintenance"


def test_a_task_waits_a_moment_when_step_functions_is_throttled(world: World) -> None:
    world.put_flag("open")
    world.disturb("send_task_success", THROTTLED, times=2)

    token, answer = world.check_in()
    assert answer["status"] == "maintenance"

    world.watched.fault = None
    world.act("sweep")
    assert world.outputs([token]) == ["resumed"]


def test_an_answer_whose_response_was_lost_counts_as_given(world: World) -> None:
    world.put_flag("open")
    world.disturb("send_task_success", CloudError("states:SendTaskSuccess", "ReadTimeoutError"), late=True)

    token, answer = world.check_in()

    assert answer["status"] == "proceeding"
    assert world.outputs([token]) == ["proceeding"]
    assert world.parked() == []
    assert len(world.below("maintenance/~dead/Order/")) == 1


def test_a_task_that_ended_before_its_check_in_is_kept_among_the_dead(world: World) -> None:
    world.put_flag("open")
    token = world.aws.issue()
    world.aws.stop(token)

    answer = world.send({"taskToken": token, "stateMachineArn": world.arn("Order")})

    assert answer == {"status": "proceeding", "resumed_tokens": 0}
    (dead,) = world.below("maintenance/~dead/Order/")
    assert world.body(dead)["taskToken"] == token


def test_a_token_that_step_functions_never_issued_is_refused(world: World) -> None:
    world.put_flag("open")

    with pytest.raises(InvalidCheckInError, match=r"taskToken: .* pass \$\$\.Task\.Token"):
        world.send({"taskToken": "made-up", "stateMachineArn": world.arn("Order")})


def test_a_token_that_is_refused_after_parking_is_quarantined(world: World) -> None:
    with pytest.raises(InvalidCheckInError):
        world.send({"taskToken": "made-up", "stateMachineArn": world.arn("Order")})

    assert world.parked() == []
    assert len(world.below("maintenance/~quarantine/Order/")) == 1


def test_a_task_that_cannot_be_parked_fails_visibly(tagged: World) -> None:
    tagged.disturb("put_object", CloudError("s3:PutObject", "AccessDenied"))

    with pytest.raises(CloudError, match="s3:PutObject failed with AccessDenied"):
        tagged.check_in()


def test_a_parked_task_survives_every_error_after_it_was_parked(world: World) -> None:
    for request in ("create_object", "list_tags", "replace_object", "invoke", "send_task_success", "delete_object"):
        name = f"Machine-{request}"
        world.machine(name)
        world.disturb(request, CloudError("some:Request", "InternalError"), times=9)
        token, _ = world.check_in(name)
        world.watched.fault = None
        world.advance(31)
        world.act("sweep")
        assert world.outputs([token])[0] is not None, request
        assert world.parked(name) == [], request
        assert world.state(name) == "open", request


def test_a_409_for_the_first_flag_counts_as_lost(world: World) -> None:
    world.disturb("create_object", ConflictError("s3:PutObject", "ConditionalRequestConflict"))

    token, answer = world.check_in()
    assert answer["status"] == "maintenance"

    world.act("sweep")
    assert world.outputs([token]) == ["resumed"]
