"""Executions of the approval function that died: no code of theirs runs any more, so this function tidies up.

The waiting Step Functions task fails instead of waiting for its own timeout, and the message loses its buttons.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared import claims, logs
from shared.click import Click, ClickUnreadableError
from shared.errors import WorkflowGatesError
from shared.message import RequestMessage
from shared.records import fitting, put_event, request_hash
from shared.secrets import Secret
from shared.slack import SlackRefusedError
from shared.workspace import Workspace
from slack_webhook.executions import Execution, decision_of, done, json_object
from slack_webhook.settings import ApprovalSettings, Settings

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

# https://docs.aws.amazon.com/lambda/latest/dg/durable-monitoring.html#durable-monitoring-eventbridge
DETAIL_TYPE = "Durable Execution Status Change"
# Stopping an execution is how programs cancel a request.
_ERRORS = {"STOPPED": "Approval.Cancelled", "FAILED": "Approval.Failed", "TIMED_OUT": "Approval.Failed"}
_DECISIONS = {"STOPPED": "cancelled", "FAILED": "failed", "TIMED_OUT": "failed"}

# The approval function's operations; steps that post a message and callbacks of votes begin like the first two.
_POST_STEPS = "post"
_VOTE_CALLBACKS = "vote-"
_RECORD_STEP = "emit-decided"
_LOCK_STEP = "close-message"

# The task is over: https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskFailure.html#API_SendTaskFailure_Errors
_DEAD_TOKEN = frozenset({"TaskTimedOut", "TaskDoesNotExist", "InvalidToken"})
# There is nothing left to lock: https://docs.slack.dev/reference/methods/chat.update#errors
_MESSAGE_GONE = frozenset({"message_not_found", "channel_not_found", "is_archived"})

# Below the function's own timeout, so that a call that hangs ends as an error with a name.
_CONFIG = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 3, "mode": "standard"})

_log = logs.logger(__name__)


class StatusChangeError(WorkflowGatesError):
    """A died execution could not be tidied up; the event is delivered again."""


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A message of the request."""

    channel: str
    ts: str
    permalink: str | None

    def as_json(self) -> dict[str, str | None]:
        return {"channel": self.channel, "ts": self.ts, "permalink": self.permalink}


@dataclass(frozen=True, kw_only=True)
class _Died:
    """What is left of a died execution.

    Attributes:
        arn: Its ARN.
        execution: How it ended, and what the caller asked for.
        started_at: When it was asked (aware).
        task_token: The waiting task, if there is one; a bearer capability, never logged.
    """

    arn: str
    execution: Execution
    started_at: datetime
    task_token: str | None

    @property
    def facts(self) -> dict[str, str]:
        """What every log line names."""
        return {"execution_arn": self.arn, "execution_status": self.execution.status}


@dataclass(frozen=True, kw_only=True)
class _Progress:
    """How far an execution came.

    Attributes:
        asked: Whether its request was found valid, so that people were asked, or about to be.
        places: Its messages.
        votes: The clicks that it was given, the first of each person.
        decision: Its decision, if that took effect.
        recorded: Whether the event bus has the decision.
        locked: Whether its messages have lost their buttons.
    """

    asked: bool
    places: tuple[_Place, ...]
    votes: tuple[Click, ...]
    decision: Mapping[str, Any]
    recorded: bool
    locked: bool


def is_status_change(event: Mapping[str, Any]) -> bool:
    """Return whether an event of this function tells that a durable execution changed its status."""
    return event.get("source") == "aws.lambda" and event.get("detail-type") == DETAIL_TYPE


