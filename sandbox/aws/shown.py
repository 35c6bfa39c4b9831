"""What the page shows of the local AWS, read from the emulators' own memory: asking would be logged and change it."""

import heapq
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from aws_durable_execution_sdk_python_testing.execution import Execution
from moto.awslambda.models import lambda_backends
from moto.logs.models import logs_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends
from moto.stepfunctions.parser.api import ExecutionStatus
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from sandbox.aws.arns import ACCOUNT_ID, DEFAULT_REGION, FunctionReference, function_arn
from sandbox.aws.durable import DurableExecutions
from sandbox.aws.events import EventBus
from sandbox.aws.hiding import Hider, texts_of
from sandbox.aws.histories import failure, iso, present
from sandbox.aws.lambda_control import extra
from sandbox.aws.maintenance import TAG, Bucket, Gate

# Seconds between two looks for something new. The emulators tell nobody of what they do, and most of it happens in
# their own threads; a look takes a few milliseconds.
_LOOK = 0.25
# How the types of Lambda's own log lines begin.
_PLATFORM = "platform."
# What the approval module's task state reads its request from; a definition with it asks for approval.
_ASKS = '"$.approval"'


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function.

    Attributes:
        name: Its name.
        qualifier: Alias or version to invoke.
        durable: Whether it is durable.
        variables: Its environment variables.
        log_group: Where its output goes.
    """

    name: str
    qualifier: str
    durable: bool
    variables: Mapping[str, str]
    log_group: str

    @property
    def arn(self) -> str:
        """What to invoke."""
        return function_arn(self.name, self.qualifier)

    @property
    def asks(self) -> bool:
        """Whether it is an approval gate: durable, and told whom to ask."""
        return self.durable and "APPROVERS" in self.variables

    @property
    def gate(self) -> Gate | None:
        """The maintenance gate that it is; None if it is none."""
        return Gate.of(self.name, self.variables)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A state machine.

    Attributes:
        name: Its name.
        arn: Its ARN.
        tagged: Whether it has the tag that asks for maintenance.
        asks: Whether it asks for approval where its input says what to ask.
        running: How many of its executions run.
    """

    name: str
    arn: str
    tagged: bool
    asks: bool
    running: int


@dataclass(frozen=True, kw_only=True)
class Run:
    """An execution of a state machine or a durable function.

    Attributes:
        arn: Its ARN.
        name: Its name.
        of: Name of the state machine or the function.
        durable: Whether it is a durable execution.
        status: AWS's word for it.
        started: When, ISO 8601.
        ended: When, ISO 8601; None if it runs.
        title: What it asks people, if it does.
        place: Where it is.
        input: JSON.
        output: JSON; None if there is none.
        error: Why it failed; None if it has not.
    """

    arn: str
    name: str
    of: str
    durable: bool
    status: str
    started: str
    ended: str | None
    title: str | None
    place: str
    input: str | None
    output: str | None
    error: str | None

    @property
    def decision(self) -> str | None:
        """What an approval gate decided, or what its task state got; None if it is not about an approval."""
        given = _parsed(self.output)
        inner = given.get("approval_decision", given) if isinstance(given, dict) else None
        found = inner.get("decision") if isinstance(inner, dict) else None
        return found if isinstance(found, str) else None

    @property
    def seconds(self) -> float | None:
        """How long it took; None if it runs."""
        if self.ended is None:
            return None
        return (datetime.fromisoformat(self.ended) - datetime.fromisoformat(self.started)).total_seconds()


@dataclass(frozen=True, kw_only=True)
class Line:
    """What a function logged at once.

    Attributes:
        id: Tells it from all others.
        at: When, ISO 8601.
        level: Level, where it has one.
        text: What it says.
        more: The other fields of a line that is JSON.
        platform: Whether Lambda itself says it.
    """

    id: str
    at: str
    level: str
    text: str
    more: Mapping[str, Any]
    platform: bool = False


