"""The message of a request, as Block Kit: open with two buttons, later locked with the outcome.

Callers' text is always `plain_text`, so that neither mrkdwn nor a mention in it has any effect.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from slack_sdk.models.blocks import (
    ActionsBlock,
    Block,
    ButtonElement,
    ContextBlock,
    HeaderBlock,
    MarkdownTextObject,
    PlainTextObject,
    SectionBlock,
    TextObject,
)

from shared.button import Button

ACTIONS_BLOCK_ID = "approval"
OUTCOME_BLOCK_ID = "approval_outcome"
VOTES_BLOCK_ID = "approval_votes"
METADATA_EVENT_TYPE = "approval_request"

# https://docs.slack.dev/reference/block-kit/blocks/header-block and .../section-block
MAX_HEADER_LENGTH = 150
MAX_SECTION_LENGTH = 3000
MAX_FIELD_LENGTH = 2000
# Slack does not document how much all blocks together may have; `msg_blocks_too_long` was seen from some 13,200
# characters of JSON on: https://github.com/slackapi/bolt-js/issues/2509
MAX_BLOCKS_LENGTH = 13_000
_MAX_LABEL_LENGTH = 100
# No text is cut to less than so many characters.
_LEAST_LENGTH = 40
# In place of a text that is nothing but spaces, which Slack does not take.
_NOTHING = "-"
_CUT = "… (truncated)"
# Nobody sees them, and each is six characters of JSON.
_CONTROLS = re.compile(r"[\x00-\x09\x0b-\x1f]")

# Slack ids of user groups begin with it, those of people with U or W.
GROUP = "S"

_LABELS = {"approve": ("Approve", "primary"), "reject": ("Reject", "danger"), "cancel": ("Cancel", None)}
_OUTCOMES = {
    "approved": "✅ Approved",
    "rejected": "❌ Rejected",
    "timed_out": "⌛ Expired without a decision",
    "cancelled": "🚫 Cancelled",
    "stopped": "🚫 Cancelled: the approval was stopped",
    "undelivered": "⌛ Expired: Slack did not confirm this message in time",
    "failed": "⚠️ Stopped before a decision took effect; the buttons no longer work",
    "closed": "🔒 Already decided or expired",
}


@dataclass(frozen=True, kw_only=True)
class RequestMessage:
    """All that people see of a request.

    Attributes:
        title: One line.
        description: Free text, may be empty.
        fields: Name and value pairs.
        environment: Label of the deployment, such as `prod`.
        account: AWS account id.
        region: AWS region.
        requester: Slack user id of who asked, if known.
        expires_at: When the request times out (aware), if known.
    """

    title: str
    description: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    environment: str
    account: str
    region: str
    requester: str | None
    expires_at: datetime | None

    def text(self) -> str:
        """Return the text for notifications and screen readers."""
        return f"Approval requested: {escaped(truncated(self.title, MAX_HEADER_LENGTH))}"

    def open_blocks(self, *buttons: Button, votes: str | None = None) -> list[dict[str, Any]]:
        """Return the blocks of the message while the request is open.

        Args:
            buttons: In the order to show them.
            votes: A text of `votes_text`.

        Raises:
            ButtonTooLongError: If what a click needs does not fit into a button.
        """
        elements = [
            ButtonElement(text=label, action_id=button.choice, style=style, value=button.encode())
            for button in buttons
            for label, style in (_LABELS[button.choice],)
        ]
        below: list[Block] = [ActionsBlock(block_id=ACTIONS_BLOCK_ID, elements=elements)]
        if votes:
            below.insert(0, ContextBlock(block_id=VOTES_BLOCK_ID, elements=[MarkdownTextObject(text=votes)]))
        return self._content(_as_json(below))

    def locked_blocks(self, outcome: str, reason: str | None = None) -> list[dict[str, Any]]:
        """Return the blocks of the message once it is over: the same content, the outcome, no buttons.

        Args:
            outcome: A text of `outcome_text`.
            reason: Why, if a person said so.
        """
        return self._content(locked([], outcome, reason))

    def notice_blocks(self, text: str, link: str | None) -> list[dict[str, Any]]:
        """Return the blocks of a message about this one.

        Args:
            text: What there is to say (mrkdwn).
            link: Where this message is, if known.
        """
        facts: list[TextObject] = [PlainTextObject(text=truncated(self.title, MAX_HEADER_LENGTH))]
        if link:
            facts.append(MarkdownTextObject(text=f"<{link}|Show the request>"))
        return _as_json([SectionBlock(text=MarkdownTextObject(text=text)), ContextBlock(elements=facts)])

    def _content(self, below: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the blocks above others, their longest texts cut as far as all together need it."""
        limit = MAX_SECTION_LENGTH
        while True:
            blocks = _as_json(self._blocks(limit)) + below
            if limit == _LEAST_LENGTH or len(json.dumps(blocks, ensure_ascii=False)) <= MAX_BLOCKS_LENGTH:
                return blocks
            limit = max(_LEAST_LENGTH, limit * 3 // 4)

    def _blocks(self, limit: int) -> list[Block]:
        blocks: list[Block] = [HeaderBlock(text=PlainTextObject(text=truncated(self.title, MAX_HEADER_LENGTH)))]
        if self.description.strip():
            blocks.append(SectionBlock(text=PlainTextObject(text=truncated(self.description, limit))))
        if self.fields:
            pairs = [f"{name}\n{value}" for name, value in self.fields.items()]
            texts = [truncated(pair if pair.strip() else _NOTHING, min(limit, MAX_FIELD_LENGTH)) for pair in pairs]
            blocks.append(SectionBlock(fields=[PlainTextObject(text=text) for text in texts]))
        environment = escaped(truncated(self.environment, _MAX_LABEL_LENGTH))
        facts = [f"*{environment}* · account {self.account} · {self.region}"]
        if self.requester:
            facts.append(f"requested by <@{self.requester}>")
        if self.expires_at:
            facts.append(f"expires {localized(self.expires_at)}")
        blocks.append(ContextBlock(elements=[MarkdownTextObject(text=" · ".join(facts))]))
        return blocks


def locked(blocks: Sequence[Mapping[str, Any]], outcome: str, reason: str | None = None) -> list[dict[str, Any]]:
    """Return a message's blocks without buttons and with the outcome at the end.

    Args:
        blocks: The blocks as sent, or as Slack returns them with a click.
        outcome: A text of `outcome_text`.
        reason: Why, if a person said so.
    """
    only_while_open = (ACTIONS_BLOCK_ID, OUTCOME_BLOCK_ID, VOTES_BLOCK_ID)
    kept = [dict(block) for block in blocks if block.get("block_id") not in only_while_open]
    elements: list[TextObject] = [MarkdownTextObject(text=outcome)]
    if shown := _CONTROLS.sub("", reason or "").strip():
        elements.append(PlainTextObject(text=truncated(shown, MAX_FIELD_LENGTH)))
    return [*kept, *_as_json([ContextBlock(block_id=OUTCOME_BLOCK_ID, elements=elements)])]


def decision_text(decision: Mapping[str, Any]) -> str:
    """Return one line that says how a request ended (mrkdwn), from its decision as callers get it."""
    voters = [voter["id"] for voter in decision["decided_by"]]
    at = datetime.fromisoformat(decision["decided_at"])
    return outcome_text(decision["decision"], voters, at, by_timeout=bool(decision.get("timed_out")))


def outcome_text(
    decision: str, users: Sequence[str] = (), at: datetime | None = None, *, by_timeout: bool = False
) -> str:
    """Return one line that says how a request ended (mrkdwn).

    Args:
        decision: `approved`, `rejected`, `timed_out`, `cancelled`, `undelivered`; `stopped` or `failed` where the
            execution died; `closed` where only that much is known.
        users: Slack user ids of who decided.
        at: When (aware).
        by_timeout: Whether nobody decided, and the request wanted this when its time ran out.
    """
    parts = [f"*{_OUTCOMES[decision]}*"]
    if by_timeout:
        parts.append("because the time ran out")
    if users:
        parts.append(f"by {mentions(users)}")
    if at:
        parts.append(localized(at))
    return " ".join(parts)


def votes_text(approved: Sequence[str], quorum: int, rejected: Sequence[str], rejections: int) -> str:
    """Return one line about the votes so far (mrkdwn).

    Args:
        approved: Slack user ids of who approved.
        quorum: How many have to.
        rejected: Slack user ids of who rejected.
        rejections: How many have to.
    """
    approvals = f"*{len(approved)} of {quorum}* approved{_by(approved)}"
    return f"{approvals} · *{len(rejected)} of {rejections}* rejected{_by(rejected)}"


def mentions(ids: Sequence[str]) -> str:
    """Return mentions of people and user groups (mrkdwn)."""
    return ", ".join(f"<!subteam^{id_}>" if id_.startswith(GROUP) else f"<@{id_}>" for id_ in ids)


def _by(users: Sequence[str]) -> str:
    return f" by {mentions(users)}" if users else ""


def localized(moment: datetime) -> str:
    """Return a date that Slack shows in the reader's time zone, with UTC as fallback."""
    return f"<!date^{int(moment.timestamp())}^{{date_short_pretty}} {{time}}|{moment:%Y-%m-%d %H:%M} UTC>"


def escaped(text: str) -> str:
    """Return text in which Slack sees no mention, link or entity.

    Source: https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def truncated(text: str, limit: int) -> str:
    """Return the text, cut to `limit` characters with a visible mark where it is longer."""
    return text if len(text) <= limit else text[: limit - len(_CUT)] + _CUT


def _as_json(blocks: Sequence[Block]) -> list[dict[str, Any]]:
    return [block.to_dict() for block in blocks]
