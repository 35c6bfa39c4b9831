"""A task checks in (P1 to P11): it proceeds if the gate lets it, or is parked.

Steady state: one S3 read and one SendTaskSuccess.
"""

from dataclasses import dataclass
from enum import Enum
from json import dumps
from typing import Any

from maintenance.announce import tell
from maintenance.cloud import CloudError, ConflictError, TaskOverError, TokenRefusedError
from maintenance.drain import Drain, DrainIncompleteError, Tally, hand_over
from maintenance.flag import Seen, State
from maintenance.gate import Gate
from maintenance.machines import Machine
from maintenance.metrics import put_aside
from maintenance.refresh import INIT
from maintenance.source import read_source
from maintenance.tasks import ParkedTask
from shared.errors import WorkflowGatesError
from shared.logs import logger

PROCEEDING = dumps({"status": "proceeding"})
"""Output of the state of a task that proceeds at once, where its check-in brought none."""

_log = logger(__name__)


class InvalidCheckInError(WorkflowGatesError):
    """A check-in that cannot be served; its task fails, for it would wait for ever."""


class _Answer(Enum):
    PROCEEDS = "proceeds"
    WAITS = "waits"
    OVER = "over"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class _Look:
    answer: _Answer
    seen: Seen | None  # None: the flag could not be read


def check_in(gate: Gate, machine: Machine, task: ParkedTask) -> dict[str, Any]:
    """Let a task proceed, or park it.

    Args:
        gate: The gate.
        machine: The task's state machine.
        task: The task.

    Returns:
        `{"status": "proceeding", "resumed_tokens": n}` with n other parked tasks resumed on the way, or
        `{"status": "maintenance", "saved_token_key": key}`.

    Raises:
        InvalidCheckInError: If Step Functions refuses the token.
        CloudError: If the task could neither proceed nor be parked.
    """
    key = gate.keys.task(machine.name, gate.runtime.task_id())
    body = task.to_json()
    look = _look(gate, machine, task)  # P1, P2
    if look.answer is _Answer.WAITS:
        gate.cloud.put_object(key, body)  # P3
        _log.info("task parked", extra={"machine": machine.name, "key": key, "execution": task.execution_arn})
        if look.seen is not None and look.seen.missing:
            _create_flag(gate, machine, look.seen)
        look = _look(gate, machine, task)  # P8, P9
        if look.answer is _Answer.WAITS:
            return {"status": "maintenance", "saved_token_key": key}
        _unpark(gate, machine, key, body, look.answer)
    elif look.answer is _Answer.OVER:
        gate.tasks.bury(machine.name, key, body)
        put_aside(gate, machine, dead=1)
    if look.answer is _Answer.REFUSED:
        raise InvalidCheckInError(
            "taskToken: Step Functions does not know it; pass $$.Task.Token of a task whose Resource is "
            "arn:aws:states:::lambda:invoke.waitForTaskToken"
        )
    return {"status": "proceeding", "resumed_tokens": _help_drain(gate, machine, look.seen)}


def _look(gate: Gate, machine: Machine, task: ParkedTask) -> _Look:
    for _ in range(gate.limits.tries):
        started = gate.runtime.monotonic()
        try:
            seen = gate.flags.read(machine.name)  # P1, P8
        except CloudError as error:
            _log.warning("flag unreadable: taken as closed: %s", error, extra={"machine": machine.name})
            break
        if not seen.lets_pass:
            return _Look(_Answer.WAITS, seen)
        if gate.runtime.monotonic() - started > gate.limits.guard:
            continue  # what we read is too old to act upon
        try:
            gate.cloud.send_task_success(task.token, PROCEEDING if task.output is None else task.output)  # P2, P9
        except TaskOverError as error:
            _log.warning("checked-in task is dead: %s", error, extra={"machine": machine.name})
            return _Look(_Answer.OVER, seen)
        except TokenRefusedError:
            return _Look(_Answer.REFUSED, seen)
        except CloudError as error:
            _log.warning("task cannot proceed yet: %s", error, extra={"machine": machine.name})
            return _Look(_Answer.WAITS, seen)
        return _Look(_Answer.PROCEEDS, seen)
    return _Look(_Answer.WAITS, None)


def _unpark(gate: Gate, machine: Machine, key: str, body: bytes, answer: _Answer) -> None:
    try:
        if answer is _Answer.OVER:
            gate.tasks.bury(machine.name, key, body)  # P10
            put_aside(gate, machine, dead=1)
        elif answer is _Answer.REFUSED:
            gate.tasks.quarantine(machine.name, key, body)
            put_aside(gate, machine, quarantined=1)
        gate.cloud.delete_object(key)  # P11
    except CloudError as error:
        # Its token is answered: a drain will find the task dead.
        _log.warning("parked task stays: %s", error, extra={"machine": machine.name, "key": key})


def _create_flag(gate: Gate, machine: Machine, missing: Seen) -> None:
    """Exactly one of all first check-ins creates the flag, and looks at the source for all of them."""
    try:
        created = gate.flags.write(  # P4
            machine.name, missing, state=State.CLOSED, closed_at=gate.runtime.now(), reason=INIT
        )
        if read_source(gate, machine).on:  # P5, P6
            return
        gate.flags.write(machine.name, created, state=State.DRAINING, lease=None)  # P7
    except ConflictError:
        return  # somebody else does it
    except CloudError as error:
        _log.warning("flag left to the sweep: %s", error, extra={"machine": machine.name})
        return
    hand_over(gate, machine)


def _help_drain(gate: Gate, machine: Machine, seen: Seen | None) -> int:
    """Drain one batch where the holder of the lease is gone; the task itself already proceeds."""
    tally = Tally()
    if seen is not None and seen.flag.state is State.DRAINING and not seen.leased(gate.runtime.now()):
        try:
            left = Drain(gate, machine, gate.runtime.random_id(), seen, tally).run(batches=1)
            if left.flag.state is State.OPEN:
                tell(gate, machine.name, left)
        except ConflictError:
            pass  # somebody else drains, or the gate is closed again
        except (CloudError, DrainIncompleteError) as error:
            _log.warning("drain left to the sweep: %s", error, extra={"machine": machine.name})
        if tally.total:
            _log.info("parked tasks resumed on the way", extra={"machine": machine.name, "resumed": tally.resumed})
    return tally.resumed
