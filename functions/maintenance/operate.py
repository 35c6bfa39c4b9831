"""Begin and end a maintenance. The answer comes only once the gate is closed (or open) for good."""

from typing import Any

from maintenance.cloud import ConflictError, MachineGoneError
from maintenance.flag import Changes, State
from maintenance.gate import Gate
from maintenance.inventory import flag_etags
from maintenance.keys import OVERRIDE
from maintenance.machines import Machine
from maintenance.refresh import Notes, Refreshed, Round, refresh, refresh_each
from maintenance.source import LIFTED, TAG, UNTIL, closing
from maintenance.timestamps import to_text
from shared.errors import WorkflowGatesError
from shared.logs import logger

_log = logger(__name__)


class UnconfirmedError(WorkflowGatesError):
    """What was asked for is written down, but not every gate is known to follow it yet; the sweep goes on."""


def begin(gate: Gate, machine: Machine | None, notes: Notes) -> dict[str, Any]:
    """Begin the maintenance of one state machine, by its tag, or of all, by the override.

    Args:
        gate: The gate.
        machine: The state machine; None for all, whose tags stay as they are.
        notes: Why, by whom, and until when.

    Returns:
        The action's answer, given once every gate is closed (one without a flag is).

    Raises:
        MachineGoneError: If the state machine does not exist.
        IncompleteError: If a gate could not be closed yet.
        UnconfirmedError: If others begin or end at the same time.
        CloudError: If AWS does not answer.
    """
    if machine is None:
        return _begin_all(gate, notes)
    return _begin_one(gate, machine, notes)


def end(gate: Gate, machine: Machine | None, notes: Notes) -> dict[str, Any]:
    """End the maintenance of one state machine, or of all.

    One gate stays closed under a maintenance of all; all stay in maintenance that have a tag of their own.

    Args:
        gate: The gate.
        machine: The state machine; None for all.
        notes: Why and by whom, for the log.

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
        return _end_all(gate, notes)
    return _end_one(gate, machine, notes)


def _begin_one(gate: Gate, machine: Machine, notes: Notes) -> dict[str, Any]:
    tags = {TAG: "true", UNTIL: to_text(notes.until) if notes.until else ""}  # at once: no end of an earlier one stays
    for _ in range(gate.limits.tries):
        gate.cloud.tag(machine.arn, tags)
        refreshed = refresh(gate, machine, notes=notes)
        # Tags have no conditional write: an end at this moment may have taken ours for its own.
        found = gate.cloud.list_tags(machine.arn)
        if refreshed.state is State.CLOSED and tags.items() <= found.items():
            _log.info("maintenance begins", extra={"machine": machine.name, "by": notes.by})
            return _one("begin", machine, refreshed)
    raise UnconfirmedError(
        f"stateMachineArn: the tag {TAG} of {machine.name} does not stay; see who else changes it, then begin again"
    )


def _end_one(gate: Gate, machine: Machine, notes: Notes) -> dict[str, Any]:
    for _ in range(gate.limits.tries):
        try:
            gate.cloud.untag(machine.arn, [TAG, UNTIL])
        except MachineGoneError:
            _log.info("state machine is gone: counts as ended", extra={"machine": machine.name})
        refreshed = refresh(gate, machine, notes=Notes(), batches=1)
        if refreshed.state is not State.CLOSED or refreshed.overridden:
            _log.info("maintenance ends", extra={"machine": machine.name, "by": notes.by, "reason": notes.reason})
            return _one("end", machine, refreshed)
    raise UnconfirmedError(
        f"stateMachineArn: the tag {TAG} of {machine.name} comes back; see who else sets it, then end again"
    )


def _begin_all(gate: Gate, notes: Notes) -> dict[str, Any]:
    _write_override(gate, notes)
    _log.info("maintenance of all begins", extra={"by": notes.by, "reason": notes.reason})
    done = refresh_each(gate, map(gate.home.machine, flag_etags(gate)))
    if any(one.state is not State.CLOSED for one in done.refreshed.values()):
        raise UnconfirmedError("scope: the maintenance of all was ended while it began; begin it again")
    return done.answer("begin")


def _end_all(gate: Gate, notes: Notes) -> dict[str, Any]:
    _write_override(gate, None)
    _log.info("maintenance of all ends", extra={"by": notes.by, "reason": notes.reason})
    closed = [
        gate.home.machine(name)
        for name, etag in flag_etags(gate).items()
        if gate.flags.read_listed(name, etag).flag.state is not State.OPEN
    ]
    return refresh_each(gate, closed, batches=1).answer("end")


def _write_override(gate: Gate, notes: Notes | None) -> None:
    for _ in range(gate.limits.tries):
        seen = gate.flags.read(OVERRIDE)
        closed = closing(seen)
        if notes is None:
            if closed is None:
                return
            changes = LIFTED
        else:
            since = closed.closed_at if closed is not None else None
            changes = Changes(
                state=State.CLOSED,
                closed_at=since or gate.runtime.now(),
                reason=notes.reason,
                by=notes.by,
                until=notes.until,
            )
        try:
            gate.flags.write(OVERRIDE, seen, **changes)
        except ConflictError:
            continue
        return
    raise UnconfirmedError("scope: others keep beginning or ending the maintenance of all; try again")


def _one(action: str, machine: Machine, refreshed: Refreshed) -> dict[str, Any]:
    return Round({machine.name: refreshed}).answer(action)