class StatusChanges:
    """Handles the events; its clients are made when the first one comes, since clicks do not need them."""

    def __init__(self, settings: Settings, approval: ApprovalSettings) -> None:
        self._settings = settings
        self._approval = approval

    @cached_property
    def _lambda(self) -> "LambdaClient":
        return boto3.client("lambda", config=_CONFIG)

    @cached_property
    def _s3(self) -> "S3Client":
        return boto3.client("s3", config=_CONFIG)

    @cached_property
    def _stepfunctions(self) -> "SFNClient":
        return boto3.client("stepfunctions", config=_CONFIG)

    @cached_property
    def _events(self) -> "EventBridgeClient":
        return boto3.client("events", config=_CONFIG)

    @cached_property
    def _slack(self) -> Workspace:
        return Workspace(Secret(self._settings.bot_token_arn), self._settings.api_url)

    def handle(self, event: Mapping[str, Any]) -> None:
        """Fail the task, tell the event bus and lock the messages of an execution that died. It may be repeated.

        Raises:
            StatusChangeError: If the event or the execution cannot be understood.
            EventRefusedError: If the event bus does not take the decision.
            botocore.exceptions.ClientError: If AWS refuses.
            SlackError: If Slack does not lock a message.
            SecretError: If the bot token cannot be read.
        """
        detail = event.get("detail")
        detail = detail if isinstance(detail, Mapping) else {}
        arn, function_arn, status = (_text(detail, k) for k in ("durableExecutionArn", "functionArn", "status"))
        own = self._approval.function_arn
        if function_arn != own and not function_arn.startswith(f"{own}:"):
            _log.info("status change of another function ignored", extra={"execution_arn": arn})
            return
        if status not in _ERRORS:
            _log.info("status change without work ignored", extra={"execution_arn": arn, "execution_status": status})
            return
        died = self._died(arn)
        progress = self._progress(arn)
        if progress.decision:
            _log.info("died after its decision took effect", extra=died.facts)
            died = replace(died, execution=replace(died.execution, result=progress.decision))
        else:
            self._fail_task(died)
        if not progress.asked:
            _log.info("died before anybody was asked", extra=died.facts)
            return
        # One that fails does not keep the others back, and the event is delivered again.
        record = [] if progress.recorded else [partial(self._record, died, progress)]
        locks = [] if progress.locked else [partial(self._lock, died, place) for place in progress.places]
        _all([*record, *locks])

    def _died(self, arn: str) -> _Died:
        found = self._lambda.get_durable_execution(DurableExecutionArn=arn, IncludeExecutionData=True)
        if found["Status"] not in _ERRORS:
            # Failing the task of an execution that still runs would be wrong, whatever the event says.
            raise StatusChangeError(f"{arn} is {found['Status']}, although its event says that it died")
        if "InputPayload" not in found:
            raise StatusChangeError(
                f"Lambda does not show the input of {arn}; if its data is encrypted with a customer managed key, "
                "let this function's role use kms:Decrypt on that key"
            )
        token = json_object(found["InputPayload"]).get("task_token")
        return _Died(
            arn=arn,
            execution=Execution.from_response(found),
            started_at=found["StartTimestamp"],
            task_token=token if isinstance(token, str) and token else None,
        )

    def _progress(self, arn: str) -> _Progress:
        pages = self._lambda.get_paginator("get_durable_execution_history").paginate(
            DurableExecutionArn=arn, IncludeExecutionData=True
        )
        events = [item for page in pages for item in page["Events"]]
        steps = done(events)
        votes: dict[str, Click] = {}
        asked = False
        for item in events:
            name = item.get("Name", "")
            asked = asked or name.startswith((_POST_STEPS, _VOTE_CALLBACKS))
            if item.get("EventType") == "CallbackSucceeded" and name.startswith(_VOTE_CALLBACKS):
                with suppress(ClickUnreadableError):
                    click = Click.decode(item["CallbackSucceededDetails"]["Result"].get("Payload"))
                    votes.setdefault(click.user_id, click)
        places = (_place(json_object(result)) for name, result in steps.items() if name.startswith(_POST_STEPS))
        return _Progress(
            asked=asked,
            places=tuple(place for place in places if place),
            votes=tuple(votes.values()),
            decision=decision_of(steps),
            recorded=_RECORD_STEP in steps,
            locked=_LOCK_STEP in steps,
        )

    def _fail_task(self, died: _Died) -> None:
        if not died.task_token:
            return
        # Claiming first keeps a late second delivery of the start from asking people for a task that has failed.
        owner = claims.take(self._s3, self._approval.bucket, died.task_token, died.arn, datetime.now(UTC))
        if owner != died.arn:
            _log.info("task left to the execution that claimed it", extra={**died.facts, "owner": owner})
            return
        code = self._send_failure(died, died.task_token)
        if code:
            _log.warning("task is over already", extra={**died.facts, "error_code": code})
            return
        _log.info("task failed", extra=died.facts)

    def _send_failure(self, died: _Died, token: str) -> str | None:
        """Fail the task; return the error code if it does not wait any more."""
        status = died.execution.status
        # Errors are passed on by code only: the text of some repeats the token.
        try:
            self._stepfunctions.send_task_failure(
                taskToken=token,
                error=_ERRORS[status],
                cause=f"The approval {died.arn} ended as {status} before it could hand over a decision",
            )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _DEAD_TOKEN:
                return code
            raise StatusChangeError(
                f"Step Functions refused to fail the task of {died.arn}: {code}; check that this function's role "
                "may call states:SendTaskFailure"
            ) from None
        except BotoCoreError as error:
            name = type(error).__name__
            raise StatusChangeError(f"no answer from Step Functions for the task of {died.arn}: {name}") from None
        return None

    def _record(self, died: _Died, progress: _Progress) -> None:
        """Write the decision as an event and as a line of the log, as the approval function would have done."""
        facts = {"execution_status": died.execution.status, "environment": self._settings.environment}
        decision = fitting({**(progress.decision or _without_decision(died, progress)), **facts})
        _log.info("Approval Decided", extra={"audit": True, "record": decision})
        put_event(self._events, self._approval.event_bus, "Approval Decided", decision)

    def _lock(self, died: _Died, place: _Place) -> None:
        content = _content(died, self._settings.environment)
        ending = died.execution.ending()
        facts = {**died.facts, "slack_channel": place.channel, "slack_ts": place.ts}
        blocks = content.locked_blocks(ending.text, ending.reason)
        try:
            self._slack.call(
                "chat.update", {"channel": place.channel, "ts": place.ts, "text": content.text(), "blocks": blocks}
            )
        except SlackRefusedError as error:
            if error.code not in _MESSAGE_GONE:
                raise
            _log.warning("message is gone", extra={**facts, "error_code": error.code})
            return
        _log.info("message locked", extra=facts)


