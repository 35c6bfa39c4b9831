"""The check-in states as Step Functions runs them: time runs out, Lambda refuses. Both query languages."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from sandbox.deployment import NAME, Sandbox, until
from sandbox.gates import Gates

CONTEXT = {"executionArn": "Execution.Id", "stateMachineArn": "StateMachine.Id", "taskToken": "Task.Token"}
LANGUAGES = pytest.mark.parametrize("language", ["JSONPath", "JSONata"])


@pytest.fixture
def check_in(gates: Gates, sandbox: Sandbox) -> Callable[[str], dict[str, Any]]:
    """Returns the state of a query language, as the module offers it, without what comes after it."""

    def state(language: str) -> dict[str, Any]:
        offered = gates.check_in_state()
        if language == "JSONPath":
            return offered
        payload = {name: f"{{% $states.context.{path} %}}" for name, path in CONTEXT.items()}
        return {
            "Type": "Task",
            "Resource": offered["Resource"],
            "QueryLanguage": "JSONata",
            "Arguments": {"FunctionName": sandbox.outputs["maintenance_function_arn"], "Payload": payload},
            "Output": "{% $states.input %}",
            "Retry": offered["Retry"],
        }

    return state


@pytest.fixture
def refused(sandbox: Sandbox) -> Iterator[Callable[[int], None]]:
    """Lets Lambda refuse so many of the next invocations."""

    def invocations(number: int) -> None:
        sandbox.control("POST", "faults", {"throttled_calls": {"Invoke": number}})

    yield invocations
    invocations(0)


@LANGUAGES
def test_a_task_that_waits_for_too_long_goes_another_way_with_its_input(
    gates: Gates, check_in: Callable[[str], dict[str, Any]], language: str
) -> None:
    result = {
        "JSONPath": {"ResultPath": "$.caught"},
        "JSONata": {"Output": "{% $merge([$states.input, {'caught': $states.errorOutput}]) %}"},
    }
    catch = {"ErrorEquals": ["States.Timeout"], "Next": "Postpone", **result[language]}
    state = {**check_in(language), "TimeoutSeconds": 2, "Catch": [catch], "Next": "BusinessLogic"}
    states = {
        "CheckIn": state,
        "BusinessLogic": {"Type": "Succeed"},
        "Postpone": {"Type": "Pass", "Parameters": {"postponed.$": "$"}, "End": True},
    }
    with gates.another(states) as machine:
        machine.act("begin")

        ended = machine.ended(machine.start({"order": "123"}))

        assert ended.status == "SUCCEEDED"
        postponed = ended.output["postponed"]
        assert (postponed["order"], postponed["caught"]["Error"]) == ("123", "States.Timeout")
        # Its token stays until the end of the maintenance, which then knows better.
        machine.wait_for_parked(1)
        machine.act("end")
        machine.wait_for_gate("open")
        gate = machine.gate()
        assert (gate["parked"], gate["dead"]) == (0, 1)


@LANGUAGES
def test_a_check_in_that_lambda_refuses_is_tried_again(
    gates: Gates,
    sandbox: Sandbox,
    check_in: Callable[[str], dict[str, Any]],
    refused: Callable[[int], None],
    language: str,
) -> None:
    with gates.another({"CheckIn": {**check_in(language), "End": True}}) as machine:
        machine.act("begin")
        machine.act("end")
        refused(2)

        execution = machine.start({"order": "123"})
        ended = machine.ended(execution)
        events = sandbox.client("stepfunctions").get_execution_history(executionArn=execution)["events"]

    assert (ended.status, ended.output["order"]) == ("SUCCEEDED", "123")
    failures = {event["taskFailedEventDetails"]["error"] for event in events if event["type"] == "TaskFailed"}
    assert failures == {"Lambda.TooManyRequestsException"}


def test_what_became_of_parked_tasks_is_in_the_log_as_a_metric(machine: Gates, sandbox: Sandbox) -> None:
    machine.act("begin")
    execution = machine.start()
    machine.wait_for_parked(1)
    machine.act("end")
    assert machine.ended(execution).status == "SUCCEEDED"
    logs = sandbox.client("logs")

    def told() -> list[dict[str, Any]]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{NAME}-maintenance")
        lines = [event["message"] for page in pages for event in page["events"]]
        return [json.loads(line) for line in lines if machine.name in line and '"TasksResumed"' in line]

    (record,) = until(told, f"the metrics of {machine.name}")
    assert record["TasksResumed"] == 1
    (directive,) = record["_aws"]["CloudWatchMetrics"]
    assert directive["Dimensions"] == [["FunctionName"], ["FunctionName", "StateMachineName"]]
    assert (record["FunctionName"], record["StateMachineName"]) == (f"{NAME}-maintenance", machine.name)
