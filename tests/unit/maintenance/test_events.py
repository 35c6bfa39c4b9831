from typing import Any

import pytest

from maintenance.check_in import InvalidCheckInError
from maintenance.events import InvalidEventError
from tests.unit.maintenance.conftest import World

ORDER = "arn:aws:states:us-east-2:123456789012:stateMachine:Order"
WINDOW = {"action": "begin", "scope": "all", "scheduledAt": "2030-01-01T00:00:00Z", "durationSeconds": 60}


@pytest.fixture
def world(memory_world: World) -> World:
    return memory_world


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "stateMachineArn: it is missing; pass $$.StateMachine.Id"),
        ({"stateMachineArn": None}, "stateMachineArn: it is None; pass the ARN of a state machine"),
        ({"stateMachineArn": 5}, "stateMachineArn: it is 5; pass the ARN"),
        ({"stateMachineArn": [ORDER]}, "stateMachineArn: it is a list; pass the ARN"),
        ({"stateMachineArn": ""}, "stateMachineArn: '': it is not the ARN of a state machine"),
        ({"stateMachineArn": "Order"}, "stateMachineArn: 'Order': it is not the ARN of a state machine"),
        (
            {"stateMachineArn": ORDER.replace("us-east-2", "eu-west-1")},
            "this gate serves account 123456789012 in us-east-2 (aws); deploy a gate beside the state machine",
        ),
        ({"stateMachineArn": ORDER.replace("123456789012", "999999999999")}, "this gate serves account 123456789012"),
        ({"stateMachineArn": ORDER.replace("aws", "aws-cn")}, "this gate serves account 123456789012"),
        ({"stateMachineArn": f"{ORDER.replace('stateMachine', 'execution')}:e1"}, "ARN of a states execution"),
        ({"stateMachineArn": f"{ORDER.replace('stateMachine', 'express')}:e1:x"}, "use a Standard workflow"),
        ({"stateMachineArn": "arn:aws:lambda:us-east-2:123456789012:function:f"}, "ARN of a lambda function"),
        ({"stateMachineArn": ORDER.replace("Order", "my order")}, "it holds no valid state machine name"),
        ({"stateMachineArn": ORDER.replace("Order", "~flags")}, "it holds no valid state machine name"),
        ({"stateMachineArn": ORDER.replace("Order", "N" * 81)}, "it holds no valid state machine name"),
        ({"stateMachineArn": ORDER, "action": "sweep"}, "'action': unknown in a check-in"),
        ({"stateMachineArn": ORDER, "taskTokn": "x"}, "'taskTokn': unknown in a check-in; pass taskToken and"),
        ({"stateMachineArn": ORDER, "executionArn": 5}, "executionArn: 5 is no execution of Order"),
        ({"stateMachineArn": ORDER, "executionArn": ORDER}, "is no execution of Order in its account and region"),
        (
            {"stateMachineArn": ORDER, "executionArn": f"{ORDER.replace('stateMachine', 'execution')}Refund:run"},
            "is no execution of Order in its account and region; pass $$.Execution.Id",
        ),
        ({"stateMachineArn": ORDER, "stateName": ""}, "stateName: it is ''; pass $$.State.Name"),
        ({"stateMachineArn": ORDER, "stateName": "x" * 81}, "stateName: it is a text of 81 characters; pass"),
        ({"stateMachineArn": ORDER, "timeoutSeconds": "60"}, "timeoutSeconds: it is '60'; pass the state's"),
        ({"stateMachineArn": ORDER, "timeoutSeconds": True}, "timeoutSeconds: it is True; pass"),
        ({"stateMachineArn": ORDER, "timeoutSeconds": 0}, "timeoutSeconds: it is 0; pass"),
        ({"stateMachineArn": ORDER, "timeoutSeconds": 100_000_000}, "a whole number from 1 to 99999999"),
        ({"stateMachineArn": ORDER, "output": "x" * 262_143}, "output: it has 262145 bytes, and Step Functions takes"),
        ({"stateMachineArn": ORDER, "output": float("nan")}, "output: it is no JSON"),
        ({"stateMachineArn": ORDER, "output": "\ud800"}, "output: it is no JSON"),
    ],
)
def test_a_malformed_check_in_fails_its_task_instead_of_hanging_it(
    world: World, fields: dict[str, Any], message: str
) -> None:
    token = world.aws.issue()

    with pytest.raises(InvalidCheckInError) as raised:
        world.send({"taskToken": token, **fields})

    assert message in str(raised.value)
    assert world.aws.failures == {token: ("Maintenance.InvalidCheckIn", str(raised.value))}
    assert world.below("") == []


