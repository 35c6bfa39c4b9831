"""Executions that died, through the function's entry point; S3 is moto, the rest speaks as AWS and Slack do."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from shared import claims
from shared.click import Click
from shared.message import OUTCOME_BLOCK_ID
from shared.records import EventRefusedError, request_hash
from shared.slack import SlackError, SlackUnavailableError
from slack_webhook import handler as entry
from slack_webhook.status_change import StatusChangeError
from tests.unit.slack_webhook.conftest import (
    BUCKET,
    EXECUTION,
    FUNCTION_ARN,
    REQUESTER,
    TASK_TOKEN,
    FakeAws,
    FakeSlack,
    Reply,
    aws_error,
    step,
)

Records = Callable[[str], list[dict[str, Any]]]

pytestmark = pytest.mark.usefixtures("slack")

OTHER_EXECUTION = f"{FUNCTION_ARN}:2/durable-execution/order-123/11111111-ea3d-3ffc-b3e5-5ec51c34ffc9"
REQUEST = {
    "title": "Deploy <v1>?",
    "description": "Release of the order service",
    "fields": {"Order": "123"},
    "requester": REQUESTER,
}
POSTED = step("post", {"channel": "C0123ABCD", "ts": "1795615200.000100", "team": "T0WORKSPC", "permalink": None})
STARTED = {"EventType": "ExecutionStarted", "EventTimestamp": 1795615200.0}


def event(status: str = "STOPPED", function: str = f"{FUNCTION_ARN}:2", execution: str = EXECUTION) -> dict[str, Any]:
    """Return the event of https://docs.aws.amazon.com/lambda/latest/dg/durable-monitoring.html."""
    return {
        "version": "0",
        "id": "d019b03c-a8a3-9d58-85de-241e96206538",
        "detail-type": "Durable Execution Status Change",
        "source": "aws.lambda",
        "account": "123456789012",
        "time": "2026-11-25T14:08:22Z",
        "region": "us-east-2",
        "resources": [],
        "detail": {
            "durableExecutionArn": execution,
            "durableExecutionName": "order-123",
            "functionArn": function,
            "status": status,
            "startTimestamp": "2026-11-25T14:00:00.345Z",
            "endTimestamp": "2026-11-25T14:08:22.345Z",
        },
    }


def payload(**changes: Any) -> dict[str, Any]:
    return {"request": REQUEST, "task_token": TASK_TOKEN} | changes


def callback(name: str, result: str) -> dict[str, Any]:
    """Return the history event of a callback that was completed."""
    details = {"Result": {"Payload": result, "Truncated": False}}
    return {"EventType": "CallbackSucceeded", "Name": name, "CallbackSucceededDetails": details}


def owner() -> Any:
    body = boto3.client("s3").get_object(Bucket=BUCKET, Key=claims.key(TASK_TOKEN))["Body"].read()
    return json.loads(body)["execution_arn"]


@pytest.fixture(autouse=True)
def died(aws: FakeAws) -> Iterator[None]:
    aws.executed(EXECUTION, "STOPPED", payload(), [STARTED, POSTED])
    yield
    boto3.client("s3").delete_object(Bucket=BUCKET, Key=claims.key(TASK_TOKEN))


@pytest.mark.parametrize("status", ["STOPPED", "FAILED", "TIMED_OUT"])
@pytest.mark.parametrize("qualifier", ["", ":2", ":live", ":$LATEST"])
def test_the_waiting_task_fails_and_the_message_is_locked(
    aws: FakeAws, slack: FakeSlack, status: str, qualifier: str
) -> None:
    aws.executed(EXECUTION, status, payload(), [STARTED, POSTED])
    assert entry.handler(event(status, FUNCTION_ARN + qualifier), None) is None

    [failure] = aws.failures
    assert failure["error"] == ("Approval.Cancelled" if status == "STOPPED" else "Approval.Failed")
    assert status in failure["cause"]
    assert EXECUTION in failure["cause"]

    [update] = slack.updates
    assert (update["channel"], update["ts"]) == ("C0123ABCD", "1795615200.000100")
    assert [block["type"] for block in update["blocks"]] == ["header", "section", "section", "context", "context"]
    shown = json.dumps(update["blocks"])
    assert "Deploy <v1>?" in shown
    assert "*prod* \\u00b7 account 123456789012 \\u00b7 us-east-2" in shown
    assert REQUESTER in shown
    [outcome] = [block for block in update["blocks"] if block.get("block_id") == OUTCOME_BLOCK_ID]
    said = "Cancelled: the approval was stopped" if status == "STOPPED" else "Stopped before a decision took effect"
    assert said in outcome["elements"][0]["text"]
    assert update["text"] == "Approval requested: Deploy &lt;v1&gt;?"