class Shown:
    """The local AWS as the page shows it: one account, one region.

    Args:
        executions: Durable executions.
        bus: The event buses.
    """

    def __init__(self, executions: DurableExecutions, bus: EventBus) -> None:
        self._durable = executions
        self._bus = bus

    def wait_for_change(self, seen: str, wait: float) -> str:
        """Return the version of all that there is to be shown.

        Args:
            seen: A version; another one is waited for.
            wait: Seconds to wait at most.
        """
        deadline = time.monotonic() + wait
        while True:
            version = self.version()
            if version != seen or time.monotonic() > deadline:
                return version
            time.sleep(_LOOK)

    def version(self) -> str:
        """Return a text that differs whenever something that can be shown does."""
        functions = self.functions()
        gates = [found.gate for found in functions if found.gate]
        marks = (
            self._bus.changes,
            [(found.arn, sorted(found.variables.items())) for found in functions],
            [(one.seq_counter, one.is_complete, len(one.invocation_completions)) for one in self._durable.all()],
            [(len(_events_of(one)), _status(one)) for one in _executions()],
            [(machine.arn, machine.definition, _tags(machine.arn)) for machine in _machines()],
            [(group, stream.upload_sequence_token) for group in sorted(_groups()) for stream in _streams(group)],
            [Bucket(gate).version() for gate in gates],
        )
        return sha256(repr(marks).encode()).hexdigest()[:16]

    def functions(self) -> list[Function]:
        """Return all functions, by name."""
        backend = lambda_backends[ACCOUNT_ID][DEFAULT_REGION]
        found = []
        for latest in sorted(backend.list_functions(), key=lambda function: function.function_name):
            name = latest.function_name
            aliases = [alias.name for alias in backend.list_aliases(name)]
            reference = FunctionReference(name, None, DEFAULT_REGION)
            found.append(
                Function(
                    name=name,
                    # A durable execution needs one; which one makes no difference where there is no alias.
                    qualifier=aliases[0] if aliases else "$LATEST",
                    durable=self._durable.settings(reference) is not None,
                    variables={key: str(value) for key, value in latest.environment_vars.items()},
                    log_group=extra(latest).get("LoggingConfig", {}).get("LogGroup", f"/aws/lambda/{name}"),
                )
            )
        return found

    def machines(self) -> list[Machine]:
        """Return all state machines, by name."""
        return [
            Machine(
                name=machine.name,
                arn=machine.arn,
                tagged=_tags(machine.arn).get(TAG, "").lower() == "true",
                asks=_ASKS in machine.definition,
                running=sum(_status(one) == "RUNNING" for one in list(machine.executions)),
            )
            for machine in sorted(_machines(), key=lambda one: str(one.name))
        ]

    def runs(self, machine: str | None = None) -> Iterator[Run]:
        """Iterate over the executions of all state machines, or of one, the newest first."""
        found = [one for one in _executions() if machine in (None, one.state_machine.name)]
        return map(_run, sorted(found, key=lambda one: one.start_date, reverse=True))

    def run(self, arn: str) -> tuple[Run, list[Mapping[str, Any]]] | None:
        """Return an execution of a state machine with its history; None if there is no such one."""
        for one in _executions():
            if one.exec_arn == arn:
                return _run(one), list(_events_of(one))
        return None

    def durable_runs(self, function: str | None = None) -> Iterator[Run]:
        """Iterate over the durable executions of all functions, or of one, the newest first."""
        found = [one for one in self._durable.all() if function in (None, one.start_input.function_name)]
        return map(_durable_run, reversed(found))

    def durable_run(self, arn: str) -> tuple[Run, Execution] | None:
        """Return a durable execution, also with all that the emulator knows of it; None if there is no such one."""
        for one in self._durable.all():
            if one.durable_execution_arn == arn:
                return _durable_run(one), one
        return None

    def asker(self, durable: Run) -> str | None:
        """Return the ARN of the execution whose task token a durable execution was given; None if there is none."""
        token = _given_token(durable)
        return next((str(one.exec_arn) for one in _executions() if token in _tokens_of(one)), None)

    def asked(self, arn: str) -> list[Run]:
        """Return the durable executions that were given a task token of an execution."""
        tokens = {token for one in _executions() if one.exec_arn == arn for token in _tokens_of(one)}
        return [run for run in self.durable_runs() if _given_token(run) in tokens]

    def messages(self, arn: str) -> list[tuple[str, str]]:
        """Return channel and timestamp of each Slack message that a durable execution told of in its event."""
        told = [seen["event"]["detail"] for seen in self._bus.seen() if "messages" in seen["event"]["detail"]]
        found = [message for detail in told if detail.get("execution_arn") == arn for message in detail["messages"]]
        return list(dict.fromkeys((message["channel"], message["ts"]) for message in found))

    def lines(self, group: str, limit: int) -> list[Line]:
        """Return what was logged last to a log group, the newest at the end."""
        logged = [(event, stream) for stream in _streams(group) for event in list(stream.events)[-limit:]]
        newest = heapq.nlargest(limit, logged, key=lambda pair: (pair[0].timestamp, pair[0].event_id))
        return [_line(event) for event, _ in reversed(newest)]

    def events(self, limit: int) -> list[dict[str, Any]]:
        """Return the events that passed the buses last, the newest first."""
        return self._bus.latest(limit)[::-1]

    def hider(self) -> Hider:
        """Return what leaves out the task tokens, callback ids and secrets that there are now."""
        tokens = frozenset(token for one in _executions() for token in _tokens_of(one))
        return Hider(tokens, frozenset(_secrets()))


