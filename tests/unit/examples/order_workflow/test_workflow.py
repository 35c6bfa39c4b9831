"""The order workflow in the durable SDK's own emulator, with a gate that decides as told."""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import fastjsonschema
import pytest
from aws_durable_execution_sdk_python import durable_execution, state
from aws_durable_execution_sdk_python.lambda_service import OperationStatus
from aws_durable_execution_sdk_python_testing.runner import DurableFunctionTestResult, DurableFunctionTestRunner
from moto import mock_aws

import approval.request
from order_workflow import fulfilment, handler
from tests.unit.conftest import Reply, SlackApi

GATE = "shop-approval"
REGION = "us-west-2"  # the emulator's
RESULTS = "C0RESULTS"
TOKEN = "xoxb-2625160776-BotTokenThatNobodyMaySee"
APPROVER, REQUESTER = "U0123ABCD", "U0456EFGH"
REQUEST_SCHEMA = json.loads((Path(approval.request.__file__).parent / "request.schema.json").read_text("utf-8"))


def decided(decision: str, **changes: Any) -> dict[str, Any]:
    by = [{"id": APPROVER, "name": "ann", "at": "2026-11-24T12:00:00.000Z"}]
    people = by if decision in {"approved", "rejected"} else []
    return {"decision": decision, "decided_by": people, "reason": None, "inputs": {}, **changes}


@dataclass
class Shop:
    """The deployed workflow, and what it met."""

    runner: DurableFunctionTestRunner
    slack_api: SlackApi
    decision: Any = None
    questions: list[dict[str, Any]] = field(default_factory=list)

    def gate(self, event: Any, _context: Any) -> Any:
        self.questions.append(event)
        if isinstance(self.decision, Exception):
            raise self.decision
        return self.decision

    def order(self, event: Any, decision: Any = None) -> DurableFunctionTestResult:
        self.decision = decision
        return self.runner.wait_for_result(self.runner.run_async(input=json.dumps(event)), timeout=20)

    def processed(self, event: Any, decision: Any) -> dict[str, Any]:
        result = self.order(event, decision)
        assert result.status.value == "SUCCEEDED", result.error
        value: dict[str, Any] = json.loads(str(result.result))
        return value

    @property
    def announced(self) -> list[tuple[str, str]]:
        return [(m["channel"], m["text"]) for m in self.slack_api.called("chat.postMessage")]


