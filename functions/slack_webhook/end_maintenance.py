"""A click on "End maintenance": authorise, ask the maintenance function, tell.

The maintenance function ends only the maintenance that the button is of, so a click that comes late, twice or again
changes nothing. What the message says is settled by the event that follows the end: see `notices`.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from shared import logs
from shared.button import ButtonUnreadableError
from shared.secrets import SecretError
from shared.slack import SlackError, SlackRefusedError
from slack_webhook import feedback, notice, notices
from slack_webhook.authorisation import Refusal, not_among
from slack_webhook.aws import READ_TIMEOUT
from slack_webhook.callbacks import Outcome
from slack_webhook.deadline import Deadline
from slack_webhook.gate import SLACK_TIMEOUT, Gate
from slack_webhook.interaction import ButtonClick
from slack_webhook.maintenance import MaintenanceFunction
from slack_webhook.notice import EndButton

_UNREADABLE = "This comes from another version of the maintenance gate and does not work. Nothing was changed."
_NOT_SET_UP = "Maintenances are not ended from Slack any more. Nothing was changed."
_OVER = "This maintenance is over already. Nothing was changed."
_ASKED = "The maintenance gate is asked to end this. The message will show it in a moment."
_NOT_COUNTED = (
    "Your click did not work: AWS did not accept it, and the maintenance goes on. Please try again in a moment; "
    "if it fails again, tell those who run the maintenance gate."
)
_UNKNOWN = (
    "AWS did not confirm your click in time, so it is not certain that the maintenance ends. "
    "If the message still has its button in a minute, please click again: a maintenance is never ended twice."
)
_OTHER_WORKSPACE = "You cannot end this maintenance: it belongs to another workspace. Nothing was changed."

_log = logs.logger(__name__)


class _Standing(Enum):
    """What Slack says of the maintenance of a message."""

    ON = "on"
    OVER = "over"
    UNKNOWN = "unknown"


def handle(click: ButtonClick, gate: Gate, now: datetime, deadline: Deadline) -> None:
    """Ask for the end of a maintenance if the person may, and tell people.

    Args:
        click: What Slack sent, its signature verified.
        gate: Clients.
        now: The time of the click (aware, UTC).
        deadline: When Slack stops waiting.
    """
    facts = {
        "slack_user": click.person.id,
        "slack_team": click.person.team,
        "slack_channel": click.channel,
        "slack_ts": click.ts,
    }
    checked = _checked(click, gate, deadline)
    if isinstance(checked, Refusal):
        _log.warning("click refused", extra={**facts, **checked.logged()})
        feedback.note(click.response_url, checked.text, deadline)
        return
    button, function = checked
    facts |= {"scope": button.scope, "since": button.since}
    standing, shown = _look(click, gate, deadline)
    if standing is _Standing.OVER:
        _log.info("maintenance is over already", extra=facts)
        feedback.note(click.response_url, _OVER, deadline)
        if notice.is_open(shown):
            feedback.replace(click.response_url, click.text, notice.over(shown), deadline)
        return
    # Told before it is done: the message that says how it ended must come after this one. Where it is not known what
    # the message says by now, it is left as it is.
    tells = standing is _Standing.ON and bool(click.blocks)
    if tells:
        blocks = notice.ending(click.blocks, click.person.id, now)
        feedback.replace(click.response_url, click.text, blocks, Deadline(deadline.at - READ_TIMEOUT))
    outcome = function.end(button, f"{click.person.name} ({click.person.id})", deadline)
    _log.info("end of maintenance asked for", extra={**facts, "outcome": outcome.value})
    match outcome:
        case Outcome.COUNTED if not tells:
            feedback.note(click.response_url, _ASKED, deadline)
        case Outcome.UNKNOWN:
            feedback.note(click.response_url, _UNKNOWN, deadline)
        case Outcome.NOT_COUNTED:
            feedback.note(click.response_url, _NOT_COUNTED, deadline)
            if tells:
                feedback.replace(click.response_url, click.text, click.blocks, deadline)


def _checked(click: ButtonClick, gate: Gate, deadline: Deadline) -> tuple[EndButton, MaintenanceFunction] | Refusal:
    """Return which maintenance is to be ended and by what, or why the click does not count."""
    try:
        button = EndButton.decode(click.value)
    except ButtonUnreadableError as error:
        return Refusal(code="button_unreadable", text=_UNREADABLE, reason=str(error))
    if gate.maintenance is None:
        return Refusal(code="not_set_up", text=_NOT_SET_UP)
    if click.person.team != button.team:
        return Refusal(code="other_workspace", text=_OTHER_WORKSPACE)
    approvers = gate.maintenance.approvers
    refused = not_among(approvers, click.person, gate.groups, deadline, "end this maintenance")
    return refused or (button, gate.maintenance)


def _look(click: ButtonClick, gate: Gate, deadline: Deadline) -> tuple[_Standing, list[dict[str, Any]]]:
    """Return whether the maintenance is on, as far as its message and thread tell, and the message's blocks.

    People may click a copy that their client has not updated yet.
    """
    if deadline.remaining() < SLACK_TIMEOUT + READ_TIMEOUT:
        return _Standing.UNKNOWN, []
    arguments = {"channel": click.channel, "ts": click.ts, "include_all_metadata": True}
    try:
        messages = gate.slack.call("conversations.replies", arguments).get("messages") or []
    except SlackRefusedError as error:
        # The app may not read the channel: then nothing can be found out, now or when the end is told.
        _log.warning("thread not readable", extra={"reason": str(error)})
        return _Standing.ON, []
    except (SlackError, SecretError) as error:
        _log.warning("thread not read", extra={"reason": str(error)})
        return _Standing.UNKNOWN, []
    blocks = next((_blocks(message) for message in messages if message.get("ts") == click.ts), [])
    is_over = any(map(notices.is_report, messages)) or (bool(blocks) and not notice.is_open(blocks))
    return (_Standing.OVER if is_over else _Standing.ON), blocks


def _blocks(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(block) for block in message.get("blocks") or ()]