def _machines() -> list[Any]:
    return list(stepfunctions_parser_backends[ACCOUNT_ID][DEFAULT_REGION].state_machines)


def _executions() -> list[Any]:
    return [one for machine in _machines() for one in list(machine.executions)]


def _tags(arn: str) -> dict[str, str]:
    found = stepfunctions_parser_backends[ACCOUNT_ID][DEFAULT_REGION].tagger.get_tag_dict_for_resource(arn)
    return {str(name): str(value) for name, value in found.items()}


def _status(execution: Any) -> str:
    return str((execution.exec_status or ExecutionStatus.RUNNING).value)  # none yet at the very start


def _environment(execution: Any) -> Any:
    return execution.exec_worker.env if execution.exec_worker else None  # neither is there at the very start


def _events_of(execution: Any) -> list[Mapping[str, Any]]:
    env = _environment(execution)
    # get_event_history() copies each event deeply, for every look at every execution.
    return list(env.event_manager._history_event_list) if env else []  # noqa: SLF001


def _tokens_of(execution: Any) -> list[str]:
    env = _environment(execution)
    return list(env.callback_pool_manager._pool) if env else []  # noqa: SLF001 - it can only be asked for one


def _given_token(durable: Run) -> str | None:
    """Return the task token that an approval is to answer."""
    given = _parsed(durable.input)
    token = given.get("task_token") if isinstance(given, dict) else None
    return token if isinstance(token, str) else None


def _groups() -> list[str]:
    return list(logs_backends[ACCOUNT_ID][DEFAULT_REGION].groups)


def _streams(group: str) -> list[Any]:
    found = logs_backends[ACCOUNT_ID][DEFAULT_REGION].groups.get(group)
    return list(found.streams.values()) if found else []


def _secrets() -> Iterator[str]:
    """Iterate over what Secrets Manager and Parameter Store keep secret."""
    for secret in list(dict.values(secretsmanager_backends[ACCOUNT_ID][DEFAULT_REGION].secrets)):
        for version in list(secret.versions.values()):
            yield from texts_of(version.get("secret_string") or "")
    parameters = ssm_backends[ACCOUNT_ID][DEFAULT_REGION]._parameters  # noqa: SLF001 - no public way without decryption
    for history in list(parameters.values()):
        for parameter in list(history):
            if parameter.parameter_type == "SecureString":
                yield from texts_of(parameter.decrypt(parameter.value) or "")


def _run(one: Any) -> Run:
    running = _status(one) == "RUNNING"
    return Run(
        arn=one.exec_arn,
        name=one.name,
        of=one.state_machine.name,
        durable=False,
        status=_status(one),
        started=str(iso(one.start_date)),
        ended=None if running else iso(one.stop_date),
        title=_title(one.input_data, "approval"),
        place=", ".join(present(_events_of(one))) if running else "",
        input=json.dumps(one.input_data),
        output=None if running else one.output,
        error=": ".join(part for part in (one.error, one.cause) if part) or None,
    )


def _durable_run(one: Execution) -> Run:
    operation = one.get_operation_execution_started()
    outcome = one.result
    open_ones = [found for found in list(one.operations)[1:] if found.end_timestamp is None]
    return Run(
        arn=one.durable_execution_arn,
        name=one.start_input.execution_name,
        of=one.start_input.function_name,
        durable=True,
        status=one.current_status().value,
        title=_title(_parsed(one.start_input.input), "request"),
        started=str(iso(operation.start_timestamp)),
        ended=iso(operation.end_timestamp) if one.is_complete else None,
        place="" if one.is_complete else ", ".join(found.name for found in open_ones if found.name),
        input=one.start_input.input,
        output=outcome.result if outcome else None,
        error=failure(outcome.error) if outcome else None,
    )


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text or "")
    except ValueError:
        return None


def _title(given: Any, field: str) -> str | None:
    """Return the title of the request in an input: where the approval gate or its task state looks for it."""
    asked = given.get(field) if isinstance(given, dict) else None
    title = asked.get("title") if isinstance(asked, dict) else None
    return title if isinstance(title, str) else None


def _line(event: Any) -> Line:
    at = datetime.fromtimestamp(event.timestamp / 1000, UTC).isoformat(timespec="milliseconds")
    content = _parsed(event.message)
    if not isinstance(content, dict):
        return Line(id=str(event.event_id), at=at, level="", text=event.message, more={})
    if str(content.get("type")).startswith(_PLATFORM):
        record = content["record"]
        return Line(id=str(event.event_id), at=at, level="", text=content["type"], more=record, platform=True)
    left = {name: value for name, value in content.items() if name not in ("level", "message", "timestamp")}
    text = content.get("message", "")
    return Line(
        id=str(event.event_id),
        at=at,
        level=str(content.get("level", "")),
        text=text if isinstance(text, str) else json.dumps(text),
        more=left,
    )
