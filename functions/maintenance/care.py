"""Look after tasks that stay parked: tell before they time out, and put aside those whose execution has ended.

One sweep looks at a few of them: the oldest of each state machine, and others by chance, so that each of its first
10,000 has its turn.

This holds at any moment, whoever else is at work. A task is deleted as a drain does it (D5, D6): its object is put into
`~dead` first, under the same name, so that doing it twice, or halfway, changes nothing. Nothing is sent, so nobody is
resumed; and that an execution has ended stays true: what a drain or a check-in answers meanwhile is a dead token.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

from maintenance.announce import Trouble, trouble
from maintenance.cloud import CloudError, ExecutionGoneError, ListedObject
from maintenance.gate import Gate
from maintenance.machines import Machine
from maintenance.metrics import put_aside
from maintenance.tasks import ParkedTask, UnreadableTaskError
from maintenance.timestamps import from_text, to_text
from shared.logs import logger

LOOKS = 60
"""Tasks that one sweep looks at: one a second of the 15 DescribeExecution that an account has in most regions."""

_LISTED = 10_000  # of one state machine: ten requests

# Step Functions Developer Guide, "Quotas related to state machine executions": maximum execution time.
_LONGEST_EXECUTION = timedelta(days=365)
_EXECUTION_NEAR = timedelta(days=30)
_TIMEOUT_NEAR = timedelta(days=1)  # or the last quarter, where that is shorter

# Not PENDING_REDRIVE, which may go on with the same tokens for all that is said.
_ENDED = {"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"}

_THROTTLED = {"ThrottlingException", "SlowDown"}  # by Step Functions, by S3

_log = logger(__name__)
_T = TypeVar("_T")


@dataclass(slots=True)
class _Limits:
    """When the first tasks reach their limits, of those that are near; None if none is."""

    timeout: datetime | None = None
    execution: datetime | None = None


def look_after_parked(gate: Gate, machines: Sequence[Machine]) -> None:
    """Warn of limits that come near, once per maintenance, and put aside what has ended.

    Where AWS asks to slow down, the next sweep goes on.

    Args:
        gate: The gate.
        machines: The state machines whose gates are closed and that have parked tasks.

    Raises:
        CloudError: If AWS does not answer for another reason.
    """
    chosen = _some(gate, machines, LOOKS)
    left = LOOKS
    for number, machine in enumerate(chosen):
        share = left // (len(chosen) - number)
        left -= share
        limits = _Limits()
        try:
            for one in _chosen_tasks(gate, machine, share):
                if gate.time_short:
                    return
                _look(gate, machine, one, limits)
            _warn(gate, machine, limits)
        except CloudError as error:
            if error.code not in _THROTTLED:
                raise
            _log.warning("parked tasks not looked at: %s", error, extra={"machine": machine.name})
            return


def _some(gate: Gate, items: Sequence[_T], count: int) -> Sequence[_T]:
    return items if len(items) <= count else gate.runtime.sample(items, count)


def _chosen_tasks(gate: Gate, machine: Machine, count: int) -> Iterator[ListedObject]:
    found = list(islice(gate.tasks.all(gate.keys.tasks(machine.name)), _LISTED))
    yield from found[:1]
    yield from _some(gate, found[1:], count - 1)


def _look(gate: Gate, machine: Machine, listed: ListedObject, limits: _Limits) -> None:
    stored = gate.cloud.get_object(listed.key)
    if stored is None:
        return
    try:
        task = ParkedTask.from_json(stored.body)
    except UnreadableTaskError:
        return  # a drain puts it into quarantine
    now = gate.runtime.now()
    if isinstance(task.timeout_seconds, int):
        allowed = timedelta(seconds=task.timeout_seconds)
        at = _arrived(task, listed) + allowed
        if at - now <= min(allowed / 4, _TIMEOUT_NEAR):
            limits.timeout = min(at, limits.timeout or at)
    if not isinstance(task.execution_arn, str):
        return
    try:
        execution = gate.cloud.describe_execution(task.execution_arn)
    except ExecutionGoneError:
        return  # which does not say that it has ended
    if execution.status in _ENDED:
        gate.tasks.bury(machine.name, listed.key, stored.body)
        gate.cloud.delete_object(listed.key)
        fields = {"machine": machine.name, "key": listed.key, "execution": task.execution_arn}
        _log.warning("parked task put aside: its execution is %s", execution.status, extra=fields)
        put_aside(gate, machine, dead=1)
        return
    at = execution.started + _LONGEST_EXECUTION
    if at - now <= _EXECUTION_NEAR:
        limits.execution = min(at, limits.execution or at)


def _arrived(task: ParkedTask, listed: ListedObject) -> datetime:
    try:
        return from_text(task.timestamp)
    except ValueError:
        return listed.modified


def _warn(gate: Gate, machine: Machine, limits: _Limits) -> None:
    if limits.timeout is not None:
        trouble(
            gate,
            Trouble.TIMEOUT_NEAR,
            machine,
            f"Parked tasks of {machine.name} time out soon, the first seen at {to_text(limits.timeout)} "
            "(TimeoutSeconds of their state): their executions fail then, unless they catch States.Timeout.",
            "End the maintenance before, or let these executions fail and start them again afterwards.",
        )
    if limits.execution is not None:
        trouble(
            gate,
            Trouble.EXECUTION_LIMIT_NEAR,
            machine,
            f"Executions of {machine.name} that wait come near the year that an execution may take, the first seen "
            f"at {to_text(limits.execution)}: Step Functions ends them then.",
            "End the maintenance before, or stop these executions and start them again afterwards.",
        )