def test_without_a_task_only_the_message_is_locked(aws: FakeAws, slack: FakeSlack) -> None:
    aws.executed(EXECUTION, "STOPPED", {"request": REQUEST}, [POSTED])
    entry.handler(event(), None)
    assert aws.failures == []
    assert len(slack.updates) == 1


def test_without_a_message_only_the_task_fails(aws: FakeAws, slack: FakeSlack) -> None:
    aws.executed(EXECUTION, "STOPPED", payload(), [STARTED])
    entry.handler(event(), None)
    assert len(aws.failures) == 1
    assert slack.server.calls == []


@pytest.mark.parametrize("result", [{"undelivered": {"code": "x"}, "at": "y"}, {"settled": True}, None, "text"])
def test_a_post_that_was_not_delivered_has_no_message(aws: FakeAws, slack: FakeSlack, result: Any) -> None:
    aws.executed(EXECUTION, "STOPPED", payload(), [step("post", result)])
    entry.handler(event(), None)
    assert len(aws.failures) == 1
    assert slack.server.calls == []


def test_the_message_is_found_on_a_later_page_of_the_history(aws: FakeAws, slack: FakeSlack) -> None:
    aws.page_size = 2
    aws.executed(EXECUTION, "STOPPED", payload(), [STARTED] * 5 + [POSTED])
    entry.handler(event(), None)
    assert len(slack.updates) == 1


def test_a_second_delivery_of_the_event_changes_nothing(aws: FakeAws, slack: FakeSlack, records: Records) -> None:
    entry.handler(event(), None)
    entry.handler(event(), None)
    assert len(aws.failures) == 1
    assert slack.updates[0] == slack.updates[1]
    assert records("task is over already")[0]["error_code"] == "TaskTimedOut"


def test_the_task_of_an_execution_that_never_claimed_it_is_claimed_before_it_fails(aws: FakeAws) -> None:
    entry.handler(event(), None)
    assert owner() == EXECUTION
    assert len(aws.failures) == 1


def test_the_task_of_an_execution_that_had_claimed_it_fails(aws: FakeAws) -> None:
    claims.take(boto3.client("s3"), BUCKET, TASK_TOKEN, EXECUTION, datetime.now(UTC))
    entry.handler(event(), None)
    assert len(aws.failures) == 1


def test_a_task_that_another_execution_claimed_is_left_to_it(aws: FakeAws, slack: FakeSlack, records: Records) -> None:
    claims.take(boto3.client("s3"), BUCKET, TASK_TOKEN, OTHER_EXECUTION, datetime.now(UTC))
    entry.handler(event(), None)
    assert aws.failures == []
    assert records("task left to the execution that claimed it")[0]["owner"] == OTHER_EXECUTION
    assert len(slack.updates) == 1
    assert owner() == OTHER_EXECUTION


APPROVED = {
    "decision": "approved",
    "decided_by": [{"id": "U0123ABCD", "name": "ada", "at": "2026-11-25T14:05:00.000Z"}],
    "reason": "tested",
    "decided_at": "2026-11-25T14:05:00.000Z",
    "execution_arn": EXECUTION,
}
DECIDED = step("decide", APPROVED)
ANSWERED, EMITTED, CLOSED = (
    step("answer-task", {"waited": True}),
    step("emit-decided", None),
    step("close-message", None),
)


@pytest.mark.parametrize(
    ("done", "emitted"), [([ANSWERED], 1), ([EMITTED], 0), ([ANSWERED, EMITTED], 0)], ids=["task", "event", "both"]
)
def test_what_an_execution_left_undone_after_its_decision_took_effect_is_done_as_decided(
    aws: FakeAws, slack: FakeSlack, records: Records, done: list[dict[str, Any]], emitted: int
) -> None:
    aws.executed(EXECUTION, "TIMED_OUT", payload(), [POSTED, DECIDED, *done])
    entry.handler(event("TIMED_OUT"), None)
    assert aws.failures == []
    [update] = slack.updates
    assert update["blocks"][-1]["elements"][0]["text"].startswith("*✅ Approved* by <@U0123ABCD>")
    assert update["blocks"][-1]["elements"][1]["text"] == "tested"
    assert len(records("Approval Decided")) == len(aws.events) == emitted
    for sent in aws.events:
        added = {"execution_status": "TIMED_OUT", "environment": "prod"}
        assert json.loads(sent["Detail"]) == APPROVED | added


