"""A click on a button: authorise, count, tell."""

from datetime import datetime

from shared import logs
from shared.button import Button, ButtonUnreadableError
from shared.message import ACTIONS_BLOCK_ID, locked
from slack_webhook import feedback
from slack_webhook.authorisation import Refusal, refusal
from slack_webhook.callbacks import Outcome
from slack_webhook.deadline import Deadline
from slack_webhook.executions import Ending, Execution
from slack_webhook.gate import Gate
from slack_webhook.interaction import ButtonClick
from slack_webhook.vote import CLOSED, NOT_COUNTED, OVERTAKEN, UNKNOWN, Vote

_UNREADABLE = "This button comes from another version of the approval gate and does not work. Nothing was changed."
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
    vote = Vote(button=button, person=click.person, at=now, channel=click.channel, ts=click.ts)
    outcome = gate.callbacks.complete_first_open(button.callback_ids, vote.result(), deadline)
    _log.info("click handled", extra={**facts, "choice": button.choice, "outcome": outcome.value})
    match outcome:
        case Outcome.COUNTED if vote.decides():
            # The same rendering that the durable function writes a moment later.
            _lock(click, vote.ending(), deadline)
        case Outcome.COUNTED:
            feedback.note(click.response_url, vote.counted(), deadline)
        case Outcome.CLOSED:
            _tell_late(click, gate.executions.find(button.execution_arn, deadline), deadline)
        case Outcome.NOT_COUNTED:
            feedback.note(click.response_url, NOT_COUNTED, deadline)
        case Outcome.UNKNOWN:
            feedback.note(click.response_url, UNKNOWN, deadline)


def _logged(refused: Refusal) -> dict[str, str]:
    return {"refusal": refused.code} | ({"reason": refused.reason} if refused.reason else {})


def _tell_late(click: ButtonClick, execution: Execution | None, deadline: Deadline) -> None:
    """Tell who clicked too late the truth, and repair the copy of the message that was clicked."""
    if execution is None:
        feedback.note(click.response_url, CLOSED, deadline)
    elif execution.alive:
        feedback.note(click.response_url, OVERTAKEN, deadline)
    else:
        ending = execution.ending()
        feedback.note(click.response_url, f"{CLOSED} {ending.text}", deadline)
        _lock(click, ending, deadline)


def _lock(click: ButtonClick, ending: Ending, deadline: Deadline) -> None:
    # Without buttons there is nothing to remove.
    if any(block.get("block_id") == ACTIONS_BLOCK_ID for block in click.blocks):
        feedback.replace(click.response_url, click.text, locked(click.blocks, ending.text, ending.reason), deadline)
