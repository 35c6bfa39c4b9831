"""A click on a button: authorise, count, tell."""

from datetime import datetime

from shared import logs
from shared.button import Button, ButtonUnreadableError
from shared.click import Click
from shared.message import ACTIONS_BLOCK_ID, locked, outcome_text
from slack_webhook import feedback
from slack_webhook.authorisation import Refusal, refusal
from slack_webhook.callbacks import Outcome
from slack_webhook.deadline import Deadline
from slack_webhook.executions import Ending, Execution
from slack_webhook.gate import Gate
from slack_webhook.interaction import ButtonClick

_DECISIONS = {"approve": "approved", "reject": "rejected", "cancel": "cancelled"}

_UNREADABLE = "This button comes from another version of the approval gate and does not work. Nothing was changed."
_CLOSED = "This click changed nothing: the request is already decided, or it has expired."
_OVERTAKEN = (
    "Your click was not counted: the request is already decided, somebody else voted at the same moment, or the time "
    "has just run out. If this message still has its buttons in a few seconds, please click again."
)
_NOT_COUNTED = (
    "Your click did not work: AWS did not accept it, and nothing was decided. Please try again in a moment; "
    "if it fails again, tell those who run the approval gate."
)
_UNKNOWN = (
    "AWS did not confirm your click in time, so it is not certain that it was counted. "
    "If this message still has its buttons in a minute, please click again: a decision is never counted twice."
)

_log = logs.logger(__name__)


def handle(click: ButtonClick, gate: Gate, now: datetime, deadline: Deadline) -> None:
    """Count a click if the person may decide, and tell people what became of it.

    Args:
        click: What Slack sent, its signature verified.
        gate: Clients.
        now: The time of the decision (aware, UTC).
        deadline: When Slack stops waiting.
    """
    facts = {
        "slack_user": click.person.id,
        "slack_team": click.person.team,
        "slack_channel": click.channel,
        "slack_ts": click.ts,
    }
    try:
        button = Button.decode(click.value)
    except ButtonUnreadableError as error:
        _log.warning("click refused", extra={**facts, "refusal": "button_unreadable", "reason": str(error)})
        feedback.note(click.response_url, _UNREADABLE, deadline)
        return
    refused = refusal(button, click.person, gate.groups, deadline)
    if refused:
        _log.warning("click refused", extra={**facts, **_logged(refused), "choice": button.choice})
        feedback.note(click.response_url, refused.text, deadline)
        return
    outcome = gate.callbacks.complete_first_open(button.callback_ids, _result(button, click, now), deadline)
    _log.info("click handled", extra={**facts, "choice": button.choice, "outcome": outcome.value})
    if outcome is Outcome.CLOSED:
        _tell_late(click, gate.executions.find(button.execution_arn, deadline), deadline)
    else:
        _tell(button, click, outcome, now, deadline)


def _logged(refused: Refusal) -> dict[str, str]:
    return {"refusal": refused.code} | ({"reason": refused.reason} if refused.reason else {})


def _result(button: Button, click: ButtonClick, now: datetime) -> bytes:
    """Return what the durable function gets: the vote, and where the message is."""
    vote = Click(
        choice=button.choice,
        user_id=click.person.id,
        user_team=click.person.team,
        user_name=click.person.name,
        at=now,
        channel=click.channel,
        ts=click.ts,
    )
    return vote.encode().encode()


def _tell(button: Button, click: ButtonClick, outcome: Outcome, now: datetime, deadline: Deadline) -> None:
    if outcome is Outcome.COUNTED:
        # The same rendering that the durable function writes a moment later.
        _lock(click, Ending(text=outcome_text(_DECISIONS[button.choice], [click.person.id], now)), deadline)
    elif outcome is Outcome.NOT_COUNTED:
        feedback.note(click.response_url, _NOT_COUNTED, deadline)
    else:
        feedback.note(click.response_url, _UNKNOWN, deadline)


def _tell_late(click: ButtonClick, execution: Execution | None, deadline: Deadline) -> None:
    """Tell who clicked too late the truth, and repair the copy of the message that was clicked."""
    if execution is None:
        feedback.note(click.response_url, _CLOSED, deadline)
    elif execution.alive:
        feedback.note(click.response_url, _OVERTAKEN, deadline)
    else:
        ending = execution.ending()
        feedback.note(click.response_url, f"{_CLOSED} {ending.text}", deadline)
        _lock(click, ending, deadline)


def _lock(click: ButtonClick, ending: Ending, deadline: Deadline) -> None:
    # Without buttons there is nothing to remove.
    if any(block.get("block_id") == ACTIONS_BLOCK_ID for block in click.blocks):
        feedback.replace(click.response_url, click.text, locked(click.blocks, ending.text, ending.reason), deadline)
