"""The modal that asks for a reason and for the request's inputs.

Nothing is kept between opening and submitting it: Slack carries the button along.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from shared.button import Button, ButtonUnreadableError
from shared.form import Form
from shared.message import MAX_SECTION_LENGTH, truncated
from slack_webhook.interaction import MODAL_CALLBACK_ID

_NAMES = {"approve": "Approve", "reject": "Reject", "cancel": "Cancel"}


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a modal was opened: what its submission needs.

    Attributes:
        button: The button that was clicked.
        channel: Id of the channel of its message.
        ts: Slack's timestamp of that message.
    """

    button: Button
    channel: str
    ts: str

    def encode(self) -> str:
        """Return it as `private_metadata`: 2,000 characters of button at most, and little more; 3,000 are allowed.

        Source: https://docs.slack.dev/reference/views/modal-views
        """
        # The button as text would need a backslash before each of its quotation marks.
        data = {"button": json.loads(self.button.encode()), "channel": self.channel, "ts": self.ts}
        return json.dumps(data, separators=(",", ":"))

    @classmethod
    def decode(cls, metadata: str) -> Self:
        """Read `private_metadata`.

        Raises:
            ButtonUnreadableError: If it is not what `encode` writes. The text never repeats it.
        """
        try:
            data = json.loads(metadata)
            button = Button.decode(json.dumps(data["button"]))
            channel, ts = data["channel"], data["ts"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ButtonUnreadableError("the modal was not opened by this version of the approval gate") from None
        if not isinstance(channel, str) or not isinstance(ts, str):
            raise ButtonUnreadableError("the modal was not opened by this version of the approval gate")
        return cls(button=button, channel=channel, ts=ts)


def opened(origin: Origin, form: Form, title: str) -> dict[str, Any]:
    """Return the view that asks.

    Args:
        origin: Where it is opened.
        form: What it asks for.
        title: The request's title.
    """
    name = _NAMES[origin.button.choice]
    return {
        "type": "modal",
        "callback_id": MODAL_CALLBACK_ID,
        "private_metadata": origin.encode(),
        "title": _plain(name),
        "submit": _plain(name),
        "close": _plain("Back"),
        "blocks": [_section(_plain(truncated(title, MAX_SECTION_LENGTH))), *form.blocks(origin.button.choice)],
    }


def answered(text: str) -> dict[str, Any]:
    """Return the view that takes the place of the one that was submitted, and says why it had no effect.

    Args:
        text: What the person is told (mrkdwn).
    """
    return {
        "type": "modal",
        "callback_id": f"{MODAL_CALLBACK_ID}-over",
        "title": _plain("Not counted"),
        "close": _plain("Close"),
        "blocks": [_section({"type": "mrkdwn", "text": text})],
    }


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def _section(text: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "section", "text": dict(text)}
