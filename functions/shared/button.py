"""What an Approve or Reject button carries: all that a click needs, so that the webhook keeps no state.

Slack signs every click, so the value can be trusted as far as the message was ours.
"""

import json
from dataclasses import dataclass
from typing import Literal, Self

from shared.errors import WorkflowGatesError

# https://docs.slack.dev/reference/block-kit/block-elements/button-element
MAX_VALUE_LENGTH = 2000
_VERSION = 1

Choice = Literal["approve", "reject"]


class ButtonTooLongError(WorkflowGatesError):
    """What a click needs does not fit into a button."""


class ButtonUnreadableError(WorkflowGatesError):
    """A button's value was not written by this module, or by a version that is not understood."""


@dataclass(frozen=True, kw_only=True)
class Button:
    """One button of a request.

    Attributes:
        choice: What a click on it says.
        callback_ids: Callbacks that a vote may complete, in the order to try; bearer capabilities, never logged.
        approvers: Ids of those who may decide.
        requester: User id of who asked, if known.
        allow_self_approval: Whether the requester may decide.
        team: Id of the workspace that the message was posted to.
        votes_needed: How many distinct people must approve.
        voted: User ids of those whose vote is counted already.
    """

    choice: Choice
    callback_ids: tuple[str, ...]
    approvers: tuple[str, ...]
    requester: str | None
    allow_self_approval: bool
    team: str
    votes_needed: int = 1
    voted: tuple[str, ...] = ()

    def encode(self) -> str:
        """Return the button's value.

        Raises:
            ButtonTooLongError: If it is longer than Slack's 2000 characters.
        """
        value = json.dumps(
            {
                "v": _VERSION,
                "d": self.choice,
                "c": self.callback_ids,
                "a": self.approvers,
                "r": self.requester,
                "self": int(self.allow_self_approval),
                "t": self.team,
                "n": self.votes_needed,
                "seen": self.voted,
            },
            separators=(",", ":"),
        )
        if len(value) > MAX_VALUE_LENGTH:
            raise ButtonTooLongError(
                f"{len(self.approvers)} approvers do not fit into a Slack button "
                f"({len(value)} of {MAX_VALUE_LENGTH} characters); name fewer"
            )
        return value

    @classmethod
    def decode(cls, value: str) -> Self:
        """Read a button's value.

        Raises:
            ButtonUnreadableError: If it is not what `encode` writes. The text never repeats the value.
        """
        try:
            data = json.loads(value)
            known = data["v"] == _VERSION and data["d"] in ("approve", "reject")
            button = cls(
                choice=data["d"],
                callback_ids=_texts(data["c"]),
                approvers=_texts(data["a"]),
                requester=None if data["r"] is None else _text(data["r"]),
                allow_self_approval=bool(_number(data["self"])),
                team=_text(data["t"]),
                votes_needed=_number(data["n"]),
                voted=_texts(data["seen"]),
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            known = False
        if not known or not button.callback_ids:
            raise ButtonUnreadableError("the button's value is not one that this version of the approval gate writes")
        return button


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(_text(item) for item in value)


def _number(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError
    return value
