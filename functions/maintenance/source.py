"""The source: what people want. A state machine's own tag, or the override that closes all gates."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from maintenance.flag import Changes, Flag, Seen, State
from maintenance.gate import Gate
from maintenance.keys import OVERRIDE
from maintenance.machines import Machine
from maintenance.timestamps import from_text
from shared.logs import logger

TAG = "Maintenance"
"""The tag whose value `true` (in any case) puts a state machine into maintenance."""

UNTIL = "MaintenanceUntil"
"""The tag that says when that maintenance ends, or `NO_END`. Written together with `TAG`."""

NO_END = "none"
"""Value of `UNTIL`: when `TAG` is removed. Not empty: Terraform's AWS provider takes `tags_all` with an empty tag for
unknown, and plans a change of the resource again and again, also where the tag is ignored."""

LIFTED = Changes(state=State.OPEN, closed_at=None, reason=None, by=None, until=None)
"""What ends an override."""

_log = logger(__name__)


@dataclass(frozen=True, slots=True)
class Source:
    """What people want of one state machine.

    Attributes:
        override: The override's content, if it closes all gates.
        tags: The state machine's own tags; None where the override has already decided.
    """

    override: Flag | None
    tags: Mapping[str, str] | None

    @property
    def on(self) -> bool:
        """Whether the gate is to be closed."""
        return self.override is not None or tag_is_on(self.tags or {})

    @property
    def leftover_until(self) -> bool:
        """Whether an ended maintenance left its end behind: the next one would end with it."""
        return not self.on and UNTIL in (self.tags or {})


def read_source(gate: Gate, machine: Machine) -> Source:
    """Read the source (R2, R3). The caller must have read the flag before: see R1.

    The tag is not read under an override: it decides nothing then, and reading it is limited to one per second
    for a whole account.

    Raises:
        CloudError: If AWS does not answer.
    """
    override = closing(gate.flags.read(OVERRIDE))
    return Source(override, None if override is not None else gate.cloud.list_tags(machine.arn))


def closing(override: Seen) -> Flag | None:
    """Return the override's content if it closes all gates: without the object it does not."""
    closes = not override.missing and override.flag.state is State.CLOSED
    return override.flag if closes else None


def tag_is_on(tags: Mapping[str, str]) -> bool:
    """Return whether a state machine's own tag asks for maintenance."""
    return tags.get(TAG, "").strip().lower() == "true"


def until_of(tags: Mapping[str, str]) -> datetime | None:
    """Return when the maintenance that the tags ask for ends; None if it does not end by itself."""
    text = tags.get(UNTIL, "").strip()
    if text in {"", NO_END}:
        return None
    try:
        return from_text(text)
    except ValueError:
        _log.warning("tag %s is %r: taken as no end; write for example 2030-01-01T06:00:00Z", UNTIL, text)
        return None
