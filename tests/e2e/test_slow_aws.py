"""AWS is slow while Slack waits 3 s: a click is answered in time, its person told the truth, the vote counted once."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest

from sandbox.deployment import Sandbox
from sandbox.gates import Gates
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE, BOB, Message

# More than the webhook may spend, and little enough to wait for what becomes of the slow call.
SLOW = 4


@pytest.fixture
def slow(sandbox: Sandbox) -> Iterator[Callable[..., None]]:
    """Makes calls of an operation slow; without one, none is."""

    def calls(*operations: str) -> None:
        sandbox.control("POST", "faults", {"slow_calls": dict.fromkeys(operations, SLOW)})

    yield calls
    calls()


def asked(gates: Gates, **changes: Any) -> tuple[str, Message]:
    execution = gates.ask({"title": f"Deploy {uuid4()}?", **changes})
    question = gates.question(execution)
    gates.wait_for_vote(execution)
    return execution, question


def note_after(slack: SlackSandbox, question: Message, **how: Any) -> str:
    """Let Alice click, and return what she is told."""
    seen = slack.changes().version
    assert slack.click(question, "approve", ALICE.id, **how).outcome == "accepted"
    return slack.wait_for_note(lambda n: n.user == ALICE.id and n.version > seen).text


def test_a_vote_that_aws_takes_too_late_for_an_answer_counts(
    gates: Gates, slack: SlackSandbox, slow: Callable[..., None]
) -> None:
    execution, question = asked(gates)
    slow("SendDurableExecutionCallbackSuccess")
    assert "not certain that it was counted" in note_after(slack, question)
    slow()
    decision = gates.decision(execution).output
    assert [by["id"] for by in decision["decided_by"]] == [ALICE.id]
    gates.locked(question)


def test_who_clicks_again_after_a_slow_vote_has_one_vote(
    gates: Gates, slack: SlackSandbox, slow: Callable[..., None]
) -> None:
    execution, question = asked(gates, quorum=2)
    slow("SendDurableExecutionCallbackSuccess")
    assert "not certain that it was counted" in note_after(slack, question)
    slow()
    assert "Your approval is counted" in note_after(slack, question, revision=0)
    slack.click(gates.showing(question, "1 of 2"), "approve", BOB.id)
    decision = gates.decision(execution).output
    assert [vote["id"] for vote in decision["votes"]] == [ALICE.id, BOB.id]


def test_a_form_that_cannot_be_looked_up_in_time_can_be_opened_by_another_click(
    gates: Gates, slack: SlackSandbox, slow: Callable[..., None]
) -> None:
    execution, question = asked(gates, reason={"on_approve": "required"})
    slow("GetDurableExecution")
    assert "Please click again" in note_after(slack, question)
    slow()
    assert gates.status(execution) == "RUNNING"
    seen = slack.changes().version
    slack.click(gates.question(execution), "approve", ALICE.id)
    view = slack.wait_for_view(lambda v: v.user == ALICE.id and v.version > seen)
    slow("GetDurableExecution")
    kept = slack.submit(view, {"reason": "Tested"})
    assert (kept.outcome, kept.open) == ("accepted", True)
    assert "Please submit again" in kept.errors["reason"]
    slow()
    assert not slack.submit(view, {"reason": "Tested"}).open
    decision = gates.decision(execution).output
    assert (decision["decision"], decision["reason"]) == ("approved", "Tested")


def test_a_late_click_is_told_what_is_true_where_the_outcome_cannot_be_looked_up(
    gates: Gates, slack: SlackSandbox, slow: Callable[..., None]
) -> None:
    execution, question = asked(gates)
    slack.click(question, "reject", BOB.id)
    assert gates.decision(execution).output["decision"] == "rejected"
    slow("GetDurableExecution")
    assert "not counted: the request is already decided" in note_after(slack, question, revision=0)
