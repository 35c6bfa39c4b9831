"""What a click puts into a request's callback: the webhook writes it, the approval function reads it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self

from shared.button import CHOICES, Choice
from shared.errors import WorkflowGatesError

_VERSION = 1


class ClickUnreadableError(WorkflowGatesError):
    """A callback's result is not one that this module wrote."""


@dataclass(frozen=True, kw_only=True)
class Click:
    """A counted click.

    Attributes:
        choice: What the button said.
        user_id: Slack user id of who clicked.
        user_team: Id of that person's workspace.
        user_name: Slack name of who clicked.
        at: When (aware).
        channel: Id of the channel of the message that was clicked.
        ts: Slack's timestamp of that message.
        reason: Why, if the person said so.
        inputs: Answers to the request's form.
    """

    choice: Choice
    user_id: str
    user_team: str
    user_name: str
    at: datetime
    channel: str
    ts: str
    reason: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def encode(self) -> str:
        """Return the callback's result."""
        return json.dumps(
            {
                "v": _VERSION,
                "decision": self.choice,
                "user": {"id": self.user_id, "team": self.user_team, "name": self.user_name},
                "at": self.at.astimezone(UTC).isoformat(),
                "reason": self.reason,
                "inputs": dict(self.inputs),
                "message": {"channel": self.channel, "ts": self.ts},
            }
        )

    @classmethod
    def decode(cls, result: str | None) -> Self:
        """Read a callback's result.

        Raises:
            ClickUnreadableError: If it is not what `encode` writes. The text never repeats the result.
        """
        try:
            data = json.loads(result or "")
            understood = data["v"] == _VERSION and data["decision"] in CHOICES
            click = cls(
                choice=data["decision"],
                user_id=data["user"]["id"],
                user_team=data["user"]["team"],
                user_name=data["user"]["name"],
                at=datetime.fromisoformat(data["at"]),
                channel=data["message"]["channel"],
                ts=data["message"]["ts"],
                reason=data["reason"],
                inputs=data["inputs"],
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ClickUnreadableError("the callback's result is not one that the Slack webhook writes") from None
        texts = (click.user_id, click.user_team, click.user_name, click.channel, click.ts, click.reason or "")
        understood = understood and click.at.tzinfo is not None and isinstance(click.inputs, dict)
        if not understood or not all(isinstance(text, str) for text in texts):
            raise ClickUnreadableError("the callback's result is not one that the Slack webhook writes")
        return click