@pytest.fixture(scope="module")
def secret_arn() -> Iterator[str]:
    """Secrets Manager with the bot token: set up once, because that takes longer than most tests."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        yield boto3.client("secretsmanager").create_secret(Name="slack", SecretString=f"{TOKEN}\n")["ARN"]


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch, slack_api: SlackApi, secret_arn: str) -> Iterator[Shop]:
    # Shutdown of an invocation polls every 100 ms.
    monkeypatch.setattr(state, "_STOP_SIGNAL_POLL_SECONDS", 0.002)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with contextlib.ExitStack() as stack:
        for name, value in {
            "APPROVAL_FUNCTION_ARN": f"arn:aws:lambda:{REGION}:123456789012:function:{GATE}:live",
            "RESULTS_CHANNEL": RESULTS,
            "SLACK_API_URL": slack_api.url,
            "SLACK_BOT_TOKEN_ARN": secret_arn,
        }.items():
            monkeypatch.setenv(name, value)
        runner = DurableFunctionTestRunner(handler.handler, poll_interval=0.01, skip_time=True)
        stack.callback(runner._scheduler._loop.close)  # the emulator itself stops it only
        stack.enter_context(contextlib.closing(runner))
        shop = Shop(runner, slack_api)
        runner.register_durable_function(GATE, durable_execution(shop.gate))
        yield shop


def test_an_approved_order_is_processed_and_announced(shop: Shop) -> None:
    decision = decided("approved")
    result = shop.processed({"order_id": "A-123", "requester": REQUESTER}, decision)
    assert result == {
        "order_id": "A-123",
        "status": "processed",
        "decision": decision,
        "receipt": {"shipment": "shipment-A-123"},
    }
    assert shop.announced == [(RESULTS, f":white_check_mark: Order A-123 was processed, approved by <@{APPROVER}>.")]
    assert shop.slack_api.tokens == [TOKEN]


def test_the_gate_is_asked_once_with_a_request_that_it_takes(shop: Shop) -> None:
    shop.processed({"order_id": "123", "requester": REQUESTER}, decided("approved"))
    shop.processed({"order_id": "124"}, decided("approved"))
    first, second = (question["request"] for question in shop.questions)
    assert (first["title"], first["requester"]) == ("Process order 123?", REQUESTER)
    assert "requester" not in second
    for request in (first, second):
        fastjsonschema.validate(REQUEST_SCHEMA, request)


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        (decided("rejected"), f"rejected by <@{APPROVER}>"),
        (decided("timed_out"), "nobody decided in time"),
        (decided("cancelled"), "the request was cancelled"),
        (
            decided("undelivered", error={"code": "not_in_channel", "message": "...", "fix": "..."}),
            "nobody could be asked, because Slack says not_in_channel",
        ),
    ],
    ids=lambda value: value["decision"] if isinstance(value, dict) else "",
)
def test_what_is_not_approved_is_not_processed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, decision: dict[str, Any], text: str
) -> None:
    done: list[str] = []
    monkeypatch.setattr(fulfilment, "process", lambda order: done.append(order.order_id))
    result = shop.processed({"order_id": "123"}, decision)
    assert (result["status"], result["decision"], result["receipt"]) == (decision["decision"], decision, None)
    assert done == []
    assert shop.announced == [(RESULTS, f":no_entry: Order 123 was not processed: {text}.")]


def test_an_approval_by_timeout_names_nobody(shop: Shop) -> None:
    result = shop.processed({"order_id": "123"}, decided("approved", decided_by=[], timed_out=True))
    assert result["status"] == "processed"
    assert "approved by default" in shop.announced[0][1]


def test_processing_is_tried_three_times(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[str] = []

    def flaky(order: Any) -> dict[str, str]:
        attempts.append(order.order_id)
        if len(attempts) < 3:
            raise ConnectionError("the warehouse does not answer")
        return {"shipment": "third time"}

    monkeypatch.setattr(fulfilment, "process", flaky)
    assert shop.processed({"order_id": "123"}, decided("approved"))["receipt"] == {"shipment": "third time"}
    assert attempts == ["123"] * 3
    assert len(shop.questions) == 1


def test_processing_that_keeps_failing_fails_the_execution_and_is_announced(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Any) -> None:
        raise ConnectionError("the warehouse does not answer")

    monkeypatch.setattr(fulfilment, "process", broken)
    result = shop.order({"order_id": "123"}, decided("approved"))
    assert result.status.value == "FAILED"
    assert result.error
    assert "the warehouse does not answer" in str(result.error.message)
    assert [text for _, text in shop.announced] == [
        ":warning: Order 123 failed (ConnectionError); see its durable execution."
    ]


def test_an_approval_that_broke_fails_the_execution_and_processes_nothing(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    monkeypatch.setattr(fulfilment, "process", lambda order: done.append(order.order_id))
    result = shop.order({"order_id": "123"}, RuntimeError("stopped"))
    assert (result.status.value, done) == ("FAILED", [])
    assert [text for _, text in shop.announced] == [
        ":warning: Order 123 failed (RuntimeError); see its durable execution."
    ]


@pytest.mark.parametrize("event", [{}, {"order_id": 7}, {"order_id": "<!here>"}, "123"])
def test_what_is_no_order_fails_at_once_and_asks_nobody(shop: Shop, event: Any) -> None:
    result = shop.order(event)
    assert result.status.value == "FAILED"
    assert result.error
    assert 'start with {"order_id": "123"}' in str(result.error.message)
    assert (shop.questions, shop.announced) == ([], [])


def test_a_result_that_slack_does_not_take_changes_nothing_about_the_order(shop: Shop) -> None:
    shop.slack_api.will("chat.postMessage", *[Reply(body={"ok": False, "error": "not_in_channel"})] * 3)
    result = shop.order({"order_id": "123"}, decided("approved"))
    assert json.loads(str(result.result))["status"] == "processed"
    assert result.get_step("notify-result").status is OperationStatus.FAILED
    assert TOKEN not in repr(result.get_all_operations())
