"""A maintenance from its beginning to its end with the check-in that a workflow needs at least: a token and an ARN.

Fields, environment variables, keys, bodies and answers are an interface: workflows, scripts and people rely on them.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from sandbox.deployment import NAME, Sandbox, until
from sandbox.gates import PREFIX, Gates

TASK = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.json"


@pytest.fixture
def workflow(gates: Gates, sandbox: Sandbox) -> Iterator[Gates]:
    check_in = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {
            "FunctionName": sandbox.outputs["maintenance_function_arn"],
            "Payload": {"taskToken.$": "$$.Task.Token", "stateMachineArn.$": "$$.StateMachine.Id"},
        },
        "Next": "BusinessLogic",
    }
    business_logic = {"Type": "Pass", "Parameters": {"checkedIn.$": "$", "done": True}, "End": True}
    with gates.another({"CheckIn": check_in, "BusinessLogic": business_logic}) as machine:
        yield machine


@pytest.fixture
def answer(sandbox: Sandbox) -> Any:
    """Returns what the function answered to the check-in of an execution, as its history shows it."""
    states = sandbox.client("stepfunctions")

    def answered(execution: str) -> dict[str, Any] | None:
        events = states.get_execution_history(executionArn=execution)["events"]
        submitted = [event["taskSubmittedEventDetails"] for event in events if event["type"] == "TaskSubmitted"]
        return json.loads(submitted[0]["output"])["Payload"] if submitted else None

    return lambda execution: until(lambda: answered(execution), f"the check-in of {execution}")


def test_a_workflow_is_held_and_goes_on(workflow: Gates, sandbox: Sandbox, answer: Any) -> None:
    states, s3, bucket = sandbox.client("stepfunctions"), sandbox.client("s3"), sandbox.outputs["bucket_name"]
    function = sandbox.client("lambda").get_function_configuration(FunctionName=f"{NAME}-maintenance")
    variables = function["Environment"]["Variables"]
    assert (variables["Bucket"], variables["Prefix"]) == (bucket, PREFIX)
    assert function["Timeout"] >= 300

    # Outside of maintenance it proceeds at once.
    for _ in range(2):  # the first check-in of all makes the flag
        execution = workflow.start()
        assert answer(execution) == {"status": "proceeding", "resumed_tokens": 0}
        assert workflow.ended(execution).output == {"checkedIn": {"status": "proceeding"}, "done": True}
        workflow.wait_for_gate("open")

    # Maintenance: the token is kept in S3, in a folder of the state machine.
    states.tag_resource(resourceArn=workflow.state_machine, tags=[{"key": "Maintenance", "value": "true"}])
    workflow.wait_for_gate("closed")
    executions = []
    for number in range(1, 4):
        executions.append(workflow.start())
        keys = workflow.wait_for_parked(number)
        assert answer(executions[-1]) == {"status": "maintenance", "saved_token_key": keys[-1]}
    folder = re.escape(f"{PREFIX}/{workflow.name}/")
    assert all(re.fullmatch(folder + TASK, key) for key in keys)
    bodies = [json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys]
    assert [set(body) for body in bodies] == [{"taskToken", "timestamp"}] * 3
    assert len({body["taskToken"] for body in bodies}) == 3
    times = [body["timestamp"] for body in bodies]
    assert times == sorted(times)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time) for time in times)
    assert all(datetime.fromisoformat(time) for time in times)
    assert workflow.running(executions) == [True] * 3

    # The end: nobody does anything but remove the tag. This is what `aws stepfunctions untag-resource` calls.
    states.untag_resource(resourceArn=workflow.state_machine, tagKeys=["Maintenance"])
    ended = [workflow.ended(execution) for execution in executions]
    assert [one.output for one in ended] == [{"checkedIn": {"status": "resumed"}, "done": True}] * 3
    assert workflow.wait_for_parked(0) == []
    workflow.wait_for_gate("open")
    execution = workflow.start()
    assert answer(execution) == {"status": "proceeding", "resumed_tokens": 0}
    assert workflow.ended(execution).status == "SUCCEEDED"