@pytest.mark.parametrize("suffix", [":run-1", "/MapLabel:5f2b4c1e"])
def test_executions_and_map_runs_of_the_state_machine_check_in(world: World, suffix: str) -> None:
    execution = f"{ORDER.replace('stateMachine', 'execution')}{suffix}"

    assert world.check_in(executionArn=execution, stateName=None, timeoutSeconds=None)[1]["status"] == "proceeding"


def test_a_token_in_the_wrong_field_is_not_shown(world: World) -> None:
    token, other = world.aws.issue(), world.aws.issue()

    with pytest.raises(InvalidCheckInError, match="stateMachineArn: a text of 704 characters: it is not the ARN"):
        world.send({"taskToken": token, "stateMachineArn": other})


@pytest.mark.parametrize(
    ("token", "shown"),
    [(None, "a NoneType"), (5, "a int"), ("", "a text of 0 characters"), ("x" * 2049, "a text of 2049 characters")],
)
def test_a_token_that_cannot_be_one_is_refused_without_being_shown(world: World, token: Any, shown: str) -> None:
    with pytest.raises(InvalidCheckInError, match=rf"taskToken: it is {shown}; pass \$\$.Task.Token"):
        world.send({"taskToken": token, "stateMachineArn": ORDER})


def test_a_malformed_check_in_whose_task_is_over_still_says_what_is_wrong(world: World) -> None:
    token = world.aws.issue()
    world.aws.stop(token)

    with pytest.raises(InvalidCheckInError, match="stateMachineArn: it is missing"):
        world.send({"taskToken": token})


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (None, "event: it is None; send a JSON object"),
        ([], "event: it is a list"),
        ({}, "none of taskToken (a check-in), action (begin, drain, end, replay, status, sweep) and detail-type"),
        ({"Action": "sweep"}, "but 'Action'"),
        ({"action": "pause"}, "action: it is 'pause'; use one of begin, drain, end, replay, status, sweep"),
        ({"action": None}, "action: it is None; use one of"),
        ({"action": ["sweep"]}, "action: it is a list; use one of"),
        ({"action": "sweep", "scope": "all"}, "'scope': unknown in the action sweep; it takes no other fields"),
        ({"action": "begin", "stateMachineArn": ORDER, "untill": "x"}, "'untill': unknown in the action begin"),
        ({"action": "end", "stateMachineArn": ORDER, "until": "x"}, "'until': unknown in the action end"),
        ({"action": "begin"}, "stateMachineArn, scope: give exactly one of both"),
        ({"action": "begin", "stateMachineArn": ORDER, "scope": "all"}, "give exactly one of both"),
        ({"action": "end", "scope": "some"}, "scope: it is 'some'; use all, or stateMachineArn instead"),
        ({"action": "end", "scope": None}, "scope: it is None; use all"),
        ({"action": "begin", "stateMachineArn": "Order"}, "stateMachineArn: 'Order': it is not the ARN"),
        ({"action": "begin", "scope": "all", "reason": 5}, "reason: it is 5; use a text of at most 1000"),
        ({"action": "begin", "scope": "all", "by": "x" * 1001}, "by: it is a text of 1001 characters; use a text"),
        ({"action": "begin", "scope": "all", "until": 5}, "until: it is 5; use ISO 8601 with a time zone"),
        ({"action": "begin", "scope": "all", "until": "soon"}, "until: it is 'soon'; use ISO 8601"),
        ({"action": "begin", "scope": "all", "until": "2031-01-01T00:00:00"}, "use ISO 8601 with a time zone"),
        ({"action": "begin", "scope": "all", "until": "2029-01-01T00:00:00Z"}, "until: 2029-01-01T00:00:00Z is over"),
        ({"action": "begin", "scope": "all", "scheduledAt": "x"}, "scheduledAt: give scheduledAt and durationSeconds"),
        ({"action": "begin", "scope": "all", "durationSeconds": 60}, "durationSeconds: give scheduledAt and duration"),
        ({**WINDOW, "until": "2031-01-01T00:00:00Z"}, "durationSeconds, scheduledAt, until: give scheduledAt and"),
        ({**WINDOW, "scheduledAt": "<aws.scheduler.scheduled-time>"}, "scheduledAt: it is '<aws.scheduler.scheduled-"),
        ({**WINDOW, "scheduledAt": None}, "scheduledAt: it is None; use ISO 8601 with a time zone"),
        ({**WINDOW, "durationSeconds": "60"}, "durationSeconds: it is '60'; use a whole number from 1 to 31622400"),
        ({**WINDOW, "durationSeconds": True}, "durationSeconds: it is True; use a whole number"),
        ({**WINDOW, "durationSeconds": 0}, "durationSeconds: it is 0; use a whole number"),
        ({**WINDOW, "durationSeconds": 31_622_401}, "durationSeconds: it is 31622401; use a whole number"),
        ({"action": "end", "scope": "all", "since": None}, "since: it is None; use ISO 8601 with a time zone"),
        ({"action": "end", "scope": "all", "since": "2030-01-01"}, "since: it is '2030-01-01'; use ISO 8601"),
        ({"action": "drain"}, "stateMachineArn: it is missing; name the state machine to drain"),
        ({"detail-type": "Scheduled Event"}, "detail-type: it is 'Scheduled Event'; send only"),
        ({"detail-type": "Tag Change on Resource"}, "detail.changed-tag-keys: it is missing or no list"),
        (
            {"detail-type": "Tag Change on Resource", "detail": {"changed-tag-keys": []}, "resources": ORDER},
            "resources: it is missing or no list",
        ),
        (
            {
                "detail-type": "Tag Change on Resource",
                "detail": {"changed-tag-keys": ["Maintenance"]},
                "resources": ["Order"],
            },
            "resources: 'Order': it is not the ARN of a state machine",
        ),
    ],
)
def test_a_bad_event_is_refused_with_field_value_and_fix(world: World, event: Any, message: str) -> None:
    with pytest.raises(InvalidEventError) as raised:
        world.send(event)

    assert message in str(raised.value)
    assert world.watched.calls == []


def test_a_task_without_token_is_told_how_to_get_one(world: World) -> None:
    with pytest.raises(InvalidCheckInError, match=r"taskToken: it is missing; .*waitForTaskToken .*\$\$\.Task\.Token"):
        world.send({"stateMachineArn": ORDER})


@pytest.mark.parametrize(
    "detail",
    [
        {"changed-tag-keys": ["CostCenter"], "resource-type": "stateMachine"},
        {"changed-tag-keys": ["Maintenance"], "resource-type": "activity"},
    ],
)
def test_tag_changes_that_concern_no_gate_are_ignored(world: World, detail: dict[str, Any]) -> None:
    event = {"detail-type": "Tag Change on Resource", "source": "aws.tag", "detail": detail, "resources": ["arn:x"]}

    assert world.send(event) == {"action": "tag change", "machines": {}, "resumed_tokens": 0}
    assert world.watched.calls == []
