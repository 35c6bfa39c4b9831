"""A gate over moto's S3 and tags, a Step Functions of tokens, and a clock that stands still."""

import hashlib
import json
import logging
import secrets
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import pytest
from moto import mock_aws

from maintenance.aws import Aws
from maintenance.cloud import (
    Cloud,
    ConflictError,
    Event,
    Execution,
    ExecutionGoneError,
    ListedObject,
    Page,
    StoredObject,
    TaggedPage,
    TaskOverError,
    TokenRefusedError,
)
from maintenance.crew import Crew
from maintenance.flag import Seen
from maintenance.gate import Gate, Limits, Runtime
from maintenance.handler import serve
from maintenance.keys import Keys

BUCKET = "gates-bucket"
REGION: Final = "us-east-2"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:123456789012:function:orders-maintenance:live"

_LONG_AGO = datetime(2029, 1, 1, tzinfo=UTC)

Fault = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


class LocalAws(Aws):
    """AWS by moto; task tokens and asynchronous invocations are kept here."""

    def __init__(self, bucket: str) -> None:
        super().__init__(bucket)
        self.forget()

    def forget(self) -> None:
        self.waiting: set[str] = set()
        self.outputs: dict[str, str] = {}
        self.failures: dict[str, tuple[str, str]] = {}
        self.over: set[str] = set()
        self.issued: list[str] = []
        self.invoked: list[dict[str, Any]] = []
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.executions: dict[str, Execution] = {}

    def create_machine(self, name: str) -> None:
        self._states.create_state_machine(
            name=name,
            definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
            roleArn="arn:aws:iam::123456789012:role/states",
        )

    def issue(self) -> str:
        token = secrets.token_urlsafe(528)  # 704 characters, about as long as those of AWS
        self.issued.append(token)
        self.waiting.add(token)
        return token

    def stop(self, token: str) -> None:
        self.waiting.discard(token)
        self.over.add(token)

    def send_task_success(self, token: str, output: str) -> None:
        self._answer("states:SendTaskSuccess", token)
        self.outputs[token] = output

    def send_task_failure(self, token: str, error: str, cause: str) -> None:
        self._answer("states:SendTaskFailure", token)
        self.failures[token] = (error, cause)

    def _answer(self, operation: str, token: str) -> None:
        if token in self.over:
            raise TaskOverError(operation, "TaskTimedOut")
        if token not in self.waiting:
            raise TokenRefusedError(operation, "InvalidToken")
        self.stop(token)

    def invoke(self, function_arn: str, payload: str) -> None:
        assert function_arn == FUNCTION_ARN
        self.invoked.append(json.loads(payload))

    def put_events(self, events: Sequence[Event], function_arn: str) -> None:
        assert f"{function_arn}:live" == FUNCTION_ARN
        self.told += [(event.detail_type, json.loads(json.dumps(event.detail))) for event in events]


