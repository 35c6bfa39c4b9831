"""What this function can be asked, read from the event that Lambda hands in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from maintenance.check_in import InvalidCheckInError
from maintenance.machines import Home, Machine, MachineArnError
from maintenance.source import TAG
from maintenance.tasks import LONGEST_TOKEN, ParkedTask, output_text
from maintenance.timestamps import from_text
from shared.errors import WorkflowGatesError

LONGEST_NOTE = 1000
"""Characters of `reason` and `by`: enough to read in a status, and it keeps a flag small."""

_ACTIONS = {
    "begin": {"stateMachineArn", "scope", "reason", "until", "by", "scheduledAt", "durationSeconds"},
    "drain": {"stateMachineArn"},
    "end": {"stateMachineArn", "scope", "reason", "by", "since"},
    "replay": {"stateMachineArn"},
    "status": {"stateMachineArn"},
    "sweep": set[str](),
}
_CHECK_IN = ("taskToken", "stateMachineArn", "executionArn", "stateName", "timeoutSeconds", "output")
_LONGEST_STATE_NAME = 80  # characters; Step Functions Developer Guide, Amazon States Language: state names
_LONGEST_TIMEOUT = 99_999_999  # seconds; Amazon States Language, `TimeoutSeconds` in AWS's implementation
_LONGEST_WINDOW = 366 * 24 * 3600  # seconds; a mistaken unit would keep a gate closed for years
_LONGEST_SHOWN = 40  # characters of an unexpected text in a message: a task token is no longer usable then


class InvalidEventError(WorkflowGatesError):
    """An event that this function does not serve; names field, value and fix."""


@dataclass(frozen=True, slots=True)
class CheckIn:
    """A task asks whether it may proceed."""

    machine: Machine
    task: ParkedTask


@dataclass(frozen=True, slots=True)
class TagChange:
    """The maintenance tag of state machines was set, changed or removed; its value is not taken from here."""

    machines: tuple[Machine, ...]


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin a maintenance, of one state machine or of all (None).

    Attributes:
        window: Whether a schedule begins it, whose window ends at `until`: nobody else's maintenance is shortened.
    """

    machine: Machine | None
    reason: str | None
    by: str | None
    until: datetime | None
    window: bool


@dataclass(frozen=True, slots=True)
class End:
    """End a maintenance, of one state machine or of all (None).

    Attributes:
        since: Only if it began then.
    """

    machine: Machine | None
    reason: str | None
    by: str | None
    since: datetime | None


@dataclass(frozen=True, slots=True)
class DrainNow:
    """Go on with a drain that another invocation handed over."""

    machine: Machine


@dataclass(frozen=True, slots=True)
class Replay:
    """Park dead and quarantined tasks once more."""

    machine: Machine


@dataclass(frozen=True, slots=True)
class ShowStatus:
    """Show the gates of one state machine, or of all (None)."""

    machine: Machine | None


@dataclass(frozen=True, slots=True)
class Sweep:
    """Look after every gate that may need it."""


Request = CheckIn | TagChange | Begin | End | DrainNow | Replay | ShowStatus | Sweep


def parse(event: Any, home: Home, now: datetime) -> Request:
    """Read an event.

    Raises:
        InvalidCheckInError: If a check-in is malformed.
        InvalidEventError: If anything else is.
    """
    if not isinstance(event, dict):
        raise InvalidEventError(f"event: it is {shown(event)}; send a JSON object")
    if "taskToken" in event:
        return _check_in(event, home, now)
    if "action" in event:
        return _action(event, home, now)
    if "detail-type" in event:
        return _tag_change(event, home)
    if "stateMachineArn" in event:
        raise InvalidCheckInError(
            "taskToken: it is missing; a check-in needs the Resource "
            "arn:aws:states:::lambda:invoke.waitForTaskToken and the Payload taskToken.$ = $$.Task.Token"
        )
    raise InvalidEventError(
        f"event: it has none of taskToken (a check-in), action ({', '.join(_ACTIONS)}) "
        f"and detail-type (an EventBridge event), but {_names(event)}"
    )


