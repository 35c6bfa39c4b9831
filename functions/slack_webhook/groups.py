"""Slack user groups: who is in them, asked when a click needs to know."""

import time
from collections.abc import Callable

from shared.errors import WorkflowGatesError
from shared.message import mentions
from shared.secrets import SecretError
from shared.slack import SlackError, SlackRefusedError
from shared.workspace import Workspace
from slack_webhook.deadline import Deadline

# Seconds for which members are kept: who leaves a group may decide for so long, and a busy group costs one call.
LIFETIME = 60.0
# Seconds that must be left: for this call, and for completing the callback after it.
_NEEDED = 1.6


class GroupUnknownError(WorkflowGatesError):
    """Nobody can tell who is in a group.

    Attributes:
        told: What the person who clicked is told (mrkdwn).
    """

    def __init__(self, message: str, told: str) -> None:
        super().__init__(message)
        self.told = told


class UserGroups:
    """Members of user groups, kept for a minute.

    Args:
        slack: The workspace.
        clock: Monotonic seconds.
    """

    def __init__(self, slack: Workspace, clock: Callable[[], float] = time.monotonic) -> None:
        self._slack = slack
        self._clock = clock
        self._known: dict[str, tuple[float, frozenset[str]]] = {}

    def members(self, group: str, deadline: Deadline) -> frozenset[str]:
        """Return the user ids of a group's members.

        Args:
            group: Id of the group (`S...`).
            deadline: When Slack stops waiting for the answer to the click.

        Raises:
            GroupUnknownError: If Slack does not say it, or not in time.
        """
        now = self._clock()
        asked_at, members = self._known.get(group, (now - LIFETIME, frozenset[str]()))
        if now - asked_at < LIFETIME:
            return members
        if deadline.remaining() < _NEEDED:
            raise GroupUnknownError(f"no time left to ask who is in {group}", _TRY_AGAIN)
        try:
            answer = self._slack.call("usergroups.users.list", {"usergroup": group})
        except SlackRefusedError as error:
            raise GroupUnknownError(f"{group}: {error}", _refused(group, error)) from error
        except (SlackError, SecretError) as error:
            raise GroupUnknownError(f"{group}: {error}", _TRY_AGAIN) from error
        members = frozenset(answer.get("users") or ())
        self._known[group] = (now, members)
        return members


_TRY_AGAIN = (
    "Your click was not counted: Slack did not say in time who is in the approvers' user groups. "
    "Please try again in a moment."
)


def _refused(group: str, error: SlackRefusedError) -> str:
    if error.code == "missing_scope":
        return (
            "Your click was not counted: the Slack app may not see who is in a user group. Please tell those who run "
            f"it to give it the scope `{error.scope or 'usergroups:read'}` and to install it again."
        )
    return (
        f"Your click was not counted: Slack does not say who is in {mentions([group])} (`{error.code}`). "
        "Please tell those who run the gate."
    )
