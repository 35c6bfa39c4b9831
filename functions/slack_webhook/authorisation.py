"""Who may decide: asked before anything is consumed."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.button import Button
from shared.message import GROUP, mentions
from slack_webhook.deadline import Deadline
from slack_webhook.groups import GroupUnknownError, UserGroups
from slack_webhook.interaction import Person


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a person's click does not count.

    Attributes:
        code: For the log.
        text: For the person (mrkdwn).
        reason: What else the log should say.
        passing: Whether the same click may count a moment later.
    """

    code: str
    text: str
    reason: str | None = None
    passing: bool = False

    def logged(self) -> dict[str, str]:
        """Return its fields of a log line."""
        return {"refusal": self.code} | ({"reason": self.reason} if self.reason else {})


_CANCEL_IS_THE_REQUESTERS = Refusal(
    code="not_the_requester", text="Only who asked for this can cancel it. Nothing was changed."
)


def refusal(button: Button, person: Person, groups: UserGroups, deadline: Deadline) -> Refusal | None:
    """Return why a person may not decide by this button, or None if they may.

    User ids alone would do, but a shared channel also shows the button to members of other organizations: what they
    are told then is that, and not who the approvers are.

    Args:
        button: What was clicked.
        person: Who clicked.
        groups: For approvers that are user groups; asked last, and only if the answer depends on them.
        deadline: When Slack stops waiting.
    """
    if person.team != button.team:
        return Refusal(
            code="other_workspace",
            text="You cannot decide this request: it belongs to another workspace. Nothing was changed.",
        )
    if button.choice == "cancel":
        return None if person.id == button.requester else _CANCEL_IS_THE_REQUESTERS
    if person.id == button.requester and not button.allow_self_approval:
        return Refusal(
            code="own_request",
            text="You asked for this yourself, so somebody else has to decide. Nothing was changed.",
        )
    if person.id in button.voted:
        return Refusal(code="voted_already", text="Your vote is counted already. Nothing was changed.")
    return not_among(button.approvers, person, groups, deadline, "decide this request")


def not_among(
    approvers: Sequence[str], person: Person, groups: UserGroups, deadline: Deadline, what: str
) -> Refusal | None:
    """Return why a person may not do something, or None if they are an approver.

    Args:
        approvers: Ids of people and user groups.
        person: Who clicked.
        groups: For approvers that are user groups; asked only if the answer depends on them.
        deadline: When Slack stops waiting.
        what: What they want to do.
    """
    if person.id in approvers:
        return None
    unknown: GroupUnknownError | None = None
    for group in (approver for approver in approvers if approver.startswith(GROUP)):
        try:
            if person.id in groups.members(group, deadline):
                return None
        except GroupUnknownError as error:
            unknown = error
    if unknown:
        return Refusal(code="group_unknown", text=unknown.told, reason=str(unknown), passing=True)
    return Refusal(
        code="not_an_approver",
        text=f"You cannot {what}: its approvers are {mentions(approvers)}. Nothing was changed.",
    )
