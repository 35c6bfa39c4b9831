"""What happens while a request waits. The emulator's callbacks time out in real time, so seconds are real here."""

from collections.abc import Callable
from datetime import datetime

import pytest

from tests.unit.approval.conftest import CHANNEL, REQUESTER, TASK_TOKEN, Gate, StepFunctions, buttons
from tests.unit.approval.test_crashes import MOST_CHECKPOINTS, Killer
from tests.unit.approval.test_flow import ACCEPTED_THEN_DROPPED, is_locked, refused, steps
from tests.unit.approval.test_quorum import ANN, BOB, CARL, ask, vote, voters
from tests.unit.conftest import SlackApi

OPERATIONS = "C0OPERATIONS"


@pytest.mark.parametrize(("on_timeout", "sent"), [("approved", "SendTaskSuccess"), ("rejected", "SendTaskFailure")])
def test_a_request_may_choose_what_its_timeout_means(
    gate: Gate, slack_api: SlackApi, stepfunctions: StepFunctions, on_timeout: str, sent: str
) -> None:
    arn = gate.ask(timeout_seconds=1, on_timeout=on_timeout, task_token=TASK_TOKEN)

    decision = gate.decision(arn)

    assert decision["decision"] == on_timeout
    assert decision["timed_out"] is True
    assert decision["decided_by"] == []
    requested, decided = (datetime.fromisoformat(decision[name]) for name in ("requested_at", "decided_at"))
    assert (decided - requested).total_seconds() == 1
    (message,) = slack_api.messages.values()
    assert is_locked(message)
    assert "because the time ran out" in message["blocks"][-1]["elements"][0]["text"]
    assert [operation for operation, _ in stepfunctions.answers] == [sent]


def test_a_request_that_nobody_saw_is_never_approved_by_its_timeout(gate: Gate, slack_api: SlackApi) -> None:
    slack_api.will("chat.postMessage", refused("not_in_channel"))

    assert gate.decision(gate.ask(on_timeout="approved"))["decision"] == "undelivered"


def test_a_reminder_mentions_in_the_thread_who_has_not_voted(gate: Gate, slack_api: SlackApi) -> None:
    people = {"users": [ANN, BOB, CARL, REQUESTER]}
    arn = gate.ask(approvers=people, quorum=2, requester=REQUESTER, reminders=[1])
    gate.wait(arn)
    vote(gate, BOB)
    slack_api.wait_until(lambda: bool(slack_api.notes))

    (reminder,) = slack_api.notes
    message = slack_api.wait_for_message()
    assert (reminder["channel"], reminder["thread_ts"]) == (CHANNEL, message["ts"])
    assert reminder["text"] == f"<@{ANN}>, <@{CARL}>: this still waits for a decision."
    vote(gate, CARL)
    assert voters(gate.decision(arn)) == [BOB, CARL]


def test_a_click_after_a_reminder_counts_by_the_same_button(gate: Gate, slack_api: SlackApi) -> None:
    arn = ask(gate, reminders=[1, 2])
    gate.wait(arn)
    before = buttons(slack_api.wait_for_message())
    slack_api.wait_until(lambda: len(slack_api.notes) == 2)

    assert buttons(slack_api.wait_for_message()) == before
    vote(gate, ANN)

    assert gate.decision(arn)["decision"] == "approved"
    assert steps(gate) == [
        *("open", "vote-1", "post", "emit-requested", "reminder-1", "reminder-2"),
        *("count-1", "remind-1", "count-2", "remind-2", "count-3", "decide", "emit-decided", "close-message"),
    ]


def test_a_decision_before_a_reminder_does_not_wait_for_it(gate: Gate, slack_api: SlackApi) -> None:
    arn = ask(gate, reminders=[500])
    gate.wait(arn)
    vote(gate, ANN)

    assert gate.decision(arn)["decision"] == "approved"
    assert not slack_api.notes


def test_a_reminder_that_slack_refuses_does_not_end_the_request(gate: Gate, slack_api: SlackApi) -> None:
    arn = ask(gate, reminders=[1])
    gate.wait(arn)
    slack_api.will("chat.postMessage", refused("restricted_action"))
    gate.wait_for(arn, "StepSucceeded", "remind-1")
    vote(gate, ANN)

    assert gate.decision(arn)["decision"] == "approved"


