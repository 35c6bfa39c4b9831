"""What people are asked in the modal: the button says that there is one, and the answers are part of the decision."""

import pytest

from shared.button import Choice
from tests.unit.approval.conftest import Gate, buttons
from tests.unit.approval.test_flow import is_locked
from tests.unit.approval.test_quorum import ANN, BOB, ask, vote
from tests.unit.conftest import SlackApi

SIZE = {"name": "size", "label": "Size", "type": "select", "options": ["S", "M"]}


@pytest.mark.parametrize(
    ("request_", "modals"),
    [
        ({}, []),
        ({"reason": {"on_reject": "required"}}, ["reject"]),
        ({"reason": {"on_approve": "optional", "on_reject": "none"}}, ["approve"]),
        ({"inputs": [SIZE]}, ["approve"]),
        (
            {"inputs": [SIZE], "reason": {"on_reject": "optional"}, "allow_cancel": True, "requester": BOB},
            ["approve", "reject"],
        ),
    ],
)
def test_a_button_says_whether_a_click_opens_the_modal(
    gate: Gate, slack_api: SlackApi, request_: dict[str, object], modals: list[Choice]
) -> None:
    gate.wait(ask(gate, **request_))

    assert [button.choice for button in buttons(slack_api.wait_for_message()) if button.opens_modal] == modals


def test_answers_and_reasons_are_part_of_the_decision_and_the_reason_of_the_message(
    gate: Gate, slack_api: SlackApi
) -> None:
    arn = ask(gate, quorum=2, inputs=[SIZE], reason={"on_approve": "optional"})
    gate.wait(arn)
    message = slack_api.wait_for_message()
    gate.click_message(message, "approve", ANN, reason="<!channel> go", inputs={"size": "S"})
    gate.wait_for(arn, "StepSucceeded", "update-1")
    gate.click_message(message, "approve", BOB, inputs={"size": "M"})

    decision = gate.decision(arn)

    assert decision["inputs"] == {"size": "M"}
    assert decision["reason"] == "<!channel> go"
    assert [each["reason"] for each in decision["votes"]] == ["<!channel> go", None]
    assert is_locked(message)
    _, why = message["blocks"][-1]["elements"]
    assert (why["type"], why["text"]) == ("plain_text", "<!channel> go")


def test_a_rejections_reason_is_shown(gate: Gate, slack_api: SlackApi) -> None:
    arn = ask(gate, reason={"on_reject": "required"})
    gate.wait(arn)
    message = slack_api.wait_for_message()
    gate.click_message(message, "reject", ANN, reason="not on Friday")

    assert gate.decision(arn)["reason"] == "not on Friday"
    assert message["blocks"][-1]["elements"][1]["text"] == "not on Friday"


def test_groups_are_in_the_button_and_in_mentions(gate: Gate, slack_api: SlackApi) -> None:
    arn = gate.ask(approvers={"users": [ANN], "groups": ["S0ADMINS"]}, direct_messages=True, reminders=[1])
    gate.wait(arn)
    approve, _ = buttons(slack_api.wait_for_message())
    assert approve.approvers == (ANN, "S0ADMINS")
    gate.wait_for(arn, "StepSucceeded", "remind-1-2")

    assert [call["channel"] for call in slack_api.called("chat.postMessage")][1] == ANN
    assert len(slack_api.messages) == 2
    assert slack_api.notes[0]["text"] == f"<@{ANN}>, <!subteam^S0ADMINS>: this still waits for a decision."
    vote(gate, BOB)
    assert gate.decision(arn)["decision"] == "approved"
