"""The approval gate as a Step Functions task asks it, in the example's state machine."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from sandbox.deployment import Sandbox
from sandbox.gates import Gates
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE, Message


@pytest.fixture
def asking(gates: Gates) -> tuple[str, Message]:
    title = f"Ship order {uuid4()}?"
    execution = gates.start({"approval": {"title": title, "fields": {"Order": "123"}}})
    return execution, gates.question_titled(title)


def test_an_approved_task_succeeds_with_the_decision(
    gates: Gates, slack: SlackSandbox, asking: tuple[str, Message]
) -> None:
    execution, question = asking
    slack.click(question, "approve", ALICE.id)
    ended = gates.ended(execution)
    assert ended.status == "SUCCEEDED"
    assert ended.output["maintenance"] == {"status": "proceeding"}
    decision = ended.output["approval_decision"]
    assert (decision["decision"], decision["decided_by"][0]["id"]) == ("approved", ALICE.id)
    assert gates.locked(question).actions() == []


def test_a_rejected_task_fails_with_the_decision_as_its_cause(
    gates: Gates, slack: SlackSandbox, asking: tuple[str, Message]
) -> None:
    execution, question = asking
    slack.click(question, "reject", ALICE.id)
    ended = gates.ended(execution)
    assert (ended.status, ended.error) == ("FAILED", "Approval.Rejected")
    decision: dict[str, Any] = json.loads(str(ended.cause))
    assert (decision["decision"], decision["decided_by"][0]["id"]) == ("rejected", ALICE.id)


def test_a_task_whose_request_is_stopped_fails_and_its_message_is_locked(
    gates: Gates, asking: tuple[str, Message]
) -> None:
    execution, question = asking
    request = gates.execution_of(question)
    gates.wait_for_vote(request)
    gates.stop(request)
    ended = gates.ended(execution)
    assert (ended.status, ended.error) == ("FAILED", "Approval.Cancelled")
    assert "STOPPED" in str(ended.cause)
    assert "Cancelled" in json.dumps(gates.locked(question).blocks)


def test_a_second_execution_for_one_task_asks_nobody(
    gates: Gates, sandbox: Sandbox, slack: SlackSandbox, asking: tuple[str, Message]
) -> None:
    execution, question = asking
    first = gates.execution_of(question)
    functions = sandbox.client("lambda")
    started = functions.get_durable_execution(DurableExecutionArn=first)["InputPayload"]
    second = functions.invoke(
        FunctionName=sandbox.outputs["approval_function_arn"],
        InvocationType="Event",
        DurableExecutionName=f"again-{uuid4()}",
        Payload=started,
    )["DurableExecutionArn"]
    assert gates.decision(second).output == {"status": "duplicate", "claimed_by": first}
    slack.click(question, "approve", ALICE.id)
    assert gates.ended(execution).status == "SUCCEEDED"


def test_an_invalid_request_fails_its_task(gates: Gates) -> None:
    ended = gates.ended(gates.start({"approval": {"title": "Ship?", "colour": "red"}}))
    assert (ended.status, ended.error) == ("FAILED", "Approval.InvalidRequest")
    assert "colour" in str(ended.cause)


@pytest.fixture
def run(sandbox: Sandbox, gates: Gates) -> Iterator[Callable[..., str]]:
    """Runs the example's asking state with what is added to it, followed by some states, as the README shows."""
    client = sandbox.client("stepfunctions")
    example = client.describe_state_machine(stateMachineArn=gates.state_machine)
    ask = json.loads(example["definition"])["States"]["Ask"]
    machines: list[str] = []

    def run(request: dict[str, Any], added: dict[str, Any], **states: dict[str, Any]) -> str:
        definition = {"StartAt": "Ask", "States": {"Ask": {**ask, **added}, **states}}
        machine = client.create_state_machine(
            name=f"asks-{uuid4()}", definition=json.dumps(definition), roleArn=example["roleArn"]
        )
        machines.append(machine["stateMachineArn"])
        return str(
            client.start_execution(
                stateMachineArn=machines[-1], input=json.dumps({"order": "123", "approval": request})
            )["executionArn"]
        )

    yield run
    for machine in machines:
        client.delete_state_machine(stateMachineArn=machine)


def test_named_errors_are_caught_and_the_decision_is_the_cause(
    gates: Gates, slack: SlackSandbox, run: Callable[..., str]
) -> None:
    catch = [
        {"ErrorEquals": ["Approval.Rejected", "Approval.TimedOut"], "ResultPath": "$.not_approved", "Next": "Cancel"},
        {"ErrorEquals": ["States.ALL"], "ResultPath": "$.not_approved", "Next": "Tell"},
    ]
    asked = {"title": f"Ship order {uuid4()}?"}
    ends = {"Ship": {"Type": "Succeed"}, "Cancel": {"Type": "Succeed"}, "Tell": {"Type": "Fail", "Error": "Other"}}
    execution = run(asked, {"Catch": catch, "Next": "Ship"}, **ends)
    slack.click(gates.question_titled(asked["title"]), "reject", ALICE.id)
    ended = gates.ended(execution)
    assert ended.status == "SUCCEEDED"
    assert (ended.output["order"], ended.output["not_approved"]["Error"]) == ("123", "Approval.Rejected")
    assert json.loads(ended.output["not_approved"]["Cause"])["decision"] == "rejected"


@pytest.mark.parametrize(("button", "end"), [("approve", "shipped"), ("reject", "cancelled")])
def test_a_decision_that_shall_succeed_is_the_output_whatever_it_is(
    gates: Gates, slack: SlackSandbox, run: Callable[..., str], button: str, end: str
) -> None:
    asked = {"title": f"Ship order {uuid4()}?", "on_not_approved": "succeed"}
    approved = {"Variable": "$.approval_decision.decision", "StringEquals": "approved", "Next": "Ship"}
    execution = run(
        asked,
        {"Next": "Approved"},
        Approved={"Type": "Choice", "Choices": [approved], "Default": "Cancel"},
        Ship={"Type": "Pass", "Result": "shipped", "ResultPath": "$.end", "End": True},
        Cancel={"Type": "Pass", "Result": "cancelled", "ResultPath": "$.end", "End": True},
    )
    slack.click(gates.question_titled(asked["title"]), button, ALICE.id)
    ended = gates.ended(execution)
    assert (ended.status, ended.output["end"]) == ("SUCCEEDED", end)
    assert ended.output["approval_decision"]["decided_by"][0]["id"] == ALICE.id
