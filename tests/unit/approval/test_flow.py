import json
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_durable_execution_sdk_python.lambda_service import ErrorObject

from shared import claims
from shared.records import request_hash
from tests.unit.approval.conftest import (
    APPROVER,
    BUCKET,
    CHANNEL,
    CLICKED_AT,
    REQUESTER,
    TASK_TOKEN,
    Aws,
    Gate,
    StepFunctions,
    aws_error,
    buttons,
)
from tests.unit.conftest import Reply, SlackApi

DROPPED = Reply(drops=True)
AT = "2026-11-24T12:00:00.000Z"  # CLICKED_AT
ACCEPTED_THEN_DROPPED = Reply(drops=True, takes_effect=True)


def refused(code: str) -> Reply:
    return Reply(body={"ok": False, "error": code})


def steps(gate: Gate) -> list[str | None]:
    return [operation.name for operation in gate.results[-1].operations]


def is_locked(message: Mapping[str, Any]) -> bool:
    return not buttons(message) and message["blocks"][-1]["block_id"] == "approval_outcome"


# --- decisions ---


def test_an_approved_request_returns_who_decided_and_when(gate: Gate, slack_api: SlackApi) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    arn = gate.ask()
    gate.click(arn)

    decision = gate.decision(arn)

    message = {
        "channel": CHANNEL,
        "ts": "1795615200.000000",
        "permalink": f"https://acme.slack.com/archives/{CHANNEL}/p1795615200000000",
    }
    assert decision | {"requested_at": None} == {
        "decision": "approved",
        "decided_by": [{"id": APPROVER, "name": "ann", "at": AT}],
        "votes": [{"id": APPROVER, "name": "ann", "at": AT, "decision": "approve", "reason": None}],
        "reason": None,
        "inputs": {},
        "requested_at": None,
        "decided_at": AT,
        "message": message,
        "messages": [message],
        "request_hash": request_hash({"title": "Deploy v1?"}),
        "execution_arn": arn,
    }
    assert before <= datetime.fromisoformat(decision["requested_at"]) <= datetime.now(UTC)
    assert [method for method, _ in slack_api.calls] == ["auth.test", "chat.postMessage", "chat.update"]
    assert steps(gate) == [
        "open",
        "vote-1",
        "post",
        "emit-requested",
        "count-1",
        "decide",
        "emit-decided",
        "close-message",
    ]


def test_a_rejected_request_returns_a_decision_too(gate: Gate) -> None:
    arn = gate.ask()
    gate.click(arn, "reject")

    assert gate.decision(arn)["decision"] == "rejected"


def test_a_request_that_nobody_answers_times_out_when_its_message_says(gate: Gate, slack_api: SlackApi) -> None:
    decision = gate.decision(gate.ask(timeout_seconds=1))

    assert decision["decision"] == "timed_out"
    assert decision["decided_by"] == []
    requested, decided = (datetime.fromisoformat(decision[name]) for name in ("requested_at", "decided_at"))
    assert (decided - requested).total_seconds() == 1
    (message,) = slack_api.messages.values()
    assert is_locked(message)
    assert "Expired without a decision" in json.dumps(message["blocks"])


def test_the_closed_message_says_who_decided_and_keeps_its_metadata(gate: Gate, slack_api: SlackApi) -> None:
    arn = gate.ask()
    gate.click(arn)
    gate.decision(arn)

    (message,) = slack_api.messages.values()
    assert is_locked(message)
    ending = message["blocks"][-1]["elements"][0]["text"]
    assert ending.startswith(f"*✅ Approved* by <@{APPROVER}> <!date^{int(CLICKED_AT.timestamp())}^")
    assert "metadata" not in slack_api.called("chat.update")[0]


def test_a_click_on_a_copy_closes_the_copy_as_well(gate: Gate, slack_api: SlackApi) -> None:
    slack_api.history_is_readable = False
    slack_api.will("chat.postMessage", ACCEPTED_THEN_DROPPED)
    arn = gate.ask()
    gate.wait(arn)
    copy, confirmed = slack_api.messages.values()

    gate.click_message(copy)

    assert gate.decision(arn)["message"]["ts"] == confirmed["ts"]
    assert is_locked(slack_api.messages[copy["ts"]])
    assert is_locked(slack_api.messages[confirmed["ts"]])


