"""Show the gates: which are closed, since when, by whom, and what waits behind them."""

from typing import Any

from maintenance.flag import Flag
from maintenance.gate import Gate
from maintenance.inventory import flag_etags, folders, tagged
from maintenance.keys import OVERRIDE
from maintenance.machines import Machine
from maintenance.source import closing, tag_is_on
from maintenance.timestamps import to_text

MISSING = "missing"
"""State of a gate that nobody has checked in at: closed until the first check-in or sweep looks at its tag."""


def status(gate: Gate, machine: Machine | None = None) -> dict[str, Any]:
    """Return the state of one gate, or of all that are known by a flag, a parked task or a tag.

    `reason`, `by` and `until` of a gate are those of its own maintenance; `override` has those of a maintenance of all.

    Args:
        gate: The gate.
        machine: The state machine; None for all.

    Raises:
        CloudError: If AWS does not answer.
    """
    override = closing(gate.flags.read(OVERRIDE))
    machines = [machine] if machine is not None else _known(gate)
    return {
        "action": "status",
        "override": override and {"state": override.state.value, **_notes(override)},
        "machines": {one.name: _show(gate, one) for one in machines},
    }


def _known(gate: Gate) -> list[Machine]:
    names = set(flag_etags(gate))
    names.update(name for name, tags in tagged(gate).items() if tag_is_on(tags))
    names.update(name for name in folders(gate) if name not in names and gate.tasks.oldest(name, 1))
    return sorted(map(gate.home.machine, names))


def _show(gate: Gate, machine: Machine) -> dict[str, Any]:
    seen = gate.flags.read(machine.name)
    parked, oldest = 0, None
    for task in gate.tasks.all(gate.keys.tasks(machine.name)):
        parked += 1
        oldest = task.modified if oldest is None else min(oldest, task.modified)
    return {
        "stateMachineArn": machine.arn,
        "state": MISSING if seen.missing else seen.flag.state.value,
        **_notes(seen.flag),
        "parked": parked,
        "oldest": oldest and to_text(oldest),
        "dead": sum(1 for _ in gate.tasks.all(gate.keys.dead(machine.name))),
        "quarantined": sum(1 for _ in gate.tasks.all(gate.keys.quarantine(machine.name))),
    }


def _notes(flag: Flag) -> dict[str, Any]:
    return {
        "since": flag.closed_at and to_text(flag.closed_at),
        "by": flag.by,
        "reason": flag.reason,
        "until": flag.until and to_text(flag.until),
        "checked_at": flag.checked_at and to_text(flag.checked_at),
    }
