"""The approval function in the durable SDK's own emulator, between a Slack and AWS services on the loopback."""

import contextlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import fastjsonschema
import pytest
from aws_durable_execution_sdk_python import state
from aws_durable_execution_sdk_python.lambda_service import LambdaClient
from aws_durable_execution_sdk_python_testing.executor import Executor
from aws_durable_execution_sdk_python_testing.runner import DurableFunctionTestResult, DurableFunctionTestRunner
from moto import mock_aws

from approval import handler as entry
from approval.deployment import deployment
from shared.button import Button
from shared.click import Click
from tests.unit.conftest import HttpServer, Reply, SlackApi

REGION = "us-west-2"
BUCKET = "orders-gates"
BOT_TOKEN = "xoxb-2625160776-7377717242018-BotTokenThatNobodyMaySee"
TASK_TOKEN = "AAAAKgAAAAIAAAAAAAAAATaskTokenThatNobodyMaySee=="
APPROVER, REQUESTER = "U0123ABCD", "U0456EFGH"
CHANNEL = "C0123ABCD"
SCHEMA = json.loads((Path(entry.__file__).parent / "decision.schema.json").read_text("utf-8"))


class StepFunctions:
    """Records the answers to tasks; scripted replies come first."""

    def __init__(self) -> None:
        self.answers: list[tuple[str, dict[str, str]]] = []
        self.replies: deque[Reply] = deque()
        self._server = HttpServer(self._respond)
        self.url = self._server.url

    def close(self) -> None:
        self._server.close()

    def _respond(self, _: str, headers: Mapping[str, str], body: bytes) -> Reply:
        reply = self.replies.popleft() if self.replies else Reply(body={}, takes_effect=True)
        if reply.takes_effect:
            self.answers.append((headers["x-amz-target"].removeprefix("AWSStepFunctions."), json.loads(body)))
        return reply


def aws_error(code: str, status: int = 400) -> Reply:
    return Reply(status, {"__type": code, "message": f"refused, value was {TASK_TOKEN}"})


@pytest.fixture
def stepfunctions() -> Iterator[StepFunctions]:
    server = StepFunctions()
    yield server
    server.close()


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch, slack_api: SlackApi, stepfunctions: StepFunctions
) -> Iterator[pytest.MonkeyPatch]:
    """Set up what Terraform deploys."""
    with mock_aws():
        for name, value in {
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL_SFN": stepfunctions.url,
            "SLACK_API_URL": slack_api.url,
            "SLACK_CHANNEL": CHANNEL,
            "BUCKET": BUCKET,
            "ENVIRONMENT": "staging",
            "EXECUTION_TIMEOUT_SECONDS": "900",
            "DEFAULT_TIMEOUT_SECONDS": "600",
            "APPROVERS": json.dumps([APPROVER]),
        }.items():
            monkeypatch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        secret = boto3.client("secretsmanager").create_secret(Name="slack-bot-token", SecretString=BOT_TOKEN)
        monkeypatch.setenv("SLACK_BOT_TOKEN_ARN", secret["ARN"])
        monkeypatch.setattr(LambdaClient, "_cached_boto_client", None)
        deployment.cache_clear()
        yield monkeypatch
        deployment.cache_clear()


@dataclass
class Gate:
    """The deployed function with people in front of it."""

    runner: DurableFunctionTestRunner
    slack_api: SlackApi
    results: list[DurableFunctionTestResult] = field(default_factory=list)

    def ask(self, event: Any = None, **request: Any) -> str:
        """Start an execution and return its ARN."""
        if event is None:
            token = request.pop("task_token", None)
            event = {"request": {"title": "Deploy v1?"} | request} | ({"task_token": token} if token else {})
        return self.runner.run_async(input=json.dumps(event))

    def buttons(self, ts: str | None = None) -> list[Button]:
        """Return the buttons of a posted message, the first one by default."""
        message = self.slack_api.messages[ts or min(self.slack_api.messages)]
        actions = next(block for block in message["blocks"] if block["type"] == "actions")
        return [Button.decode(element["value"]) for element in actions["elements"]]

    def callback(self, arn: str) -> str:
        """Wait until the execution waits for a click, and return its callback id."""
        return self.runner.wait_for_callback(arn, name="vote-1", timeout=10)

    def click(self, arn: str, choice: str = "approve", ts: str | None = None) -> None:
        """Click a button of a message, the last one by default."""
        callback_id = self.callback(arn)
        self.runner.send_callback_success(callback_id, self.clicked(choice, ts).encode())

    def clicked(self, choice: Any = "approve", ts: str | None = None) -> str:
        return Click(
            choice=choice,
            user_id=APPROVER,
            user_team=self.slack_api.team,
            user_name="ann",
            at=datetime(2026, 11, 24, 12, 0, tzinfo=UTC),
            channel=CHANNEL,
            ts=ts or max(self.slack_api.messages),
        ).encode()

    def result(self, arn: str) -> DurableFunctionTestResult:
        result = self.runner.wait_for_result(arn, timeout=20)
        self.results.append(result)
        return result

    def decision(self, arn: str) -> dict[str, Any]:
        """Wait for the execution's end and return its decision, which conforms to the published schema."""
        result = self.result(arn)
        assert result.status.value == "SUCCEEDED", result.error
        decision: dict[str, Any] = json.loads(str(result.result))
        fastjsonschema.validate(SCHEMA, decision)
        return decision


@pytest.fixture
def make_gate(environment: pytest.MonkeyPatch, slack_api: SlackApi) -> Iterator[Callable[..., Gate]]:
    # Shutdown of an invocation polls every 100 ms; a crashed invocation is repeated after 5 s.
    environment.setattr(state, "_STOP_SIGNAL_POLL_SECONDS", 0.002)
    environment.setattr(Executor, "RETRY_BACKOFF_SECONDS", 0)
    with contextlib.ExitStack() as stack:

        def make(*, skip_time: bool = True) -> Gate:
            runner = DurableFunctionTestRunner(entry.handler, poll_interval=0.01, skip_time=skip_time)
            stack.callback(runner._scheduler._loop.close)  # the emulator itself stops it only
            stack.enter_context(contextlib.closing(runner))
            return Gate(runner, slack_api)

        yield make


@pytest.fixture
def gate(make_gate: Callable[..., Gate]) -> Gate:
    return make_gate()
