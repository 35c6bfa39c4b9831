"""The answer to a Step Functions task that waits for a decision."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from approval.decision import Decision
from approval.request import InvalidRequestError
from shared import logs
from shared.errors import WorkflowGatesError
from shared.message import truncated

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient

# https://docs.aws.amazon.com/step-functions/latest/apireference/API_SendTaskFailure.html, .../API_SendTaskSuccess.html
_MAX_CAUSE_LENGTH = 32_768
_MAX_OUTPUT_LENGTH = 262_144
# Nobody waits any more: the task timed out, was stopped, or was answered by an earlier attempt.
_DEAD = frozenset({"InvalidToken", "TaskDoesNotExist", "TaskTimedOut"})
_HOPELESS = frozenset({"InvalidOutput", "ValidationException"})
_ERRORS = {
    "cancelled": "Approval.Cancelled",
    "rejected": "Approval.Rejected",
    "timed_out": "Approval.TimedOut",
    "undelivered": "Approval.Undelivered",
}
_INVALID_REQUEST = "Approval.InvalidRequest"

_log = logs.logger(__name__)


class TaskAnswerError(WorkflowGatesError):
    """Step Functions did not take the answer."""


class TaskAnswerUnavailableError(TaskAnswerError):
    """Step Functions did not take the answer now, but may later."""


@dataclass(frozen=True)
class Task:
    """A Step Functions task in `.waitForTaskToken`.

    Attributes:
        client: Step Functions.
        token: The task token: whoever has it can answer the task.
    """

    client: "SFNClient"
    token: str = field(repr=False)

    def answer(self, decision: Decision, *, fails: bool) -> dict[str, Any]:
        """Give the decision to the task.

        Args:
            decision: The decision.
            fails: Whether the task fails unless approved.

        Returns:
            Which answer was sent, and whether the task still waited for it.

        Raises:
            TaskAnswerUnavailableError: If it may be tried again.
            TaskAnswerError: If trying again is of no use.
        """
        if decision.outcome == "approved" or not fails:
            return self._send("send_task_success", output=decision.as_text(_MAX_OUTPUT_LENGTH))
        cause = decision.as_text(_MAX_CAUSE_LENGTH)
        return self._send("send_task_failure", error=_ERRORS[decision.outcome], cause=cause)

    def refuse(self, error: InvalidRequestError) -> dict[str, Any]:
        """Fail the task because of its request.

        Raises:
            TaskAnswerUnavailableError: If it may be tried again.
            TaskAnswerError: If trying again is of no use.
        """
        return self._send("send_task_failure", error=_INVALID_REQUEST, cause=truncated(str(error), _MAX_CAUSE_LENGTH))

    def _send(self, operation: Literal["send_task_success", "send_task_failure"], **answer: str) -> dict[str, Any]:
        # AWS and botocore repeat arguments in their errors, the token among them: only the code is kept.
        sent = {"operation": operation, "error": answer.get("error")}
        try:
            getattr(self.client, operation)(taskToken=self.token, **answer)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in _DEAD:
                raise _sorted(operation, code) from None
            _log.warning("the task does not wait for the decision any more", extra={"code": code})
            return {**sent, "waited": False}
        except BotoCoreError as error:
            name = type(error).__name__
            if isinstance(error, ParamValidationError):
                raise TaskAnswerError(f"Step Functions cannot be asked for {operation}: {name}") from None
            raise TaskAnswerUnavailableError(f"no answer from Step Functions to {operation}: {name}") from None
        return {**sent, "waited": True}


def _sorted(operation: str, code: str) -> TaskAnswerError:
    kind = TaskAnswerError if code in _HOPELESS else TaskAnswerUnavailableError
    return kind(
        f"Step Functions refused {operation}: {code}; check that the function's role may call "
        "states:SendTaskSuccess and states:SendTaskFailure"
    )
