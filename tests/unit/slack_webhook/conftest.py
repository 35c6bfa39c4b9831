"""Slack on one side, AWS on the other: real HTTP servers on the loopback, so that the real clients run."""

import base64
import contextlib
import copy
import hashlib
import hmac
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import boto3
import pytest
from moto import mock_aws

from sandbox.slack.server import SlackServer
from sandbox.slack.workspace import ALICE, APPROVALS, APPROVERS_GROUP, App, Workspace
from shared.button import Button
from slack_webhook import handler as entry

FIXTURES = Path(__file__).parents[2] / "fixtures"

REGION: Final = "us-east-2"
SIGNING_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
BOT_TOKEN = "xoxb-2625160776-7377717242018-abcdefghijklmnop"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:123456789012:function:orders-approval"
EXECUTION = f"{FUNCTION_ARN}:2/durable-execution/order-123/9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"
BUCKET = "orders-gates"
TASK_TOKEN = "AAAAKgAAAAIAAAAAAAAAATaskTokenThatNobodyMaySee=="
APPROVER, REQUESTER, STRANGER = "U0123ABCD", "U0456EFGH", "U0NOBODY1"
TEAM, CHANNEL, TS = "T0WORKSPC", "C0123ABCD", "1795615200.000100"
MAINTENANCE_ARN = f"arn:aws:lambda:{REGION}:123456789012:function:orders-maintenance:live"
TRIGGER_ID = "7377717242017.2625160776.f3e5c5297f73a70d5844279fb4e7a26f"
RESPONSE_PATH = f"/actions/{TEAM}/7377717242018/ResponseUrlThatNobodyMaySee"


def callback_id(number: int = 1) -> str:
    """Return an id of AWS's alphabet and of the length that the emulator's ids have."""
    return base64.b64encode(f"callback-{number}-".encode() * 13).decode()


@dataclass
class Reply:
    """One scripted HTTP answer; `hold` keeps it back until the test is over, `drop` closes the connection instead."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    hold: bool = False
    drop: bool = False


def aws_error(code: str, status: int = 400, message: str = "refused") -> Reply:
    """Return an error as the Lambda API sends it."""
    return Reply(status, {"Type": "User", "message": message}, {"x-amzn-ErrorType": code})


@dataclass
class Call:
    """A request that a server has received."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def arguments(self) -> dict[str, list[str]]:
        """Arguments of a form."""
        return parse_qs(self.body.decode()) or self.query


