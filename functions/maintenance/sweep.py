"""Once a minute: look after every gate that may need it. Nothing depends on an event that may be lost."""

from collections.abc import Mapping
from typing import Any

from maintenance.announce import ending, tell_of_all
from maintenance.care import look_after_parked
from maintenance.cloud import CloudError, ConflictError, MachineGoneError
from maintenance.flag import Seen, State
from maintenance.gate import Gate
from maintenance.inventory import flag_etags, folders, tagged
from maintenance.keys import OVERRIDE
from maintenance.machines import Machine
from maintenance.metrics import swept
from maintenance.refresh import Round, refresh_each
from maintenance.report import Report
from maintenance.source import LIFTED, TAG, UNTIL, closing, tag_is_on, until_of
from shared.logs import logger

_log = logger(__name__)


def sweep(gate: Gate) -> dict[str, Any]:
    """Refresh every gate that is not open, whose source is on, or that has parked tasks.

    An open gate without any of these is neither read nor written.

    Returns:
        The states of the gates that were refreshed.

    Raises:
        IncompleteError: If a gate could not be brought in line; all others were.
    """
    found, waiting = Round(), None
    try:
        waiting = _look_after(gate, found)
    except CloudError as error:
        found.failed["(bucket)"] = str(error)
    _report(gate, found)
    swept(gate, len(found.failed), waiting)
    return found.answer("sweep")


def _look_after(gate: Gate, found: Round) -> list[str]:
    """Refresh what needs it, and return the names in whose folders there were objects."""
    override = _current_override(gate)
    try:
        tags = tagged(gate, TAG, UNTIL)
    except CloudError as error:
        found.failed["(tags)"] = str(error)
        tags = {}
    chosen: dict[str, Machine] = {}
    # Gates to be closed go first: a drain may take minutes.
    for name in sorted(tags, key=lambda name: (not tag_is_on(tags[name]), name)):
        machine = gate.home.machine(name)
        if tag_is_on(tags[name]) or UNTIL in tags[name]:
            chosen[name] = machine
        _end_if_over(gate, machine, tags[name], found)
    etags = flag_etags(gate)
    for name, etag in etags.items():
        if name not in chosen and _needs_care(gate, name, etag, override, found):
            chosen[name] = gate.home.machine(name)
    waiting = folders(gate, gate.keys.root)
    for name in waiting:
        # The folder may be somebody else's: with no prefix, every folder of the bucket looks like a name.
        if name not in chosen and gate.tasks.oldest(name, 1):
            chosen[name] = gate.home.machine(name)
    refresh_each(gate, chosen.values(), into=found)
    _tell(gate, override, found)
    closed = [name for name in waiting if name in found.refreshed and found.refreshed[name].state is State.CLOSED]
    try:
        look_after_parked(gate, [gate.home.machine(name) for name in closed])
    except CloudError as error:
        found.failed["(parked)"] = str(error)
    return waiting


def _report(gate: Gate, found: Round) -> None:
    machines = len(found.refreshed)
    try:
        Report(at=gate.runtime.now(), complete=not found.failed, machines=machines).save(gate)
    except CloudError as error:
        found.failed["(report)"] = str(error)


def _tell(gate: Gate, override: Seen, found: Round) -> None:
    """See that all is announced: what is not makes the sweep fail, or nobody would know."""
    untold = [name for name, one in found.refreshed.items() if not one.told]
    if tell_of_all(gate, override).flag.outbox:
        untold.append(OVERRIDE)
    found.failed.update(dict.fromkeys(untold, "not announced"))


def _current_override(gate: Gate) -> Seen:
    override = gate.flags.read(OVERRIDE)
    now = gate.runtime.now()
    if (flag := closing(override)) is None or flag.until is None or flag.until > now:
        return override
    try:
        lifted = gate.flags.write(OVERRIDE, ending(override, now, None, None), **LIFTED)
    except ConflictError:
        return gate.flags.read(OVERRIDE)  # begun again, or ended
    _log.info("maintenance of all is over", extra={"by": flag.by, "reason": flag.reason})
    return lifted


def _end_if_over(gate: Gate, machine: Machine, tags: Mapping[str, str], found: Round) -> None:
    """End a maintenance whose time is over, if its end is still the same (the listing may lag)."""
    until = until_of(tags)
    if until is None or until > gate.runtime.now() or not tag_is_on(tags):
        return
    try:
        if until_of(gate.cloud.list_tags(machine.arn)) == until:
            gate.cloud.untag(machine.arn, [TAG, UNTIL])
            _log.info("maintenance is over", extra={"machine": machine.name})
    except MachineGoneError:
        return
    except CloudError as error:
        found.failed[machine.name] = str(error)


def _needs_care(gate: Gate, name: str, etag: str, override: Seen, found: Round) -> bool:
    if closing(override) is not None:
        return True
    try:
        flag = gate.flags.read_listed(name, etag).flag
        return flag.state is not State.OPEN or bool(flag.outbox)
    except CloudError as error:
        found.failed[name] = str(error)
        return False