# --- what people see and what a click needs ---


def test_the_button_carries_what_the_webhook_needs(gate: Gate, slack_api: SlackApi) -> None:
    arn = gate.ask(approvers={"users": ["U0777", "U0888"]}, requester=REQUESTER, allow_self_approval=True)
    callback_id = gate.wait(arn)

    (message,) = slack_api.messages.values()
    approve, reject = buttons(message)
    assert (approve.choice, reject.choice) == ("approve", "reject")
    for button in (approve, reject):
        assert button.callback_ids == (callback_id,)
        assert button.approvers == ("U0777", "U0888")
        assert button.requester == REQUESTER
        assert button.allow_self_approval
        assert button.team == slack_api.team
    gate.click(arn)
    gate.decision(arn)


def test_the_deployments_approvers_decide_where_the_request_names_none(gate: Gate, slack_api: SlackApi) -> None:
    gate.wait(gate.ask())

    (message,) = slack_api.messages.values()
    approve, _ = buttons(message)
    assert approve.approvers == (APPROVER,)
    assert approve.requester is None
    assert not approve.allow_self_approval


def test_the_message_shows_where_it_comes_from_and_when_it_expires(gate: Gate, slack_api: SlackApi) -> None:
    arn = gate.ask(requester=REQUESTER, fields={"Order": "123"}, description="two\nlines")
    gate.wait(arn)

    (message,) = slack_api.messages.values()
    shown = json.dumps(message["blocks"], ensure_ascii=False)
    for text in ("Deploy v1?", "two\\nlines", "Order\\n123", "*staging*", "123456789012", "us-west-2", REQUESTER):
        assert text in shown
    assert "expires <!date^" in shown
    assert message["channel"] == CHANNEL


def test_a_request_may_go_to_another_channel(gate: Gate, slack_api: SlackApi) -> None:
    gate.wait(gate.ask(channels=["#approvals"]))

    assert slack_api.called("chat.postMessage")[0]["channel"] == "#approvals"


def test_a_callers_text_cannot_mention_link_or_format(gate: Gate, slack_api: SlackApi) -> None:
    hostile = "<!channel> <https://evil.example|click> *bold* &amp;"
    gate.wait(gate.ask(hostile, description=hostile, fields={hostile: hostile}))

    (message,) = slack_api.messages.values()
    for block in message["blocks"]:
        for shown in [block.get("text"), *block.get("fields", [])]:
            if shown:
                assert shown["type"] == "plain_text"
    assert "<!channel>" not in message["text"]
    assert "&lt;!channel&gt;" in message["text"]
    assert message["unfurl_links"] is False


def test_a_long_description_is_cut_with_a_visible_mark(gate: Gate, slack_api: SlackApi) -> None:
    gate.wait(gate.ask(description="x" * 4000))

    (message,) = slack_api.messages.values()
    text = message["blocks"][1]["text"]["text"]
    assert len(text) == 3000
    assert text.endswith("… (truncated)")


# --- delivery ---


@pytest.mark.parametrize(
    ("code", "fix"),
    [
        ("not_in_channel", "invite the app"),
        ("channel_not_found", "invite the app"),
        ("is_archived", "unarchive"),
        ("restricted_action", "administrators"),
        ("missing_scope", "chat:write"),
        ("msg_too_long", "shorten"),
        ("something_new", "https://docs.slack.dev"),
    ],
)
def test_a_refused_message_is_an_undelivered_decision_that_says_what_to_do(
    gate: Gate, slack_api: SlackApi, code: str, fix: str
) -> None:
    slack_api.will("chat.postMessage", refused(code))

    decision = gate.decision(gate.ask())

    assert decision["decision"] == "undelivered"
    assert decision["message"] is None
    assert decision["error"]["code"] == code
    assert code in decision["error"]["message"]
    assert fix in decision["error"]["fix"]
    assert "close-message" not in steps(gate)


