"""Bringing a request's message to Slack so that somebody sees it, and not more often than needed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from approval.decision import Failure
from shared.message import METADATA_EVENT_TYPE
from shared.slack import SlackRefusedError
from shared.workspace import Identity, Workspace

# Longer than Slack's workspace ids, which are about 11 characters: the id is not known until Slack is asked.
LONGEST_TEAM = "T" + "0" * 15
# A look-up reads this many messages since the request was made at most; 200 a page is what Slack recommends.
_PAGE_SIZE = 200
_MAX_PAGES = 5
# Clocks of AWS and Slack may differ by so many seconds.
_CLOCK_SKEW = 60

BOT_FIX = "put the bot token (xoxb-...) of the installed app into the secret that SLACK_BOT_TOKEN_ARN names"
_INVITE_FIX = "invite the app to the channel (/invite in the channel), and check that the channel exists"
_REINSTALL_FIX = "give the app the bot scope chat:write and install it to the workspace again"
_ADMIN_FIX = "ask the workspace's administrators to let the app post to this channel"
_REPORT_FIX = "please report it as a defect of the approval gate"
# What to do about Slack's refusals: https://docs.slack.dev/reference/methods/chat.postMessage#errors
_FIXES = {
    "access_denied": _ADMIN_FIX,
    "account_inactive": BOT_FIX,
    "channel_is_limited_access": _ADMIN_FIX,
    "channel_not_found": _INVITE_FIX,
    "ekm_access_denied": _ADMIN_FIX,
    "enterprise_is_restricted": _ADMIN_FIX,
    "invalid_auth": BOT_FIX,
    "invalid_blocks": _REPORT_FIX,
    "is_archived": "unarchive the channel or ask in another one",
    "missing_scope": _REINSTALL_FIX,
    "msg_too_long": "shorten the request's texts",
    "no_permission": _REINSTALL_FIX,
    "not_allowed_token_type": BOT_FIX,
    "not_authed": BOT_FIX,
    "not_in_channel": _INVITE_FIX,
    "restricted_action": _ADMIN_FIX,
    "restricted_action_read_only_channel": _ADMIN_FIX,
    "team_access_not_granted": _REINSTALL_FIX,
    "token_expired": BOT_FIX,
    "token_revoked": BOT_FIX,
}
_OTHER_FIX = "look the code up at https://docs.slack.dev/reference/methods/chat.postMessage#errors"

# The blocks of a message for the workspace with this id.
Blocks = Callable[[str], list[dict[str, Any]]]

UNCONFIRMED = Failure(
    code="slack_unavailable",
    message="Slack did not confirm the message before the request timed out",
    fix="check https://slack-status.com and the setting SLACK_API_URL, then ask again",
)


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """One request's message on its way to Slack.

    Attributes:
        workspace: Where to.
        text: What notifications say.
        mark: What the message is recognised by: it is unique to the request and not a secret.
        since: When the request was made (aware).
    """

    workspace: Workspace
    text: str
    mark: str
    since: datetime

    def deliver(self, place: str, blocks: Blocks, *, again: bool) -> dict[str, Any] | Failure:
        """Post the message at one place, unless it is there already.

        Args:
            place: Id or `#name` of a channel, or id of a user.
            blocks: What people see.
            again: Whether an earlier attempt may have posted it.

        Returns:
            Where it is (`channel`, `ts`, `team`, `permalink`), or why it surely is not.

        Raises:
            SlackRateLimitedError: If Slack asks to wait.
            SlackUnavailableError: If the outcome is unknown.
            SecretError: If the bot token cannot be read.
        """
        try:
            identity = self.workspace.identity()
            posted = (self._look_up(place) if again else None) or self._post(place, blocks(identity.team))
        except SlackRefusedError as error:
            return _failure(error)
        channel, ts = posted
        return {"channel": channel, "ts": ts, "team": identity.team, "permalink": _permalink(identity, channel, ts)}

    def _post(self, place: str, blocks: list[dict[str, Any]]) -> tuple[str, str]:
        answer = self.workspace.call(
            "chat.postMessage",
            {
                "channel": place,
                "text": self.text,
                "blocks": blocks,
                "metadata": {"event_type": METADATA_EVENT_TYPE, "event_payload": {"execution": self.mark}},
                "unfurl_links": False,
                "unfurl_media": False,
            },
        )
        return answer["channel"], answer["ts"]

    def _look_up(self, place: str) -> tuple[str, str] | None:
        """Return the message's channel and timestamp; None where it is not found or the app may not read history."""
        arguments = {
            "channel": place,
            "oldest": f"{self.since.timestamp() - _CLOCK_SKEW:.6f}",
            "include_all_metadata": True,
            "limit": _PAGE_SIZE,
        }
        for _ in range(_MAX_PAGES):
            try:
                answer = self.workspace.call("conversations.history", arguments)
            except SlackRefusedError:
                return None
            for message in answer.get("messages", ()):
                metadata = message.get("metadata") or {}
                if (metadata.get("event_payload") or {}).get("execution") == self.mark:
                    return place, message["ts"]
            arguments["cursor"] = (answer.get("response_metadata") or {}).get("next_cursor", "")
            if not arguments["cursor"]:
                break
        return None


def _failure(error: SlackRefusedError) -> Failure:
    """Return why nobody could be asked, with what to do about it."""
    return Failure(code=error.code, message=str(error), fix=_FIXES.get(error.code, _OTHER_FIX))


def _permalink(identity: Identity, channel: str, ts: str) -> str | None:
    """Return the link to a message, in the form that chat.getPermalink answers, without asking Slack for it."""
    return f"{identity.url}archives/{channel}/p{ts.replace('.', '')}" if identity.url else None
