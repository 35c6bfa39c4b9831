"""Begin and end a maintenance. The answer comes only once the gate is closed (or open) for good."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from maintenance.announce import begun, ending, note_end, tell_of_all
from maintenance.cloud import ConflictError, MachineGoneError
from maintenance.flag import Changes, Flag, Seen, State, Told
from maintenance.gate import Gate
from maintenance.inventory import flag_etags
from maintenance.keys import OVERRIDE
from maintenance.machines import Machine
from maintenance.refresh import Notes, Refreshed, Round, refresh, refresh_each
from maintenance.source import LIFTED, NO_END, TAG, UNTIL, closing, tag_is_on, until_of
from maintenance.timestamps import to_text
from shared.errors import WorkflowGatesError
from shared.logs import logger

_CONTENDED = "scope: others keep beginning or ending the maintenance of all; try again"

_log = logger(__name__)


class UnconfirmedError(WorkflowGatesError):
    """What was asked for is written down, but not every gate is known to follow it yet; the sweep goes on."""


def begin(gate: Gate, machine: Machine | None, notes: Notes, *, window: bool = False) -> dict[str, Any]:
    """Begin the maintenance of one state machine, by its tag, or of all, by the override.

    Args:
        gate: The gate.
        machine: The state machine; None for all, whose tags stay as they are.
        notes: Why, by whom, and until when.
        window: Whether a schedule begins it: then it has an end, and shortens no maintenance that is on.

    Returns:
        The action's answer, given once every gate is closed (one without a flag is). If the window is over already
        (the schedule came late), nothing is done.

    Raises:
        MachineGoneError: If the state machine does not exist.
        IncompleteError: If a gate could not be closed yet.
        UnconfirmedError: If others begin or end at the same time.
        CloudError: If AWS does not answer.
    """
    if window and notes.until is not None and notes.until <= gate.runtime.now():
        return _skipped("begin", "the window is over")
    if machine is None:
        return _begin_all(gate, notes, window=window)
    return _begin_one(gate, machine, notes, window=window)


def end(gate: Gate, machine: Machine | None, notes: Notes, since: datetime | None = None) -> dict[str, Any]:
    """End the maintenance of one state machine, or of all.

    One gate stays closed under a maintenance of all; all stay in maintenance that have a tag of their own.

    Args:
        gate: The gate.
        machine: The state machine; None for all.
        notes: Why and by whom.
        since: Ends only the maintenance that began then; None for whichever is on.

    Returns:
        The action's answer, given once every gate that is to open is open. It resumes one batch of parked tasks
        per state machine; the others follow.

    Raises:
        IncompleteError: If a gate could not be opened yet.
        DrainIncompleteError: If parked tasks could not be resumed.
        UnconfirmedError: If others begin or end at the same time.
        CloudError: If AWS does not answer.
    """
    if machine is None:
        return _end_all(gate, notes, since)
    return _end_one(gate, machine, notes, since)


def _begin_one(gate: Gate, machine: Machine, notes: Notes, *, window: bool) -> dict[str, Any]:
    # Both at once: no end of an earlier one stays.
    tags = {TAG: "true", UNTIL: to_text(notes.until) if notes.until else NO_END}
    for _ in range(gate.limits.tries):
        kept = window and _outlasts(gate.cloud.list_tags(machine.arn), notes.until)
        if not kept:
            gate.cloud.tag(machine.arn, tags)
        refreshed = refresh(gate, machine, notes=None if kept else notes)
        # Tags have no conditional write: an end at this moment may have taken ours for its own.
        found = gate.cloud.list_tags(machine.arn)
        stays = _outlasts(found, notes.until) if kept else tags.items() <= found.items()
        if refreshed.state is State.CLOSED and stays:
            _log.info("maintenance begins", extra={"machine": machine.name, "by": notes.by})
            return _one("begin", machine, refreshed)
    raise UnconfirmedError(
        f"stateMachineArn: the tag {TAG} of {machine.name} does not stay; see who else changes it, then begin again"
    )


def _outlasts(tags: Mapping[str, str], until: datetime | None) -> bool:
    """Whether a maintenance is on that ends no earlier."""
    return tag_is_on(tags) and _not_earlier(until_of(tags), until)


def _not_earlier(end: datetime | None, than: datetime | None) -> bool:
    return end is None or (than is not None and end >= than)


def _end_one(gate: Gate, machine: Machine, notes: Notes, since: datetime | None) -> dict[str, Any]:
    if since is not None and not _began(gate.flags.read(machine.name).flag, since):
        return _skipped("end", f"no maintenance of {machine.name} that began at {to_text(since)} is on")
    note_end(gate, machine.name, notes.by, notes.reason)
    for _ in range(gate.limits.tries):
        try:
            gate.cloud.untag(machine.arn, [TAG, UNTIL])
        except MachineGoneError:
            _log.info("state machine is gone: counts as ended", extra={"machine": machine.name})
        refreshed = refresh(gate, machine, notes=Notes(), ender=notes, batches=1)
        if refreshed.state is not State.CLOSED or refreshed.overridden:
            _log.info("maintenance ends", extra={"machine": machine.name, "by": notes.by, "reason": notes.reason})
            return _one("end", machine, refreshed)
    raise UnconfirmedError(
        f"stateMachineArn: the tag {TAG} of {machine.name} comes back; see who else sets it, then end again"
    )


def _begin_all(gate: Gate, notes: Notes, *, window: bool) -> dict[str, Any]:
    override = _close_all(gate, notes, window=window)
    _log.info("maintenance of all begins", extra={"by": notes.by, "reason": notes.reason})
    done = refresh_each(gate, map(gate.home.machine, flag_etags(gate)))
    tell_of_all(gate, override)
    if any(one.state is not State.CLOSED for one in done.refreshed.values()):
        raise UnconfirmedError("scope: the maintenance of all was ended while it began; begin it again")
    return done.answer("begin")


def _end_all(gate: Gate, notes: Notes, since: datetime | None) -> dict[str, Any]:
    override = _lift(gate, notes, since)
    if override is None:
        return _skipped("end", f"no maintenance of all that began at {since and to_text(since)} is on")
    _log.info("maintenance of all ends", extra={"by": notes.by, "reason": notes.reason})
    closed = [
        gate.home.machine(name)
        for name, etag in flag_etags(gate).items()
        if gate.flags.read_listed(name, etag).flag.state is not State.OPEN
    ]
    done = refresh_each(gate, closed, batches=1)
    tell_of_all(gate, override)
    return done.answer("end")


def _close_all(gate: Gate, notes: Notes, *, window: bool) -> Seen:
    for _ in range(gate.limits.tries):
        seen = gate.flags.read(OVERRIDE)
        closed = closing(seen)
        if window and closed is not None and _not_earlier(closed.until, notes.until):
            return seen
        # Begun again before all gates were open: the same one goes on.
        before = closed.closed_at if closed is not None else seen.flag.told and seen.flag.told.since
        since = before or gate.runtime.now()
        told = Told(since=since, reason=notes.reason, by=notes.by, until=notes.until)
        changes = Changes(state=State.CLOSED, closed_at=since, reason=notes.reason, by=notes.by, until=notes.until)
        try:
            return gate.flags.write(OVERRIDE, begun(seen, None, told), **changes)
        except ConflictError:
            continue
    raise UnconfirmedError(_CONTENDED)


def _lift(gate: Gate, notes: Notes, since: datetime | None) -> Seen | None:
    """End the override if it is on; None if it is not the one that began then."""
    for _ in range(gate.limits.tries):
        seen = gate.flags.read(OVERRIDE)
        closed = closing(seen)
        if since is not None and (closed is None or not _began(closed, since)):
            return None
        if closed is None:
            return seen
        try:
            return gate.flags.write(OVERRIDE, ending(seen, gate.runtime.now(), notes.by, notes.reason), **LIFTED)
        except ConflictError:
            continue
    raise UnconfirmedError(_CONTENDED)


def _began(flag: Flag, at: datetime) -> bool:
    # Compared as the flag writes times: in milliseconds.
    return flag.closed_at is not None and to_text(flag.closed_at) == to_text(at)


def _skipped(action: str, why: str) -> dict[str, Any]:
    _log.info("%s skipped: %s", action, why)
    return {"action": action, "skipped": why}


def _one(action: str, machine: Machine, refreshed: Refreshed) -> dict[str, Any]:
    return Round({machine.name: refreshed}).answer(action)