def test_a_refused_bot_token_is_an_undelivered_decision(gate: Gate, slack_api: SlackApi) -> None:
    slack_api.will("auth.test", refused("invalid_auth"), refused("invalid_auth"))

    decision = gate.decision(gate.ask())

    assert decision["error"]["code"] == "invalid_auth"
    assert "SLACK_BOT_TOKEN_ARN" in decision["error"]["fix"]


def test_a_rate_limit_is_waited_for_while_the_function_does_not_run(
    make_gate: Callable[..., Gate], slack_api: SlackApi
) -> None:
    gate = make_gate(skip_time=False)
    slack_api.will("chat.postMessage", Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "1"}))
    started = time.monotonic()
    arn = gate.ask()
    gate.click_message(slack_api.wait_for_message())

    assert gate.decision(arn)["decision"] == "approved"
    assert time.monotonic() - started >= 1
    assert len(slack_api.messages) == 1


@pytest.mark.parametrize("reply", [DROPPED, Reply(500, b"oops"), refused("internal_error")])
def test_a_message_that_slack_did_not_take_is_posted_again(gate: Gate, slack_api: SlackApi, reply: Reply) -> None:
    slack_api.will("chat.postMessage", reply)
    arn = gate.ask()
    gate.click(arn)

    assert gate.decision(arn)["decision"] == "approved"
    assert len(slack_api.messages) == 1


def test_a_message_that_slack_took_is_found_by_its_metadata(gate: Gate, slack_api: SlackApi) -> None:
    slack_api.will("chat.postMessage", ACCEPTED_THEN_DROPPED)
    arn = gate.ask()
    gate.click(arn)

    assert gate.decision(arn)["message"]["ts"] == "1795615200.000000"
    assert len(slack_api.messages) == 1
    (look_up,) = slack_api.called("conversations.history")
    assert look_up["channel"] == CHANNEL
    assert look_up["include_all_metadata"] in ("1", "True", "true")
    assert float(look_up["oldest"]) < time.time() - 59


def test_a_message_of_another_request_is_not_taken_for_this_one(gate: Gate, slack_api: SlackApi) -> None:
    gate.wait(gate.ask("Another"))
    slack_api.will("chat.postMessage", DROPPED)
    gate.wait(gate.ask())

    assert len(slack_api.messages) == 2


def test_a_look_up_reads_the_following_pages(gate: Gate, slack_api: SlackApi) -> None:
    page = {"ok": True, "messages": [{"ts": "1.0"}], "response_metadata": {"next_cursor": "next=="}}
    slack_api.will("chat.postMessage", ACCEPTED_THEN_DROPPED)
    slack_api.will("conversations.history", Reply(body=page))
    gate.wait(gate.ask())

    assert len(slack_api.messages) == 1
    assert [call.get("cursor") for call in slack_api.called("conversations.history")] == [None, "next=="]


def test_without_the_right_to_read_history_the_message_is_posted_again(gate: Gate, slack_api: SlackApi) -> None:
    slack_api.history_is_readable = False
    slack_api.will("chat.postMessage", ACCEPTED_THEN_DROPPED)
    gate.wait(gate.ask())

    first, second = slack_api.messages.values()
    assert buttons(first) == buttons(second)


def test_a_look_up_that_fails_is_repeated_rather_than_posting_blindly(gate: Gate, slack_api: SlackApi) -> None:
    slack_api.will("chat.postMessage", ACCEPTED_THEN_DROPPED)
    slack_api.will("conversations.history", DROPPED, Reply(500, b"oops"))
    gate.wait(gate.ask())

    assert len(slack_api.messages) == 1
    assert len(slack_api.called("conversations.history")) == 3