def test_a_reminder_that_may_have_arrived_is_sent_once_more_only(gate: Gate, slack_api: SlackApi) -> None:
    arn = ask(gate, reminders=[1])
    gate.wait(arn)
    slack_api.will("chat.postMessage", *[ACCEPTED_THEN_DROPPED] * 3)
    gate.wait_for(arn, "StepFailed", "remind-1")
    vote(gate, ANN)

    assert gate.decision(arn)["decision"] == "approved"
    assert len(slack_api.notes) == 2


def test_an_escalation_asks_further_people_in_a_further_channel_too(gate: Gate, slack_api: SlackApi) -> None:
    arn = gate.ask(
        approvers={"users": [ANN]},
        escalation={"after_seconds": 1, "approvers": {"users": [ANN, BOB]}, "channels": [OPERATIONS, CHANNEL]},
    )
    gate.wait(arn)
    first = slack_api.wait_for_message()
    (approve, _) = buttons(first)
    assert approve.approvers == (ANN,)
    gate.wait_for(arn, "StepSucceeded", "escalate")

    first, second = slack_api.messages.values()
    assert (first["channel"], second["channel"]) == (CHANNEL, OPERATIONS)
    assert buttons(first) == buttons(second)
    (escalated, _) = buttons(second)
    assert escalated.approvers == (ANN, BOB)
    assert escalated.callback_ids == approve.callback_ids
    (note,) = slack_api.notes
    assert (note["thread_ts"], note["text"]) == (first["ts"], f"<@{BOB}> may decide now, too.")

    gate.click_message(second, "approve", BOB)
    decision = gate.decision(arn)

    assert voters(decision) == [BOB]
    assert [message["channel"] for message in decision["messages"]] == [CHANNEL, OPERATIONS]
    assert all(map(is_locked, slack_api.messages.values()))


def test_a_click_on_the_old_message_counts_during_an_escalation(gate: Gate, slack_api: SlackApi) -> None:
    arn = gate.ask(approvers={"users": [ANN]}, escalation={"after_seconds": 1, "approvers": {"users": [BOB]}})
    gate.wait(arn)
    old = dict(slack_api.wait_for_message())
    gate.wait_for(arn, "StepSucceeded", "escalate")

    gate.click_message(old, "approve", ANN)

    assert voters(gate.decision(arn)) == [ANN]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_anywhere_reminds_and_escalates_at_most_once_more(
    make_gate: Callable[..., Gate], slack_api: SlackApi, when: str
) -> None:
    # The crashes before the timers are covered elsewhere: these run side by side, since each takes a second.
    gates = []
    for number in range(8, MOST_CHECKPOINTS):
        gate = make_gate()
        killer = Killer(gate, number, when)
        escalation = {"after_seconds": 1, "approvers": {"users": [BOB]}, "channels": [OPERATIONS]}
        arn = gate.ask(f"{number}", approvers={"users": [ANN]}, reminders=[1], escalation=escalation)
        gates.append((gate, killer, arn))
        if number == 30:
            break
    for gate, _, arn in gates:
        gate.wait_for(arn, "StepSucceeded", "remind-1")
        gate.wait_for(arn, "StepSucceeded", "post-2")
    messages = {
        arn: [m for m in slack_api.messages.values() if buttons(m)[0].execution_arn == arn] for _, _, arn in gates
    }

    for gate, _, arn in gates:
        assert len(messages[arn]) == 2
        gate.click_message(messages[arn][1], "approve", BOB)
        assert voters(gate.decision(arn)) == [BOB]
        of_it = {message["ts"] for message in messages[arn]}
        notes = [note["text"] for note in slack_api.notes if note["thread_ts"] in of_it]
        assert len(set(notes)) == 2 or len(set(notes)) == 3
        assert len(notes) <= len(set(notes)) + 2
    assert not gates[-1][1].killed
    assert sum(killer.killed for _, killer, _ in gates) > 6