def shown(value: object) -> str:
    """Return a value as an error message may show it: never so much that it could be a task token."""
    if isinstance(value, str):
        if value.startswith("arn:") or len(value) <= _LONGEST_SHOWN:
            return repr(value[:256])
        return f"a text of {len(value)} characters"
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    return f"a {type(value).__name__}"


def _check_in(event: Mapping[str, Any], home: Home, now: datetime) -> CheckIn:
    token = event["taskToken"]
    if token_of(event) is None:
        what = f"a text of {len(token)} characters" if isinstance(token, str) else f"a {type(token).__name__}"
        raise InvalidCheckInError(
            f"taskToken: it is {what}; pass $$.Task.Token, a text of 1 to {LONGEST_TOKEN} characters"
        )
    if "stateMachineArn" not in event:
        raise InvalidCheckInError("stateMachineArn: it is missing; pass $$.StateMachine.Id")
    if unknown := set(event) - set(_CHECK_IN):
        raise InvalidCheckInError(
            f"{_names(unknown)}: unknown in a check-in; pass {' and '.join(_CHECK_IN[:2])}, "
            f"and, if you like, {', '.join(_CHECK_IN[2:])}"
        )
    try:
        machine = _machine(event["stateMachineArn"], home)
        task = replace(
            ParkedTask.arriving(token, now),
            execution_arn=_execution(event, machine),
            state_name=_state_name(event),
            timeout_seconds=_timeout(event),
            output=_output(event),
        )
    except InvalidEventError as error:
        raise InvalidCheckInError(str(error)) from None
    return CheckIn(machine, task)


def _execution(event: Mapping[str, Any], machine: Machine) -> str | None:
    arn = event.get("executionArn")
    if arn is None:
        return None
    # An execution of a Map Run is ...:execution:<state machine>/<map run>:<id>.
    start = machine.arn.replace(":stateMachine:", ":execution:")
    if not isinstance(arn, str) or not arn.startswith((f"{start}:", f"{start}/")):
        raise InvalidEventError(
            f"executionArn: {shown(arn)} is no execution of {machine.name} in its account and region; "
            "pass $$.Execution.Id"
        )
    return arn


def _state_name(event: Mapping[str, Any]) -> str | None:
    name = event.get("stateName")
    if name is not None and not (isinstance(name, str) and 0 < len(name) <= _LONGEST_STATE_NAME):
        raise InvalidEventError(
            f"stateName: it is {shown(name)}; pass $$.State.Name, a text of 1 to {_LONGEST_STATE_NAME} characters"
        )
    return name


def _timeout(event: Mapping[str, Any]) -> int | None:
    seconds = event.get("timeoutSeconds")
    if seconds is None:
        return None
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 < seconds <= _LONGEST_TIMEOUT:
        raise InvalidEventError(
            f"timeoutSeconds: it is {shown(seconds)}; pass the state's TimeoutSeconds, "
            f"a whole number from 1 to {_LONGEST_TIMEOUT}"
        )
    return seconds


def _output(event: Mapping[str, Any]) -> str | None:
    if "output" not in event:
        return None
    try:
        return output_text(event["output"])
    except ValueError as error:
        raise InvalidEventError(f"output: {error}; pass what the state is to give, or leave it out") from None


def token_of(event: Any) -> str | None:
    """Return the task token of an event, if it could be one."""
    token = event.get("taskToken") if isinstance(event, dict) else None
    return token if isinstance(token, str) and 0 < len(token) <= LONGEST_TOKEN else None


def _action(event: Mapping[str, Any], home: Home, now: datetime) -> Request:
    action = event["action"]
    if not isinstance(action, str) or action not in _ACTIONS:
        raise InvalidEventError(f"action: it is {shown(action)}; use one of {', '.join(_ACTIONS)}")
    if unknown := set(event) - {"action"} - _ACTIONS[action]:
        allowed = ", ".join(sorted(_ACTIONS[action])) or "no other fields"
        raise InvalidEventError(f"{_names(unknown)}: unknown in the action {action}; it takes {allowed}")
    machine = _machine(event["stateMachineArn"], home) if "stateMachineArn" in event else None
    match action:
        case "begin":
            _check_scope(event, machine)
            until, window = _end_of_window(event), True
            if until is None:
                until, window = _until(event, now), False
            return Begin(machine, _note(event, "reason"), _note(event, "by"), until, window)
        case "end":
            _check_scope(event, machine)
            since = _moment("since", event["since"]) if "since" in event else None
            return End(machine, _note(event, "reason"), _note(event, "by"), since)
        case "drain" | "replay":
            if machine is None:
                raise InvalidEventError(f"stateMachineArn: it is missing; name the state machine to {action}")
            return DrainNow(machine) if action == "drain" else Replay(machine)
        case "status":
            return ShowStatus(machine)
        case _:
            return Sweep()