def test_a_click_on_a_message_that_was_never_confirmed_counts(
    make_gate: Callable[..., Gate], slack_api: SlackApi
) -> None:
    gate = make_gate(skip_time=False)
    slack_api.will("chat.postMessage", ACCEPTED_THEN_DROPPED)
    slack_api.will("conversations.history", *[DROPPED] * 5)
    arn = gate.ask()
    message = slack_api.wait_for_message()
    gate.click_message(message)

    decision = gate.decision(arn)

    assert decision["decision"] == "approved"
    assert decision["message"] == {"channel": CHANNEL, "ts": message["ts"], "permalink": None}
    assert is_locked(slack_api.messages[message["ts"]])
    assert len(slack_api.messages) == 1


def test_a_message_that_slack_never_confirms_ends_with_the_request_as_undelivered(
    make_gate: Callable[..., Gate], slack_api: SlackApi
) -> None:
    gate = make_gate(skip_time=False)
    slack_api.will("chat.postMessage", *[DROPPED] * 10)

    # Not 1 s: the emulator loses a retry that is due at the same moment as the callback's timeout.
    decision = gate.decision(gate.ask(timeout_seconds=2))

    assert decision["decision"] == "undelivered"
    assert decision["error"]["code"] == "slack_unavailable"


def test_a_rate_limit_longer_than_the_request_does_not_outlive_it(
    make_gate: Callable[..., Gate], slack_api: SlackApi
) -> None:
    gate = make_gate(skip_time=False)
    slack_api.will("chat.postMessage", Reply(429, {"ok": False}, {"Retry-After": "600"}))

    decision = gate.decision(gate.ask(timeout_seconds=1))

    assert decision["error"]["code"] == "slack_unavailable"
    assert not slack_api.messages


def test_the_workspace_is_asked_for_once_per_container(gate: Gate, slack_api: SlackApi) -> None:
    for _ in range(2):
        gate.wait(gate.ask())

    assert len(slack_api.called("auth.test")) == 1


# --- closing the message ---


@pytest.mark.parametrize("reply", [Reply(429, {"ok": False}, {"Retry-After": "3"}), Reply(503, b""), DROPPED])
def test_closing_the_message_is_repeated(gate: Gate, slack_api: SlackApi, reply: Reply) -> None:
    slack_api.will("chat.update", reply)
    arn = gate.ask()
    gate.click(arn)

    assert gate.decision(arn)["decision"] == "approved"
    (message,) = slack_api.messages.values()
    assert is_locked(message)


@pytest.mark.parametrize("replies", [[refused("cant_update_message")], [DROPPED] * 10])
def test_a_message_that_cannot_be_closed_does_not_change_the_decision(
    gate: Gate, slack_api: SlackApi, replies: list[Reply]
) -> None:
    slack_api.will("chat.update", *replies)
    arn = gate.ask()
    gate.click(arn)

    assert gate.decision(arn)["decision"] == "approved"
    assert len(slack_api.called("chat.update")) == len(replies)


# --- Step Functions tasks ---


def answer(stepfunctions: StepFunctions) -> tuple[str, dict[str, str]]:
    ((operation, arguments),) = stepfunctions.answers
    assert arguments.pop("taskToken") == TASK_TOKEN
    return operation, arguments


def test_a_task_gets_the_approval_as_its_output(gate: Gate, stepfunctions: StepFunctions) -> None:
    arn = gate.ask(task_token=TASK_TOKEN)
    gate.click(arn)

    decision = gate.decision(arn)

    operation, arguments = answer(stepfunctions)
    assert operation == "SendTaskSuccess"
    assert json.loads(arguments["output"]) == decision
    assert steps(gate) == [
        *("open", "claim", "vote-1", "post", "emit-requested"),
        *("count-1", "decide", "answer-task", "emit-decided", "close-message"),
    ]


def test_a_task_fails_with_a_named_error_when_rejected(gate: Gate, stepfunctions: StepFunctions) -> None:
    arn = gate.ask(task_token=TASK_TOKEN)
    gate.click(arn, "reject")

    decision = gate.decision(arn)

    operation, arguments = answer(stepfunctions)
    assert (operation, arguments["error"]) == ("SendTaskFailure", "Approval.Rejected")
    assert json.loads(arguments["cause"]) == decision


