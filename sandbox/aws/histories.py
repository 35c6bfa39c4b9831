"""Histories as the page shows them: the states of a state machine's execution, the operations of a durable one."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aws_durable_execution_sdk_python.lambda_service import ErrorObject, Operation, OperationStatus, OperationType
from moto.stepfunctions.parser.api import HistoryEventType

from sandbox.aws.arns import parse_function
from sandbox.aws.hiding import readable

_ENTERED, _EXITED = "StateEntered", "StateExited"
_KINDS = {
    OperationType.CALLBACK: "Callback",
    OperationType.CHAINED_INVOKE: "Invoke",
    OperationType.CONTEXT: "Child context",
    OperationType.STEP: "Step",
    OperationType.WAIT: "Wait",
}
_RUNNING = (OperationStatus.STARTED, OperationStatus.PENDING, OperationStatus.READY)


@dataclass(kw_only=True)
class StateRow:
    """One visit of an execution to a state.

    Attributes:
        name: Name of the state.
        kind: Its type, such as `Task`.
        entered: When, ISO 8601.
        exited: When, ISO 8601; None if it has not.
        status: AWS's word for it.
        note: What it waits for, or why it failed.
        attempts: How often its task was begun.
        functions: Names of the functions that its task invoked.
        input: JSON, set out for people.
        output: JSON, set out for people; None if there is none.
        events: Times and types of its events.
    """

    name: str
    kind: str
    entered: str
    exited: str | None = None
    status: str = "RUNNING"
    note: str = ""
    attempts: int = 0
    functions: list[str] = field(default_factory=list)
    input: str | None = None
    output: str | None = None
    events: list[tuple[str, str]] = field(default_factory=list)

    @property
    def seconds(self) -> float | None:
        """How long it took; None if it has not ended."""
        if self.exited is None:
            return None
        return (datetime.fromisoformat(self.exited) - datetime.fromisoformat(self.entered)).total_seconds()


@dataclass(frozen=True, kw_only=True)
class OperationRow:
    """One operation of a durable execution.

    Attributes:
        depth: Number of child contexts that it is in.
        name: Its name.
        kind: What it is.
        status: AWS's word for it.
        started: When, ISO 8601.
        seconds: How long it took; None if it has not ended.
        note: What it waits for, or which attempt it is.
        result: JSON, set out for people; None if there is none.
        error: Why it failed; None if it has not.
    """

    depth: int
    name: str
    kind: str
    status: str
    started: str | None
    seconds: float | None
    note: str
    result: str | None
    error: str | None


def states(events: Sequence[Mapping[str, Any]], status: str) -> list[StateRow]:
    """Return the states that an execution went through, in the order in which it entered them.

    Args:
        events: Its history, as GetExecutionHistory returns it.
        status: Its status.
    """
    rows: list[StateRow] = []
    of_event: dict[int, StateRow] = {}
    for event in events:
        kind = _kind(event)
        if kind.endswith(_ENTERED):
            details = event["stateEnteredEventDetails"]
            row = StateRow(
                name=details["name"],
                kind=kind.removesuffix(_ENTERED),
                entered=event["timestamp"],
                input=readable(details.get("input")),
            )
            rows.append(row)
        elif kind.endswith(_EXITED):
            row = _exited(rows, event)
        elif event["previousEventId"] in of_event:
            row = of_event[event["previousEventId"]]
            _note(row, kind, event)
        else:
            continue  # of the execution, not of a state
        row.events.append((event["timestamp"], kind))
        of_event[event["id"]] = row
    for row in rows:
        if row.exited is None and status != "RUNNING":
            row.status = status
    return rows


def present(events: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the names of the states that an execution is in."""
    inside: list[str] = []
    for event in events:
        if _kind(event).endswith(_ENTERED):
            inside.append(event["stateEnteredEventDetails"]["name"])
        elif _kind(event).endswith(_EXITED) and event["stateExitedEventDetails"]["name"] in inside:
            inside.remove(event["stateExitedEventDetails"]["name"])
    return inside


def operations(found: Sequence[Operation]) -> list[OperationRow]:
    """Return the operations of a durable execution, each child context before what is in it."""
    inner: dict[str | None, list[Operation]] = {}
    ids = {one.operation_id for one in found}
    execution = {one.operation_id for one in found if one.operation_type is OperationType.EXECUTION}
    for one in found:
        parent = one.parent_id if one.parent_id in ids - execution else None
        inner.setdefault(parent, []).append(one)

    def rows(parent: str | None, depth: int) -> list[OperationRow]:
        shown = []
        for one in inner.get(parent, []):
            if one.operation_type is not OperationType.EXECUTION:
                shown += [_operation(one, depth), *rows(one.operation_id, depth + 1)]
        return shown

    return rows(None, 0)


def failure(error: ErrorObject | None) -> str | None:
    """Return an error in words; None if there is none."""
    if error is None:
        return None
    return ": ".join(part for part in (error.type, error.message) if part) or "no reason given"


def iso(moment: datetime | None) -> str | None:
    """Return a moment in ISO 8601, UTC."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds") if moment else None


def _kind(event: Mapping[str, Any]) -> str:
    return HistoryEventType(event["type"]).value


def _exited(rows: list[StateRow], event: Mapping[str, Any]) -> StateRow:
    details = event["stateExitedEventDetails"]
    row = next(row for row in reversed(rows) if row.name == details["name"] and row.exited is None)
    row.exited, row.output, row.status = event["timestamp"], readable(details.get("output")), "SUCCEEDED"
    row.note = ""
    return row


def _note(row: StateRow, kind: str, event: Mapping[str, Any]) -> None:
    """Note what an event of a task, activity or branch says of its state."""
    if kind == "TaskScheduled":
        row.attempts += 1
        _invoked(row, event["taskScheduledEventDetails"])
    elif kind == "TaskSubmitted":
        row.note = "waits until its task token is answered"
    elif kind.endswith(("Failed", "TimedOut")):
        details = event.get(f"{kind[0].lower()}{kind[1:]}EventDetails") or {}
        row.note = ": ".join(str(details[name]) for name in ("error", "cause") if details.get(name))


def _invoked(row: StateRow, details: Mapping[str, Any]) -> None:
    parameters = json.loads(details.get("parameters") or "{}")
    try:
        name = parse_function(parameters["FunctionName"]).name
    except (KeyError, ValueError):
        return
    if name not in row.functions:
        row.functions.append(name)


def _operation(one: Operation, depth: int) -> OperationRow:
    started, ended = one.start_timestamp, one.end_timestamp
    result, error = _outcome(one)
    return OperationRow(
        depth=depth,
        name=one.name or "",
        kind=_KINDS.get(one.operation_type, one.operation_type.value),
        status=one.status.value,
        started=iso(started),
        seconds=(ended - started).total_seconds() if started and ended else None,
        note=_waiting(one),
        result=readable(result),
        error=failure(error),
    )


def _outcome(one: Operation) -> tuple[str | None, ErrorObject | None]:
    details = one.step_details or one.callback_details or one.context_details or one.chained_invoke_details
    if details is None:
        return None, None
    return details.result, details.error


def _waiting(one: Operation) -> str:
    if one.step_details and one.step_details.attempt > 1:
        return f"attempt {one.step_details.attempt}"
    if one.status in _RUNNING and one.callback_details:
        return "waits for an answer from outside"
    return ""
