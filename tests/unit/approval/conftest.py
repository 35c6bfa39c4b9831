"""The approval function in the durable SDK's own emulator, between a Slack and AWS services on the loopback."""

import contextlib
import json
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import fastjsonschema
import pytest
from aws_durable_execution_sdk_python import state
from aws_durable_execution_sdk_python_testing.exceptions import ResourceNotFoundException
from aws_durable_execution_sdk_python_testing.executor import Executor
from aws_durable_execution_sdk_python_testing.runner import (
    DurableFunctionTestResult,
    DurableFunctionTestRunner,
    StepOperation,
)
from moto import mock_aws
from moto.backends import get_backend

from approval import handler as entry
from approval.deployment import deployment
from shared.button import Button, Choice
from shared.click import Click
from tests.unit.conftest import HttpServer, Reply, SlackApi

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient

BUCKET = "orders-gates"
BOT_TOKEN = "xoxb-2625160776-7377717242018-BotTokenThatNobodyMaySee"
TASK_TOKEN = "AAAAKgAAAAIAAAAAAAAAATaskTokenThatNobodyMaySee=="
APPROVER, REQUESTER = "U0123ABCD", "U0456EFGH"
CHANNEL = "C0123ABCD"
CLICKED_AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
check_decision = fastjsonschema.compile(
    json.loads((Path(entry.__file__).parent / "decision.schema.json").read_text("utf-8"))
)


class StepFunctions:
    """Takes one answer per task, as Step Functions does; scripted replies come first."""

    def __init__(self) -> None:
        self.calls = 0
        self.answers: list[tuple[str, dict[str, str]]] = []
        self.replies: deque[Reply] = deque()
        self._server = HttpServer(self._respond)
        self.url = self._server.url

    def close(self) -> None:
        self._server.close()

    def _respond(self, _: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.calls += 1
        if self.replies:
            return self.replies.popleft()
        answer = json.loads(body)
        if any(answer["taskToken"] == earlier["taskToken"] for _, earlier in self.answers):
            return aws_error("TaskTimedOut")
        self.answers.append((headers["x-amz-target"].removeprefix("AWSStepFunctions."), answer))
        return Reply(body={})


class Events:
    """An event bus; scripted replies come first."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.replies: deque[Reply] = deque()
        self._server = HttpServer(self._respond)
        self.url = self._server.url

    def close(self) -> None:
        self._server.close()

    def details(self, detail_type: str) -> list[dict[str, Any]]:
        return [json.loads(entry["Detail"]) for entry in self.taken if entry["DetailType"] == detail_type]

    def _respond(self, _: str, headers: Mapping[str, str], body: bytes) -> Reply:
        assert headers["x-amz-target"] == "AWSEvents.PutEvents"
        if self.replies:
            return self.replies.popleft()
        self.taken += json.loads(body)["Entries"]
        return Reply(body={"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})


@dataclass(frozen=True)
class Aws:
    """Clients of what the tests look into."""

    s3: "S3Client"
    secrets: "SecretsManagerClient"

    def reset(self) -> None:
        for backend in ("s3", "secretsmanager"):
            for region in get_backend(backend)["123456789012"].values():
                region.reset()


def aws_error(code: str, status: int = 400) -> Reply:
    return Reply(status, {"__type": code, "message": f"refused, value was {TASK_TOKEN}"})


@pytest.fixture
def stepfunctions() -> Iterator[StepFunctions]:
    server = StepFunctions()
    yield server
    server.close()


@pytest.fixture
def events() -> Iterator[Events]:
    bus = Events()
    yield bus
    bus.close()


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    """S3 and Secrets Manager: made once, because making clients takes longer than most tests."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_DEFAULT_REGION", "us-west-2")
        yield Aws(s3=boto3.client("s3"), secrets=boto3.client("secretsmanager"))


@pytest.fixture
def environment(
    monkeypatch: pytest.MonkeyPatch, aws: Aws, slack_api: SlackApi, stepfunctions: StepFunctions, events: Events
) -> Iterator[pytest.MonkeyPatch]:
    """Set up what Terraform deploys."""
    for name, value in {
        "AWS_DEFAULT_REGION": "us-west-2",
        "AWS_ENDPOINT_URL_SFN": stepfunctions.url,
        "AWS_ENDPOINT_URL_EVENTBRIDGE": events.url,
        "EVENT_BUS_NAME": "audit",
        "SLACK_API_URL": slack_api.url,
        "SLACK_CHANNEL": CHANNEL,
        "SLACK_BOT_TOKEN_ARN": aws.secrets.create_secret(Name="slack-bot-token", SecretString=BOT_TOKEN)["ARN"],
        "BUCKET": BUCKET,
        "ENVIRONMENT": "staging",
        "EXECUTION_TIMEOUT_SECONDS": "900",
        "DEFAULT_TIMEOUT_SECONDS": "600",
        "APPROVERS": json.dumps([APPROVER]),
    }.items():
        monkeypatch.setenv(name, value)
    aws.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    deployment.cache_clear()
    yield monkeypatch
    deployment.cache_clear()
    aws.reset()


class ClosedError(Exception):
    """No callback of the button is open any more."""


