"""Tell the event bus what people want to know: once a maintenance has begun, once it is over, and about trouble.

What is told is written into the flag together with what it tells (its `outbox`), sent afterwards, and taken out of the
flag by one more conditional write that leaves its state alone. A crash in between may send it twice, and loses nothing:
whoever refreshes the gate next finds it there.

That write opens no gate: conditional on the ETag that its process has read or written, it comes directly after that
version, so the states that a flag goes through are the same without it. It does not make the process's look at the
source newer than its ETag either: what comes between makes this write fail, and with it the next one, whose ETag is
the old one still (R1). To all others it is like a touch (R4): who has read an older version has to read again.
"""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from maintenance.cloud import CloudError, ConflictError, Event
from maintenance.flag import Counts, Seen, State, Told
from maintenance.gate import Gate
from maintenance.inventory import flag_etags
from maintenance.keys import OVERRIDE
from maintenance.machines import Machine
from maintenance.timestamps import to_text
from shared.logs import logger

BEGAN = "Maintenance Began"
ENDED = "Maintenance Ended"
TROUBLE = "Maintenance Trouble"

_AT_ONCE = 10  # events; EventBridge API reference, PutEvents `Entries`

_log = logger(__name__)


class Trouble(StrEnum):
    """Kinds of trouble."""

    TASKS_DEAD = "tasks_dead"
    TASKS_QUARANTINED = "tasks_quarantined"
    TIMEOUT_NEAR = "timeout_near"
    EXECUTION_LIMIT_NEAR = "execution_limit_near"


def begun(seen: Seen, machine: Machine | None, told: Told) -> Seen:
    """Return the flag with the announcement that a maintenance has begun, unless it was announced.

    It is announced once more with the first reason or person that is known: the event of the tag that the action begin
    sets may come before the action itself has closed the gate.

    Args:
        seen: The flag that is about to be closed.
        machine: The state machine; None for a maintenance of all.
        told: The maintenance.
    """
    before = seen.flag.told
    if before is not None:
        told = replace(told, since=before.since)
        if _has_notes(before) or not _has_notes(told):  # begun again before its last task was resumed: it goes on
            return seen.changed(told=replace(before, ended_at=None, ended_by=None, end_reason=None))
    return _queued(seen.changed(told=told), BEGAN, {**_scope(machine), **_begin(told)})


def ending(seen: Seen, now: datetime, by: str | None, reason: str | None) -> Seen:
    """Return the flag with a note of who has ended its maintenance: it is announced when all tasks are resumed."""
    told = seen.flag.told
    if told is None:
        return seen
    if told.ended_at is not None:  # by somebody unknown, if this one takes the tag's removal first
        known = told.ended_by or told.end_reason
        return seen if known else seen.changed(told=replace(told, ended_by=by, end_reason=reason))
    if by is None and reason is None:
        by, reason = told.ended_by, told.end_reason  # noted before the tag went
    until = seen.flag.until
    if by is None and reason is None and until is not None and until <= now:
        reason = f"it was to end at {to_text(until)}"
    return seen.changed(told=replace(told, ended_at=now, ended_by=by, end_reason=reason))


def note_end(gate: Gate, name: str, by: str | None, reason: str | None) -> None:
    """Note who is about to end a maintenance, and why: the event of the tag that goes may be first to open the gate.

    It changes nothing else. Where the flag cannot be written, or the gate stays closed until the next sweep, nobody is
    named.

    Args:
        gate: The gate.
        name: The state machine's name.
        by: Who.
        reason: Why.
    """
    if by is None and reason is None:
        return
    try:
        seen = gate.flags.read(name)
        told = seen.flag.told
        if told is not None and seen.flag.state is State.CLOSED:
            gate.flags.write(name, seen.changed(told=replace(told, ended_by=by, end_reason=reason)))
    except CloudError as error:
        _log.warning("end not noted: %s", error, extra={"machine": name})


def ended(seen: Seen, machine: Machine | None, now: datetime, tally: Counts | None = None) -> Seen:
    """Return the flag with the announcement that its maintenance has ended, if its begin was announced.

    Args:
        seen: The flag that is about to be opened; of a maintenance of all: that was.
        machine: The state machine; None for a maintenance of all.
        now: The time.
        tally: What became of the parked tasks, if not what the flag says.
    """
    told = seen.flag.told
    if told is None:
        return seen
    counts = tally or seen.flag.tally
    detail = {
        **_scope(machine),
        **_begin(told),
        "ended_at": to_text(told.ended_at or now),
        "ended_by": told.ended_by,
        "end_reason": told.end_reason,
        "resumed": counts.resumed,
        "dead": counts.dead,
        "quarantined": counts.quarantined,
    }
    return _queued(seen.changed(told=None), ENDED, detail)