class Server:
    """An HTTP server on a free port that records what it is asked and answers by a function or a script."""

    def __init__(self, respond: Callable[[Call], Reply]) -> None:
        self.calls: list[Call] = []
        self.holding: list[Call] = []
        self.script: deque[Reply | None] = deque()
        self.release = threading.Event()
        self._respond = respond
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # one packet per answer: two would wait for a delayed acknowledgement

            def handle(self) -> None:
                with contextlib.suppress(ConnectionError):  # a client that gave up
                    super().handle()

            def _answer(self) -> None:
                release = server.release
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                parts = urlsplit(self.path)
                headers = {k.lower(): v for k, v in self.headers.items()}
                call = Call(self.command, unquote(parts.path), parse_qs(parts.query), headers, body)
                server.calls.append(call)
                reply = (server.script.popleft() if server.script else None) or server._respond(call)
                if reply.hold:
                    server.holding.append(call)
                    release.wait(20)
                    server.holding.remove(call)
                if reply.drop or reply.hold:
                    self.close_connection = True
                    return
                data = b"" if reply.body is None else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = _answer  # noqa: N815 - the names that the base class looks for

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def reset(self) -> None:
        self.release.set()
        self.release = threading.Event()
        self.calls.clear()
        self.script.clear()

    def stop(self) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class FakeAws:
    """What the function asks of Lambda's durable executions, Step Functions and EventBridge, with AWS's error codes."""

    CALLBACKS: ClassVar[str] = "/2025-12-01/durable-execution-callbacks/"
    EXECUTIONS: ClassVar[str] = "/2025-12-01/durable-executions/"
    FUNCTIONS: ClassVar[str] = "/2015-03-31/functions/"

    def __init__(self) -> None:
        self.server = Server(self._respond)
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        self.server.reset()
        self.open: dict[str, bool] = {callback_id(1): True}
        self.results: list[tuple[str, dict[str, Any]]] = []
        self.executions: dict[str, dict[str, Any]] = {}
        self.history: dict[str, list[dict[str, Any]]] = {}
        self.asked()
        self.tasks: dict[str, bool] = {TASK_TOKEN: True}
        self.failures: list[dict[str, str]] = []
        self.events: list[dict[str, str]] = []
        self.bus_error: str | None = None
        self.invocations: list[tuple[str, dict[str, Any]]] = []
        self.page_size = 1000

    def _respond(self, call: Call) -> Reply:
        by_path = {
            self.CALLBACKS: self._complete,
            self.EXECUTIONS: self._execution,
            self.FUNCTIONS: self._invoke,
        }
        for path, respond in by_path.items():
            if call.path.startswith(path):
                return respond(call)
        if call.headers.get("x-amz-target") == "AWSStepFunctions.SendTaskFailure":
            return self._fail(call)
        if call.headers.get("x-amz-target") == "AWSEvents.PutEvents":
            if self.bus_error:
                return Reply(200, {"FailedEntryCount": 1, "Entries": [{"ErrorCode": self.bus_error}]})
            self.events += call.json["Entries"]
            return Reply(200, {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]})
        return aws_error("UnknownOperationException", 404)

    def _complete(self, call: Call) -> Reply:
        found = call.path.removeprefix(self.CALLBACKS).removesuffix("/succeed")
        if found not in self.open:
            return aws_error("ResourceNotFoundException", 404, f"callback {found} does not exist")
        with self._lock:  # as on AWS a callback is completed once
            was_open, self.open[found] = self.open[found], False
        if not was_open:
            return aws_error("CallbackTimeoutException", 400, f"callback {found} has expired or is closed")
        self.results.append((found, call.json))
        return Reply(200, {})

    def _execution(self, call: Call) -> Reply:
        assert call.query.get("IncludeExecutionData") == ["true"]
        arn = call.path.removeprefix(self.EXECUTIONS).removesuffix("/history")
        if arn not in self.executions:
            return aws_error("ResourceNotFoundException", 404)
        if not call.path.endswith("/history"):
            return Reply(200, self.executions[arn])
        start = int(call.query.get("Marker", ["0"])[0])
        events = self.history[arn]
        page: dict[str, Any] = {"Events": events[start : start + self.page_size]}
        if start + self.page_size < len(events):
            page["NextMarker"] = str(start + self.page_size)
        return Reply(200, page)

    def _invoke(self, call: Call) -> Reply:
        assert call.headers["x-amz-invocation-type"] == "Event"
        self.invocations.append((call.path.removeprefix(self.FUNCTIONS).removesuffix("/invocations"), call.json))
        return Reply(202)

    def _fail(self, call: Call) -> Reply:
        token = call.json["taskToken"]
        if not self.tasks.get(token):
            code = "TaskTimedOut" if token in self.tasks else "InvalidToken"
            return Reply(400, {"__type": code, "message": f"no task waits for {token}"})
        self.tasks[token] = False
        self.failures.append({k: v for k, v in call.json.items() if k != "taskToken"})
        return Reply(200, {})

    def asked(self, **request: Any) -> None:
        """Let the request be open; further arguments are its fields."""
        payload = {"request": {"title": "Deploy v1?", **request}, "task_token": TASK_TOKEN}
        self.executed(EXECUTION, "RUNNING", payload, [])

    def completions(self) -> list[Call]:
        """Return the calls that wanted to complete a callback."""
        return [call for call in self.server.calls if call.path.startswith(self.CALLBACKS)]

    def decided(self, decision: str, users: Sequence[str] = (), **further: Any) -> dict[str, Any]:
        """Let the request be over, and every callback closed; return the decision as the execution returns it."""
        result = {
            "decision": decision,
            "decided_by": [{"id": user, "name": "ada", "at": "2026-11-25T14:08:22.000Z"} for user in users],
            "reason": None,
            "decided_at": "2026-11-25T14:08:22.000Z",
            **further,
        }
        self.open = dict.fromkeys(self.open, False)
        self.executions[EXECUTION] |= {"Status": "SUCCEEDED", "Result": json.dumps(result)}
        return result

    def executed(self, arn: str, status: str, payload: Any, history: list[dict[str, Any]]) -> None:
        """Put an execution there, in the shape of GetDurableExecution and GetDurableExecutionHistory."""
        self.executions[arn] = {
            "DurableExecutionArn": arn,
            "DurableExecutionName": "order-123",
            "FunctionArn": FUNCTION_ARN,
            "InputPayload": json.dumps(payload),
            "StartTimestamp": 1795615200.0,
            "EndTimestamp": 1795615300.0,
            "Status": status,
            "Version": "2",
            "ExecutionDataIncluded": True,
        }
        self.history[arn] = [{**item, "EventId": n} for n, item in enumerate(history, start=1)]