def test_an_execution_that_died_when_all_was_done_is_left_as_it_is(aws: FakeAws, slack: FakeSlack) -> None:
    aws.executed(EXECUTION, "STOPPED", payload(), [POSTED, DECIDED, ANSWERED, EMITTED, CLOSED])
    entry.handler(event(), None)
    assert (aws.failures, aws.events, slack.server.calls) == ([], [], [])


def test_a_decision_without_effect_is_none(aws: FakeAws, slack: FakeSlack) -> None:
    aws.executed(EXECUTION, "FAILED", payload(), [POSTED, DECIDED])
    entry.handler(event("FAILED"), None)
    assert aws.failures[0]["error"] == "Approval.Failed"
    assert json.loads(aws.events[0]["Detail"])["decision"] == "failed"
    assert "Stopped before a decision took effect" in json.dumps(slack.updates)


def test_the_task_of_an_input_without_a_request_fails_although_nobody_was_asked(aws: FakeAws, slack: FakeSlack) -> None:
    aws.executed(EXECUTION, "STOPPED", {"task_token": TASK_TOKEN}, [STARTED])
    entry.handler(event(), None)
    assert len(aws.failures) == 1
    assert aws.events == []
    assert slack.server.calls == []


def test_a_request_that_nobody_has_seen_yet_is_recorded_all_the_same(aws: FakeAws) -> None:
    opened = {"EventType": "CallbackStarted", "Name": "vote-1", "EventTimestamp": 1795615200.0}
    aws.executed(EXECUTION, "STOPPED", payload(), [STARTED, opened])
    entry.handler(event(), None)
    assert json.loads(aws.events[0]["Detail"])["messages"] == []


def test_every_place_of_the_message_is_locked(aws: FakeAws, slack: FakeSlack) -> None:
    places = [step(f"post-{n}", {"channel": f"C0PLACE{n}", "ts": f"1795615200.00010{n}"}) for n in (2, 3)]
    refused = step("post-4", {"undelivered": {"code": "not_in_channel"}, "at": "2026-11-25T14:00:00+00:00"})
    aws.executed(EXECUTION, "STOPPED", payload(), [STARTED, POSTED, *places, refused, step("count-1", {"ts": "x"})])
    entry.handler(event(), None)
    assert [(update["channel"], update["ts"]) for update in slack.updates] == [
        ("C0123ABCD", "1795615200.000100"),
        ("C0PLACE2", "1795615200.000102"),
        ("C0PLACE3", "1795615200.000103"),
    ]


def test_a_place_that_slack_does_not_lock_keeps_back_neither_the_others_nor_the_event(
    aws: FakeAws, slack: FakeSlack
) -> None:
    second = step("post-2", {"channel": "C0PLACE2", "ts": "1795615200.000102"})
    aws.executed(EXECUTION, "STOPPED", payload(), [POSTED, second])
    slack.server.script.append(Reply(drop=True))
    with pytest.raises(SlackUnavailableError):
        entry.handler(event(), None)
    assert [update["channel"] for update in slack.updates] == ["C0123ABCD", "C0PLACE2"]
    assert len(aws.failures) == len(aws.events) == 1


def test_an_event_bus_that_does_not_take_the_decision_keeps_back_nothing_and_is_asked_again(
    aws: FakeAws, slack: FakeSlack
) -> None:
    aws.bus_error = "InternalFailure"
    with pytest.raises(EventRefusedError, match="InternalFailure"):
        entry.handler(event(), None)
    assert len(aws.failures) == len(slack.updates) == 1
    aws.bus_error = None
    entry.handler(event(), None)
    assert len(aws.events) == 1


def test_the_first_of_several_failures_is_raised_and_the_others_are_named(
    aws: FakeAws, slack: FakeSlack, records: Records
) -> None:
    aws.bus_error, slack.api_error = "InternalFailure", "internal_error"
    with pytest.raises(EventRefusedError):
        entry.handler(event(), None)
    assert records("another failure")[0]["reason"] == "SlackUnavailableError"