@dataclass
class Gate:
    """The deployed function with people in front of it."""

    runner: DurableFunctionTestRunner
    slack_api: SlackApi
    results: list[DurableFunctionTestResult] = field(default_factory=list)

    def ask(self, title: str = "Deploy v1?", task_token: str | None = None, **request: Any) -> str:
        """Start an execution with a request and return its ARN."""
        event: dict[str, Any] = {"request": {"title": title, **request}}
        return self.start(event | ({"task_token": task_token} if task_token else {}))

    def start(self, event: Any) -> str:
        """Start an execution with any input and return its ARN."""
        return self.runner.run_async(input=json.dumps(event))

    def wait(self, arn: str) -> str:
        """Wait until the execution does nothing but wait for a click, and return its callback id."""
        self.wait_for(arn, "StepSucceeded", "post")
        return self.runner.wait_for_callback(arn, name="vote-1", timeout=10)

    def wait_for(self, arn: str, event_type: str, name: str) -> None:
        """Wait until an operation has come so far."""
        deadline = time.monotonic() + 10
        while not any(
            event.event_type == event_type and event.name == name
            for event in self.runner.get_execution_history(arn).events
        ):
            assert time.monotonic() < deadline, f"{event_type} of {name} did not happen"
            time.sleep(0.005)  # the emulator tells nobody

    def click(self, arn: str, choice: Choice = "approve") -> None:
        """Click a button of the newest message once the execution waits for it."""
        callback_id = self.wait(arn)
        message = self.slack_api.wait_for_message()
        assert all(button.callback_ids == (callback_id,) for button in buttons(message))
        self.click_message(message, choice)

    def click_message(
        self, message: Mapping[str, Any], choice: Choice = "approve", user: str = APPROVER, **answers: Any
    ) -> str:
        """Click a button as the webhook does, whatever the execution is doing; return the callback that took it."""
        result = replace(clicked(message, choice, user), **answers).encode().encode()
        for callback_id in buttons(message)[0].callback_ids:
            with contextlib.suppress(ResourceNotFoundException):
                self.runner.send_callback_success(callback_id, result)
                return callback_id
        raise ClosedError

    def result(self, arn: str) -> DurableFunctionTestResult:
        """Wait for the execution's end."""
        result = self.runner.wait_for_result(arn, timeout=20)
        self.results.append(result)
        return result

    def decision(self, arn: str) -> dict[str, Any]:
        """Wait for the execution's end and return its decision, which conforms to the published schema."""
        result = self.result(arn)
        assert result.status.value == "SUCCEEDED", result.error
        decision: dict[str, Any] = json.loads(str(result.result))
        check_decision(decision)
        return decision

    def failure(self, arn: str) -> str:
        """Wait for the execution's end and return the message of the error that it failed with."""
        result = self.result(arn)
        assert result.status.value == "FAILED"
        assert result.error
        return str(result.error.message)


def buttons(message: Mapping[str, Any]) -> list[Button]:
    """Return the buttons of a message; none where it is locked."""
    elements = [
        element for block in message.get("blocks", ()) if block["type"] == "actions" for element in block["elements"]
    ]
    return [Button.decode(element["value"]) for element in elements]


def clicked(message: Mapping[str, Any], choice: Choice = "approve", user: str = APPROVER) -> Click:
    """Return what the webhook makes of a click."""
    return Click(
        choice=choice,
        user_id=user,
        user_team=SlackApi.team,
        user_name="ann",
        at=CLICKED_AT,
        channel=message["channel"],
        ts=message["ts"],
    )


class Secrecy(logging.Handler):
    """Collects all that is logged, with every field of every record."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._lines: list[str] = []

    @property
    def text(self) -> str:
        return "\n".join(self._lines)

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith(("aws_durable_execution_sdk_python_testing", "asyncio")):
            self._lines.append(f"{self.format(record)} {record.__dict__}")


@pytest.fixture
def make_gate(environment: pytest.MonkeyPatch, slack_api: SlackApi, events: Events) -> Iterator[Callable[..., Gate]]:
    """Make gates; afterwards nothing that they logged, kept or failed with reveals a secret."""
    # Shutdown of an invocation polls every 100 ms; a crashed invocation is repeated after 5 s.
    environment.setattr(state, "_STOP_SIGNAL_POLL_SECONDS", 0.002)
    environment.setattr(Executor, "RETRY_BACKOFF_SECONDS", 0)
    environment.setattr(Executor, "MAX_CONSECUTIVE_FAILED_ATTEMPTS", 20)
    logged = Secrecy()
    root = logging.getLogger()
    environment.setattr(root, "level", logging.DEBUG)
    root.addHandler(logged)
    gates: list[Gate] = []
    with contextlib.ExitStack() as stack:

        def make(*, skip_time: bool = True) -> Gate:
            runner = DurableFunctionTestRunner(entry.handler, poll_interval=0.01, skip_time=skip_time)
            stack.callback(runner._scheduler._loop.close)  # the emulator itself stops it only
            stack.enter_context(contextlib.closing(runner))
            gates.append(Gate(runner, slack_api))
            return gates[-1]

        yield make
    root.removeHandler(logged)
    secrets = {TASK_TOKEN, BOT_TOKEN}
    for message in slack_api.called("chat.postMessage") + slack_api.called("chat.update"):
        secrets |= {callback_id for button in buttons(message) for callback_id in button.callback_ids}
    kept = [(result.result, result.error) for gate in gates for result in gate.results]
    steps = [
        (operation.result, operation.error)
        for gate in gates
        for result in gate.results
        for operation in result.get_all_operations()
        if isinstance(operation, StepOperation)
    ]
    text = logged.text
    for secret in secrets:
        assert secret not in text
        assert secret not in repr(kept)
        assert secret not in repr(steps)
        assert secret not in repr(events.taken)


@pytest.fixture
def gate(make_gate: Callable[..., Gate]) -> Gate:
    return make_gate()
