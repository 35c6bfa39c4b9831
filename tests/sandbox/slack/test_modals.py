import json
from typing import Any

import pytest
from slack_sdk import WebClient
from slack_sdk.signature import SignatureVerifier

from sandbox.slack import blocks
from sandbox.slack.client import NotSeenError, SlackSandbox, SlackSandboxError
from sandbox.slack.server import SlackServer
from sandbox.slack.workspace import ALICE, APPROVALS, View
from shared.form import Form

PLAIN = "plain_text"
INPUTS = [
    {"name": "size", "label": "Size", "type": "select", "options": ["S", "M"], "default": "M", "required": True},
    {"name": "count", "label": "Count", "type": "number", "min": 1, "max": 9},
    {"name": "day", "label": "Day", "type": "date", "default": "2026-12-24"},
    {"name": "read", "label": "Read", "type": "checkbox", "default": True},
    {"name": "note", "label": "Note", "type": "text", "max_length": 5, "hint": "Short"},
]
FORM = Form.read({"inputs": INPUTS, "reason": {"on_approve": "required"}})
VIEW = {
    "type": "modal",
    "callback_id": "approval",
    "private_metadata": '{"a":1}',
    "title": {"type": PLAIN, "text": "Approve"},
    "submit": {"type": PLAIN, "text": "Approve"},
    "blocks": FORM.blocks("approve"),
}
FILLED = {"reason": "fine"}


def payload_of(received: Any) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(received.form["payload"][0])
    return payload


@pytest.fixture
def view(slack: SlackSandbox, bot: WebClient, app_server: Any, approval_blocks: list[dict[str, Any]]) -> View:
    slack.configure(request_url=app_server.url)
    bot.chat_postMessage(channel=APPROVALS.id, text="Deploy v1?", blocks=approval_blocks)
    slack.click(slack.messages()[0], "approve", ALICE.id)
    bot.views_open(trigger_id=payload_of(app_server.received.pop())["trigger_id"], view=VIEW)
    return slack.wait_for_view(lambda found: found.user == ALICE.id)


def test_a_form_of_every_kind_is_what_slack_accepts() -> None:
    assert blocks.view_problems(VIEW) == []


def test_a_submission_carries_the_documented_fields_signed(
    slack: SlackSandbox, server: SlackServer, view: View, app_server: Any
) -> None:
    result = slack.submit(view, {**FILLED, "input-count": 3, "input-day": None})
    (received,) = app_server.received
    assert SignatureVerifier(server.workspace.app.signing_secret).is_valid_request(received.body, received.headers)
    payload = payload_of(received)
    sent = payload.pop("view")
    assert payload.pop("trigger_id")
    assert payload == {
        "type": "view_submission",
        "team": {"id": "T0SANDBOX", "domain": "sandbox"},
        "user": {"id": ALICE.id, "username": "alice", "name": "alice", "team_id": "T0SANDBOX"},
        "api_app_id": "A0GATES01",
        "token": "deprecated-verification-token",
        "response_urls": [],
        "is_enterprise_install": False,
        "enterprise": None,
    }
    assert (sent["id"], sent["callback_id"], sent["private_metadata"]) == (view.id, "approval", '{"a":1}')
    option = {"text": {"type": PLAIN, "text": "M", "emoji": True}, "value": "M"}
    yes = {"text": {"type": PLAIN, "text": "Yes", "emoji": True}, "value": "yes"}
    assert sent["state"]["values"] == {
        "input-size": {"answer": {"type": "static_select", "selected_option": option}},
        "input-count": {"answer": {"type": "number_input", "value": "3"}},
        "input-day": {"answer": {"type": "datepicker", "selected_date": None}},
        "input-read": {"answer": {"type": "checkboxes", "selected_options": [yes]}},
        "input-note": {"answer": {"type": "plain_text_input", "value": None}},
        "reason": {"answer": {"type": "plain_text_input", "value": "fine"}},
    }
    assert (result.outcome, result.open, result.errors) == ("accepted", False, {})


def test_a_submitted_or_closed_modal_cannot_be_submitted(slack: SlackSandbox, view: View) -> None:
    slack.close(view)
    assert slack.view(view.id).open is False
    with pytest.raises(SlackSandboxError, match="no open modal"):
        slack.submit(view, FILLED)
    with pytest.raises(NotSeenError):
        slack.view("V0NOTHING")


def test_errors_are_shown_at_their_inputs_until_the_modal_is_submitted(
    slack: SlackSandbox, view: View, app_server: Any
) -> None:
    app_server.body = json.dumps({"response_action": "errors", "errors": {"reason": "Say more."}}).encode()
    result = slack.submit(view, FILLED)
    assert (result.open, result.errors) == (True, {"reason": "Say more."})
    assert slack.view(view.id).errors == {"reason": "Say more."}
    app_server.body = b""
    assert slack.submit(view, FILLED).open is False