@pytest.mark.parametrize(
    ("status", "decision"), [("STOPPED", "cancelled"), ("FAILED", "failed"), ("TIMED_OUT", "failed")]
)
def test_the_event_bus_and_the_log_get_the_decision(aws: FakeAws, records: Records, status: str, decision: str) -> None:
    click = Click(
        choice="approve",
        user_id="U0123ABCD",
        user_team="T0WORKSPC",
        user_name="ada",
        at=datetime(2026, 11, 25, 14, 5, tzinfo=UTC),
        channel="C0123ABCD",
        ts="1795615200.000100",
        reason="fine",
    )
    later = replace(click, choice="reject", reason=None)
    votes = [callback("vote-1", click.encode()), callback("vote-2", later.encode()), callback("vote-3", "no click")]
    aws.executed(EXECUTION, status, payload(), [STARTED, POSTED, *votes, callback("reminder-1", click.encode())])
    entry.handler(event(status), None)

    [sent] = aws.events
    detail = json.loads(sent.pop("Detail"))
    assert sent == {"EventBusName": "audit", "Source": "workflow-gates.approval", "DetailType": "Approval Decided"}
    place = {"channel": "C0123ABCD", "ts": "1795615200.000100", "permalink": None}
    vote = {"id": "U0123ABCD", "name": "ada", "at": "2026-11-25T14:05:00.000Z", "decision": "approve", "reason": "fine"}
    assert detail == {
        "decision": decision,
        "decided_by": [],
        "votes": [vote],
        "reason": None,
        "inputs": {},
        "requested_at": "2026-11-25T14:00:00.000Z",
        "decided_at": "2026-11-25T14:01:40.000Z",
        "message": place,
        "messages": [place],
        "request_hash": request_hash(REQUEST),
        "execution_arn": EXECUTION,
        "execution_status": status,
        "environment": "prod",
    }
    [record] = records("Approval Decided")
    assert (record["audit"], record["record"]) == (True, detail)


def test_votes_with_reasons_that_are_too_long_for_an_event_are_told_without_them(aws: FakeAws) -> None:
    clicks = [
        Click(
            choice="approve",
            user_id=f"U00000000{number:02}",
            user_team="T0WORKSPC",
            user_name="ada",
            at=datetime(2026, 11, 25, 14, 5, tzinfo=UTC),
            channel="C0123ABCD",
            ts="1795615200.000100",
            reason="\N{BOMB}" * 1000,
        )
        for number in range(39)
    ]
    votes = [callback(f"vote-{number}", click.encode()) for number, click in enumerate(clicks, 1)]
    aws.executed(EXECUTION, "STOPPED", payload(), [STARTED, POSTED, *votes])
    entry.handler(event(), None)

    [sent] = aws.events
    assert len(sent["Detail"]) < 256 * 1024
    detail = json.loads(sent["Detail"])
    assert [(vote["id"], vote["reason"]) for vote in detail["votes"]] == [(click.user_id, None) for click in clicks]
    assert detail["decision_truncated"]


def test_why_it_was_stopped_is_shown_and_recorded(aws: FakeAws, slack: FakeSlack) -> None:
    aws.executions[EXECUTION] |= {"Error": {"ErrorType": "Stopped", "ErrorMessage": "release <withdrawn>"}}
    entry.handler(event(), None)
    assert slack.updates[0]["blocks"][-1]["elements"][1]["text"] == "release <withdrawn>"
    assert json.loads(aws.events[0]["Detail"])["reason"] == "release <withdrawn>"


def test_the_error_of_an_execution_that_failed_is_not_shown(aws: FakeAws, slack: FakeSlack) -> None:
    aws.executed(EXECUTION, "FAILED", payload(), [POSTED])
    aws.executions[EXECUTION] |= {"Error": {"ErrorType": "StepError", "ErrorMessage": "internal"}}
    entry.handler(event("FAILED"), None)
    assert "internal" not in json.dumps(slack.updates)


@pytest.mark.parametrize("known", [True, False])
def test_a_task_that_does_not_wait_any_more_is_logged_and_the_message_locked(
    aws: FakeAws, slack: FakeSlack, records: Records, known: bool
) -> None:
    aws.tasks = {TASK_TOKEN: False} if known else {}
    entry.handler(event(), None)
    assert len(records("task is over already")) == 1
    assert len(slack.updates) == 1


