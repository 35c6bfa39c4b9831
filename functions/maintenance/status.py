"""Show the gates: which are closed, since when, by whom, and what waits behind them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from maintenance.cloud import CloudError
from maintenance.flag import Flag, Seen
from maintenance.gate import Gate
from maintenance.inventory import flag_etags, folders, tagged
from maintenance.keys import OVERRIDE
from maintenance.machines import Machine
from maintenance.report import Report
from maintenance.source import TAG, closing, tag_is_on
from maintenance.tasks import Count
from maintenance.timestamps import to_text
from shared.logs import logger

MISSING = "missing"
"""State of a gate that nobody has checked in at: closed until the first check-in or sweep looks at its tag."""

_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class _Folders:
    """The names that have a folder at all: it is not worth a request to look into the others'."""

    parked: Collection[str]
    dead: Collection[str]
    quarantined: Collection[str]


def status(gate: Gate, machine: Machine | None = None) -> dict[str, Any]:
    """Return the state of one gate, or of all that are known by a flag, a parked task or a tag.

    `reason`, `by` and `until` of a gate are those of its own maintenance; `override` has those of a maintenance of all.
    `source` is what asks for maintenance now: `tag`, `override`, `both` or `none`; null if the Tagging API does not
    answer, which shows changes of tags a little late: what check-ins go by is `state`. `warnings` are the kinds of
    trouble that were announced since the maintenance began; they are shown until the next one. Counts stop at 10,000,
    and `more` says so.

    Args:
        gate: The gate.
        machine: The state machine; None for all.

    Raises:
        CloudError: If S3 does not answer.
    """
    override = closing(gate.flags.read(OVERRIDE))
    report = Report.last(gate)
    tags = _tags(gate)
    machines = _one(gate, machine) if machine is not None else _known(gate, tags or {})
    return {
        "action": "status",
        "override": override and {"state": override.state.value, **_notes(override)},
        "last_sweep": report and report.summary,
        "machines": {
            name: {**shown, "source": None if tags is None else _source(tags.get(name, {}), override)}
            for name, shown in machines.items()
        },
    }


def _tags(gate: Gate) -> Mapping[str, Mapping[str, str]] | None:
    try:
        return tagged(gate, TAG)
    except CloudError as error:
        _log.warning("no tags to show: %s", error)
        return None


def _source(tags: Mapping[str, str], override: Flag | None) -> str:
    if override is not None:
        return "both" if tag_is_on(tags) else "override"
    return "tag" if tag_is_on(tags) else "none"


def _one(gate: Gate, machine: Machine) -> dict[str, dict[str, Any]]:
    own = (machine.name,)
    return {machine.name: _show(gate, machine, gate.flags.read(machine.name), _Folders(own, own, own))}


def _known(gate: Gate, tags: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, Any]]:
    etags = flag_etags(gate)
    roots = (gate.keys.root, gate.keys.all_dead, gate.keys.all_quarantined)
    found = _Folders(*(frozenset(folders(gate, root)) for root in roots))
    names = set(etags)
    names.update(name for name, own in tags.items() if tag_is_on(own))
    names.update(name for name in found.parked if name not in names and gate.tasks.oldest(name, 1))
    shown = {}
    for name in sorted(names):
        seen = gate.flags.read_listed(name, etags[name]) if name in etags else gate.flags.read(name)
        shown[name] = _show(gate, gate.home.machine(name), seen, found)
    return shown


def _show(gate: Gate, machine: Machine, seen: Seen, used: _Folders) -> dict[str, Any]:
    name = machine.name
    parked = gate.tasks.count(gate.keys.tasks(name)) if name in used.parked else Count()
    dead = gate.tasks.count(gate.keys.dead(name)) if name in used.dead else Count()
    quarantined = gate.tasks.count(gate.keys.quarantine(name)) if name in used.quarantined else Count()
    return {
        "stateMachineArn": machine.arn,
        "state": MISSING if seen.missing else seen.flag.state.value,
        **_notes(seen.flag),
        "parked": parked.number,
        "oldest": parked.oldest and to_text(parked.oldest),
        "dead": dead.number,
        "quarantined": quarantined.number,
        "warnings": [*seen.flag.troubles],
        "more": parked.more or dead.more or quarantined.more,
    }


def _notes(flag: Flag) -> dict[str, Any]:
    return {
        "since": flag.closed_at and to_text(flag.closed_at),
        "by": flag.by,
        "reason": flag.reason,
        "until": flag.until and to_text(flag.until),
        "checked_at": flag.checked_at and to_text(flag.checked_at),
    }
