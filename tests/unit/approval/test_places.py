"""A request may be asked at several places; the first decision counts at all of them."""

from collections.abc import Callable
from typing import Any

import pytest

from approval.deployment import deployment
from tests.unit.approval.conftest import Aws, Gate, buttons
from tests.unit.approval.test_flow import ACCEPTED_THEN_DROPPED, DROPPED, is_locked, refused
from tests.unit.approval.test_quorum import ANN, BOB, CARL, ask, vote, voters, wait_for_votes
from tests.unit.conftest import Reply, SlackApi

ONE, TWO, THREE = "C0ONE", "C0TWO", "C0THREE"


def test_the_first_decision_counts_everywhere(gate: Gate, slack_api: SlackApi) -> None:
    arn = ask(gate, channels=[ONE, TWO, THREE])
    gate.wait_for(arn, "StepSucceeded", "post-3")
    one, two, three = slack_api.messages.values()
    assert buttons(one) == buttons(two) == buttons(three)

    gate.click_message(two, "reject", BOB)
    decision = gate.decision(arn)

    assert decision["decision"] == "rejected"
    assert [message["channel"] for message in decision["messages"]] == [ONE, TWO, THREE]
    assert decision["message"] == decision["messages"][0]
    assert "undelivered_to" not in decision
    assert all(map(is_locked, slack_api.messages.values()))


def test_a_vote_at_one_place_is_shown_at_all_of_them(gate: Gate, slack_api: SlackApi) -> None:
    arn = ask(gate, channels=[ONE, TWO], quorum=2)
    gate.wait_for(arn, "StepSucceeded", "post-2")
    one, two = slack_api.messages.values()
    gate.click_message(two, "approve", BOB)
    gate.wait_for(arn, "StepSucceeded", "update-1")

    assert buttons(one) == buttons(two)
    assert buttons(one)[0].voted == (BOB,)
    gate.click_message(one, "approve", ANN)
    assert voters(gate.decision(arn)) == [BOB, ANN]


def test_approvers_are_asked_in_direct_messages_too(gate: Gate, slack_api: SlackApi) -> None:
    arn = gate.ask(approvers={"users": [ANN, BOB]}, channels=[ONE], direct_messages=True)
    gate.wait_for(arn, "StepSucceeded", "post-3")
    assert [call["channel"] for call in slack_api.called("chat.postMessage")] == [ONE, ANN, BOB]

    direct = list(slack_api.messages.values())[1]
    gate.click_message(direct, "approve", ANN)
    decision = gate.decision(arn)

    assert [message["channel"] for message in decision["messages"]] == [ONE, f"D{ANN[1:]}", f"D{BOB[1:]}"]
    assert all(map(is_locked, slack_api.messages.values()))


def test_a_requester_who_may_not_approve_is_not_asked_directly(gate: Gate, slack_api: SlackApi) -> None:
    request: dict[str, Any] = {
        "approvers": {"users": [ANN, BOB]},
        "channels": [ONE],
        "direct_messages": True,
        "requester": BOB,
    }
    gate.wait_for(gate.ask(**request), "StepSucceeded", "emit-requested")
    assert [call["channel"] for call in slack_api.called("chat.postMessage")] == [ONE, ANN]

    gate.wait_for(gate.ask(**request, allow_self_approval=True), "StepSucceeded", "emit-requested")
    assert [call["channel"] for call in slack_api.called("chat.postMessage")][2:] == [ONE, ANN, BOB]


def test_a_reminder_leaves_alone_who_has_voted_already(gate: Gate, slack_api: SlackApi) -> None:
    request: dict[str, Any] = {"approvers": {"users": [ANN, BOB, CARL]}, "channels": [ONE], "direct_messages": True}
    arn = gate.ask(**request, quorum=2, reminders=[1])
    gate.wait_for(arn, "StepSucceeded", "post-3")
    vote(gate, ANN)
    gate.wait_for(arn, "StepSucceeded", "remind-1-4")

    assert [note["channel"] for note in slack_api.notes] == [ONE, f"D{BOB[1:]}", f"D{CARL[1:]}"]
    assert {note["text"] for note in slack_api.notes} == {f"<@{BOB}>, <@{CARL}>: this still waits for a decision."}


def test_a_place_that_slack_refuses_is_told_and_the_others_decide(gate: Gate, slack_api: SlackApi) -> None:
    slack_api.will("chat.postMessage", refused("not_in_channel"))
    arn = ask(gate, channels=[ONE, TWO])
    gate.wait_for(arn, "StepSucceeded", "post-2")
    vote(gate, ANN)

    decision = gate.decision(arn)

    assert decision["decision"] == "approved"
    assert [message["channel"] for message in decision["messages"]] == [TWO]
    (failed,) = decision["undelivered_to"]
    assert failed["channel"] == ONE
    assert failed["error"]["code"] == "not_in_channel"
    assert "invite the app" in failed["error"]["fix"]


def test_only_a_request_that_reaches_nobody_is_undelivered(gate: Gate, slack_api: SlackApi) -> None:
    slack_api.will("chat.postMessage", refused("is_archived"), refused("not_in_channel"))

    decision = gate.decision(ask(gate, channels=[ONE, TWO]))

    assert decision["decision"] == "undelivered"
    assert decision["error"]["code"] == "is_archived"
    assert [place["error"]["code"] for place in decision["undelivered_to"]] == ["is_archived", "not_in_channel"]
    assert decision["messages"] == []


