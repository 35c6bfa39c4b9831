"""What the approval function leaves behind, read by this one: its real handler runs in the SDK's emulator."""

import contextlib
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aws_durable_execution_sdk_python import state
from aws_durable_execution_sdk_python_testing import DurableFunctionTestRunner

from approval import handler as approval
from approval.deployment import deployment
from shared.click import Click
from shared.message import OUTCOME_BLOCK_ID
from slack_webhook import handler as entry
from tests.unit.slack_webhook.conftest import (
    APPROVER,
    CHANNEL,
    EXECUTION,
    REQUESTER,
    TEAM,
    TS,
    Clicker,
    FakeAws,
    FakeSlack,
    callback_id,
)
from tests.unit.slack_webhook.test_status_change import event

PAYLOAD: dict[str, dict[str, Any]] = {
    "request": {
        "title": "Deploy <v1>?",
        "description": "Release of the order service",
        "fields": {"Order": "123"},
        "requester": REQUESTER,
    }
}


@pytest.fixture
def runner(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[DurableFunctionTestRunner]:  # noqa: ARG001
    for name, value in {
        "SLACK_CHANNEL": CHANNEL,
        "EXECUTION_TIMEOUT_SECONDS": "900",
        "DEFAULT_TIMEOUT_SECONDS": "600",
        "APPROVERS": json.dumps([APPROVER]),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(state, "_STOP_SIGNAL_POLL_SECONDS", 0.002)
    deployment.cache_clear()
    runner = DurableFunctionTestRunner(approval.handler, poll_interval=0.01, skip_time=False)
    with contextlib.closing(runner):
        yield runner
    runner._scheduler._loop.close()  # the emulator itself stops it only
    deployment.cache_clear()


def epoch(moment: datetime) -> float:
    return moment.timestamp()


def history_with(runner: DurableFunctionTestRunner, arn: str, step: str) -> list[dict[str, Any]]:
    """Wait until a step has succeeded, and return the execution's history as the API sends it."""
    deadline = time.monotonic() + 10
    while True:
        history = runner._executor.get_execution_history(arn, include_execution_data=True).to_dict()
        if any(e["EventType"] == "StepSucceeded" and e.get("Name") == step for e in history["Events"]):
            events: list[dict[str, Any]] = json.loads(json.dumps(history["Events"], default=epoch))
            return events
        assert time.monotonic() < deadline
        time.sleep(0.01)  # the emulator tells nobody


def vote(user: str) -> bytes:
    """Return what a callback is completed with."""
    click = Click(
        choice="approve",
        user_id=user,
        user_team=TEAM,
        user_name="ada",
        at=datetime(2026, 11, 25, 14, 5, tzinfo=UTC),
        channel=CHANNEL,
        ts=TS,
    )
    return click.encode().encode()


def posted_history(runner: DurableFunctionTestRunner) -> list[dict[str, Any]]:
    """Start a request, wait until it is asked, and return its history."""
    return history_with(runner, runner.run_async(input=json.dumps(PAYLOAD)), "post")


def test_an_execution_that_died_locks_the_message_that_it_had_posted(
    aws: FakeAws, slack: FakeSlack, runner: DurableFunctionTestRunner
) -> None:
    aws.executed(EXECUTION, "STOPPED", PAYLOAD, posted_history(runner))
    [posted] = [call.json for call in slack.server.calls if call.path == "/api/chat.postMessage"]

    entry.handler(event(), None)

    [update] = slack.updates
    assert (update["channel"], update["ts"], update["text"]) == (CHANNEL, TS, posted["text"])
    shown, outcome = update["blocks"][:-1], update["blocks"][-1]
    assert outcome["block_id"] == OUTCOME_BLOCK_ID
    assert shown[:-1] == posted["blocks"][:-2]
    context = posted["blocks"][-2]["elements"][0]["text"]
    account_and_region = "account 123456789012 · us-east-2"  # the emulator's ARN has none
    assert shown[-1]["elements"][0]["text"].startswith(context.split(" · ")[0] + f" · {account_and_region}")


def test_a_click_on_the_message_that_the_approval_function_posted_locks_it(
    aws: FakeAws, slack: FakeSlack, runner: DurableFunctionTestRunner, clicker: Clicker
) -> None:
    posted_history(runner)
    [posted] = [call.json for call in slack.server.calls if call.path == "/api/chat.postMessage"]
    approve, reject = posted["blocks"][-1]["elements"]
    completed = json.loads(approve["value"])["c"]
    aws.open = dict.fromkeys(completed, True)
    payload = clicker.payload()
    payload["message"] |= {"text": posted["text"], "blocks": posted["blocks"]}
    payload["actions"] = [{**reject, "block_id": posted["blocks"][-1]["block_id"], "action_ts": "1795615216.886532"}]

    clicker.send(payload)

    assert callback_id(1) not in completed
    assert [(found, result["decision"]) for found, result in aws.results] == [(completed[0], "reject")]
    [replaced] = slack.replacements
    assert replaced["blocks"][:-1] == posted["blocks"][:-1]
    assert replaced["blocks"][-1]["block_id"] == OUTCOME_BLOCK_ID


def test_a_vote_reaches_the_execution_and_its_death_is_shown_everywhere_and_recorded(
    aws: FakeAws, slack: FakeSlack, runner: DurableFunctionTestRunner, clicker: Clicker
) -> None:
    second = "C0SECOND1"
    asked = {
        **PAYLOAD["request"],
        "quorum": 2,
        "channels": [CHANNEL, second],
        "approvers": {"users": [APPROVER, "U0SECOND1"]},
    }
    arn = runner.run_async(input=json.dumps({"request": asked}))
    history_with(runner, arn, "post-2")
    posted = [call.json for call in slack.called("chat.postMessage")]
    assert [message["channel"] for message in posted] == [CHANNEL, second]
    approve = posted[0]["blocks"][-1]["elements"][0]
    aws.open = dict.fromkeys(json.loads(approve["value"])["c"], True)
    payload = clicker.payload()
    payload["message"] |= {"text": posted[0]["text"], "blocks": posted[0]["blocks"]}
    payload["actions"] = [{**approve, "block_id": posted[0]["blocks"][-1]["block_id"]}]

    clicker.send(payload)

    [(completed, result)] = aws.results
    assert slack.replacements == []
    assert "2 people have to say so" in slack.notes[0]
    runner.send_callback_success(completed, json.dumps(result).encode())
    aws.executed(EXECUTION, "STOPPED", {"request": asked}, history_with(runner, arn, "update-1"))
    slack.server.calls.clear()

    entry.handler(event(), None)

    assert [update["channel"] for update in slack.updates] == [CHANNEL, second]
    [detail] = [json.loads(sent["Detail"]) for sent in aws.events if sent["DetailType"] == "Approval Decided"]
    assert [(vote["id"], vote["decision"]) for vote in detail["votes"]] == [(APPROVER, "approve")]
    assert [message["channel"] for message in detail["messages"]] == [CHANNEL, second]


def test_a_reason_is_asked_by_the_button_that_the_approval_function_posted_and_reaches_it(
    aws: FakeAws, slack: FakeSlack, runner: DurableFunctionTestRunner, clicker: Clicker
) -> None:
    asked = {"request": {**PAYLOAD["request"], "reason": {"on_reject": "required"}}}
    arn = runner.run_async(input=json.dumps(asked))
    history_with(runner, arn, "post")
    [posted] = [call.json for call in slack.called("chat.postMessage")]
    reject = next(e for e in posted["blocks"][-1]["elements"] if e["action_id"] == "reject")
    button = json.loads(reject["value"])
    aws.executed(button["x"], "RUNNING", asked, [])
    aws.open = dict.fromkeys(button["c"], True)
    payload = clicker.payload()
    payload["actions"] = [{**reject, "block_id": posted["blocks"][-1]["block_id"]}]

    clicker.send(payload)
    assert aws.results == []
    assert clicker.submit({"reason": {"type": "plain_text_input", "value": "not on Fridays"}}) is None

    [(completed, result)] = aws.results
    runner.send_callback_success(completed, json.dumps(result).encode())
    history_with(runner, arn, "emit-decided")
    [decided] = [json.loads(sent["Detail"]) for sent in aws.events if sent["DetailType"] == "Approval Decided"]
    assert (decided["decision"], decided["reason"]) == ("rejected", "not on Fridays")


def test_the_decision_of_an_execution_that_could_not_lock_its_message_is_shown_nevertheless(
    aws: FakeAws, slack: FakeSlack, runner: DurableFunctionTestRunner
) -> None:
    arn = runner.run_async(input=json.dumps(PAYLOAD))
    history_with(runner, arn, "post")
    [posted] = [call.json for call in slack.called("chat.postMessage")]
    [completed] = json.loads(posted["blocks"][-1]["elements"][0]["value"])["c"]
    runner.send_callback_success(completed, vote(APPROVER))
    history = history_with(runner, arn, "emit-decided")
    history_with(runner, arn, "close-message")
    before = slack.updates
    aws.executed(EXECUTION, "TIMED_OUT", PAYLOAD, [e for e in history if e.get("Name") != "close-message"])

    entry.handler(event("TIMED_OUT"), None)

    [locked_by_function, locked_by_webhook] = slack.updates
    assert before == [locked_by_function]
    assert locked_by_webhook["blocks"][-1] == locked_by_function["blocks"][-1]
    assert len([sent for sent in aws.events if sent["DetailType"] == "Approval Decided"]) == 1
