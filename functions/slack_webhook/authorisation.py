"""Who may decide: asked before anything is consumed."""

from dataclasses import dataclass

from shared.button import Button
from slack_webhook.interaction import Person


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a person's click does not count.

    Attributes:
        code: For the log.
        text: For the person (mrkdwn).
    """

    code: str
    text: str


def refusal(button: Button, person: Person) -> Refusal | None:
    """Return why a person may not decide by this button, or None if they may.

    User ids alone would do, but a shared channel also shows the button to members of other organizations: what they
    are told then is that, and not who the approvers are.
    """
    if person.team != button.team:
        return Refusal(
            code="other_workspace",
            text="You cannot decide this request: it belongs to another workspace. Nothing was changed.",
        )
    if person.id not in button.approvers:
        approvers = ", ".join(f"<@{user}>" for user in button.approvers)
        return Refusal(
            code="not_an_approver",
            text=f"You cannot decide this request: its approvers are {approvers}. Nothing was changed.",
        )
    if person.id == button.requester and not button.allow_self_approval:
        return Refusal(
            code="own_request",
            text="You asked for this yourself, so somebody else has to decide. Nothing was changed.",
        )
    if person.id in button.voted:
        return Refusal(code="voted_already", text="Your vote is counted already. Nothing was changed.")
    return None