def step(name: str, result: Any) -> dict[str, Any]:
    """Return the history event of a step that succeeded."""
    details = {"Result": {"Payload": json.dumps(result), "Truncated": False}, "RetryDetails": {"CurrentAttempt": 1}}
    return {
        "EventType": "StepSucceeded",
        "Name": name,
        "Id": hashlib.sha256(name.encode()).hexdigest()[:32],
        "EventTimestamp": 1795615201.0,
        "StepSucceededDetails": details,
    }


NO_SUCH_GROUP = {"ok": False, "error": "no_such_subteam"}


class FakeSlack:
    """`response_url` and the Web API."""

    def __init__(self) -> None:
        self.server = Server(self._respond)
        self.reset()

    def reset(self) -> None:
        self.server.reset()
        self.api_error: str | None = None
        self.groups: dict[str, list[str]] = {}

    def _respond(self, call: Call) -> Reply:
        if call.path.startswith("/api/"):
            if call.headers.get("authorization") != f"Bearer {BOT_TOKEN}":
                return Reply(200, {"ok": False, "error": "invalid_auth"})
            if self.api_error:
                return Reply(200, {"ok": False, "error": self.api_error})
            if call.path == "/api/usergroups.users.list":
                [group] = call.arguments["usergroup"]
                found = group in self.groups
                return Reply(200, {"ok": found, "users": self.groups[group]} if found else NO_SUCH_GROUP)
            channel = call.json["channel"] if call.path == "/api/chat.postMessage" else CHANNEL
            answer = {"team_id": TEAM, "url": "https://acme.slack.com/", "channel": channel, "ts": TS}
            return Reply(200, {"ok": True, **answer})
        return Reply(200, {"ok": True})

    @property
    def response_url(self) -> str:
        return self.server.url + RESPONSE_PATH

    @property
    def notes(self) -> list[str]:
        """Texts that only the person who clicked has seen."""
        return [call.json["text"] for call in self._feedback() if call.json.get("response_type") == "ephemeral"]

    @property
    def replacements(self) -> list[dict[str, Any]]:
        return [call.json for call in self._feedback() if call.json.get("replace_original")]

    def called(self, method: str) -> list[Call]:
        return [call for call in self.server.calls if call.path == f"/api/{method}"]

    @property
    def updates(self) -> list[dict[str, Any]]:
        return [call.json for call in self.server.calls if call.path == "/api/chat.update"]

    def _feedback(self) -> list[Call]:
        return [call for call in self.server.calls if call.path == RESPONSE_PATH]


@pytest.fixture(scope="module")
def _aws() -> Iterator[FakeAws]:
    fake = FakeAws()
    yield fake
    fake.server.stop()


@pytest.fixture(scope="module")
def _slack() -> Iterator[FakeSlack]:
    fake = FakeSlack()
    yield fake
    fake.server.stop()


