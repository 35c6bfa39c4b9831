"""The approval gate as a Step Functions task asks it, in the example's state machine."""

import json
from typing import Any
from uuid import uuid4

import pytest

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
    assert (ended.status, ended.error) == ("FAILED", "Approval.Failed")
    assert "STOPPED" in str(ended.cause)
    assert "Stopped before a decision" in json.dumps(gates.locked(question).blocks)


def test_an_invalid_request_fails_its_task(gates: Gates) -> None:
    ended = gates.ended(gates.start({"approval": {"title": "Ship?", "colour": "red"}}))
    assert (ended.status, ended.error) == ("FAILED", "Approval.InvalidRequest")
    assert "colour" in str(ended.cause)
