"""A vote: what the durable function gets of it, and what the person who gave it is told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.button import Button
from shared.click import Click
from shared.message import outcome_text
from slack_webhook.executions import Ending
from slack_webhook.interaction import Person

_DECISIONS = {"approve": "approved", "reject": "rejected", "cancel": "cancelled"}
_NAMES = {"approve": "approval", "reject": "rejection", "cancel": "cancellation"}

UNREADABLE = "This comes from another version of the approval gate and does not work. Nothing was changed."
CLOSED = "This click changed nothing: the request is already decided, or it has expired."
# True as well where nobody can tell now how the request stands.
OVERTAKEN = (
    "Your click was not counted: the request is already decided, somebody else voted at the same moment, or the time "
    "has just run out. If the message still has its buttons in a few seconds, please click again."
)
NOT_COUNTED = (
    "Your click did not work: AWS did not accept it, and nothing was decided. Please try again in a moment; "
    "if it fails again, tell those who run the approval gate."
)
UNKNOWN = (
    "AWS did not confirm your click in time, so it is not certain that it was counted. "
    "If the message still has its buttons in a minute, please click again: a decision is never counted twice."
)


@dataclass(frozen=True, kw_only=True)
class Vote:
    """What a person says by a button.

    Attributes:
        button: The button.
        person: Who.
        at: When (aware, UTC).
        channel: Id of the channel of the message that was clicked.
        ts: Slack's timestamp of that message.
        reason: Why, if the person said so.
        inputs: Answers to the request's form.
    """

    button: Button
    person: Person
    at: datetime
    channel: str
    ts: str
    reason: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)

    def result(self) -> bytes:
        """Return what the durable function gets."""
        click = Click(
            choice=self.button.choice,
            user_id=self.person.id,
            user_team=self.person.team,
            user_name=self.person.name,
            at=self.at,
            channel=self.channel,
            ts=self.ts,
            reason=self.reason,
            inputs=self.inputs,
        )
        return click.encode().encode()

    def decides(self) -> bool:
        """Return whether this vote alone surely ends the request.

        With more than one callback somebody else may vote at the same moment, and come first.
        """
        return self.button.votes_needed == 1 and len(self.button.callback_ids) == 1

    def ending(self) -> Ending:
        """Return how the request ended, if this vote decided: the durable function writes the same."""
        return Ending(text=outcome_text(_DECISIONS[self.button.choice], [self.person.id], self.at), reason=self.reason)

    def counted(self) -> str:
        """Return what the person is told where others may still have to vote."""
        said = f"Your {_NAMES[self.button.choice]} is counted"
        if self.button.votes_needed == 1:
            return f"{said}. The message will show the decision in a moment."
        return f"{said}. {self.button.votes_needed} people have to say so; the message shows who has voted."