@pytest.mark.parametrize(
    "function", [f"{FUNCTION_ARN}-other:2", "arn:aws:lambda:us-east-2:123456789012:function:somebody-elses:1"]
)
def test_the_event_of_another_function_is_ignored(
    aws: FakeAws, slack: FakeSlack, records: Records, function: str
) -> None:
    entry.handler(event(function=function), None)
    assert aws.server.calls == []
    assert slack.server.calls == []
    assert len(records("status change of another function ignored")) == 1


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED"])
def test_a_status_that_needs_no_work_is_ignored(aws: FakeAws, status: str) -> None:
    entry.handler(event(status), None)
    assert aws.server.calls == []


@pytest.mark.parametrize("status", ["RUNNING", "PAUSED", "SUCCEEDED"])
def test_an_execution_that_lives_is_never_failed_whatever_the_event_says(aws: FakeAws, status: str) -> None:
    aws.executed(EXECUTION, status, payload(), [POSTED])
    with pytest.raises(StatusChangeError, match=status):
        entry.handler(event("STOPPED"), None)
    assert aws.failures == []


@pytest.mark.parametrize("name", ["durableExecutionArn", "functionArn", "status"])
def test_an_event_without_one_of_its_fields_names_the_field(name: str) -> None:
    broken = event()
    del broken["detail"][name]
    with pytest.raises(StatusChangeError, match=name):
        entry.handler(broken, None)


def test_an_event_without_detail_is_an_error() -> None:
    with pytest.raises(StatusChangeError):
        entry.handler(event() | {"detail": None}, None)


def test_an_execution_that_is_gone_is_an_error(aws: FakeAws) -> None:
    aws.executions.clear()
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        entry.handler(event(), None)


def test_an_input_that_lambda_does_not_show_is_an_error_that_names_the_key(aws: FakeAws) -> None:
    del aws.executions[EXECUTION]["InputPayload"]
    with pytest.raises(StatusChangeError, match="kms:Decrypt"):
        entry.handler(event(), None)


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}", '{"request": 1, "task_token": 7}'])
def test_an_input_that_never_was_a_request_needs_nothing(aws: FakeAws, slack: FakeSlack, text: str) -> None:
    aws.executed(EXECUTION, "FAILED", None, [STARTED])
    aws.executions[EXECUTION]["InputPayload"] = text
    entry.handler(event("FAILED"), None)
    assert aws.failures == []
    assert aws.events == []
    assert slack.server.calls == []


def test_a_refusal_of_step_functions_is_raised_by_its_code_and_without_the_token(aws: FakeAws) -> None:
    refusal = Reply(400, {"__type": "AccessDeniedException", "message": f"may not fail {TASK_TOKEN}"})
    aws.server.script.extend([None, None, refusal])
    with pytest.raises(StatusChangeError, match="AccessDeniedException") as caught:
        entry.handler(event(), None)
    assert TASK_TOKEN not in str(caught.value)

    entry.handler(event(), None)
    assert len(aws.failures) == 1


def test_an_error_of_lambda_is_raised_so_that_the_event_comes_again(aws: FakeAws) -> None:
    aws.server.script.append(aws_error("AccessDeniedException", 403))
    with pytest.raises(ClientError):
        entry.handler(event(), None)
    entry.handler(event(), None)
    assert len(aws.failures) == 1


@pytest.mark.parametrize("code", ["message_not_found", "channel_not_found", "is_archived"])
def test_a_message_that_is_gone_is_logged(aws: FakeAws, slack: FakeSlack, records: Records, code: str) -> None:
    slack.api_error = code
    entry.handler(event(), None)
    assert len(aws.failures) == 1
    assert records("message is gone")[0]["error_code"] == code


@pytest.mark.parametrize("code", ["invalid_auth", "internal_error", "ratelimited"])
def test_a_slack_that_does_not_lock_the_message_is_asked_again_with_the_next_delivery(
    aws: FakeAws, slack: FakeSlack, code: str
) -> None:
    slack.api_error = code
    with pytest.raises(SlackError):
        entry.handler(event(), None)
    slack.api_error = None
    entry.handler(event(), None)
    assert len(aws.failures) == 1
    assert len(slack.updates) == 2


def test_a_slack_out_of_reach_is_an_error(slack: FakeSlack) -> None:
    slack.server.script.append(Reply(drop=True))
    with pytest.raises(SlackUnavailableError):
        entry.handler(event(), None)
