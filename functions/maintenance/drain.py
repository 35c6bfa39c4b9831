"""Resume parked tasks, oldest first, by whoever holds the flag's lease (D2 to D7)."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import takewhile
from json import dumps
from typing import Unpack

from maintenance.announce import ended, lost
from maintenance.cloud import CloudError, ConflictError, TaskOverError, TokenRefusedError
from maintenance.flag import Changes, Counts, Lease, Seen, State
from maintenance.gate import Gate
from maintenance.machines import Machine
from maintenance.metrics import drain_measured
from maintenance.tasks import ParkedTask, UnreadableTaskError
from shared.errors import WorkflowGatesError
from shared.logs import logger

RESUMED = dumps({"status": "resumed"})
"""Output of a parked task's state, where its check-in brought none."""

_BACKOFF = (0.2, 0.5, 1.0)  # seconds between tries of one send: a short throttling must not cost the order

_log = logger(__name__)


class DrainIncompleteError(WorkflowGatesError):
    """Some parked tasks could not be resumed; they stay parked and the sweep tries again."""


@dataclass(slots=True)
class Tally:
    """What became of the parked tasks; the caller's, so that it survives a conflict.

    Attributes:
        noted: What of it the flag says already.
    """

    resumed: int = 0
    dead: int = 0
    quarantined: int = 0
    noted: Counts = field(default_factory=Counts)

    @property
    def total(self) -> int:
        """How many tasks are no longer parked."""
        return self.resumed + self.dead + self.quarantined

    @property
    def counts(self) -> Counts:
        """All of it, at this moment."""
        return Counts(self.resumed, self.dead, self.quarantined)


def new_lease(gate: Gate, owner: str) -> Lease:
    """Return a lease that begins now."""
    return Lease(owner, gate.runtime.now() + timedelta(seconds=gate.limits.lease))


def hand_over(gate: Gate, machine: Machine) -> None:
    """Let a fresh invocation drain. It may never run: the sweep goes on then."""
    payload = dumps({"action": "drain", "stateMachineArn": machine.arn})
    try:
        gate.cloud.invoke(gate.runtime.function_arn, payload)
    except CloudError as error:
        _log.warning("drain left to the sweep: %s", error, extra={"machine": machine.name})


