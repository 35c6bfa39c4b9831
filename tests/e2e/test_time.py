"""What happens by itself when nobody decides: reminders, escalation, the timeout."""

from typing import Any
from uuid import uuid4

import pytest

from sandbox.deployment import until
from sandbox.gates import Gates, shown
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE, APPROVALS, BOB, OPERATIONS, REQUESTER

RACES = 20


def request(**changes: Any) -> dict[str, Any]:
    return {"title": f"Deploy {uuid4()}?", **changes}


def test_who_has_not_voted_is_reminded_in_the_thread_and_then_decides(gates: Gates, slack: SlackSandbox) -> None:
    execution = gates.ask(request(quorum=2, reminders=[2]))
    question = gates.question(execution)
    slack.click(question, "approve", ALICE.id)
    [reminder] = gates.replies(question, 1)
    assert f"<@{BOB.id}>" in reminder.text
    assert ALICE.id not in reminder.text
    slack.click(gates.question(execution), "approve", BOB.id)
    assert gates.decision(execution).output["decision"] == "approved"


def test_no_click_is_lost_at_the_moment_of_a_reminder(gates: Gates, slack: SlackSandbox) -> None:
    executions = [gates.ask(request(reminders=[2])) for _ in range(RACES)]
    questions = gates.questions(executions)
    gates.replies(questions[0], 1)  # now the others' come, one after the other
    for question in questions:
        assert slack.click(question, "approve", ALICE.id).outcome == "accepted"
    for execution in executions:
        decision = gates.decision(execution).output
        assert (decision["decision"], [by["id"] for by in decision["decided_by"]]) == ("approved", [ALICE.id])


def test_an_escalation_asks_further_people_in_a_further_channel(gates: Gates, slack: SlackSandbox) -> None:
    escalation = {"after_seconds": 2, "approvers": {"users": [ALICE.id]}, "channels": [OPERATIONS.id]}
    execution = gates.ask(request(approvers={"users": [BOB.id]}, escalation=escalation))
    question = gates.question(execution)
    slack.click(question, "approve", ALICE.id)
    note = slack.wait_for_note(lambda n: n.user == ALICE.id and n.version > question.version)
    assert "cannot decide" in note.text
    first, added = gates.messages(execution, 2)
    assert (first.channel, added.channel) == (APPROVALS.id, OPERATIONS.id)
    [reply] = gates.replies(first, 1)
    assert reply.text.startswith(f"<@{ALICE.id}>")
    slack.click(added, "approve", ALICE.id)
    decision = gates.decision(execution).output
    assert (decision["decision"], [by["id"] for by in decision["decided_by"]]) == ("approved", [ALICE.id])
    assert all(f"Approved* by <@{ALICE.id}>" in shown(gates.locked(message)) for message in (first, added))


@pytest.mark.parametrize(("outcome", "text"), [("approved", "✅ Approved"), ("rejected", "❌ Rejected")])
def test_the_caller_may_choose_what_a_timeout_decides(gates: Gates, outcome: str, text: str) -> None:
    execution = gates.ask(request(timeout_seconds=1, on_timeout=outcome, requester=REQUESTER.id))
    question = gates.question(execution)
    decision = gates.decision(execution).output
    assert (decision["decision"], decision["decided_by"], decision["timed_out"]) == (outcome, [], True)
    assert f"{text}* because the time ran out" in shown(gates.locked(question))
    [told] = gates.replies(question, 1)
    assert f"<@{REQUESTER.id}>" in told.text
    assert "because the time ran out" in told.text


def test_a_click_in_the_last_second_counts_or_is_told_that_it_did_not(gates: Gates, slack: SlackSandbox) -> None:
    executions = [gates.ask(request(timeout_seconds=3)) for _ in range(RACES)]
    questions = gates.questions(executions)
    until(lambda: gates.status(executions[0]) != "RUNNING", "the first timeout")
    seen = slack.changes().version
    for question in questions:
        slack.click(question, "approve", ALICE.id, revision=0)
    notes = [note.text for note in slack.changes(seen).notes]
    told = sum("changed nothing" in text or "was not counted" in text for text in notes)
    outcomes = [gates.decision(execution).output["decision"] for execution in executions]
    assert set(outcomes) <= {"approved", "timed_out"}
    assert outcomes.count("timed_out") == told
