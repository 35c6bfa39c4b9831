"""How a request ended, as callers get it (`decision.schema.json`)."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Self

from shared.button import Choice
from shared.click import Click
from shared.message import truncated

# Of a reason in a decision that would be too long.
_MAX_REASON_LENGTH = 1000

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
class Undelivered:
    """A place where nobody could be asked: as the request names it, and why."""

    channel: str
    failure: Failure

    def as_json(self) -> dict[str, Any]:
        """Return it as `decision.schema.json` describes it."""
        return {"channel": self.channel, "error": asdict(self.failure)}


@dataclass(frozen=True, kw_only=True)
class Vote:
    """What one person said: Slack user id, Slack name, when (aware), what, and why if the person said so."""

    id: str
    name: str
    at: datetime
    choice: Choice
    reason: str | None

    @classmethod
    def of(cls, click: Click) -> Self:
        """Return what a click says."""
        return cls(id=click.user_id, name=click.user_name, at=click.at, choice=click.choice, reason=click.reason)

    def who(self) -> dict[str, Any]:
        """Return who it was, and when."""
        return {"id": self.id, "name": self.name, "at": utc_text(self.at)}


@dataclass(frozen=True, kw_only=True)
class Decision:
    """How a request ended.

    Attributes:
        outcome: The result.
        requested_at: When the request was made (aware).
        decided_at: When it ended (aware).
        execution_arn: Durable execution that handled it.
        request_hash: `shared.records.request_hash` of the request.
        decided_by: Those whose votes made the decision, or who cancelled.
        votes: Every vote that counted.
        reason: Why, if a person said so: the last who did among those who decided.
        inputs: Answers to the request's form, by the person whose vote decided.
        timed_out: Whether nobody decided, and the request wanted this outcome when its time ran out.
        messages: Its messages in Slack; the first is the main one.
        undelivered_to: Places where nobody could be asked.
        failure: Why nobody could be asked at all, with `undelivered`.
    """

    outcome: Outcome
    requested_at: datetime
    decided_at: datetime
    execution_arn: str
    request_hash: str
    decided_by: tuple[Vote, ...] = ()
    votes: tuple[Vote, ...] = ()
    reason: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    timed_out: bool = False
    messages: tuple[Location, ...] = ()
    undelivered_to: tuple[Undelivered, ...] = ()
    failure: Failure | None = None

    def as_json(self) -> dict[str, Any]:
        """Return it as `decision.schema.json` describes it."""
        messages = [asdict(message) for message in self.messages]
        decision: dict[str, Any] = {
            "decision": self.outcome,
            "decided_by": [vote.who() for vote in self.decided_by],
            "votes": [vote.who() | {"decision": vote.choice, "reason": vote.reason} for vote in self.votes],
            "reason": self.reason,
            "inputs": dict(self.inputs),
            "requested_at": utc_text(self.requested_at),
            "decided_at": utc_text(self.decided_at),
            "message": messages[0] if messages else None,
            "messages": messages,
            "request_hash": self.request_hash,
            "execution_arn": self.execution_arn,
        }
        if self.timed_out:
            decision["timed_out"] = True
        if self.undelivered_to:
            decision["undelivered_to"] = [place.as_json() for place in self.undelivered_to]
        if self.failure:
            decision["error"] = asdict(self.failure)
        return decision

    def as_text(self, limit: int) -> str:
        """Return it as ASCII JSON; where it is too long, without what only its execution can tell then.

        Args:
            limit: Characters.
        """
        data = self.as_json()
        text = json.dumps(data)
        if len(text) > limit:
            data.pop("undelivered_to", None)
            data |= {"inputs": {}, "messages": data["messages"][:1]}
            data["reason"] = data["reason"] and truncated(data["reason"], _MAX_REASON_LENGTH)
            data["votes"] = [vote | {"reason": None} for vote in data["votes"]]
            text = json.dumps(data)
        if len(text) > limit:
            data |= {name: [person | {"name": ""} for person in data[name]] for name in ("decided_by", "votes")}
            text = json.dumps(data)
        return text


def utc_text(moment: datetime) -> str:
    """Return a moment as ISO 8601 in UTC with milliseconds, such as `2026-01-31T12:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