class Drain:
    """One attempt to resume one state machine's parked tasks."""

    def __init__(self, gate: Gate, machine: Machine, owner: str, seen: Seen, tally: Tally) -> None:
        """Prepares a drain.

        Args:
            gate: The gate.
            machine: The state machine.
            owner: Who holds the lease: unique to this attempt.
            seen: The flag: draining, with the lease ours or free.
            tally: Counts what becomes of the tasks.
        """
        self._gate = gate
        self._machine = machine
        self._owner = owner
        self._seen = seen
        self._tally = tally
        self._checked = 0.0
        self._failed: dict[str, str] = {}  # key -> why

    def run(self, batches: int | None = None) -> Seen:
        """Resume parked tasks until none is left, or time or the number of batches is up.

        Args:
            batches: How many batches at most; None for no limit.

        Returns:
            The flag as it was left: open, or draining if the rest was handed over.

        Raises:
            ConflictError: If the flag changed: read it again (R1).
            DrainIncompleteError: If tasks could not be resumed.
            CloudError: If S3 does not answer.
        """
        with drain_measured(self._gate, self._machine, self._tally):
            return self._run(batches)

    def _run(self, batches: int | None) -> Seen:
        before, done = self._tally.total, 0
        while keys := self._next_batch():
            if done == batches or self._gate.time_short:
                # Without progress the next invocation would do no better, and hand over again, for ever.
                if self._release() and self._tally.total > before:
                    hand_over(self._gate, self._machine)
                return self._seen
            self._check_flag()
            self._resume(keys)
            done += 1
        if self._failed:
            self._release()
            raise DrainIncompleteError(self._report())
        self._write(  # D7
            lambda seen: ended(lost(seen, self._machine), self._machine, self._gate.runtime.now()),
            state=State.OPEN,
            closed_at=None,
            reason=None,
            by=None,
            until=None,
            lease=None,
        )
        return self._seen

    def _next_batch(self) -> Sequence[str]:  # D2
        batch = self._gate.limits.batch
        if len(self._failed) >= batch:
            return ()
        return self._gate.tasks.oldest(self._machine.name, batch, but=self._failed)

    def _check_flag(self) -> None:  # D3
        started = self._gate.runtime.monotonic()
        self._write(state=State.DRAINING, lease=new_lease(self._gate, self._owner))
        self._checked = started

    def _resume(self, keys: Sequence[str]) -> None:
        crew = self._gate.runtime.crew
        if crew is None:
            for key in keys:
                self._try(key)
            return
        # All have ended before the next listing: it would show those in flight once more.
        crew.each(self._try, takewhile(lambda _: not self._gate.time_short, keys))

    def _try(self, key: str) -> None:
        if self._gate.time_short:
            return
        try:
            self._resume_one(key)
        except ConflictError:
            raise
        except CloudError as error:
            self._failed[key] = f"{error.operation} {error.code}"
            _log.warning("parked task stays: %s", error, extra=self._fields(key))

    def _alone(self) -> AbstractContextManager[object]:
        crew = self._gate.runtime.crew
        return nullcontext() if crew is None else crew.lock

    def _resume_one(self, key: str) -> None:
        cloud, tasks, name = self._gate.cloud, self._gate.tasks, self._machine.name
        stored = cloud.get_object(key)  # D4
        if stored is None:
            return
        try:
            self._send(ParkedTask.from_json(stored.body))
            with self._alone():
                self._tally.resumed += 1
        except TaskOverError as error:
            tasks.bury(name, key, stored.body)
            with self._alone():
                self._tally.dead += 1
            _log.warning("parked task is dead: %s", error, extra=self._fields(key))
        except (TokenRefusedError, UnreadableTaskError) as error:
            tasks.quarantine(name, key, stored.body)
            with self._alone():
                self._tally.quarantined += 1
            _log.warning("parked task quarantined: %s", error, extra=self._fields(key))
        cloud.delete_object(key)  # D6

    def _send(self, task: ParkedTask) -> None:
        output = RESUMED if task.output is None else task.output
        for pause in (*_BACKOFF, None):
            with self._alone():  # one of those in flight checks for all
                if self._gate.runtime.monotonic() - self._checked > self._gate.limits.guard:  # D4
                    self._check_flag()
            try:
                self._gate.cloud.send_task_success(task.token, output)  # D5
            except (TaskOverError, TokenRefusedError):
                raise
            except CloudError:
                if pause is None:
                    raise
                self._gate.runtime.sleep(pause)
            else:
                return

    def _release(self) -> bool:
        try:
            self._write(lambda seen: lost(seen, self._machine), state=State.DRAINING, lease=None)
        except ConflictError:
            return False  # closed again or taken over: no longer ours
        return True

    def _write(self, tell: Callable[[Seen], Seen] = lambda seen: seen, **changes: Unpack[Changes]) -> None:
        """Write the flag, with what has become of tasks since the last time, and with what it is to tell."""
        counts = self._tally.counts
        seen = self._seen.changed(tally=self._seen.flag.tally + counts - self._tally.noted)
        self._seen = self._gate.flags.write(self._machine.name, tell(seen), **changes)
        self._tally.noted = counts

    def _fields(self, key: str) -> dict[str, str]:
        return {"machine": self._machine.name, "key": key}

    def _report(self) -> str:
        why = ", ".join(sorted(set(self._failed.values())))
        return (
            f"{len(self._failed)} parked tasks of {self._machine.name} could not be resumed ({why}); "
            "they stay parked and the next sweep tries again"
        )