@pytest.mark.parametrize("reply", [DROPPED, ACCEPTED_THEN_DROPPED, Reply(500, b"oops"), refused("internal_error")])
def test_an_unknown_outcome_at_one_place_is_looked_up_there(gate: Gate, slack_api: SlackApi, reply: Reply) -> None:
    slack_api.will("chat.postMessage", Reply(429, {"ok": False}, {"Retry-After": "1"}), reply)
    arn = ask(gate, channels=[ONE, TWO])
    gate.wait_for(arn, "StepSucceeded", "post-2")

    assert [message["channel"] for message in slack_api.messages.values()] == [ONE, TWO]
    assert {look_up["channel"] for look_up in slack_api.called("conversations.history")} <= {ONE}
    vote(gate, ANN)
    assert len(gate.decision(arn)["messages"]) == 2


def test_a_decision_elsewhere_ends_the_attempts_at_a_place_that_does_not_answer(
    make_gate: Callable[..., Gate], slack_api: SlackApi
) -> None:
    gate = make_gate(skip_time=False)
    arn = ask(gate, channels=[ONE, TWO])
    slack_api.wait_until(lambda: bool(slack_api.messages))
    slack_api.will("chat.postMessage", *[DROPPED] * 20)
    gate.click_message(slack_api.wait_for_message(), "approve", ANN)

    decision = gate.decision(arn)

    assert voters(decision) == [ANN]
    assert decision["message"]["channel"] == ONE


def test_a_vote_on_a_message_that_was_never_confirmed_is_shown_there(gate: Gate, slack_api: SlackApi) -> None:
    slack_api.history_is_readable = False
    slack_api.will("chat.postMessage", ACCEPTED_THEN_DROPPED)
    arn = ask(gate, quorum=2)
    gate.wait(arn)
    copy, confirmed = slack_api.messages.values()
    gate.click_message(copy, "approve", ANN)
    wait_for_votes(slack_api, f"by <@{ANN}>")
    gate.wait_for(arn, "StepSucceeded", "update-1")

    assert buttons(copy)[0].voted == buttons(confirmed)[0].voted == (ANN,)
    gate.click_message(copy, "approve", BOB)
    assert [message["ts"] for message in gate.decision(arn)["messages"]] == [confirmed["ts"], copy["ts"]]


def test_so_many_messages_that_slack_limits_the_rate_of_their_updates_are_locked_all_the_same(
    gate: Gate, slack_api: SlackApi
) -> None:
    taken, limited = Reply(body={"ok": True}, takes_effect=True), Reply(429, {"ok": False}, {"Retry-After": "1"})
    slack_api.will("chat.update", *[*[taken] * 21, limited] * 12)
    people = [f"U000000{number:02}" for number in range(21)]
    arn = gate.ask(approvers={"users": people}, direct_messages=True)
    slack_api.wait_until(lambda: len(slack_api.messages) == 22)
    gate.click_message(slack_api.wait_for_message(), "approve", people[0])

    assert len(gate.decision(arn)["messages"]) == 22
    assert all(map(is_locked, slack_api.messages.values()))


def test_nobody_is_asked_any_more_who_would_come_too_late(gate: Gate, slack_api: SlackApi) -> None:
    answer = slack_api._answer

    def clicked_at_once(method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        answered = answer(method, arguments)
        if method == "chat.postMessage" and len(slack_api.messages) == 1:
            gate.click_message(slack_api.wait_for_message(), "approve", ANN)
        return answered

    slack_api._answer = clicked_at_once  # type: ignore[method-assign]
    decision = gate.decision(ask(gate, channels=[ONE, TWO, THREE]))

    assert voters(decision) == [ANN]
    assert [message["channel"] for message in slack_api.messages.values()] == [ONE]
    assert "undelivered_to" not in decision


def test_a_bot_token_that_cannot_be_read_any_more_does_not_end_a_request_that_people_have_seen(
    gate: Gate, aws: Aws, slack_api: SlackApi
) -> None:
    arn = ask(gate, channels=[ONE], escalation={"after_seconds": 1, "channels": [TWO]})
    gate.wait(arn)
    aws.secrets.delete_secret(SecretId="slack-bot-token", ForceDeleteWithoutRecovery=True)
    deployment().workspace._token._fetched_at = float("-inf")
    gate.wait_for(arn, "StepFailed", "update-1")
    gate.click_message(slack_api.wait_for_message(), "approve", ANN)

    decision = gate.decision(arn)

    assert voters(decision) == [ANN]
    (failed,) = decision["undelivered_to"]
    assert failed["channel"] == TWO
    assert failed["error"]["code"] == "bot_token_unreadable"
    assert failed["error"]["message"].startswith("cannot read arn:aws:secretsmanager:")


def test_an_escalation_does_not_wait_for_a_message_that_slack_has_trouble_with(gate: Gate, slack_api: SlackApi) -> None:
    slack_api.will("chat.update", *[refused("internal_error")] * 1000)
    arn = ask(gate, channels=[ONE], escalation={"after_seconds": 1, "channels": [TWO]})
    gate.wait_for(arn, "StepSucceeded", "post-2")
    slack_api.forget("chat.update")
    gate.click_message(slack_api.wait_for_message(), "approve", ANN)

    assert [message["channel"] for message in gate.decision(arn)["messages"]] == [ONE, TWO]