@pytest.fixture(scope="module")
def _environment(_aws: FakeAws, _slack: FakeSlack) -> Iterator[None]:
    """The deployed function: its environment, secrets and bucket; like a warm one it lives for several events."""
    environment = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL_EVENTBRIDGE": _aws.server.url,
        "AWS_ENDPOINT_URL_LAMBDA": _aws.server.url,
        "AWS_ENDPOINT_URL_SFN": _aws.server.url,
        "APPROVAL_FUNCTION_ARN": FUNCTION_ARN,
        "BUCKET": BUCKET,
        "ENVIRONMENT": "prod",
        "EVENT_BUS_NAME": "audit",
        "SLACK_API_URL": f"{_slack.server.url}/api/",
    }
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
        boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        secrets = boto3.client("secretsmanager")
        for variable, value in (("SLACK_SIGNING_SECRET_ARN", SIGNING_SECRET), ("SLACK_BOT_TOKEN_ARN", BOT_TOKEN)):
            arn = secrets.create_secret(Name=variable.lower(), SecretString=value)["ARN"]
            patch.setenv(variable, arn)
        forget()
        yield
        forget()


@pytest.fixture
def slack(_slack: FakeSlack) -> Iterator[FakeSlack]:
    _slack.reset()
    yield _slack
    _slack.server.release.set()


@pytest.fixture
def aws(_aws: FakeAws, _environment: None) -> Iterator[FakeAws]:
    _aws.reset()
    yield _aws
    _aws.server.release.set()


