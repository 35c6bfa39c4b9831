"""Clicks through the function's entry point, against servers that speak as AWS and Slack do."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import pytest
from botocore.exceptions import ParamValidationError

from shared.click import Click
from shared.message import OUTCOME_BLOCK_ID, locked, outcome_text
from slack_webhook import aws as aws_client
from slack_webhook import deadline, endpoint, feedback
from tests.unit.slack_webhook.conftest import (
    APPROVER,
    CHANNEL,
    EXECUTION,
    REQUESTER,
    STRANGER,
    TEAM,
    TS,
    Clicker,
    FakeAws,
    FakeSlack,
    Reply,
    aws_error,
    callback_id,
    step,
)

OK = {"statusCode": 200}
Records = Callable[[str], list[dict[str, Any]]]


def outcome(blocks: list[dict[str, Any]]) -> str:
    """Return the text of the block that says how the request ended."""
    [block] = [b for b in blocks if b.get("block_id") == OUTCOME_BLOCK_ID]
    return str(block["elements"][0]["text"])


@pytest.mark.parametrize(("choice", "said"), [("approve", "Approved"), ("reject", "Rejected")])
def test_an_approvers_click_counts_and_locks_the_message(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack, choice: str, said: str
) -> None:
    assert clicker.click(choice=choice) == OK

    [(completed, result)] = aws.results
    assert completed == callback_id(1)
    moment = datetime.fromisoformat(result["at"])
    assert moment.tzinfo
    assert result == {
        "v": 1,
        "decision": choice,
        "user": {"id": APPROVER, "team": TEAM, "name": "ada"},
        "at": result["at"],
        "reason": None,
        "inputs": {},
        "message": {"channel": CHANNEL, "ts": TS},
    }
    assert Click.decode(json.dumps(result)).choice == choice

    [replaced] = slack.replacements
    assert slack.notes == []
    sent = clicker.payload()["message"]
    assert replaced["blocks"] == locked(sent["blocks"], outcome_text(f"{said.lower()}", [APPROVER], moment))
    assert [block["type"] for block in replaced["blocks"]] == ["header", "section", "section", "context", "context"]
    assert said in outcome(replaced["blocks"])
    assert replaced["text"] == sent["text"]


def test_a_body_that_is_not_base64_counts_as_well(clicker: Clicker, aws: FakeAws) -> None:
    assert clicker.send(clicker.payload(), encoded=False) == OK
    assert len(aws.results) == 1


def test_an_approver_in_an_enterprise_organization_may_decide(clicker: Clicker, aws: FakeAws) -> None:
    assert clicker.click(fixture="block_actions_enterprise.json") == OK
    assert aws.results[0][1]["user"]["team"] == TEAM


def test_the_requester_may_decide_where_that_is_allowed(clicker: Clicker, aws: FakeAws) -> None:
    clicker.click(user=REQUESTER, approvers=(REQUESTER,), allow_self_approval=True)
    assert len(aws.results) == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"user": STRANGER}, ("not_an_approver", f"its approvers are <@{APPROVER}>")),
        ({"user": REQUESTER, "approvers": (APPROVER, REQUESTER)}, ("own_request", "You asked for this yourself")),
        ({"fixture": "block_actions_shared_channel.json"}, ("other_workspace", "another workspace")),
        ({"voted": (APPROVER,)}, ("voted_already", "counted already")),
    ],
)
def test_who_may_not_decide_is_told_privately_and_nothing_is_consumed(
    clicker: Clicker, aws: FakeAws, records: Records, arguments: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert clicker.click(**arguments) == OK
    assert aws.server.calls == []
    assert clicker.slack.replacements == []
    refusal, told = expected
    assert told in clicker.slack.notes[0]
    [record] = records("click refused")
    assert record["refusal"] == refusal
    assert record["slack_channel"] == CHANNEL


@pytest.mark.parametrize(
    "value", ["", "click_me_123", "{}", json.dumps({"v": 2}), "[" * 2000], ids=["empty", "text", "{}", "v2", "deep"]
)
def test_a_button_of_another_version_is_explained(clicker: Clicker, aws: FakeAws, slack: FakeSlack, value: str) -> None:
    payload = clicker.payload()
    payload["actions"][0]["value"] = value or "null"
    assert clicker.send(payload) == OK
    assert aws.server.calls == []
    assert "another version" in slack.notes[0]
    assert slack.replacements == []


def test_the_second_click_of_a_double_click_is_not_counted_and_leaves_the_message_alone(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack
) -> None:
    payload = clicker.payload()
    assert clicker.send(payload) == OK
    assert clicker.send(payload) == OK
    assert len(aws.results) == 1
    assert len(slack.replacements) == 1
    assert "was not counted" in slack.notes[0]


def test_who_was_overtaken_by_another_vote_is_asked_to_click_again(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack
) -> None:
    """The execution still runs: it has not written the new buttons yet."""
    aws.open = {callback_id(1): False}
    assert clicker.click() == OK
    assert aws.results == []
    assert slack.replacements == []
    assert "somebody else voted at the same moment" in slack.notes[0]
    assert "please click again" in slack.notes[0]


@pytest.mark.parametrize(
    ("decided", "said"),
    [
        (("approved", ["U0SECOND1", "U0THIRD01"]), "*✅ Approved* by <@U0SECOND1>, <@U0THIRD01> <!date^"),
        (("rejected", ["U0SECOND1"]), "*❌ Rejected* by <@U0SECOND1> <!date^"),
        (("timed_out", []), "*⌛ Expired without a decision* <!date^"),
        (("cancelled", [REQUESTER]), f"*🚫 Cancelled* by <@{REQUESTER}> <!date^"),
        (("undelivered", []), "*⌛ Expired: Slack did not confirm this message in time* <!date^"),
    ],
)
def test_a_late_click_is_told_the_truth_and_repairs_its_copy_of_the_message(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack, decided: tuple[str, list[str]], said: str
) -> None:
    aws.decided(*decided)
    assert clicker.click() == OK
    assert aws.results == []
    assert slack.notes[0].startswith(
        f"This click changed nothing: the request is already decided, or it has expired. {said}"
    )
    [replaced] = slack.replacements
    assert not [block for block in replaced["blocks"] if block["type"] == "actions"]
    assert outcome(replaced["blocks"]).startswith(said)


def test_a_late_click_shows_why_it_was_decided(clicker: Clicker, aws: FakeAws, slack: FakeSlack) -> None:
    aws.decided("rejected", [APPROVER], reason="not <today>")
    clicker.click()
    assert slack.replacements[0]["blocks"][-1]["elements"][1] == {"type": "plain_text", "text": "not <today>"}


@pytest.mark.parametrize(("status", "said"), [("STOPPED", "stopped"), ("FAILED", "Stopped"), ("TIMED_OUT", "Stopped")])
def test_a_late_click_on_a_request_whose_execution_died_says_so(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack, status: str, said: str
) -> None:
    aws.decided("approved", [APPROVER])
    aws.executions[EXECUTION] |= {"Status": status}
    clicker.click()
    assert said in slack.notes[0]
    assert said in outcome(slack.replacements[0]["blocks"])
    assert "Approved" not in slack.notes[0]


@pytest.mark.parametrize("status", ["STOPPED", "FAILED", "TIMED_OUT"])
@pytest.mark.parametrize("effective", ["answer-task", "emit-decided"])
def test_a_late_click_on_a_request_whose_execution_died_after_its_decision_tells_the_decision(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack, status: str, effective: str
) -> None:
    decision = aws.decided("rejected", [APPROVER], reason="not today")
    aws.executed(EXECUTION, status, {"request": {"title": "?"}}, [step("decide", decision), step(effective, None)])
    clicker.click()
    assert f"Rejected* by <@{APPROVER}>" in slack.notes[0]
    assert f"Rejected* by <@{APPROVER}>" in outcome(slack.replacements[0]["blocks"])
    assert slack.replacements[0]["blocks"][-1]["elements"][1]["text"] == "not today"


def test_a_late_click_on_a_request_that_died_without_effect_of_its_decision_says_so(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack
) -> None:
    decision = aws.decided("rejected", [APPROVER])
    aws.executed(EXECUTION, "FAILED", {"request": {"title": "?"}}, [step("decide", decision)])
    clicker.click()
    assert "Stopped before a decision took effect" in slack.notes[0]


def test_a_late_click_on_a_died_request_names_no_outcome_where_its_history_cannot_be_read_now(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack
) -> None:
    aws.decided("approved", [APPROVER])
    aws.executions[EXECUTION] |= {"Status": "FAILED"}
    aws.server.script.extend([None, None, aws_error("TooManyRequestsException", 429)])
    clicker.click()
    assert slack.notes[0].startswith("Your click was not counted: the request is already decided")
    assert slack.replacements == []


@pytest.mark.parametrize(
    "result", ["", "no json", "[]", '{"decision": "maybe"}', '{"status": "duplicate"}', "[" * 9999]
)
def test_a_result_that_is_no_decision_is_called_closed(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack, result: str
) -> None:
    aws.decided("approved")
    aws.executions[EXECUTION] |= {"Result": result}
    assert clicker.click() == OK
    assert "Already decided or expired" in outcome(slack.replacements[0]["blocks"])


@pytest.mark.parametrize("denied", [True, False], ids=["denied", "not found"])
def test_a_late_click_whose_execution_cannot_be_seen_loses_its_buttons(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack, records: Records, denied: bool
) -> None:
    aws.open, aws.executions = {}, {}
    if denied:
        aws.server.script.extend([None, aws_error("AccessDeniedException", 403)])
    assert clicker.click() == OK
    assert "Already decided or expired" in slack.notes[0]
    [replaced] = slack.replacements
    assert not [block for block in replaced["blocks"] if block["type"] == "actions"]
    assert "Already decided or expired" in outcome(replaced["blocks"])
    assert records("execution not found")[0]["execution_arn"] == EXECUTION


@pytest.mark.parametrize(
    "reply", [aws_error("TooManyRequestsException", 429), Reply(drop=True)], ids=["429", "dropped"]
)
def test_a_late_click_leaves_the_message_alone_where_the_outcome_cannot_be_told_now(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack, reply: Reply
) -> None:
    aws.decided("approved", [APPROVER])
    aws.server.script.extend([None, reply])
    assert clicker.click() == OK
    # It may as well have been overtaken by a vote that does not decide alone.
    assert slack.notes[0].startswith("Your click was not counted: the request is already decided, somebody else voted")
    assert slack.replacements == []


def test_a_late_click_leaves_a_message_alone_that_already_tells_its_outcome(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack
) -> None:
    aws.decided("approved", [APPROVER])
    payload = clicker.payload()
    payload["message"]["blocks"] = locked(payload["message"]["blocks"], outcome_text("approved", [APPROVER]))
    assert clicker.send(payload) == OK
    assert len(slack.notes) == 1
    assert slack.replacements == []


def test_a_vote_takes_the_first_callback_that_is_open_and_no_other(clicker: Clicker, aws: FakeAws) -> None:
    aws.open = {callback_id(1): False, callback_id(3): True, callback_id(4): True}
    assert clicker.click(callback_ids=tuple(callback_id(n) for n in (1, 2, 3, 4))) == OK
    assert [completed for completed, _ in aws.results] == [callback_id(3)]
    assert len(aws.server.calls) == 3


def test_two_people_with_two_callbacks_both_count(clicker: Clicker, aws: FakeAws) -> None:
    aws.open = {callback_id(1): True, callback_id(2): True}
    both = {"approvers": (APPROVER, "U0SECOND1"), "callback_ids": (callback_id(1), callback_id(2))}
    clicker.click(**both)
    clicker.click(user="U0SECOND1", **both)
    assert [result["user"]["id"] for _, result in aws.results] == [APPROVER, "U0SECOND1"]


def test_the_requester_cancels_and_the_message_is_locked(clicker: Clicker, aws: FakeAws, slack: FakeSlack) -> None:
    clicker.click(choice="cancel", user=REQUESTER)
    assert aws.results[0][1]["decision"] == "cancel"
    assert outcome(slack.replacements[0]["blocks"]).startswith(f"*🚫 Cancelled* by <@{REQUESTER}> ")


def test_nobody_else_cancels(clicker: Clicker, aws: FakeAws, slack: FakeSlack) -> None:
    clicker.click(choice="cancel", user=APPROVER)
    assert aws.server.calls == []
    assert slack.notes == ["Only who asked for this can cancel it. Nothing was changed."]


@pytest.mark.parametrize("choice", ["approve", "reject"])
def test_a_vote_that_does_not_decide_alone_is_acknowledged_and_leaves_the_message_to_the_durable_function(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack, choice: str
) -> None:
    aws.open = {callback_id(1): True, callback_id(2): True}
    assert clicker.click(choice=choice, votes_needed=2, callback_ids=(callback_id(1), callback_id(2))) == OK
    assert len(aws.results) == 1
    assert slack.replacements == []
    assert slack.notes[0].startswith(f"Your {'approval' if choice == 'approve' else 'rejection'} is counted. 2 people")


def test_a_vote_that_decides_unless_another_comes_first_does_not_lock_the_message(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack
) -> None:
    """Where two rejections are needed, a second callback is open: its vote may be read first."""
    clicker.click(callback_ids=(callback_id(1), callback_id(2)))
    assert len(aws.results) == 1
    assert slack.replacements == []
    assert slack.notes == ["Your approval is counted. The message will show the decision in a moment."]


@pytest.mark.usefixtures("fresh")
def test_two_people_who_vote_in_the_same_second_take_one_callback_each(
    clicker: Clicker, aws: FakeAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So many at once take their time on a busy machine; giving up is another test's concern.
    monkeypatch.setattr(aws_client, "CONNECT_TIMEOUT", 30)
    monkeypatch.setattr(aws_client, "READ_TIMEOUT", 30)
    monkeypatch.setattr(endpoint, "ANSWER_WITHIN", 60)
    people = [f"U0VOTER{n:02}" for n in range(8)]
    ids = tuple(callback_id(n) for n in range(1, 9))
    aws.open = dict.fromkeys(ids, True)
    payloads = [clicker.payload(user=p, approvers=tuple(people), votes_needed=8, callback_ids=ids) for p in people]
    clicker.send(payloads.pop())  # a warm container
    with ThreadPoolExecutor(7) as pool:
        assert list(pool.map(clicker.send, payloads)) == [OK] * 7
    assert sorted(result["user"]["id"] for _, result in aws.results) == people
    assert sorted(completed for completed, _ in aws.results) == sorted(ids)


def test_the_result_is_small_however_long_the_name_is(clicker: Clicker, aws: FakeAws) -> None:
    payload = clicker.payload()
    payload["user"]["name"] = "\N{SNOWMAN}" * 100_000
    assert clicker.send(payload) == OK
    assert len(json.dumps(aws.results[0][1])) < 2000


@pytest.mark.parametrize(
    "reply",
    [
        aws_error("TooManyRequestsException", 429, "Rate Exceeded."),
        aws_error("InvalidParameterValueException", 400, f"Invalid callback id {callback_id(1)}"),
        aws_error(
            "AccessDeniedException", 403, "not authorized to perform: lambda:SendDurableExecutionCallbackSuccess"
        ),
    ],
    ids=["throttled", "invalid", "denied"],
)
def test_a_click_that_aws_does_not_accept_may_be_tried_again(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack, records: Records, reply: Reply
) -> None:
    aws.server.script.append(reply)
    assert clicker.click() == OK
    assert "nothing was decided. Please try again" in slack.notes[0]
    assert slack.replacements == []
    [record] = records("callback not completed")
    assert record["error_code"] == reply.headers["x-amzn-ErrorType"]

    assert clicker.click() == OK
    assert len(aws.results) == 1


@pytest.mark.parametrize(
    "broken",
    [Reply(drop=True), aws_error("ServiceException", 500), aws_error("KMSDisabledException", 502)],
    ids=["dropped connection", "internal error", "key disabled"],
)
def test_a_failure_in_passing_is_tried_again_at_once(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack, broken: Reply
) -> None:
    aws.server.script.append(broken)
    assert clicker.click() == OK
    assert len(aws.results) == 1
    assert len(slack.replacements) == 1
    assert slack.notes == []


def test_an_answer_that_got_lost_is_neither_called_closed_nor_counted_twice(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack
) -> None:
    """The first attempt took effect but its answer was lost; the second finds the callback closed, by ourselves."""
    aws.open = {callback_id(1): False, callback_id(2): True}
    aws.server.script.append(Reply(drop=True))
    assert clicker.click(callback_ids=(callback_id(1), callback_id(2))) == OK
    assert aws.results == []
    assert "not certain" in slack.notes[0]
    assert slack.replacements == []


def test_an_aws_that_keeps_failing_leaves_it_open_whether_the_click_counted(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack
) -> None:
    aws.server.script.extend([aws_error("ServiceException", 500)] * 2)
    assert clicker.click() == OK
    assert len(aws.server.calls) == 2
    assert "not certain" in slack.notes[0]
    assert slack.replacements == []


def test_a_slow_aws_is_given_up_in_time_for_a_note(clicker: Clicker, aws: FakeAws, slack: FakeSlack) -> None:
    aws.server.script.extend([Reply(hold=True)] * 3)
    assert clicker.click() == OK
    assert aws.server.holding == aws.server.calls
    assert len(aws.server.calls) == 1
    assert "not certain" in slack.notes[0]


def test_one_attempt_and_a_note_fit_into_the_time_that_slack_waits() -> None:
    attempt = aws_client.CONNECT_TIMEOUT + aws_client.READ_TIMEOUT
    assert attempt + feedback._AT_LEAST < aws_client.CALL_AND_NOTE + feedback._AT_LEAST
    assert aws_client.CALL_AND_NOTE + feedback._AT_LEAST < deadline.ANSWER_WITHIN + 0.2 < 3


@pytest.mark.usefixtures("fresh")
def test_an_aws_out_of_reach_has_surely_not_counted_the_click(
    clicker: Clicker, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:9")
    assert clicker.click() == OK
    assert "nothing was decided" in slack.notes[0]


def test_a_slow_slack_does_not_undo_a_decision(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "ANSWER_WITHIN", 0.3)
    slack.server.script.append(Reply(hold=True))
    assert clicker.click() == OK
    assert slack.server.holding == slack.server.calls
    assert len(aws.results) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404, {"ok": False, "error": "expired_url"}),
        Reply(200, {"ok": False, "error": "invalid_blocks"}),
        Reply(500),
        Reply(302, headers={"location": "/"}),
        Reply(drop=True),
    ],
    ids=["expired", "refused", "error", "redirect", "dropped"],
)
def test_feedback_that_slack_does_not_take_is_logged_and_does_not_undo_a_decision(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack, records: Records, reply: Reply
) -> None:
    slack.server.script.append(reply)
    assert clicker.click() == OK
    assert len(aws.results) == 1
    assert len(slack.server.calls) == 1
    [record] = records("slack feedback not delivered")
    assert record["what"] == "replacement"


@pytest.mark.parametrize("url", ["http://[::1", "https://127.0.0.1:port/x", "http://127.0.0.1:9/x\n", "http:///x"])
def test_an_address_that_cannot_be_used_does_not_undo_a_decision(clicker: Clicker, aws: FakeAws, url: str) -> None:
    payload = clicker.payload() | {"response_url": url}
    assert clicker.send(payload) == OK
    assert len(aws.results) == 1


def test_a_click_without_its_message_counts_and_leaves_the_message_to_the_durable_function(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack
) -> None:
    payload = clicker.payload()
    del payload["message"]
    assert clicker.send(payload) == OK
    assert len(aws.results) == 1
    assert slack.server.calls == []


def test_an_empty_callback_id_is_not_repeated_by_the_client_library(
    clicker: Clicker, slack: FakeSlack, records: Records
) -> None:
    assert clicker.click(callback_ids=("",)) == OK
    assert "nothing was decided" in slack.notes[0]
    [record] = records("callback not completed")
    assert record["error_code"] == ParamValidationError.__name__


def test_each_click_is_logged_with_who_where_and_what_became_of_it(clicker: Clicker, records: Records) -> None:
    clicker.click(choice="reject")
    [record] = records("click handled")
    expected = {
        "slack_user": APPROVER,
        "slack_team": TEAM,
        "slack_channel": CHANNEL,
        "slack_ts": TS,
        "choice": "reject",
        "outcome": "counted",
    }
    assert {name: record[name] for name in expected} == expected