def _check_scope(event: Mapping[str, Any], machine: Machine | None) -> None:
    if "scope" in event and event["scope"] != "all":
        raise InvalidEventError(f"scope: it is {shown(event['scope'])}; use all, or stateMachineArn instead")
    if ("scope" in event) == (machine is not None):
        raise InvalidEventError(
            "stateMachineArn, scope: give exactly one of both: "
            'a stateMachineArn, or "scope": "all" for every state machine'
        )


def _note(event: Mapping[str, Any], name: str) -> str | None:
    note = event.get(name)
    if note is None:
        return None
    if not isinstance(note, str) or len(note) > LONGEST_NOTE:
        raise InvalidEventError(f"{name}: it is {shown(note)}; use a text of at most {LONGEST_NOTE} characters")
    return note


def _until(event: Mapping[str, Any], now: datetime) -> datetime | None:
    text = event.get("until")
    if text is None:
        return None
    until = _moment("until", text)
    if until <= now:
        raise InvalidEventError(f"until: {text} is over; use a time in the future")
    return until


def _end_of_window(event: Mapping[str, Any]) -> datetime | None:
    """Return when a scheduled window ends; it may be over already: schedules are retried."""
    given = {"scheduledAt", "durationSeconds", "until"} & event.keys()
    if given <= {"until"}:
        return None
    if given != {"scheduledAt", "durationSeconds"}:
        raise InvalidEventError(
            f"{', '.join(sorted(given))}: give scheduledAt and durationSeconds together, or until instead of both"
        )
    seconds = event["durationSeconds"]
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 < seconds <= _LONGEST_WINDOW:
        raise InvalidEventError(
            f"durationSeconds: it is {shown(seconds)}; use a whole number from 1 to {_LONGEST_WINDOW}"
        )
    return _moment("scheduledAt", event["scheduledAt"]) + timedelta(seconds=seconds)


def _moment(name: str, text: Any) -> datetime:
    try:
        return from_text(text)
    except (OverflowError, TypeError, ValueError):
        raise InvalidEventError(
            f"{name}: it is {shown(text)}; use ISO 8601 with a time zone, for example 2030-01-01T06:00:00Z"
        ) from None


def _tag_change(event: Mapping[str, Any], home: Home) -> TagChange:
    kind = event["detail-type"]
    if kind != "Tag Change on Resource":
        raise InvalidEventError(
            f"detail-type: it is {shown(kind)}; send only 'Tag Change on Resource' of aws.tag to this function"
        )
    detail, resources = event.get("detail"), event.get("resources")
    if not isinstance(detail, dict) or not isinstance(detail.get("changed-tag-keys"), list):
        raise InvalidEventError("detail.changed-tag-keys: it is missing or no list; send EventBridge's own event")
    if not isinstance(resources, list):
        raise InvalidEventError("resources: it is missing or no list; send EventBridge's own event")
    if TAG not in detail["changed-tag-keys"] or detail.get("resource-type", "stateMachine") != "stateMachine":
        return TagChange(())
    return TagChange(tuple(_machine(arn, home, "resources") for arn in resources))


def _machine(arn: Any, home: Home, name: str = "stateMachineArn") -> Machine:
    if not isinstance(arn, str):
        raise InvalidEventError(f"{name}: it is {shown(arn)}; pass the ARN of a state machine, a text")
    try:
        return home.machine_of(arn)
    except MachineArnError as error:
        raise InvalidEventError(f"{name}: {shown(arn)}: {error}") from None


def _names(names: Any) -> str:
    return ", ".join(shown(name) for name in sorted(names, key=str)) or "nothing"