@pytest.fixture
def channel(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackServer]:  # noqa: ARG001 - comes first
    """The sandbox's Slack, and a function that gives notices of maintenance in it."""
    app = App(bot_token=BOT_TOKEN, signing_secret=SIGNING_SECRET)
    with SlackServer(Workspace(app)) as server:
        environment = {
            "MAINTENANCE_APPROVERS": json.dumps({"users": [ALICE.id], "groups": [APPROVERS_GROUP]}),
            "MAINTENANCE_CHANNEL": APPROVALS.id,
            "MAINTENANCE_FUNCTION_ARN": MAINTENANCE_ARN,
            "SLACK_API_URL": f"{server.url}/api/",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        forget()
        yield server
    forget()


@pytest.fixture
def fresh(_environment: None) -> Iterator[None]:
    """A cold function, that no later test meets either."""
    forget()
    yield
    forget()


def forget() -> None:
    """Let the next event start cold."""
    entry._endpoint.cache_clear()
    entry._status_changes.cache_clear()
    entry._notices.cache_clear()


@pytest.fixture(autouse=True)
def nothing_leaks(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No line of any test's log, with all its fields, holds what nobody may see."""
    caplog.set_level(logging.DEBUG)
    yield
    secrets = [
        SIGNING_SECRET,
        BOT_TOKEN,
        TASK_TOKEN,
        "NobodyMaySee",
        TRIGGER_ID,
        '{"button":',
        *(callback_id(n) for n in range(1, 6)),
    ]
    formatter = logging.Formatter()
    for record in caplog.get_records("call"):
        line = formatter.format(record) + repr(record.__dict__)
        assert not [secret for secret in secrets if secret in line], record.name


SINCE = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
ORDER = f"arn:aws:states:{REGION}:123456789012:stateMachine:Order"


def maintenance_event(detail_type: str, **detail: Any) -> dict[str, Any]:
    """Return an event of the maintenance function as EventBridge delivers it; further arguments are of its detail."""
    began = {
        "environment": "prod",
        "scope": "stateMachine",
        "state_machine_arn": ORDER,
        "name": "Order",
        "reason": "The database moves",
        "by": "ada",
        "until": None,
        "since": SINCE,
    }
    over = {"ended_at": SINCE, "ended_by": "bob", "end_reason": None, "resumed": 12, "dead": 0, "quarantined": 0}
    return {
        "version": "0",
        "id": "6a7e8feb-b491-4cf7-a9f1-bf3703467718",
        "detail-type": detail_type,
        "source": "workflow-gates.maintenance",
        "account": "123456789012",
        "time": f"{SINCE[:19]}Z",
        "region": REGION,
        "resources": [MAINTENANCE_ARN.removesuffix(":live")],
        "detail": began | (over if detail_type == "Maintenance Ended" else {}) | detail,
    }


def load(name: str) -> Any:
    """Return a Slack payload."""
    return json.loads((FIXTURES / "slack" / name).read_text())


def http_event(
    body: bytes, *, secret: str = SIGNING_SECRET, timestamp: float | None = None, encoded: bool = True
) -> dict[str, Any]:
    """Return a signed request as the HTTP API passes it on; it encodes forms in base64."""
    event: dict[str, Any] = json.loads((FIXTURES / "http_api" / "slack_interaction.json").read_text())
    stamp = str(int(time.time() if timestamp is None else timestamp))
    digest = hmac.new(secret.encode(), b"v0:" + stamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    event["headers"] |= {
        "content-length": str(len(body)),
        "x-slack-request-timestamp": stamp,
        "x-slack-signature": f"v0={digest}",
    }
    event["isBase64Encoded"] = encoded
    event["body"] = base64.b64encode(body).decode() if encoded else body.decode()
    return event


def form(payload: Mapping[str, Any]) -> bytes:
    return urlencode({"payload": json.dumps(payload)}).encode()


@dataclass
class Clicker:
    """Makes clicks on a message of this fake Slack and sends them to the function."""

    slack: FakeSlack

    def payload(
        self, fixture: str = "block_actions_approve.json", *, user: str | None = None, **button: Any
    ) -> dict[str, Any]:
        """Return the payload of a click; further arguments are fields of the button."""
        payload: dict[str, Any] = copy.deepcopy(load(fixture))
        payload["response_url"] = self.slack.response_url
        if user:
            payload["user"]["id"] = user
        fields: dict[str, Any] = {
            "choice": "approve",
            "execution_arn": EXECUTION,
            "callback_ids": (callback_id(1),),
            "approvers": (APPROVER,),
            "requester": REQUESTER,
            "allow_self_approval": False,
            "team": TEAM,
        }
        fields |= button
        value = Button(**fields).encode()
        payload["actions"][0] |= {"action_id": fields["choice"], "value": value}
        for element in payload["message"]["blocks"][-1]["elements"]:
            element["value"] = value
        return payload

    def click(self, **arguments: Any) -> dict[str, Any] | None:
        return self.send(self.payload(**arguments))

    def submission(self, state: Mapping[str, Any], *, user: str | None = None) -> dict[str, Any]:
        """Return the payload of the submitted modal that was opened last; the state is by block id."""
        view = self.slack.called("views.open")[-1].json["view"]
        payload: dict[str, Any] = copy.deepcopy(load("view_submission.json"))
        payload["view"] |= {name: view[name] for name in ("callback_id", "private_metadata", "blocks")}
        inputs = [block["block_id"] for block in view["blocks"] if block["type"] == "input"]
        empty = {"type": "plain_text_input", "value": None}
        payload["view"]["state"] = {"values": {name: {"answer": state.get(name, empty)} for name in inputs}}
        if user:
            payload["user"]["id"] = user
        return payload

    def submit(self, state: Mapping[str, Any], *, user: str | None = None) -> Any:
        """Submit the modal; return what Slack does with it, None to close it."""
        answer = self.send(self.submission(state, user=user))
        assert answer
        assert answer["statusCode"] == 200
        return json.loads(answer["body"]) if "body" in answer else None

    def send(self, payload: Mapping[str, Any], **arguments: Any) -> dict[str, Any] | None:
        return entry.handler(http_event(form(payload), **arguments), None)


@pytest.fixture
def clicker(aws: FakeAws, slack: FakeSlack) -> Clicker:  # noqa: ARG001 - the function needs AWS
    return Clicker(slack)


@pytest.fixture
def records(caplog: pytest.LogCaptureFixture) -> Callable[[str], list[dict[str, Any]]]:
    """Log lines with a certain text, as dictionaries."""

    def find(message: str) -> list[dict[str, Any]]:
        return [record.__dict__ for record in caplog.get_records("call") if record.getMessage() == message]

    return find