def test_a_task_fails_with_a_named_error_when_the_request_times_out(gate: Gate, stepfunctions: StepFunctions) -> None:
    gate.decision(gate.ask(task_token=TASK_TOKEN, timeout_seconds=1))

    assert answer(stepfunctions)[1]["error"] == "Approval.TimedOut"


def test_a_task_fails_with_a_named_error_when_undelivered(
    gate: Gate, stepfunctions: StepFunctions, slack_api: SlackApi
) -> None:
    slack_api.will("chat.postMessage", refused("not_in_channel"))

    gate.decision(gate.ask(task_token=TASK_TOKEN))

    _, arguments = answer(stepfunctions)
    assert arguments["error"] == "Approval.Undelivered"
    assert json.loads(arguments["cause"])["error"]["code"] == "not_in_channel"


def test_a_task_may_succeed_with_any_decision(gate: Gate, stepfunctions: StepFunctions) -> None:
    arn = gate.ask(task_token=TASK_TOKEN, on_not_approved="succeed")
    gate.click(arn, "reject")

    decision = gate.decision(arn)

    operation, arguments = answer(stepfunctions)
    assert operation == "SendTaskSuccess"
    assert json.loads(arguments["output"]) == decision


def test_a_task_is_answered_before_the_message_is_closed(
    gate: Gate, stepfunctions: StepFunctions, slack_api: SlackApi
) -> None:
    slack_api.will("chat.update", *[DROPPED] * 10)
    arn = gate.ask(task_token=TASK_TOKEN)
    gate.click(arn)

    gate.decision(arn)

    assert len(stepfunctions.answers) == 1


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_a_task_that_waits_no_more_does_not_change_the_decision(
    gate: Gate, stepfunctions: StepFunctions, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    stepfunctions.replies.append(aws_error(code))
    arn = gate.ask(task_token=TASK_TOKEN)
    gate.click(arn)

    assert gate.decision(arn)["decision"] == "approved"
    assert stepfunctions.calls == 1
    assert [record.code for record in caplog.records if "does not wait" in record.message] == [code]  # type: ignore[attr-defined]


def test_an_answer_that_aws_does_not_take_is_repeated(gate: Gate, stepfunctions: StepFunctions) -> None:
    stepfunctions.replies.extend([aws_error("AccessDeniedException"), DROPPED, *[aws_error("InternalError", 500)] * 3])
    arn = gate.ask(task_token=TASK_TOKEN)
    gate.click(arn)

    gate.decision(arn)

    assert len(stepfunctions.answers) == 1


def test_an_answer_that_can_never_be_taken_fails_the_execution(gate: Gate, stepfunctions: StepFunctions) -> None:
    stepfunctions.replies.append(aws_error("ValidationException"))
    arn = gate.ask(task_token=TASK_TOKEN)
    gate.click(arn)

    assert "send_task_success: ValidationException" in gate.failure(arn)
    assert stepfunctions.calls == 1


# --- duplicate starts ---


def test_a_duplicate_start_does_nothing(gate: Gate, stepfunctions: StepFunctions, slack_api: SlackApi) -> None:
    first = gate.ask(task_token=TASK_TOKEN)
    gate.wait(first)

    second = gate.result(gate.ask(task_token=TASK_TOKEN))

    assert json.loads(str(second.result)) == {"status": "duplicate", "claimed_by": first}
    assert steps(gate) == ["open", "claim"]
    assert len(slack_api.messages) == 1
    assert not stepfunctions.answers
    gate.click(first)
    assert gate.decision(first)["decision"] == "approved"


def test_a_claim_names_the_execution_and_not_the_token(gate: Gate, aws: Aws) -> None:
    arn = gate.ask(task_token=TASK_TOKEN)
    gate.wait(arn)

    stored = aws.s3.get_object(Bucket=BUCKET, Key=claims.key(TASK_TOKEN))["Body"].read().decode()

    assert json.loads(stored)["execution_arn"] == arn
    assert TASK_TOKEN not in stored


def test_a_claim_that_cannot_be_made_fails_the_execution(gate: Gate, aws: Aws) -> None:
    aws.s3.delete_bucket(Bucket=BUCKET)

    assert "NoSuchBucket" in gate.failure(gate.ask(task_token=TASK_TOKEN))


def test_a_request_without_a_task_claims_nothing(gate: Gate, aws: Aws) -> None:
    gate.wait(gate.ask())

    assert aws.s3.list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


# --- faults ---


def test_an_invalid_request_fails_its_task_and_the_execution(
    gate: Gate, stepfunctions: StepFunctions, slack_api: SlackApi
) -> None:
    message = gate.failure(gate.ask(task_token=TASK_TOKEN, timeout_seconds=0))

    assert message.startswith("request.timeout_seconds is 0 but must be bigger than or equal to 1; expected ")
    operation, arguments = answer(stepfunctions)
    assert (operation, arguments) == ("SendTaskFailure", {"error": "Approval.InvalidRequest", "cause": message})
    assert steps(gate) == ["open", "answer-task"]
    assert not slack_api.calls


def test_an_invalid_request_without_a_task_fails_the_execution(gate: Gate) -> None:
    assert gate.failure(gate.start({"title": "no envelope"})).startswith("the input has no field request")


def test_more_approvers_than_fit_into_a_button_are_refused_before_anything_is_posted(
    gate: Gate, stepfunctions: StepFunctions, slack_api: SlackApi
) -> None:
    users = [f"U{number:010}" for number in range(150)]

    message = gate.failure(gate.ask(task_token=TASK_TOKEN, approvers={"users": users}))

    assert "request.approvers" in message
    assert "150 approvers do not fit into a Slack button" in message
    assert answer(stepfunctions)[1]["error"] == "Approval.InvalidRequest"
    assert not slack_api.calls


def test_a_missing_setting_fails_the_execution_by_its_name(gate: Gate, environment: pytest.MonkeyPatch) -> None:
    environment.delenv("SLACK_CHANNEL")

    assert gate.failure(gate.ask()) == (
        "environment variable SLACK_CHANNEL is not set; set it to the Slack channel of requests that name none"
    )


def test_a_bot_token_that_comes_late_delays_the_request(
    make_gate: Callable[..., Gate], aws: Aws, slack_api: SlackApi
) -> None:
    gate = make_gate(skip_time=False)
    aws.secrets.put_secret_value(SecretId="slack-bot-token", SecretBinary=b"not yet")
    arn = gate.ask()
    gate.wait_for(arn, "StepFailed", "post")

    aws.secrets.put_secret_value(SecretId="slack-bot-token", SecretString="xoxb-late")

    gate.click(arn)
    assert gate.decision(arn)["decision"] == "approved"
    assert set(slack_api.tokens) == {"xoxb-late"}


def test_a_bot_token_that_never_comes_fails_the_execution(gate: Gate, aws: Aws) -> None:
    aws.secrets.delete_secret(SecretId="slack-bot-token", ForceDeleteWithoutRecovery=True)

    message = gate.failure(gate.ask())

    assert message.startswith("cannot read arn:aws:secretsmanager:")
    assert "check that it exists" in message


@pytest.mark.parametrize("result", [b"not JSON", b"{}", None])
def test_a_callback_result_that_is_not_a_click_fails_the_execution(gate: Gate, result: bytes | None) -> None:
    arn = gate.ask()
    gate.runner.send_callback_success(gate.wait(arn), result)

    assert gate.failure(arn) == "the callback's result is not one that the Slack webhook writes"


def test_a_callback_that_somebody_fails_fails_the_execution(gate: Gate) -> None:
    arn = gate.ask()
    error = ErrorObject(message=TASK_TOKEN, type="Custom", data=None, stack_trace=None)
    gate.runner.send_callback_failure(gate.wait(arn), error)

    assert gate.failure(arn).startswith("the callback vote-1 was failed from outside")
