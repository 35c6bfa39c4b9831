"""The maintenance gate in the example's state machine."""

import json

from sandbox.deployment import Sandbox
from sandbox.gates import Gates

ORDERS = 3


def test_outside_of_maintenance_an_execution_passes_at_once(gates: Gates) -> None:
    ended = gates.ended(gates.start())
    assert (ended.status, ended.output) == ("SUCCEEDED", {"maintenance": {"status": "proceeding"}})
    assert gates.parked() == []


def test_executions_are_parked_and_resumed_by_the_tag(gates: Gates) -> None:
    gates.begin_maintenance()
    gates.wait_for_gate("closed")
    executions = [gates.start() for _ in range(ORDERS)]
    gates.wait_for_parked(ORDERS)
    assert gates.running(executions) == [True] * ORDERS
    gates.end_maintenance()
    ended = [gates.ended(execution) for execution in executions]
    assert [(one.status, one.output) for one in ended] == [
        ("SUCCEEDED", {"maintenance": {"status": "resumed"}})
    ] * ORDERS
    gates.wait_for_gate("open")
    assert gates.parked() == []


def test_a_jsonata_workflow_keeps_its_input(gates: Gates, sandbox: Sandbox) -> None:
    # The output maintenance_task_state_jsonata, as tests/plan pins it.
    state = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "QueryLanguage": "JSONata",
        "Arguments": {
            "FunctionName": sandbox.outputs["maintenance_function_arn"],
            "Payload": {
                "executionArn": "{% $states.context.Execution.Id %}",
                "stateMachineArn": "{% $states.context.StateMachine.Id %}",
                "stateName": "{% $states.context.State.Name %}",
                "taskToken": "{% $states.context.Task.Token %}",
                "timeoutSeconds": 31536000,
            },
        },
        "Output": "{% $states.input %}",
        "TimeoutSeconds": 31536000,
        "End": True,
    }
    states = sandbox.client("stepfunctions")
    role = states.describe_state_machine(stateMachineArn=gates.state_machine)["roleArn"]
    definition = {"StartAt": "CheckIn", "States": {"CheckIn": state}}
    machine = states.create_state_machine(name="Jsonata", definition=json.dumps(definition), roleArn=role)
    try:
        execution = states.start_execution(stateMachineArn=machine["stateMachineArn"], input='["any", "input"]')
        ended = gates.ended(execution["executionArn"])
    finally:
        states.delete_state_machine(stateMachineArn=machine["stateMachineArn"])
    assert (ended.status, ended.output) == ("SUCCEEDED", ["any", "input"])