def _all(actions: Iterable[Callable[[], None]]) -> None:
    """Do everything, then raise the first error."""
    first: Exception | None = None
    for action in actions:
        try:
            action()
        except Exception as error:  # noqa: BLE001 - raised below, or logged by name
            if first:
                _log.error("another failure", extra={"reason": type(error).__name__})
            first = first or error
    if first:
        raise first


def _place(result: Mapping[str, Any]) -> _Place | None:
    """Return the message of a step that posts one; there is none where Slack refused."""
    channel, ts, permalink = (result.get(name) for name in ("channel", "ts", "permalink"))
    if not isinstance(channel, str) or not isinstance(ts, str):
        return None
    return _Place(channel=channel, ts=ts, permalink=permalink if isinstance(permalink, str) else None)


def _without_decision(died: _Died, progress: _Progress) -> dict[str, Any]:
    """Return how a request ended that nobody decided, as `decision.schema.json` describes decisions."""
    messages = [place.as_json() for place in progress.places]
    return {
        "decision": _DECISIONS[died.execution.status],
        "decided_by": [],
        "votes": [_vote(click) for click in progress.votes],
        "reason": died.execution.stop_reason,
        "inputs": {},
        "requested_at": _utc_text(died.started_at),
        "decided_at": _utc_text(died.execution.ended_at or datetime.now(UTC)),
        "message": messages[0] if messages else None,
        "messages": messages,
        "request_hash": request_hash(died.execution.request),
        "execution_arn": died.arn,
    }


def _vote(click: Click) -> dict[str, Any]:
    return {
        "id": click.user_id,
        "name": click.user_name,
        "at": _utc_text(click.at),
        "decision": click.choice,
        "reason": click.reason,
    }


def _utc_text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _content(died: _Died, environment: str) -> RequestMessage:
    """Return what the message showed. It was posted, so the request had been found valid."""
    request = died.execution.request
    _, _, _, region, account, *_ = died.arn.split(":")
    return RequestMessage(
        title=_text(request, "title"),
        description=request.get("description", ""),
        fields=request.get("fields", {}),
        environment=environment,
        account=account,
        region=region,
        requester=request.get("requester"),
        expires_at=None,
    )


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise StatusChangeError(f"{name} is missing or not text")
    return value
