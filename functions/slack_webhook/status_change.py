"""Executions of the approval function that died: no code of theirs runs any more, so this function tidies up.

The waiting Step Functions task fails instead of waiting for its own timeout, and the message loses its buttons.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from shared import claims, logs
from shared.errors import WorkflowGatesError
from shared.message import RequestMessage, outcome_text
from shared.secrets import Secret
from shared.slack import Slack, SlackRefusedError
from slack_webhook.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

# https://docs.aws.amazon.com/lambda/latest/dg/durable-monitoring.html#durable-monitoring-eventbridge
DETAIL_TYPE = "Durable Execution Status Change"
_DIED = frozenset({"STOPPED", "FAILED", "TIMED_OUT"})

# Names of the approval function's steps.
_POST_STEP = "post"
_ANSWER_STEP = "answer-task"

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
class _Message:
    channel: str
    ts: str


@dataclass(frozen=True, kw_only=True)
class _Execution:
    """What is left of a died execution.

    Attributes:
        arn: Its ARN.
        status: How it ended.
        request: What the caller asked for.
        task_token: The waiting task, if there is one; a bearer capability, never logged.
    """

    arn: str
    status: str
    request: Mapping[str, Any]
    task_token: str | None


def is_status_change(event: Mapping[str, Any]) -> bool:
    """Return whether an event of this function tells that a durable execution changed its status."""
    return event.get("source") == "aws.lambda" and event.get("detail-type") == DETAIL_TYPE


class StatusChanges:
    """Handles the events; its clients are made when the first one comes, since clicks do not need them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

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
    def _bot_token(self) -> Secret:
        return Secret(self._settings.bot_token_arn)

    def handle(self, event: Mapping[str, Any]) -> None:
        """Fail the task and lock the message of an execution that died. Repeating it changes nothing.

        Raises:
            StatusChangeError: If the event or the execution cannot be understood.
            botocore.exceptions.ClientError: If AWS refuses.
            SlackError: If Slack does not lock the message.
            SecretError: If the bot token cannot be read.
        """
        detail = event.get("detail")
        detail = detail if isinstance(detail, Mapping) else {}
        arn, function_arn, status = (_text(detail, k) for k in ("durableExecutionArn", "functionArn", "status"))
        own = self._settings.approval_function_arn
        if function_arn != own and not function_arn.startswith(f"{own}:"):
            _log.info("status change of another function ignored", extra={"execution_arn": arn})
            return
        if status not in _DIED:
            _log.info("status change without work ignored", extra={"execution_arn": arn, "execution_status": status})
            return
        execution = self._execution(arn)
        message, answered = self._progress(arn)
        if answered:
            # The decision had its effect. A message that was not closed in time loses its buttons with the next click.
            _log.info("died after its task was answered", extra={"execution_arn": arn, "execution_status": status})
            return
        self._fail_task(execution)
        self._lock(execution, message)

    def _execution(self, arn: str) -> _Execution:
        found = self._lambda.get_durable_execution(DurableExecutionArn=arn, IncludeExecutionData=True)
        if found["Status"] not in _DIED:
            # Failing the task of an execution that still runs would be wrong, whatever the event says.
            raise StatusChangeError(f"{arn} is {found['Status']}, although its event says that it died")
        if "InputPayload" not in found:
            raise StatusChangeError(
                f"Lambda does not show the input of {arn}; if its data is encrypted with a customer managed key, "
                "let this function's role use kms:Decrypt on that key"
            )
        data = _json_object(found["InputPayload"])
        request, token = data.get("request"), data.get("task_token")
        return _Execution(
            arn=arn,
            status=found["Status"],
            request=request if isinstance(request, dict) else {},
            task_token=token if isinstance(token, str) and token else None,
        )

    def _progress(self, arn: str) -> tuple[_Message | None, bool]:
        """Return where the message is, if one was posted, and whether the task was answered."""
        message, answered = None, False
        pages = self._lambda.get_paginator("get_durable_execution_history").paginate(
            DurableExecutionArn=arn, IncludeExecutionData=True
        )
        for item in (item for page in pages for item in page["Events"] if item.get("EventType") == "StepSucceeded"):
            answered = answered or item.get("Name") == _ANSWER_STEP
            if item.get("Name") == _POST_STEP:
                posted = _json_object(item["StepSucceededDetails"]["Result"].get("Payload"))
                channel, ts = posted.get("channel"), posted.get("ts")
                message = _Message(channel=channel, ts=ts) if channel and ts else None
        return message, answered

    def _fail_task(self, execution: _Execution) -> None:
        if not execution.task_token:
            return
        facts = {"execution_arn": execution.arn, "execution_status": execution.status}
        # Claiming first keeps a late second delivery of the start from asking people for a task that has failed.
        owner = claims.take(self._s3, self._settings.bucket, execution.task_token, execution.arn, datetime.now(UTC))
        if owner != execution.arn:
            _log.info("task left to the execution that claimed it", extra={**facts, "owner": owner})
            return
        code = self._send_failure(execution, execution.task_token)
        if code:
            _log.warning("task is over already", extra={**facts, "error_code": code})
            return
        _log.info("task failed", extra=facts)

    def _send_failure(self, execution: _Execution, token: str) -> str | None:
        """Fail the task; return the error code if it does not wait any more."""
        # Errors are passed on by code only: the text of some repeats the token.
        try:
            self._stepfunctions.send_task_failure(
                taskToken=token,
                error="Approval.Failed",
                cause=f"The approval {execution.arn} ended as {execution.status} before it could hand over a decision",
            )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in _DEAD_TOKEN:
                return code
            raise StatusChangeError(
                f"Step Functions refused to fail the task of {execution.arn}: {code}; check that this function's role "
                "may call states:SendTaskFailure"
            ) from None
        except BotoCoreError as error:
            name = type(error).__name__
            raise StatusChangeError(f"no answer from Step Functions for the task of {execution.arn}: {name}") from None
        return None

    def _lock(self, execution: _Execution, message: _Message | None) -> None:
        facts = {"execution_arn": execution.arn, "execution_status": execution.status}
        if not message:
            _log.info("no message to lock", extra=facts)
            return
        content = _content(execution, self._settings.environment)
        # The token is read anew: these events are rare, and the one in memory may have been rotated since.
        slack = Slack(self._bot_token.refresh(), self._settings.api_url)
        try:
            slack.call(
                "chat.update",
                {
                    "channel": message.channel,
                    "ts": message.ts,
                    "text": content.text(),
                    "blocks": content.locked_blocks(outcome_text("failed")),
                },
            )
        except SlackRefusedError as error:
            if error.code not in _MESSAGE_GONE:
                raise
            _log.warning("message is gone", extra={**facts, "error_code": error.code})
            return
        _log.info("message locked", extra=facts)


def _content(execution: _Execution, environment: str) -> RequestMessage:
    """Return what the message showed. It was posted, so the request had been found valid."""
    request = execution.request
    _, _, _, region, account, *_ = execution.arn.split(":")
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


def _json_object(text: str | None) -> dict[str, Any]:
    """Return a JSON object, or an empty one where there is none. Neither is ever quoted: it may hold a task token."""
    try:
        data = json.loads(text or "{}")
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not value:
        raise StatusChangeError(f"{name} is missing or not text")
    return value
