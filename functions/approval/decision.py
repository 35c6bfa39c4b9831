"""How a request ended, as callers get it (`decision.schema.json`)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Outcome = Literal["approved", "rejected", "timed_out", "cancelled", "undelivered"]


@dataclass(frozen=True, kw_only=True)
class Location:
    """A message in Slack: channel id, Slack's timestamp of it, and a link to it, where known."""

    channel: str
    ts: str
    permalink: str | None


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why nobody could be asked: Slack's error code, what happened, and what to do about it."""

    code: str
    message: str
    fix: str


@dataclass(frozen=True, kw_only=True)
class Voter:
    """Who decided: Slack user id, Slack name, and when (aware)."""

    id: str
    name: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Decision:
    """How a request ended.

    Attributes:
        outcome: The result.
        requested_at: When the request was made (aware).
        decided_at: When it ended (aware).
        execution_arn: Durable execution that handled it.
        decided_by: Who decided.
        reason: Why, if a person said so.
        inputs: Answers to the request's form.
        message: Its message in Slack, if there is one.
        failure: Why nobody could be asked, with `undelivered`.
    """

    outcome: Outcome
    requested_at: datetime
    decided_at: datetime
    execution_arn: str
    decided_by: tuple[Voter, ...] = ()
    reason: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    message: Location | None = None
    failure: Failure | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as `decision.schema.json` describes it."""
        decision = {
            "decision": self.outcome,
            "decided_by": [{"id": voter.id, "name": voter.name, "at": utc_text(voter.at)} for voter in self.decided_by],
            "reason": self.reason,
            "inputs": dict(self.inputs),
            "requested_at": utc_text(self.requested_at),
            "decided_at": utc_text(self.decided_at),
            "message": asdict(self.message) if self.message else None,
            "execution_arn": self.execution_arn,
        }
        return decision | ({"error": asdict(self.failure)} if self.failure else {})


def utc_text(moment: datetime) -> str:
    """Return a moment as ISO 8601 in UTC with milliseconds, such as `2026-01-31T12:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
