"""Bring a flag in line with its source (R1 to R4): the only way the source reaches a flag."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from maintenance.announce import begun, ending, tell
from maintenance.cloud import CloudError, ConflictError
from maintenance.drain import Drain, Tally, new_lease
from maintenance.flag import Changes, Counts, Seen, State, Told
from maintenance.gate import Gate
from maintenance.machines import Machine
from maintenance.source import UNTIL, Source, read_source, until_of
from shared.errors import WorkflowGatesError
from shared.logs import logger

INIT = "first check-in"
"""Reason of a flag that a check-in found missing and created, until somebody has looked at the source (P4)."""

_SHOWN = 10  # gates named in an error; the log names all

_log = logger(__name__)


class ContendedError(WorkflowGatesError):
    """A flag changed between every read and write of ours."""


class IncompleteError(WorkflowGatesError):
    """Some gates could not be brought in line; the others were. The sweep tries again."""


class LeftoverError(WorkflowGatesError):
    """The gate is in line, but the end of a maintenance that is over stays as a tag: the next one would end with it."""


@dataclass(frozen=True, slots=True)
class Notes:
    """What the one who begins a maintenance wants others to read.

    Attributes:
        reason: Why.
        by: Who.
        until: When it ends by itself; None if it does not. What counts is the tag, or the override.
    """

    reason: str | None = None
    by: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refreshed:
    """How a refresh left a gate.

    Attributes:
        state: The flag's state.
        overridden: Whether the override closed it.
        tally: What became of its parked tasks.
        told: Whether everything that is to be announced was.
    """

    state: State
    overridden: bool
    tally: Tally
    told: bool


def refresh(
    gate: Gate,
    machine: Machine,
    *,
    notes: Notes | None = None,
    ender: Notes | None = None,
    batches: int | None = None,
) -> Refreshed:
    """Bring a flag in line with its source, and drain if that opens the gate.

    Args:
        gate: The gate.
        machine: The state machine.
        notes: Written into the flag if the gate is closed; None keeps what is there. They are of the state machine's
            own maintenance: one of all leaves them alone.
        ender: Who ends the maintenance, and why, for the announcement.
        batches: How many batches to drain at most before handing over; None for as many as time allows.

    Raises:
        ContendedError: If others kept changing the flag; the sweep will see to it.
        LeftoverError: If an end that is over could not be removed; the sweep tries again.
        DrainIncompleteError: If parked tasks could not be resumed.
        CloudError: If AWS does not answer.
    """
    attempt = _Attempt(
        gate=gate,
        machine=machine,
        notes=notes,
        ender=ender or Notes(),
        batches=batches,
        owner=gate.runtime.random_id(),
        tally=Tally(),
    )
    for _ in range(gate.limits.tries):
        try:
            refreshed = attempt.run()
        except ConflictError:
            continue
        _log.info(
            "refreshed",
            extra={
                "machine": machine.name,
                "state": refreshed.state,
                "resumed": refreshed.tally.resumed,
                "dead": refreshed.tally.dead,
                "quarantined": refreshed.tally.quarantined,
            },
        )
        if attempt.leftovers:
            raise LeftoverError(
                f"the tag {UNTIL} of {machine.name} stays, and the next maintenance would end then: "
                + "; ".join(attempt.leftovers)
            )
        return refreshed
    raise ContendedError(
        f"the flag of {machine.name} changed {gate.limits.tries} times while it was being written; "
        "the next sweep tries again"
    )


@dataclass(slots=True)
class Round:
    """What became of several gates, one after the other.

    Attributes:
        refreshed: The gates in line with their source, by name.
        failed: Why the others are not.
    """

    refreshed: dict[str, Refreshed] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)

    def answer(self, action: str) -> dict[str, Any]:
        """Return what an action answers: the state of each gate.

        Raises:
            IncompleteError: If a gate could not be brought in line, so that the invocation counts as failed.
        """
        if self.failed:
            shown = "; ".join(f"{name}: {why}" for name, why in sorted(self.failed.items())[:_SHOWN])
            raise IncompleteError(
                f"{action}: {len(self.failed)} of {len(self.failed.keys() | self.refreshed.keys())} gates are not "
                f"confirmed (the next sweep tries again): {shown}"
            )
        return {
            "action": action,
            "machines": {name: one.state.value for name, one in sorted(self.refreshed.items())},
            "resumed_tokens": sum(one.tally.resumed for one in self.refreshed.values()),
        }


def refresh_each(
    gate: Gate, machines: Iterable[Machine], *, batches: int | None = None, into: Round | None = None
) -> Round:
    """Refresh several gates; one that fails does not keep the others waiting.

    Args:
        gate: The gate.
        machines: The state machines, the most urgent first.
        batches: As for `refresh`.
        into: Adds to this round.
    """
    done = Round() if into is None else into
    for machine in machines:
        if gate.time_short:
            done.failed[machine.name] = "no time left"
            continue
        try:
            done.refreshed[machine.name] = refresh(gate, machine, batches=batches)
        except WorkflowGatesError as error:
            done.failed[machine.name] = str(error)
            _log.warning("not refreshed: %s", error, extra={"machine": machine.name})
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    gate: Gate
    machine: Machine
    notes: Notes | None
    ender: Notes
    batches: int | None
    owner: str
    tally: Tally
    leftovers: list[str] = field(default_factory=list)  # why an end that is over stays

    def run(self) -> Refreshed:
        flags, name = self.gate.flags, self.machine.name
        seen = flags.read(name)  # R1
        source = read_source(self.gate, self.machine)  # R2, R3
        if source.on:
            # R4. Also if closed already: whoever read the flag before this write can no longer open the gate.
            told, changes = self._closed(seen, source)
            return self._left(flags.write(name, told, **changes), overridden=source.override is not None)
        self.leftovers.clear()
        if source.leftover_until:
            self._forget_until()
        if seen.flag.state is State.OPEN and not self.gate.tasks.oldest(name, 1):
            return self._left(seen)
        now = self.gate.runtime.now()
        if seen.flag.state is State.DRAINING and seen.leased(now, but_to=self.owner):
            return self._left(seen)
        ended = ending(seen, now, self.ender.by, self.ender.reason)
        held = flags.write(name, ended, state=State.DRAINING, lease=new_lease(self.gate, self.owner))  # R4
        held = tell(self.gate, name, held)
        return self._left(Drain(self.gate, self.machine, self.owner, held, self.tally).run(self.batches))

    def _left(self, seen: Seen, *, overridden: bool = False) -> Refreshed:
        if seen.flag.state is State.DRAINING:  # whoever goes on with the drain tells
            return Refreshed(State.DRAINING, overridden, self.tally, told=True)
        seen = tell(self.gate, self.machine.name, seen)
        return Refreshed(seen.flag.state, overridden, self.tally, told=not seen.flag.outbox)

    def _closed(self, seen: Seen, source: Source) -> tuple[Seen, Changes]:
        """Return the flag with what is to be told, and the changes that close the gate."""
        flag = seen.flag
        closed_before = flag.state is State.CLOSED and not seen.missing
        notes = self.notes or Notes()
        if self.notes is None and closed_before and flag.reason != INIT:
            notes = Notes(flag.reason, flag.by, flag.until)
        until = notes.until if source.tags is None else until_of(source.tags)
        since = flag.closed_at or self.gate.runtime.now()
        if flag.closed_at is None:
            seen = seen.changed(tally=Counts(), troubles=())
        else:
            seen = seen.changed(tally=flag.tally + self.tally.counts - self.tally.noted)
        if source.override is None:
            seen = begun(seen, self.machine, Told(since=since, reason=notes.reason, by=notes.by, until=until))
        return seen, Changes(
            state=State.CLOSED,
            closed_at=since,
            reason=notes.reason,
            by=notes.by,
            until=until,
            lease=None,
            overridden=source.override.closed_at if source.override else None,
        )

    def _forget_until(self) -> None:
        try:
            self.gate.cloud.untag(self.machine.arn, [UNTIL])
        except CloudError as error:
            self.leftovers.append(str(error))  # parked tasks do not wait for it
