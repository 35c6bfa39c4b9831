"""A maintenance as people see it in Slack: that it began, how it ended, what went wrong.

The maintenance function's events become messages here; `notices` brings them to Slack. People's own words are always
`plain_text`, so that neither mrkdwn nor a mention in them has any effect.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ConfirmObject,
    ContextBlock,
    HeaderBlock,
    MarkdownTextObject,
    PlainTextObject,
    SectionBlock,
    TextObject,
)

from shared.button import ButtonUnreadableError
from shared.errors import WorkflowGatesError
from shared.message import MAX_HEADER_LENGTH, MAX_SECTION_LENGTH, escaped, localized, truncated

SOURCE = "workflow-gates.maintenance"
BEGAN, ENDED, TROUBLE = "Maintenance Began", "Maintenance Ended", "Maintenance Trouble"

ACTIONS_BLOCK_ID = "maintenance"
OUTCOME_BLOCK_ID = "maintenance_outcome"
END_ACTION_ID = "end-maintenance"

ALL = "all"
_VERSION = 1
_MAX_LABEL_LENGTH = 200


class EventInvalidError(WorkflowGatesError):
    """An event that says it is the maintenance function's, and is not as that writes it."""


@dataclass(frozen=True, kw_only=True)
class EndButton:
    """What the button "End maintenance" carries.

    Attributes:
        scope: ARN of the state machine, or `all`.
        since: When the maintenance began, as the maintenance function writes it: another one is not ended.
        team: Id of the workspace that the message was posted to.
    """

    scope: str
    since: str
    team: str

    def encode(self) -> str:
        """Return the button's value."""
        data = {"v": _VERSION, "s": self.scope, "since": self.since, "t": self.team}
        return json.dumps(data, separators=(",", ":"))

    @classmethod
    def decode(cls, value: str) -> Self:
        """Read a button's value.

        Raises:
            ButtonUnreadableError: If it is not what `encode` writes.
        """
        try:
            data = json.loads(value)
            version, button = data["v"], cls(scope=data["s"], since=data["since"], team=data["t"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ButtonUnreadableError("the button does not end a maintenance") from None
        if version != _VERSION or not all(isinstance(t, str) for t in (button.scope, button.since, button.team)):
            raise ButtonUnreadableError("the button is not one that this version of the notices writes")
        return button


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where something happened.

    Attributes:
        environment: Label of the deployment, such as `prod`.
        account: AWS account id.
        region: AWS region.
    """

    environment: str
    account: str
    region: str

    @property
    def text(self) -> str:
        """One line (mrkdwn)."""
        label = escaped(truncated(self.environment, _MAX_LABEL_LENGTH))
        return f"*{label}* · account {self.account} · {self.region}"


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a maintenance ended.

    Attributes:
        at: When (aware).
        by: Who ended it, if known.
        reason: Why, if somebody said so.
        resumed: Executions that went on, at least.
        dead: Parked tasks whose execution did not wait any more, at least.
        quarantined: Parked tasks that nobody could resume, at least.
    """

    at: datetime
    by: str | None
    reason: str | None
    resumed: int
    dead: int
    quarantined: int

    @property
    def counts(self) -> str:
        """What became of the parked tasks."""
        return f"{self.resumed} resumed, {self.dead} dead, {self.quarantined} quarantined"


@dataclass(frozen=True, kw_only=True)
class Maintenance:
    """A maintenance of one state machine, or of all.

    Attributes:
        scope: ARN of the state machine, or `all`.
        name: What people call that.
        since: When it began, as the maintenance function writes it: with the scope what tells it from others.
        began_at: The same (aware).
        until: When it is to end by itself (aware).
        reason: Why.
        by: Who began it.
        place: Where.
        ending: How it ended; None while it is on, as far as the event knows.
    """

    scope: str
    name: str
    since: str
    began_at: datetime
    until: datetime | None
    reason: str | None
    by: str | None
    place: Place
    ending: Ending | None

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """Read `Maintenance Began` or `Maintenance Ended`.

        Raises:
            EventInvalidError: If a field is missing or wrong.
        """
        detail = _detail(event)
        whole = _text(detail, "scope") == ALL
        since = _text(detail, "since")
        return cls(
            scope=ALL if whole else _text(detail, "state_machine_arn"),
            name="all state machines" if whole else _text(detail, "name"),
            since=since,
            began_at=_moment(since, "since"),
            until=_moment_or_none(detail, "until"),
            reason=_text_or_none(detail, "reason"),
            by=_text_or_none(detail, "by"),
            place=_place(event, detail),
            ending=_ending(detail) if event.get("detail-type") == ENDED else None,
        )

    @property
    def key(self) -> str:
        """What tells this maintenance from every other one."""
        return f"{self.scope}|{self.since}"

    @property
    def has_notes(self) -> bool:
        """Whether a reason, a person or an end is known."""
        return any((self.reason, self.by, self.until))

    @property
    def notes(self) -> str:
        """What tells the message with these notes from one with others."""
        return hashlib.sha256(json.dumps(self._content()).encode()).hexdigest()[:16]

    def text(self) -> str:
        """Return the text for notifications and screen readers (mrkdwn)."""
        what = "Maintenance over" if self.ending else "Maintenance began"
        return f"{what}: {escaped(self.name)} ({escaped(truncated(self.place.environment, _MAX_LABEL_LENGTH))})"

    def open_blocks(self, team: str, before: Sequence[Mapping[str, Any]] = ()) -> list[dict[str, Any]]:
        """Return the blocks of the message while the maintenance is on.

        Args:
            team: Id of the workspace.
            before: The message's blocks so far: that its end was asked for is still said.
        """
        confirm = ConfirmObject(
            title="End this maintenance?",
            text=PlainTextObject(text=f"Executions of {self.name} go on at once, those that wait and new ones."),
            confirm="End maintenance",
            deny="Back",
            style="danger",
        )
        button = ButtonElement(
            text="End maintenance",
            action_id=END_ACTION_ID,
            value=EndButton(scope=self.scope, since=self.since, team=team).encode(),
            style="danger",
            confirm=confirm,
        )
        actions = _as_json([ActionsBlock(block_id=ACTIONS_BLOCK_ID, elements=[button])])
        return [*self._content(), *actions, *(dict(b) for b in before if b.get("block_id") == OUTCOME_BLOCK_ID)]

    def over_blocks(self) -> list[dict[str, Any]]:
        """Return the blocks of the message once the maintenance is over, also where only that much is known."""
        return over(self._content(), self.ending)

    def report(self) -> str:
        """Return what the message's thread says at the end (mrkdwn).

        Raises:
            ValueError: If the maintenance is not known to be over.
        """
        if self.ending is None:
            raise ValueError("nobody knows yet how this maintenance ends")
        lines = [f"*Over* after {_duration(self.ending.at - self.began_at)}: {self.ending.counts}."]
        if self.ending.dead:
            lines.append("Dead: their executions did not wait any more (stopped, timed out).")
        if self.ending.quarantined:
            lines.append(
                "Quarantined: nobody could resume them, and their executions still wait. See the action `status`; "
                "the action `replay` tries again."
            )
        return "\n".join(lines)

    def _content(self) -> list[dict[str, Any]]:
        title = truncated(f"🚧 Maintenance of {self.name}", MAX_HEADER_LENGTH)
        # Slack does not say whether a message that is replaced after a click keeps its metadata; it keeps this id.
        blocks: list[Block] = [HeaderBlock(block_id=self.key, text=PlainTextObject(text=title))]
        if self.reason:
            blocks.append(SectionBlock(text=PlainTextObject(text=truncated(self.reason, MAX_SECTION_LENGTH))))
        until = f"until {localized(self.until)}" if self.until else "no end set"
        facts = f"{self.place.text} · since {localized(self.began_at)} · {until}"
        blocks.append(ContextBlock(elements=[MarkdownTextObject(text=facts), *_by("begun", self.by)]))
        return _as_json(blocks)


@dataclass(frozen=True, kw_only=True)
class Trouble:
    """Something that an operator should look at.

    Attributes:
        key: The event's id: delivered again it is the same.
        at: When the event was sent (aware).
        kind: What, for programs.
        name: The state machine; None if all are meant.
        message: What, for people.
        fix: What to do about it.
        place: Where.
    """

    key: str
    at: datetime
    kind: str
    name: str | None
    message: str
    fix: str
    place: Place

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """Read `Maintenance Trouble`.

        Raises:
            EventInvalidError: If a field is missing or wrong.
        """
        detail = _detail(event)
        return cls(
            key=_text(event, "id"),
            at=_moment(_text(event, "time"), "time"),
            kind=_text(detail, "kind"),
            name=_text_or_none(detail, "name"),
            message=_text(detail, "message"),
            fix=_text(detail, "fix"),
            place=_place(event, detail),
        )

    def text(self) -> str:
        """Return the text for notifications and screen readers (mrkdwn)."""
        return f"Maintenance gate: {escaped(truncated(self.message, _MAX_LABEL_LENGTH))}"

    def blocks(self) -> list[dict[str, Any]]:
        """Return the blocks of the message."""
        title = truncated(f"⚠️ Maintenance gate{f': {self.name}' if self.name else ''}", MAX_HEADER_LENGTH)
        texts = [truncated(text, MAX_SECTION_LENGTH) for text in (self.message, f"What to do: {self.fix}")]
        blocks: list[Block] = [HeaderBlock(text=PlainTextObject(text=title))]
        blocks += [SectionBlock(text=PlainTextObject(text=text)) for text in texts]
        blocks.append(ContextBlock(elements=[MarkdownTextObject(text=f"{self.place.text} · {localized(self.at)}")]))
        return _as_json(blocks)


def is_event(event: Mapping[str, Any]) -> bool:
    """Return whether an event of this function is one of the maintenance function's."""
    return event.get("source") == SOURCE and event.get("detail-type") in (BEGAN, ENDED, TROUBLE)


def is_open(blocks: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a message has the button."""
    return any(block.get("block_id") == ACTIONS_BLOCK_ID for block in blocks)


def over(blocks: Sequence[Mapping[str, Any]], ending: Ending | None = None) -> list[dict[str, Any]]:
    """Return a message's blocks without the button, and with the outcome at the end.

    Args:
        blocks: The blocks as sent, or as Slack returns them.
        ending: How the maintenance ended, if known.
    """
    if ending is None:
        return [*_without(blocks, ACTIONS_BLOCK_ID, OUTCOME_BLOCK_ID), _outcome("✅ *Over*")]
    elements: list[TextObject] = _by("ended", ending.by)
    if ending.reason:
        elements.append(PlainTextObject(text=truncated(ending.reason, MAX_SECTION_LENGTH)))
    outcome = _outcome(f"✅ *Over* since {localized(ending.at)}: {ending.counts}", *elements)
    return [*_without(blocks, ACTIONS_BLOCK_ID, OUTCOME_BLOCK_ID), outcome]


def ending(blocks: Sequence[Mapping[str, Any]], user: str, at: datetime) -> list[dict[str, Any]]:
    """Return a message's blocks after a click. The button stays: should the end fail, it can be asked for again.

    Args:
        blocks: The blocks as Slack returns them.
        user: Slack user id of who clicked.
        at: When (aware).
    """
    return [*_without(blocks, OUTCOME_BLOCK_ID), _outcome(f"⏳ *Ending*: asked for by <@{user}> {localized(at)}")]


def _outcome(text: str, *elements: TextObject) -> dict[str, Any]:
    (block,) = _as_json([ContextBlock(block_id=OUTCOME_BLOCK_ID, elements=[MarkdownTextObject(text=text), *elements])])
    return block


def _without(blocks: Sequence[Mapping[str, Any]], *block_ids: str) -> list[dict[str, Any]]:
    return [dict(block) for block in blocks if block.get("block_id") not in block_ids]


def _by(what: str, who: str | None) -> list[TextObject]:
    return [PlainTextObject(text=f"{what} by {truncated(who, _MAX_LABEL_LENGTH)}")] if who else []


def _as_json(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    return [block.to_dict() for block in blocks]


def _duration(length: timedelta) -> str:
    """Return a length of time in its two largest units."""
    seconds = max(0, int(length.total_seconds()))
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "less than a second"


def _detail(event: Mapping[str, Any]) -> Mapping[str, Any]:
    detail = event.get("detail")
    if not isinstance(detail, Mapping):
        raise EventInvalidError(f"detail of {event.get('detail-type')!r} is missing or no object")
    return detail


def _place(event: Mapping[str, Any], detail: Mapping[str, Any]) -> Place:
    return Place(
        environment=_text(detail, "environment"), account=_text(event, "account"), region=_text(event, "region")
    )


def _ending(detail: Mapping[str, Any]) -> Ending:
    return Ending(
        at=_moment(_text(detail, "ended_at"), "ended_at"),
        by=_text_or_none(detail, "ended_by"),
        reason=_text_or_none(detail, "end_reason"),
        resumed=_count(detail, "resumed"),
        dead=_count(detail, "dead"),
        quarantined=_count(detail, "quarantined"),
    )


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise EventInvalidError(f"{name} is missing or not text in an event of {SOURCE}")
    return value


def _text_or_none(data: Mapping[str, Any], name: str) -> str | None:
    value = data.get(name)
    # Slack takes no text that is nothing but spaces.
    return _text(data, name) if value is not None and (not isinstance(value, str) or value.strip()) else None


def _count(data: Mapping[str, Any], name: str) -> int:
    value = data.get(name)
    if not isinstance(value, int):
        raise EventInvalidError(f"{name} is missing or no whole number in an event of {SOURCE}")
    return value


def _moment_or_none(data: Mapping[str, Any], name: str) -> datetime | None:
    text = _text_or_none(data, name)
    return _moment(text, name) if text else None


def _moment(text: str, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise EventInvalidError(f"{name} is {text[:40]!r} in an event of {SOURCE}: it must be ISO 8601") from None
    if moment.tzinfo is None:
        raise EventInvalidError(f"{name} is {text[:40]!r} in an event of {SOURCE}: it has no time zone")
    return moment
