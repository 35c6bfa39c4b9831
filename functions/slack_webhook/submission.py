"""A submitted modal: authorise again, check the answers, count, tell.

The modal waits for the answer to this request, so most of what there is to say goes into it.
"""

from datetime import datetime
from typing import Any

from shared import logs
from shared.button import ButtonUnreadableError
from shared.form import Answers, FormInvalidError
from shared.secrets import SecretError
from shared.slack import SlackError
from slack_webhook import modal
from slack_webhook.authorisation import refusal
from slack_webhook.callbacks import Outcome
from slack_webhook.deadline import Deadline
from slack_webhook.executions import Execution
from slack_webhook.gate import SLACK_TIMEOUT, Gate
from slack_webhook.interaction import Submission
from slack_webhook.modal import Origin
from slack_webhook.vote import CLOSED, NOT_COUNTED, OVERTAKEN, UNKNOWN, UNREADABLE, Vote

_UNCHECKED = "AWS did not answer in time, so nothing was counted. Please submit again."

_log = logs.logger(__name__)

Response = dict[str, Any] | None


def handle(submission: Submission, gate: Gate, now: datetime, deadline: Deadline) -> Response:
    """Count what was submitted if the person may decide.

    Args:
        submission: What Slack sent, its signature verified.
        gate: Clients.
        now: The time of the decision (aware, UTC).
        deadline: When Slack stops waiting.

    Returns:
        What Slack does with the modal; None closes it.
    """
    try:
        origin = Origin.decode(submission.metadata)
    except ButtonUnreadableError as error:
        facts = {"slack_user": submission.person.id, "slack_team": submission.person.team}
        _log.warning("submission refused", extra={**facts, "refusal": "button_unreadable", "reason": str(error)})
        return _over(UNREADABLE)
    if refused := refusal(origin.button, submission.person, gate.groups, deadline):
        _log.warning("submission refused", extra={**_facts(submission, origin), **refused.logged()})
        return _again(submission, refused.text) if refused.passing else _over(refused.text)
    answers = _answers(submission, origin, gate, deadline)
    if not isinstance(answers, Answers):
        return answers
    vote = Vote(
        button=origin.button,
        person=submission.person,
        at=now,
        channel=origin.channel,
        ts=origin.ts,
        reason=answers.reason,
        inputs=answers.inputs,
    )
    outcome = gate.callbacks.complete_first_open(origin.button.callback_ids, vote.result(), deadline)
    _log.info("submission handled", extra={**_facts(submission, origin), "outcome": outcome.value})
    return _told(vote, outcome, submission, gate, deadline)


def _facts(submission: Submission, origin: Origin) -> dict[str, str]:
    return {
        "slack_user": submission.person.id,
        "slack_team": submission.person.team,
        "slack_channel": origin.channel,
        "slack_ts": origin.ts,
        "choice": origin.button.choice,
    }


def _answers(submission: Submission, origin: Origin, gate: Gate, deadline: Deadline) -> Answers | Response:
    """Return what was filled in, or what Slack does with the modal where it cannot be counted."""
    execution = gate.executions.find(origin.button.execution_arn, deadline)
    if execution is None:
        return _again(submission, _UNCHECKED)
    if not execution.alive:
        _log.info("submission handled", extra={**_facts(submission, origin), "outcome": Outcome.CLOSED.value})
        return _over(_late(execution))
    try:
        form = execution.form(origin.button.choice)
    except FormInvalidError as error:
        _log.error("submission refused", extra={**_facts(submission, origin), "reason": str(error)})
        return _over(NOT_COUNTED)
    answers, errors = form.answers(origin.button.choice, submission.state)
    if errors:
        _log.info("submission to be corrected", extra={**_facts(submission, origin), "blocks": sorted(errors)})
        return {"response_action": "errors", "errors": errors}
    return answers


def _told(vote: Vote, outcome: Outcome, submission: Submission, gate: Gate, deadline: Deadline) -> Response:
    match outcome:
        case Outcome.COUNTED:
            _acknowledge(vote, gate, deadline)
            return None
        case Outcome.CLOSED:
            return _over(_late(gate.executions.find(vote.button.execution_arn, deadline)))
        case Outcome.NOT_COUNTED:
            return _again(submission, NOT_COUNTED)
        case Outcome.UNKNOWN:
            return _over(UNKNOWN)


def _late(execution: Execution | None) -> str:
    return OVERTAKEN if execution is None or execution.alive else f"{CLOSED} {execution.ending().text}"


def _acknowledge(vote: Vote, gate: Gate, deadline: Deadline) -> None:
    """Tell the person that the vote is counted. A failure is logged and not raised: what was counted stays counted.

    The message itself is the durable function's: a submission does not bring it along.
    """
    if deadline.remaining() < SLACK_TIMEOUT:
        return  # the modal closes, and the message changes in a moment
    try:
        note = {"channel": vote.channel, "user": vote.person.id, "text": vote.counted()}
        gate.slack.call("chat.postEphemeral", note)
    except (SlackError, SecretError) as error:
        _log.warning("slack feedback not delivered", extra={"what": "note", "reason": str(error)})


def _over(text: str) -> Response:
    return {"response_action": "update", "view": modal.answered(text)}


def _again(submission: Submission, text: str) -> Response:
    """Keep the modal with what was filled in, and say at its first input why it has to be submitted again."""
    first = next(iter(submission.state), None)
    return {"response_action": "errors", "errors": {first: text}} if first else _over(text)
