"""What a button of a request carries: all that a click needs, so that the webhook keeps no state.

Slack signs every click, so the value can be trusted as far as the message was ours.
"""

import json
from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

from shared.errors import WorkflowGatesError

# https://docs.slack.dev/reference/block-kit/block-elements/button-element
MAX_VALUE_LENGTH = 2000
_VERSION = 1

Choice = Literal["approve", "reject", "cancel"]
CHOICES = frozenset(get_args(Choice))


class ButtonTooLongError(WorkflowGatesError):
    """What a click needs does not fit into a button."""


class ButtonUnreadableError(WorkflowGatesError):
    """A button's value was not written by this module, or by a version that is not understood."""


@dataclass(frozen=True, kw_only=True)
class Button:
    """One button of a request.

    Attributes:
        choice: What a click on it says.
        execution_arn: Durable execution that handles the request; a late click asks it how the request ended.
        callback_ids: Callbacks that a vote may complete, in the order to try; bearer capabilities, never logged.
        approvers: Ids of those who may decide: users (`U...`, `W...`) and user groups (`S...`).
        requester: User id of who asked, if known.
        allow_self_approval: Whether the requester may decide.
        team: Id of the workspace that the message was posted to.
        votes_needed: How many distinct people have to say the same as this button.
        voted: User ids of those whose vote is counted already.
        opens_modal: Whether a click first asks for a reason or for the request's inputs.
    """

    choice: Choice
    execution_arn: str
    callback_ids: tuple[str, ...]
    approvers: tuple[str, ...]
    requester: str | None
    allow_self_approval: bool
    team: str
    votes_needed: int = 1
    voted: tuple[str, ...] = ()
    opens_modal: bool = False

    def fitting(self) -> Self:
        """Return the button with as many of its callbacks as fit into a value, the first ones, at least one.

        Raises:
            ButtonTooLongError: If not even one does.
        """
        room = MAX_VALUE_LENGTH - len(_value(replace(self, callback_ids=())))
        for count in range(len(self.callback_ids), 1, -1):
            # Ids are of base64's alphabet: each takes its length, two quotation marks and a comma, the first no comma.
            if sum(len(found) + 3 for found in self.callback_ids[:count]) - 1 <= room:
                return replace(self, callback_ids=self.callback_ids[:count])
        fitting = replace(self, callback_ids=self.callback_ids[:1])
        fitting.encode()
        return fitting

    def encode(self) -> str:
        """Return the button's value.

        Raises:
            ButtonTooLongError: If it is longer than Slack's 2000 characters.
        """
        value = _value(self)
        if len(value) > MAX_VALUE_LENGTH:
            raise ButtonTooLongError(
                f"{len(self.approvers)} approvers do not fit into a Slack button "
                f"({len(value)} of {MAX_VALUE_LENGTH} characters); name fewer, or a user group"
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
            known = data["v"] == _VERSION and data["d"] in CHOICES
            button = cls(
                choice=data["d"],
                execution_arn=_text(data["x"]),
                callback_ids=_texts(data["c"]),
                approvers=_texts(data["a"]),
                requester=None if data["r"] is None else _text(data["r"]),
                allow_self_approval=bool(_number(data["self"])),
                team=_text(data["t"]),
                votes_needed=_number(data["n"]),
                voted=_texts(data["seen"]),
                opens_modal=bool(_number(data["m"])),
            )
        except (ValueError, KeyError, TypeError, RecursionError):
            known = False
        if not known or not button.callback_ids:
            raise ButtonUnreadableError("the button's value is not one that this version of the approval gate writes")
        return button


def _value(button: Button) -> str:
    return json.dumps(
        {
            "v": _VERSION,
            "d": button.choice,
            "x": button.execution_arn,
            "c": button.callback_ids,
            "a": button.approvers,
            "r": button.requester,
            "self": int(button.allow_self_approval),
            "t": button.team,
            "n": button.votes_needed,
            "seen": button.voted,
            "m": int(button.opens_modal),
        },
        separators=(",", ":"),
    )


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