def lost(seen: Seen, machine: Machine) -> Seen:
    """Return the flag with the announcement of tasks that were not resumed, once per maintenance."""
    tally = seen.flag.tally
    if tally.dead:
        seen = _troubled(
            seen,
            Trouble.TASKS_DEAD,
            machine,
            f"{_tasks(tally.dead)} of {machine.name} could not be resumed: Step Functions calls them over.",
            "See why their executions ended (stopped, timed out). If they still wait, use the action replay.",
        )
    if tally.quarantined:
        seen = _troubled(
            seen,
            Trouble.TASKS_QUARANTINED,
            machine,
            f"{_tasks(tally.quarantined)} of {machine.name} cannot be resumed: there is no valid task token in them.",
            "Look at the objects below ~quarantine/ in the bucket, repair them, and use the action replay.",
        )
    return seen


def trouble(gate: Gate, kind: Trouble, machine: Machine, message: str, fix: str) -> None:
    """Announce trouble with tasks parked behind a closed gate, once per kind and maintenance.

    To be called with every sweep while the cause lasts: what cannot be told now is told then.

    Args:
        gate: The gate.
        kind: What kind of trouble.
        machine: The state machine.
        message: What is wrong; must not hold a task token.
        fix: What to do about it.

    Raises:
        CloudError: If the flag cannot be read.
    """
    seen = gate.flags.read(machine.name)
    if seen.missing or seen.flag.state is not State.CLOSED or kind in seen.flag.troubles:
        return
    try:
        told = gate.flags.write(machine.name, _troubled(seen, kind, machine, message, fix))
    except CloudError as error:
        _log.warning("trouble not announced yet: %s", error, extra={"machine": machine.name, "kind": kind})
        return
    tell(gate, machine.name, told)


def tell(gate: Gate, name: str, seen: Seen) -> Seen:
    """Send what a flag is to tell, and take it out of the flag.

    Args:
        gate: The gate.
        name: The state machine's name, or `OVERRIDE`.
        seen: The flag.

    Returns:
        The flag as it is now, as far as known: its outbox is empty if all was sent.
    """
    outbox = seen.flag.outbox
    if not outbox:
        return seen
    try:
        gate.cloud.put_events(
            [replace(event, detail={"environment": gate.environment, **event.detail}) for event in outbox[:_AT_ONCE]],
            gate.runtime.unqualified_arn,
        )
    except CloudError as error:
        _log.error("not announced, the next sweep tries again: %s", error, extra={"flag": name})
        return seen
    try:
        return gate.flags.write(name, seen, outbox=outbox[_AT_ONCE:])
    except ConflictError:
        pass  # whoever has written it has carried them along, and sends them again
    except CloudError as error:
        _log.warning("announced, and perhaps once more by the next sweep: %s", error, extra={"flag": name})
    return seen.changed(outbox=outbox[_AT_ONCE:])


def tell_of_all(gate: Gate, override: Seen) -> Seen:
    """Send what the override is to tell: that its maintenance has begun, or that no gate is closed by it any more.

    Args:
        gate: The gate.
        override: The override, read before the gates were refreshed.

    Returns:
        The override as it is now, as far as known.

    Raises:
        CloudError: If S3 does not answer.
    """
    told = override.flag.told
    if told is not None and override.flag.state is State.OPEN:
        flags = [gate.flags.read_listed(name, etag).flag for name, etag in flag_etags(gate).items()]
        closed = [flag for flag in flags if flag.overridden == told.since]
        if all(flag.state is State.OPEN for flag in closed):
            tally = sum((flag.tally for flag in closed), Counts())
            try:
                override = gate.flags.write(OVERRIDE, ended(override, None, gate.runtime.now(), tally))
            except ConflictError:
                return override  # begun again
    return tell(gate, OVERRIDE, override)


def _troubled(seen: Seen, kind: Trouble, machine: Machine, message: str, fix: str) -> Seen:
    if kind in seen.flag.troubles:
        return seen
    noted = seen.changed(troubles=(*seen.flag.troubles, kind))
    place = {"state_machine_arn": machine.arn, "name": machine.name}
    return _queued(noted, TROUBLE, {"kind": kind.value, **place, "message": message, "fix": fix})


def _queued(seen: Seen, detail_type: str, detail: dict[str, Any]) -> Seen:
    return seen.changed(outbox=(*seen.flag.outbox, Event(detail_type, detail)))


def _has_notes(told: Told) -> bool:
    return told.reason is not None or told.by is not None


def _scope(machine: Machine | None) -> dict[str, str | None]:
    if machine is None:
        return {"scope": "all", "state_machine_arn": None, "name": None}
    return {"scope": "stateMachine", "state_machine_arn": machine.arn, "name": machine.name}


def _begin(told: Told) -> dict[str, str | None]:
    return {
        "reason": told.reason,
        "by": told.by,
        "until": to_text(told.until) if told.until else None,
        "since": to_text(told.since),
    }


def _tasks(count: int) -> str:
    return "1 parked task" if count == 1 else f"{count} parked tasks"
