"""Metrics in CloudWatch's embedded metric format: lines of JSON on stdout, and no request to CloudWatch.

Not by Powertools: importing its Metrics takes 35 to 60 ms of processor time, and this is all that is needed of it.

Every value is what a drain or a sweep knows anyway, but for one: a sweep lists the folders that hold parked tasks, and
stops at 10,000 of them, as a status does.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from maintenance.cloud import CloudError
from maintenance.gate import Gate
from maintenance.machines import Machine
from maintenance.timestamps import to_text
from shared.logs import logger

if TYPE_CHECKING:
    from maintenance.drain import Tally

NAMESPACE = "WorkflowGates/Maintenance"

_FUNCTION, _MACHINE = "FunctionName", "StateMachineName"  # dimensions
_UNITS = {"DrainSeconds": "Seconds", "OldestParkedTaskAge": "Seconds"}  # all others are counts

_log = logger(__name__)


def write(record: Mapping[str, Any]) -> None:
    """Write a record to stdout as Lambda passes it on.

    In Lambda's JSON log format a line without a level counts as INFO, and one without a timestamp does, too: a function
    that logs only from WARN on would lose its metrics ("Log-level filtering" in the Lambda guide). So the level is the
    least that is passed on.
    """
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "INFO")
    sys.stdout.write(json.dumps({"level": level, **record}) + "\n")
    sys.stdout.flush()


@contextmanager
def drain_measured(gate: Gate, machine: Machine, tally: "Tally") -> Iterator[None]:
    """Report what a drain did, also if it fails; nothing if it did nothing.

    Args:
        gate: The gate.
        machine: The state machine.
        tally: What the drain counts with; it may have counted before.
    """
    began, before = gate.runtime.now(), (tally.resumed, tally.dead, tally.quarantined)
    try:
        yield
    finally:
        now = (tally.resumed, tally.dead, tally.quarantined)
        resumed, dead, quarantined = (count - earlier for count, earlier in zip(now, before, strict=True))
        if resumed or dead or quarantined:
            seconds = (gate.runtime.now() - began).total_seconds()
            counts = {"TasksResumed": resumed, "TasksDead": dead, "TasksQuarantined": quarantined}
            _of_machine(gate, machine.name, {**counts, "DrainSeconds": max(0.0, seconds)})


def put_aside(gate: Gate, machine: Machine, *, dead: int = 0, quarantined: int = 0) -> None:
    """Report tasks that a check-in found dead, or that nobody can resume.

    Args:
        gate: The gate.
        machine: The state machine.
        dead: How many Step Functions called over.
        quarantined: How many had no token that it knows.
    """
    _of_machine(gate, machine.name, {"TasksDead": dead, "TasksQuarantined": quarantined})


def swept(gate: Gate, failures: int, waiting: Iterable[str] | None) -> None:
    """Report a sweep that has ended: the heartbeat, what it could not do, and what waits.

    Args:
        gate: The gate.
        failures: How many gates (and steps of the sweep) are not confirmed.
        waiting: State machines in whose folders the sweep saw objects; None if it could not look.
    """
    values: dict[str, float] = {"Sweeps": 1, "SweepFailures": failures}
    parked = None if waiting is None else _parked(gate, waiting)
    if parked is not None:
        values["ParkedTasks"] = sum(number for number, _ in parked.values())
        values["OldestParkedTaskAge"] = max((age for _, age in parked.values()), default=0)
        for name, (number, age) in parked.items():
            _emit(gate, [[_FUNCTION, _MACHINE]], {"ParkedTasks": number, "OldestParkedTaskAge": age}, name)
    _emit(gate, [[_FUNCTION]], values)


def _parked(gate: Gate, names: Iterable[str]) -> dict[str, tuple[int, float]] | None:
    """Return number and age (in seconds) of the tasks that are parked now; None if that cannot be said."""
    found = {}
    try:
        for name in names:
            if gate.time_short:
                return None
            count = gate.tasks.count(gate.keys.tasks(name))
            if count.oldest is not None:
                age = (gate.runtime.now() - count.oldest).total_seconds()
                found[name] = (count.number, max(0.0, age))
    except CloudError as error:
        _log.warning("parked tasks not counted: %s", error)
        return None
    return found


def _of_machine(gate: Gate, name: str, values: Mapping[str, float]) -> None:
    """Report what adds up: of the state machine, and of all."""
    _emit(gate, [[_FUNCTION], [_FUNCTION, _MACHINE]], values, name)


def _emit(gate: Gate, dimensions: list[list[str]], values: Mapping[str, float], name: str | None = None) -> None:
    if name is not None and not name.isascii():
        # CloudWatch takes no such dimension, Step Functions such a name: it counts in what is reported of all.
        dimensions = [names for names in dimensions if _MACHINE not in names]
    if not dimensions:
        return
    now = gate.runtime.now()
    metrics = [{"Name": metric, "Unit": _UNITS.get(metric, "Count")} for metric in values]
    directive = {"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": metrics}
    gate.runtime.emit(
        {
            "timestamp": to_text(now),
            "_aws": {"Timestamp": int(now.timestamp() * 1000), "CloudWatchMetrics": [directive]},
            _FUNCTION: gate.runtime.function_arn.split(":")[6],
            **({} if name is None else {_MACHINE: name}),
            **values,
        }
    )
