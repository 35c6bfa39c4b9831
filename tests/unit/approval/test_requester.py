"""The requester: told of the decision, and able to cancel where the request says so."""

import pytest

from tests.unit.approval.conftest import APPROVER, CHANNEL, REQUESTER, TASK_TOKEN, Gate, StepFunctions, buttons
from tests.unit.approval.test_flow import DROPPED, is_locked, refused, steps
from tests.unit.approval.test_quorum import ANN, BOB, ask, vote
from tests.unit.conftest import Reply, SlackApi


def test_the_requester_is_mentioned_in_the_thread(gate: Gate, slack_api: SlackApi) -> None:
    arn = gate.ask(requester=REQUESTER)
    gate.click(arn)
    decision = gate.decision(arn)

    (note,) = slack_api.notes
    assert (note["channel"], note["thread_ts"]) == (CHANNEL, decision["message"]["ts"])
    assert note["text"].startswith(f"<@{REQUESTER}>: *✅ Approved* by <@{APPROVER}> <!date^")
    assert steps(gate)[-1] == "notify-requester"


def test_the_requester_may_be_told_directly(gate: Gate, slack_api: SlackApi) -> None:
    arn = gate.ask("Deploy <v1>?", requester=REQUESTER, notify_requester="direct_message")
    gate.click(arn, "reject")
    decision = gate.decision(arn)

    (note,) = slack_api.notes
    assert note["channel"] == REQUESTER
    said, about = note["blocks"]
    assert said["text"]["text"].startswith(f"<@{REQUESTER}>: *❌ Rejected* by")
    assert [element["text"] for element in about["elements"]] == [
        "Deploy <v1>?",
        f"<{decision['message']['permalink']}|Show the request>",
    ]
    assert about["elements"][0]["type"] == "plain_text"


def test_the_requester_may_want_to_be_left_alone(gate: Gate, slack_api: SlackApi) -> None:
    arn = gate.ask(requester=REQUESTER, notify_requester="none")
    gate.click(arn)
    gate.decision(arn)

    assert not slack_api.notes


@pytest.mark.parametrize("reply", [refused("channel_not_found"), DROPPED])
def test_a_requester_who_cannot_be_told_does_not_change_the_decision(
    gate: Gate, slack_api: SlackApi, reply: Reply
) -> None:
    arn = gate.ask(requester=REQUESTER)
    gate.wait(arn)
    slack_api.will("chat.postMessage", reply, reply)
    gate.click(arn)

    assert gate.decision(arn)["decision"] == "approved"


def test_the_requester_may_cancel_where_the_request_says_so(
    gate: Gate, slack_api: SlackApi, stepfunctions: StepFunctions
) -> None:
    arn = gate.ask(requester=REQUESTER, allow_cancel=True, task_token=TASK_TOKEN)
    gate.wait(arn)
    message = slack_api.wait_for_message()
    assert [button.choice for button in buttons(message)] == ["approve", "reject", "cancel"]
    cancel = buttons(message)[2]
    assert (cancel.requester, cancel.votes_needed) == (REQUESTER, 1)

    gate.click_message(message, "cancel", REQUESTER)
    decision = gate.decision(arn)

    assert decision["decision"] == "cancelled"
    assert [person["id"] for person in decision["decided_by"]] == [REQUESTER]
    assert decision["votes"] == []
    assert [answer["error"] for _, answer in stepfunctions.answers] == ["Approval.Cancelled"]
    assert is_locked(message)
    assert f"*🚫 Cancelled* by <@{REQUESTER}>" in message["blocks"][-1]["elements"][0]["text"]
    assert not slack_api.notes


def test_a_requester_who_voted_may_cancel_nevertheless(gate: Gate, slack_api: SlackApi) -> None:
    arn = ask(gate, quorum=3, requester=ANN, allow_self_approval=True, allow_cancel=True)
    gate.wait(arn)
    vote(gate, ANN)
    vote(gate, BOB)
    gate.wait_for(arn, "StepSucceeded", "update-1")
    assert buttons(slack_api.wait_for_message())[2].voted == ()

    vote(gate, ANN, "cancel")
    decision = gate.decision(arn)

    assert decision["decision"] == "cancelled"
    assert [each["id"] for each in decision["votes"]] == [ANN, BOB]


def test_without_allow_cancel_there_is_no_such_button(gate: Gate, slack_api: SlackApi) -> None:
    gate.wait(gate.ask(requester=REQUESTER))

    assert [button.choice for button in buttons(slack_api.wait_for_message())] == ["approve", "reject"]
