"""Modals through the function's entry point: opened by a click, submitted, corrected, too late."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.slack.blocks import view_problems
from slack_webhook import modal
from slack_webhook.modal import Origin
from tests.unit.slack_webhook.conftest import (
    APPROVER,
    CHANNEL,
    EXECUTION,
    STRANGER,
    TEAM,
    TS,
    Clicker,
    FakeAws,
    FakeSlack,
    Reply,
    aws_error,
    callback_id,
    forget,
)

OK = {"statusCode": 200}
Records = Callable[[str], list[dict[str, Any]]]
SIZE = {"name": "size", "label": "Size", "type": "select", "options": ["S", "M"], "required": True}
COUNT = {"name": "count", "label": "Count", "type": "number", "min": 1}
EVERYTHING = [
    SIZE,
    COUNT,
    {"name": "day", "label": "Day", "type": "date", "default": "2026-12-24"},
    {"name": "read", "label": "Read the runbook", "type": "checkbox"},
    {"name": "note", "label": "Note", "type": "text", "hint": "For the log"},
]


def text(value: str) -> dict[str, Any]:
    return {"type": "plain_text_input", "value": value}


def option(value: str) -> dict[str, Any]:
    return {"type": "static_select", "selected_option": {"text": {"type": "plain_text", "text": value}, "value": value}}


def shown(response: Any) -> str:
    """Return what the modal says that took the place of the submitted one."""
    assert response["response_action"] == "update"
    view = response["view"]
    assert view["type"] == "modal"
    assert "submit" not in view
    [section] = view["blocks"]
    return str(section["text"]["text"])


def opened(slack: FakeSlack) -> dict[str, Any]:
    [call] = slack.called("views.open")
    view: dict[str, Any] = call.json["view"]
    assert view_problems(view) == []
    return view


@pytest.fixture
def asked(clicker: Clicker, aws: FakeAws) -> Clicker:
    """An approver has clicked Reject, and the modal asks for the reason."""
    aws.asked(reason={"on_reject": "required"})
    clicker.click(choice="reject", opens_modal=True)
    return clicker


def test_a_click_opens_the_modal_and_consumes_nothing(clicker: Clicker, aws: FakeAws, slack: FakeSlack) -> None:
    aws.asked(title="Deploy <v1>?", inputs=EVERYTHING, reason={"on_approve": "optional"})
    payload = clicker.payload(opens_modal=True)
    assert clicker.send(payload) == OK

    assert aws.completions() == []
    assert (slack.notes, slack.replacements) == ([], [])
    assert slack.called("views.open")[0].json["trigger_id"] == payload["trigger_id"]
    view = opened(slack)
    assert (view["type"], view["callback_id"]) == ("modal", "approval")
    assert (view["title"]["text"], view["submit"]["text"], view["close"]["text"]) == ("Approve", "Approve", "Back")
    title, *inputs = view["blocks"]
    assert title == {"type": "section", "text": {"type": "plain_text", "text": "Deploy <v1>?"}}
    assert [block["block_id"] for block in inputs] == [
        "input-size",
        "input-count",
        "input-day",
        "input-read",
        "input-note",
        "reason",
    ]
    assert json.loads(view["private_metadata"])["channel"] == CHANNEL


def test_the_longest_button_fits_into_the_metadata(clicker: Clicker, aws: FakeAws, slack: FakeSlack) -> None:
    aws.asked(reason={"on_approve": "required"})
    many = tuple(f"U{n:09}" for n in range(115))
    clicker.click(opens_modal=True, user=many[0], approvers=many)
    metadata = opened(slack)["private_metadata"]
    button = Origin.decode(metadata).button
    assert 1900 < len(button.encode()) <= 2000
    assert len(metadata) <= 3000


@pytest.mark.parametrize(
    "arguments", [{"user": STRANGER}, {"fixture": "block_actions_shared_channel.json"}, {"voted": (APPROVER,)}]
)
def test_who_may_not_decide_sees_no_modal(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack, arguments: dict[str, Any]
) -> None:
    clicker.click(opens_modal=True, **arguments)
    assert len(slack.notes) == 1
    assert slack.called("views.open") == []
    assert aws.server.calls == []


def test_a_late_click_is_told_the_truth_before_anything_is_asked(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack
) -> None:
    aws.decided("approved", ["U0SECOND1"])
    clicker.click(opens_modal=True)
    assert slack.called("views.open") == []
    assert "*✅ Approved* by <@U0SECOND1>" in slack.notes[0]
    assert len(slack.replacements) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, {"ok": False, "error": "expired_trigger_id"}),
        Reply(429, {"ok": False, "error": "ratelimited"}),
        Reply(500),
        Reply(drop=True),
    ],
    ids=["expired", "rate", "error", "dropped"],
)
def test_a_modal_that_slack_does_not_open_is_to_be_asked_for_again(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack, records: Records, reply: Reply
) -> None:
    aws.asked(reason={"on_approve": "required"})
    slack.server.script.append(reply)
    assert clicker.click(opens_modal=True) == OK
    assert aws.completions() == []
    assert "could not be opened" in slack.notes[0]
    [record] = records("modal not opened")
    assert "views.open" in record["reason"]


@pytest.mark.parametrize("reply", [aws_error("TooManyRequestsException", 429), Reply(hold=True)], ids=["429", "slow"])
def test_who_cannot_be_asked_now_is_not_told_that_the_request_is_over(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack, reply: Reply
) -> None:
    aws.asked(reason={"on_approve": "required"})
    aws.server.script.append(reply)
    clicker.click(opens_modal=True)
    assert slack.called("views.open") == []
    assert slack.notes[0].startswith("The form could not be opened, so nothing was counted. Please click again")
    assert slack.replacements == []


def test_a_modal_whose_questions_cannot_be_read_is_not_opened(clicker: Clicker, aws: FakeAws, slack: FakeSlack) -> None:
    aws.asked()
    del aws.executions[EXECUTION]["InputPayload"]
    clicker.click(opens_modal=True)
    assert slack.called("views.open") == []
    assert "could not be opened" in slack.notes[0]


def test_a_submission_whose_questions_cannot_be_read_is_not_counted(asked: Clicker, aws: FakeAws) -> None:
    del aws.executions[EXECUTION]["InputPayload"]
    assert "nothing was decided" in shown(asked.submit({"reason": text("no")}))
    assert aws.completions() == []


def test_a_submitted_reason_is_counted_and_acknowledged(asked: Clicker, aws: FakeAws, slack: FakeSlack) -> None:
    assert asked.submit({"reason": text(" not on Fridays ")}) is None
    [(completed, result)] = aws.results
    assert completed == callback_id(1)
    assert (result["decision"], result["reason"], result["inputs"]) == ("reject", "not on Fridays", {})
    assert result["user"] == {"id": APPROVER, "team": TEAM, "name": "ada"}
    assert result["message"] == {"channel": CHANNEL, "ts": TS}
    [note] = slack.called("chat.postEphemeral")
    assert note.json | {"text": ""} == {"channel": CHANNEL, "user": APPROVER, "text": ""}
    assert note.json["text"].startswith("Your rejection is counted.")


def test_all_answers_are_typed_in_the_click(clicker: Clicker, aws: FakeAws) -> None:
    aws.asked(inputs=EVERYTHING)
    clicker.click(opens_modal=True)
    state = {
        "input-size": option("M"),
        "input-count": {"type": "number_input", "value": "2.5"},
        "input-day": {"type": "datepicker", "selected_date": "2026-12-24"},
        "input-read": {"type": "checkboxes", "selected_options": [{"value": "yes"}]},
    }
    assert clicker.submit(state) is None
    expected = {"size": "M", "count": 2.5, "day": "2026-12-24", "read": True, "note": None}
    assert aws.results[0][1]["inputs"] == expected
    assert aws.results[0][1]["reason"] is None


def test_mistakes_are_shown_at_their_inputs_and_can_be_corrected(clicker: Clicker, aws: FakeAws) -> None:
    aws.asked(inputs=[SIZE, COUNT], reason={"on_approve": "required"})
    clicker.click(opens_modal=True)
    assert clicker.submit({"input-count": {"type": "number_input", "value": "0"}}) == {
        "response_action": "errors",
        "errors": {
            "input-size": "Please fill this in.",
            "input-count": "Please use 1 or more.",
            "reason": "Please say why.",
        },
    }
    assert aws.completions() == []
    assert clicker.submit({"input-size": option("S"), "reason": text("fine")}) is None
    assert aws.results[0][1]["inputs"] == {"size": "S", "count": None}


def test_the_person_who_submits_is_authorised_again(asked: Clicker, aws: FakeAws) -> None:
    before = len(aws.server.calls)
    assert "its approvers are" in shown(asked.submit({"reason": text("no")}, user=STRANGER))
    assert len(aws.server.calls) == before


@pytest.mark.usefixtures("fresh")
def test_who_left_the_group_while_the_modal_was_open_may_not_decide_any_more(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack
) -> None:
    aws.asked(reason={"on_approve": "required"})
    slack.groups = {"S0REVIEW1": [APPROVER]}
    clicker.click(opens_modal=True, approvers=("S0REVIEW1",))
    slack.groups = {"S0REVIEW1": []}
    submission = clicker.submission({"reason": text("fine")})
    forget()
    answer = clicker.send(submission)
    assert answer
    assert "its approvers are <!subteam^S0REVIEW1>" in shown(json.loads(answer["body"]))
    assert aws.results == []


@pytest.mark.usefixtures("fresh")
def test_what_was_written_stays_where_slack_does_not_name_the_members_of_a_group_now(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack
) -> None:
    aws.asked(reason={"on_approve": "required"})
    slack.groups = {"S0REVIEW1": [APPROVER]}
    clicker.click(opens_modal=True, approvers=("S0REVIEW1",))
    submission = clicker.submission({"reason": text("fine")})
    forget()
    slack.server.script.append(Reply(drop=True))
    answer = clicker.send(submission)
    assert answer
    assert "try again in a moment" in json.loads(answer["body"])["errors"]["reason"]
    assert clicker.send(submission) == OK
    assert len(aws.results) == 1


def test_a_request_that_was_decided_meanwhile_is_told_in_the_modal(asked: Clicker, aws: FakeAws) -> None:
    aws.decided("approved", ["U0SECOND1"])
    assert "*✅ Approved* by <@U0SECOND1>" in shown(asked.submit({"reason": text("no")}))
    assert aws.results == []


def test_a_vote_that_was_overtaken_is_told_in_the_modal(asked: Clicker, aws: FakeAws) -> None:
    aws.open = {callback_id(1): False}
    assert "somebody else voted at the same moment" in shown(asked.submit({"reason": text("no")}))


def test_what_aws_does_not_accept_can_be_submitted_again(asked: Clicker, aws: FakeAws) -> None:
    aws.server.script.extend([None, aws_error("TooManyRequestsException", 429)])
    response = asked.submit({"reason": text("no")})
    assert response["response_action"] == "errors"
    assert "nothing was decided" in response["errors"]["reason"]
    assert asked.submit({"reason": text("no")}) is None
    assert len(aws.results) == 1


def test_what_cannot_be_checked_now_can_be_submitted_again(asked: Clicker, aws: FakeAws) -> None:
    aws.server.script.append(Reply(drop=True))
    response = asked.submit({"reason": text("no")})
    assert "submit again" in response["errors"]["reason"]
    assert asked.submit({"reason": text("no")}) is None


def test_an_uncertain_vote_is_told_in_the_modal(asked: Clicker, aws: FakeAws) -> None:
    aws.server.script.extend([None, aws_error("ServiceException", 500), aws_error("ServiceException", 500)])
    assert "not certain" in shown(asked.submit({"reason": text("no")}))


def test_an_acknowledgement_that_slack_does_not_take_changes_nothing(
    asked: Clicker, aws: FakeAws, slack: FakeSlack, records: Records
) -> None:
    slack.server.script.append(Reply(200, {"ok": False, "error": "user_not_in_channel"}))
    assert asked.submit({"reason": text("no")}) is None
    assert len(aws.results) == 1
    assert "user_not_in_channel" in records("slack feedback not delivered")[0]["reason"]


@pytest.mark.parametrize("metadata", ["x", "[]", "{}", '{"button":{},"channel":"C","ts":"1"}', "[" * 2900])
def test_a_modal_of_another_version_is_explained(asked: Clicker, aws: FakeAws, metadata: str) -> None:
    payload = asked.submission({"reason": text("no")})
    payload["view"]["private_metadata"] = metadata
    answer = asked.send(payload)
    assert answer
    assert "another version" in shown(json.loads(answer["body"]))
    assert aws.completions() == []


def test_metadata_with_another_place_than_text_is_unreadable(asked: Clicker, aws: FakeAws, slack: FakeSlack) -> None:
    data = json.loads(opened(slack)["private_metadata"]) | {"ts": 5}
    payload = asked.submission({"reason": text("no")})
    payload["view"]["private_metadata"] = json.dumps(data)
    answer = asked.send(payload)
    assert answer
    assert "another version" in shown(json.loads(answer["body"]))
    assert aws.completions() == []


def test_a_forged_submission_is_refused(asked: Clicker, aws: FakeAws) -> None:
    answer = asked.send(asked.submission({"reason": text("no")}), secret="guessed")
    assert answer
    assert answer["statusCode"] == 401
    assert aws.completions() == []


def test_a_submission_is_logged_without_what_was_written(asked: Clicker, records: Records) -> None:
    asked.submit({"reason": text("something personal")})
    [record] = records("submission handled")
    expected = {"slack_user": APPROVER, "slack_channel": CHANNEL, "choice": "reject", "outcome": "counted"}
    assert {name: record[name] for name in expected} == expected
    assert "personal" not in repr(record)


def test_the_view_that_ends_a_modal_is_one_that_slack_takes() -> None:
    assert view_problems(modal.answered("Not counted, *sorry*")) == []