def test_another_view_takes_the_place_of_the_submitted_one(slack: SlackSandbox, view: View, app_server: Any) -> None:
    other = {"type": "modal", "title": VIEW["title"], "blocks": [{"type": "divider"}]}
    app_server.body = json.dumps({"response_action": "update", "view": other}).encode()
    assert slack.submit(view, FILLED).open is True
    assert [block["type"] for block in slack.view(view.id).view["blocks"]] == ["divider"]
    with pytest.raises(SlackSandboxError, match="nothing to submit"):
        slack.submit(view)


def test_clear_closes_the_modal(slack: SlackSandbox, view: View, app_server: Any) -> None:
    app_server.body = b'{"response_action":"clear"}'
    assert slack.submit(view, FILLED).open is False


@pytest.mark.parametrize(
    "body",
    [
        "no json",
        "[]",
        "{}",
        '{"response_action":"dance"}',
        '{"response_action":"errors","errors":{}}',
        '{"response_action":"errors","errors":{"nowhere":"x"}}',
        '{"response_action":"update","view":{}}',
    ],
)
def test_an_answer_that_slack_does_not_understand_leaves_the_modal_with_trouble(
    slack: SlackSandbox, view: View, app_server: Any, body: str
) -> None:
    app_server.body = body.encode()
    result = slack.submit(view, FILLED)
    assert (result.outcome, result.open) == ("refused", True)
    assert slack.view(view.id).view == view.view


def test_an_app_that_refuses_leaves_the_modal_open(slack: SlackSandbox, view: View, app_server: Any) -> None:
    app_server.status = 500
    assert (slack.submit(view, FILLED).outcome, slack.view(view.id).open) == ("refused", True)


@pytest.mark.parametrize("how", [{"forged": True}, {"age": 301}])
def test_a_forged_or_old_submission_does_not_pass_slacks_own_verifier(
    slack: SlackSandbox, server: SlackServer, view: View, app_server: Any, how: dict[str, Any]
) -> None:
    slack.submit(view, FILLED, **how)
    (received,) = app_server.received
    assert not SignatureVerifier(server.workspace.app.signing_secret).is_valid_request(received.body, received.headers)


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ({}, "reason has to be filled in"),
        ({"reason": "x" * 1001}, "reason is longer than 1000 characters"),
        ({**FILLED, "input-size": None}, "input-size has to be filled in"),
        ({**FILLED, "input-size": "XL"}, "input-size is none of the options"),
        ({**FILLED, "input-count": "many"}, "input-count is not a number"),
        ({**FILLED, "input-count": 10}, "input-count is out of range"),
        ({**FILLED, "input-day": "today"}, "input-day is not a date"),
        ({**FILLED, "colour": "red"}, "no inputs"),
    ],
)
def test_what_slack_itself_keeps_back_is_not_sent_unless_asked_for(
    slack: SlackSandbox, view: View, app_server: Any, answers: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SlackSandboxError, match=problem):
        slack.submit(view, answers)
    assert app_server.received == []
    if "colour" not in answers:
        assert slack.submit(view, answers, unchecked=True).outcome == "accepted"


@pytest.mark.parametrize(
    ("element", "problem"),
    [
        ({"type": "number_input"}, "missing required field: is_decimal_allowed"),
        ({"type": "number_input", "is_decimal_allowed": True, "min_value": 1}, "must be a decimal number as a string"),
        ({"type": "datepicker", "initial_date": "today"}, "must be a date"),
        ({"type": "checkboxes", "options": []}, "no less than 1 items"),
        ({"type": "plain_text_input", "max_length": 3001}, "must be a number from 1 to 3000"),
        (
            {
                "type": "static_select",
                "options": [{"text": {"type": PLAIN, "text": "S"}, "value": "S"}],
                "initial_option": {"text": {"type": PLAIN, "text": "M"}, "value": "M"},
            },
            "initial_option must be one of the provided options",
        ),
    ],
)
def test_inputs_that_slack_refuses_are_named(element: dict[str, Any], problem: str) -> None:
    block = {"type": "input", "label": {"type": PLAIN, "text": "x"}, "element": element}
    assert problem in " ".join(blocks.view_problems({**VIEW, "blocks": [block]}))


def test_inputs_need_a_submit_button() -> None:
    view = {name: value for name, value in VIEW.items() if name != "submit"}
    assert "missing required field: submit" in blocks.view_problems(view)[0]
