"""What the last sweep did and saw: one object that every sweep overwrites. For people, and for the next sweep."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from maintenance.gate import Gate
from maintenance.timestamps import from_text, to_text
from shared.logs import logger

_log = logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The report of one sweep.

    Attributes:
        at: When it ended.
        complete: Whether it could look after every gate.
        machines: How many gates needed it.
    """

    at: datetime
    complete: bool
    machines: int

    @property
    def summary(self) -> dict[str, Any]:
        """What a status shows of it."""
        return {"at": to_text(self.at), "complete": self.complete, "machines": self.machines}

    def to_json(self) -> bytes:
        """Return the object's body."""
        return json.dumps(self.summary).encode()

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Return the report that a body holds.

        Raises:
            ValueError: If it holds none.
        """
        try:
            content: dict[str, Any] = json.loads(body)
            return cls(
                at=from_text(content["at"]), complete=bool(content["complete"]), machines=int(content["machines"])
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"no report of a sweep: {error!r}") from error

    @classmethod
    def last(cls, gate: Gate) -> Self | None:
        """Return the last sweep's report; None if there has been no sweep.

        Raises:
            CloudError: If S3 does not answer.
        """
        stored = gate.cloud.get_object(gate.keys.report)
        try:
            return None if stored is None else cls.from_json(stored.body)
        except ValueError:
            _log.exception("report makes no sense: taken as none", extra={"key": gate.keys.report})
            return None

    def save(self, gate: Gate) -> None:
        """Write it over the last one. Of two sweeps at once the later end stays, which is as good as the other.

        Raises:
            CloudError: If S3 does not answer.
        """
        gate.cloud.put_object(gate.keys.report, self.to_json())
