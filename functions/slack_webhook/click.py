"""A click on a button: authorise, count, tell."""

from datetime import datetime

from shared import logs
from shared.button import Button, ButtonUnreadableError
from shared.form import FormInvalidError
from shared.message import ACTIONS_BLOCK_ID, locked
from shared.secrets import SecretError
from shared.slack import SlackError
from slack_webhook import feedback, modal
from slack_webhook.authorisation import refusal
from slack_webhook.callbacks import Outcome
from slack_webhook.deadline import Deadline
from slack_webhook.executions import Ending, Execution
from slack_webhook.gate import Gate
from slack_webhook.interaction import ButtonClick
from slack_webhook.modal import Origin
from slack_webhook.vote import CLOSED, NOT_COUNTED, OVERTAKEN, UNKNOWN, UNREADABLE, Vote

_NO_MODAL = (
    "The form could not be opened, so nothing was counted. Please click again; "
    "if it fails again, tell those who run the approval gate."
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
        feedback.note(click.response_url, UNREADABLE, deadline)
        return
    refused = refusal(button, click.person, gate.groups, deadline)
    if refused:
        _log.warning("click refused", extra={**facts, **refused.logged(), "choice": button.choice})
        feedback.note(click.response_url, refused.text, deadline)
        return
    if button.opens_modal:
        _ask(button, click, gate, deadline)
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


def _ask(button: Button, click: ButtonClick, gate: Gate, deadline: Deadline) -> None:
    """Open the modal: Slack's permission to do so lasts for 3 s."""
    facts = {"slack_user": click.person.id, "slack_channel": click.channel, "slack_ts": click.ts}
    execution = gate.executions.find(button.execution_arn, deadline)
    if execution is None:
        _log.warning("modal not opened", extra={**facts, "reason": "no answer from Lambda"})
        feedback.note(click.response_url, _NO_MODAL, deadline)
        return
    if not execution.alive:
        _log.info("modal not opened", extra={**facts, "reason": execution.status})
        _tell_late(click, execution, deadline)
        return
    try:
        form = execution.form(button.choice)
        origin = Origin(button=button, channel=click.channel, ts=click.ts)
        view = modal.opened(origin, form, execution.request["title"])
        gate.slack.call("views.open", {"trigger_id": click.trigger_id, "view": view})
    except (FormInvalidError, SlackError, SecretError) as error:
        _log.error("modal not opened", extra={**facts, "reason": str(error)})
        feedback.note(click.response_url, _NO_MODAL, deadline)
        return
    _log.info("modal opened", extra={**facts, "choice": button.choice})


def _tell_late(click: ButtonClick, execution: Execution | None, deadline: Deadline) -> None:
    """Tell who clicked too late the truth, and repair the copy of the message that was clicked."""
    if execution is None or execution.alive:
        feedback.note(click.response_url, OVERTAKEN, deadline)
    else:
        ending = execution.ending()
        feedback.note(click.response_url, f"{CLOSED} {ending.text}", deadline)
        _lock(click, ending, deadline)


def _lock(click: ButtonClick, ending: Ending, deadline: Deadline) -> None:
    # Without buttons there is nothing to remove.
    if any(block.get("block_id") == ACTIONS_BLOCK_ID for block in click.blocks):
        feedback.replace(click.response_url, click.text, locked(click.blocks, ending.text, ending.reason), deadline)