class MemoryAws(LocalAws):
    """The same in memory, for tests of many requests; `test_aws` holds both to one contract."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        super().forget()
        self.objects: dict[str, StoredObject] = {}
        self.machine_tags: dict[str, dict[str, str]] = {}

    def create_machine(self, name: str) -> None:
        pass

    def get_object(self, key: str) -> StoredObject | None:
        return self.objects.get(key)

    def put_object(self, key: str, body: bytes) -> None:
        self._store(key, body)

    def create_object(self, key: str, body: bytes) -> str:
        if key in self.objects:
            raise ConflictError("s3:PutObject", "PreconditionFailed")
        return self._store(key, body)

    def replace_object(self, key: str, body: bytes, etag: str) -> str:
        if key not in self.objects or self.objects[key].etag != etag:
            raise ConflictError("s3:PutObject", "PreconditionFailed")
        return self._store(key, body)

    def delete_object(self, key: str) -> None:
        self.objects.pop(key, None)

    def list_folder(self, folder: str, limit: int, after: str | None = None) -> Page:
        # Every key is cut behind the first slash below the folder; what was cut, or ends there, is a folder.
        inside = [key.removeprefix(folder) for key in self.objects if key.startswith(folder)]
        names = sorted({folder + rest[: rest.find("/") + 1 or None] for rest in inside})
        names = [name for name in names if after is None or name > after]
        shown = names[:limit]
        folders = [name for name in shown if name.endswith("/") and name != folder]
        return Page(
            [ListedObject(key, self.objects[key].etag, _LONG_AGO) for key in shown if key not in folders],
            folders,
            shown[-1] if len(names) > limit else None,
        )

    def describe_execution(self, arn: str) -> Execution:
        if arn not in self.executions:
            raise ExecutionGoneError("states:DescribeExecution", "ExecutionDoesNotExist")
        return self.executions[arn]

    def list_tags(self, machine_arn: str) -> Mapping[str, str]:
        return dict(self.machine_tags.get(machine_arn, {}))

    def tag(self, machine_arn: str, tags: Mapping[str, str]) -> None:
        self.machine_tags.setdefault(machine_arn, {}).update(tags)

    def untag(self, machine_arn: str, names: Sequence[str]) -> None:
        for name in names:
            self.machine_tags.get(machine_arn, {}).pop(name, None)

    def list_tagged(self, tag: str, after: str | None = None) -> TaggedPage:
        assert after is None
        return TaggedPage({arn: dict(tags) for arn, tags in self.machine_tags.items() if tag in tags}, None)

    def _store(self, key: str, body: bytes) -> str:
        self.objects[key] = StoredObject(body, f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"')
        return self.objects[key].etag


class Watched:
    """A cloud whose every request is counted, and can be disturbed by tests."""

    def __init__(self, cloud: LocalAws) -> None:
        self._cloud = cloud
        self.calls: list[str] = []
        self.fault: Fault | None = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._cloud, name)

        def request(*args: Any, **kwargs: Any) -> Any:
            self.calls.append(name)
            return method(*args, **kwargs) if self.fault is None else self.fault(method, args, kwargs)

        return request


@dataclass
class World:
    aws: LocalAws
    prefix: str = "maintenance"
    limits: Limits = field(default_factory=Limits)
    now: datetime = datetime(2030, 1, 1, tzinfo=UTC)
    seconds_left: Callable[[], float] = lambda: 300.0
    names: tuple[str, ...] = ("*",)
    known_flags: dict[str, Seen] = field(default_factory=dict)
    crew: Crew | None = None
    metrics: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watched = Watched(self.aws)

    def disturb(self, request: str, error: BaseException, *, key: str = "", times: int = 1, late: bool = False) -> None:
        """Let a request fail, before or after it took effect; only if its first argument holds `key`."""
        left = times

        def fault(method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            nonlocal left
            if method.__name__ != request or key not in str(args[0]) or not left:
                return method(*args, **kwargs)
            left -= 1
            if late:
                method(*args, **kwargs)
            raise error

        self.watched.fault = fault

    def before(self, request: str, act: Callable[[], object], *, key: str = "", times: int = 1) -> None:
        """Do something just before a request, as a process running beside this one would."""
        left = times

        def fault(method: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            nonlocal left
            if method.__name__ == request and key in str(args[0]) and left:
                left -= 1
                act()
            return method(*args, **kwargs)

        self.watched.fault = fault

    @property
    def keys(self) -> Keys:
        return Keys.below(self.prefix)

    @property
    def gate(self) -> Gate:
        """The gate as a fresh invocation sees it."""
        return Gate(
            cloud=cast("Cloud", self.watched),
            keys=self.keys,
            limits=self.limits,
            names=self.names,
            environment="orders-test",
            known_flags=self.known_flags,
            runtime=Runtime(
                function_arn=FUNCTION_ARN,
                seconds_left=self.seconds_left,
                now=lambda: self.now,
                monotonic=self.monotonic,
                sleep=self.advance,
                crew=self.crew,
                emit=self.emit,
            ),
        )

    def emit(self, record: Mapping[str, Any]) -> None:
        """Keep a record of metrics; none may show a token."""
        self.assert_no_token(json.dumps(record))
        self.metrics.append(dict(record))

    def monotonic(self) -> float:
        return self.now.timestamp()

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def send(self, event: Any) -> dict[str, Any]:
        """Invoke the function; neither answer nor error may show a token."""
        try:
            answer = serve(self.gate, event)
        except Exception:
            self.assert_no_token(traceback.format_exc())
            raise
        self.assert_no_token(json.dumps(answer))
        return answer

    def act(self, action: str, name: str | None = None, **fields: Any) -> dict[str, Any]:
        where = {} if name is None else {"stateMachineArn": self.arn(name)}
        return self.send({"action": action, **where, **fields})

    def check_in(self, name: str = "Order", **more: Any) -> tuple[str, dict[str, Any]]:
        token = self.aws.issue()
        return token, self.send({"taskToken": token, "stateMachineArn": self.arn(name), **more})

    def park(self, count: int, name: str = "Order") -> list[str]:
        tokens = []
        for _ in range(count):
            token, answer = self.check_in(name)
            assert answer["status"] == "maintenance"
            tokens.append(token)
        return tokens

    def tag_event(self, name: str = "Order") -> dict[str, Any]:
        return self.send(
            {
                "version": "0",
                "id": "bddcf1d6-0251-35a1-aab0-adc1fb47c11c",
                "detail-type": "Tag Change on Resource",
                "source": "aws.tag",
                "account": "123456789012",
                "time": "2030-01-01T00:00:00Z",
                "region": REGION,
                "resources": [self.arn(name)],
                "detail": {
                    "changed-tag-keys": ["Maintenance"],
                    "service": "states",
                    "resource-type": "stateMachine",
                    "version": 1.0,
                    "tags": {"Maintenance": "a value that nobody may rely on"},
                },
            }
        )

    @staticmethod
    def execution(name: str = "Order", run: str = "run-1") -> str:
        return f"arn:aws:states:{REGION}:123456789012:execution:{name}:{run}"

    @staticmethod
    def arn(name: str) -> str:
        return f"arn:aws:states:{REGION}:123456789012:stateMachine:{name}"

    def machine(self, *names: str) -> None:
        for name in names:
            self.aws.create_machine(name)

    def tag(self, name: str = "Order", value: str = "true", **more: str) -> None:
        self.aws.tag(self.arn(name), {"Maintenance": value, **more})

    def untag(self, name: str = "Order") -> None:
        self.aws.untag(self.arn(name), ["Maintenance"])

    def tags(self, name: str = "Order") -> Mapping[str, str]:
        return self.aws.list_tags(self.arn(name))

    def flag(self, name: str = "Order") -> dict[str, Any] | None:
        stored = self.aws.get_object(self.keys.flag(name))
        return None if stored is None else json.loads(stored.body)

    def state(self, name: str = "Order") -> str | None:
        flag = self.flag(name)
        return None if flag is None else flag["state"]

    def put_flag(self, state: str, name: str = "Order", **fields: Any) -> None:
        body = {"state": state, "seq": 1, "nonce": secrets.token_hex(), "lease": None, **fields}
        self.put(self.keys.flag(name), json.dumps(body))

    def put(self, key: str, body: str) -> None:
        self.aws.put_object(key, body.encode())

    def below(self, folder: str) -> list[str]:
        page = self.aws.list_folder(folder, 1000)
        assert page.after is None
        return sorted(
            [listed.key for listed in page.objects] + [key for deeper in page.folders for key in self.below(deeper)]
        )

    def parked(self, name: str = "Order") -> list[str]:
        return self.below(self.keys.tasks(name))

    def text(self, key: str) -> str:
        stored = self.aws.get_object(key)
        assert stored is not None
        return stored.body.decode()

    def body(self, key: str) -> Any:
        return json.loads(self.text(key))

    def outputs(self, tokens: list[str]) -> list[str | None]:
        return [
            json.loads(self.aws.outputs[token])["status"] if token in self.aws.outputs else None for token in tokens
        ]

    def assert_no_token(self, text: str) -> None:
        assert not [token for token in self.aws.issued if token[:60] in text], "a task token is shown"


@pytest.fixture(scope="session")
def local_aws() -> Iterator[LocalAws]:
    """One for all tests: making clients takes longer than most of them."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        patch.delenv("AWS_PROFILE", raising=False)
        yield LocalAws(BUCKET)


@pytest.fixture
def no_token_in_logs(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[World], World]]:
    """No test may show a task token in a log line, nor in its fields."""
    caplog.set_level(logging.DEBUG, "maintenance")
    worlds: list[World] = []

    def watch(made: World) -> World:
        worlds.append(made)
        return made

    yield watch
    for made in worlds:
        made.assert_no_token(caplog.text)
        made.assert_no_token(" ".join(str(vars(record)) for record in caplog.records))


@pytest.fixture
def world(local_aws: LocalAws, no_token_in_logs: Callable[[World], World]) -> Iterator[World]:
    """A world with the state machine Order, by moto."""
    local_aws.forget()
    with mock_aws():
        local_aws._s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        made = no_token_in_logs(World(local_aws))
        made.machine("Order")
        yield made


@pytest.fixture
def memory_world(no_token_in_logs: Callable[[World], World]) -> World:
    """A world with the state machine Order, in memory."""
    return no_token_in_logs(World(MemoryAws()))


@pytest.fixture
def tagged(world: World) -> World:
    """A world where Order is in maintenance."""
    world.tag()
    world.tag_event()
    return world
