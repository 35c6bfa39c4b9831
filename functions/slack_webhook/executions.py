"""The durable execution behind a button: what it was asked, and how it ended."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from shared import logs
from shared.button import Choice
from shared.form import Form, FormInvalidError
from shared.message import decision_text, outcome_text
from slack_webhook.aws import READ_TIMEOUT
from slack_webhook.deadline import Deadline

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import EventTypeDef, GetDurableExecutionResponseTypeDef

# https://docs.aws.amazon.com/lambda/latest/api/API_GetDurableExecution.html
_ALIVE = frozenset({"RUNNING", "PAUSING", "PAUSED"})
_DIED = frozenset({"STOPPED", "FAILED", "TIMED_OUT"})
# Steps of the approval function: the first holds the decision, which has had its effect after one of the others.
_DECISION_STEP = "decide"
_EFFECTIVE_STEPS = frozenset({"answer-task", "emit-decided"})
# Its retention period is over, or this function may not ask: neither changes by asking again.
_HIDDEN = frozenset({"AccessDeniedException", "ResourceNotFoundException"})

# Seconds that a call takes at most over a connection that is kept, and a note after it.
_NEEDED = READ_TIMEOUT + 0.4

_log = logs.logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a request ended.

    Attributes:
        text: One line (mrkdwn).
        reason: Why, if a person said so.
    """

    text: str
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class Execution:
    """A durable execution of the approval function, as far as this function may see it.

    Attributes:
        status: As Lambda calls it; empty where Lambda does not show the execution.
        request: What the caller asked for.
        result: The decision: what it returned, or had decided with effect before it died.
        stop_reason: What whoever stopped it gave as error message.
        ended_at: When it ended (aware).
    """

    status: str
    request: Mapping[str, Any] = field(default_factory=dict)
    result: Mapping[str, Any] = field(default_factory=dict)
    stop_reason: str | None = None
    ended_at: datetime | None = None

    @classmethod
    def from_response(cls, found: "GetDurableExecutionResponseTypeDef") -> Self:
        """Read Lambda's answer; what is not JSON counts as absent."""
        request = json_object(found.get("InputPayload")).get("request")
        return cls(
            status=found["Status"],
            request=request if isinstance(request, dict) else {},
            result=json_object(found.get("Result")),
            stop_reason=found.get("Error", {}).get("ErrorMessage") if found["Status"] == "STOPPED" else None,
            ended_at=found.get("EndTimestamp"),
        )

    @property
    def alive(self) -> bool:
        """Whether the request may still be open."""
        return self.status in _ALIVE

    @property
    def died(self) -> bool:
        """Whether it ended before it could return."""
        return self.status in _DIED

    def form(self, choice: Choice) -> Form:
        """Return what a click asks for.

        Raises:
            FormInvalidError: If Lambda does not show that.
        """
        form = Form.read(self.request)
        if not form.asks(choice):
            raise FormInvalidError(
                "Lambda does not show the request of this execution; if its data is encrypted with a customer managed "
                "key, let this function's role use kms:Decrypt on that key"
            )
        return form

    def ending(self) -> Ending:
        """Return how the request ended, as far as can be told."""
        if self.died and not self.result:
            outcome = "stopped" if self.status == "STOPPED" else "failed"
            return Ending(text=outcome_text(outcome, at=self.ended_at), reason=self.stop_reason)
        try:
            return Ending(text=decision_text(self.result), reason=self.result.get("reason"))
        except (KeyError, TypeError, ValueError):
            return Ending(text=outcome_text("closed"))


class Executions:
    """Looks executions up.

    Args:
        client: A client that gives up early.
    """

    def __init__(self, client: "LambdaClient") -> None:
        self._client = client

    def find(self, arn: str, deadline: Deadline) -> Execution | None:
        """Return an execution, or None where it cannot be told now.

        Args:
            arn: ARN of the execution.
            deadline: Nothing is asked that might be answered after it.
        """
        if deadline.remaining() < _NEEDED:
            return None
        # Errors are logged by name: the input holds a task token, and nobody knows what a text repeats.
        try:
            found = self._client.get_durable_execution(DurableExecutionArn=arn, IncludeExecutionData=True)
            execution = Execution.from_response(found)
            return self._with_decision(arn, execution, deadline) if execution.died else execution
        except ClientError as error:
            code = error.response["Error"]["Code"]
            _log.warning("execution not found", extra={"execution_arn": arn, "error_code": code})
            return Execution(status="") if code in _HIDDEN else None
        except BotoCoreError as error:
            _log.warning("execution not found", extra={"execution_arn": arn, "error_code": type(error).__name__})
            return None

    def _with_decision(self, arn: str, execution: Execution, deadline: Deadline) -> Execution | None:
        """Return a died execution with the decision that it had come to, or None where that cannot be told now."""
        if deadline.remaining() < _NEEDED:
            return None
        # The last events are enough: little happens after a decision.
        history = self._client.get_durable_execution_history(
            DurableExecutionArn=arn, IncludeExecutionData=True, ReverseOrder=True
        )
        return replace(execution, result=decision_of(done(history["Events"])))


def done(events: Iterable["EventTypeDef"]) -> dict[str, str | None]:
    """Return the results of the steps that succeeded, by their names, from an execution's history."""
    return {
        event.get("Name", ""): event["StepSucceededDetails"]["Result"].get("Payload")
        for event in events
        if event.get("EventType") == "StepSucceeded"
    }


def decision_of(steps: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the decision of an execution that died, or an empty one where no decision had its effect.

    Args:
        steps: Results of the steps that succeeded, by their names.
    """
    return {} if _EFFECTIVE_STEPS.isdisjoint(steps) else json_object(steps.get(_DECISION_STEP))


def json_object(text: str | None) -> dict[str, Any]:
    """Return a JSON object, or an empty one where there is none. Neither is ever quoted: it may hold a task token."""
    try:
        data = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
