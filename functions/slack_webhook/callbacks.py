"""Completing a callback of the durable function: the moment at which a vote counts.

AWS completes a callback at most once, so two people who click at the same time never both take it.
"""

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from shared import logs
from slack_webhook.aws import CALL_AND_NOTE, may_have_worked, name_of
from slack_webhook.deadline import Deadline

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

# Already completed, expired, or its execution is over or gone:
# https://docs.aws.amazon.com/lambda/latest/api/API_SendDurableExecutionCallbackSuccess.html
_CLOSED = frozenset({"CallbackTimeoutException", "ResourceNotFoundException"})

_log = logs.logger(__name__)


class Outcome(Enum):
    """What became of a vote."""

    COUNTED = "counted"
    CLOSED = "closed"
    NOT_COUNTED = "not_counted"
    UNKNOWN = "unknown"


class Callbacks:
    """The callbacks of the approval function.

    Args:
        client: A client that gives up early and never tries again by itself.
    """

    def __init__(self, client: "LambdaClient") -> None:
        self._client = client

    def complete_first_open(self, callback_ids: Sequence[str], result: bytes, deadline: Deadline) -> Outcome:
        """Complete the first callback that is still open, and no other.

        Args:
            callback_ids: In the order to try.
            result: What the durable function gets.
            deadline: After the first attempt none is started that might end after it.

        Returns:
            `COUNTED` if one was completed; `CLOSED` if none is open any more; `NOT_COUNTED` if AWS surely did not do
            it; `UNKNOWN` if it may have done it.
        """
        for position, callback_id in enumerate(callback_ids):
            if position and deadline.remaining() < CALL_AND_NOTE:
                return Outcome.NOT_COUNTED
            outcome = self._complete(callback_id, result)
            if outcome is Outcome.UNKNOWN and deadline.remaining() > CALL_AND_NOTE:
                # The usual cause is a kept connection that died while the function was frozen. If the second attempt
                # does not succeed, nobody can tell whether the first one did: "closed" may then be our own doing, and
                # the next callback must not be taken, or the vote might count twice.
                again = self._complete(callback_id, result)
                return again if again is Outcome.COUNTED else Outcome.UNKNOWN
            if outcome is not Outcome.CLOSED:
                return outcome
        return Outcome.CLOSED

    def _complete(self, callback_id: str, result: bytes) -> Outcome:
        # Errors are logged by name only: the text of some repeats the callback id.
        try:
            self._client.send_durable_execution_callback_success(CallbackId=callback_id, Result=result)
        except (ClientError, BotoCoreError) as error:
            code = name_of(error)
            if code in _CLOSED:
                return Outcome.CLOSED
            outcome = Outcome.UNKNOWN if may_have_worked(error) else Outcome.NOT_COUNTED
            _log.error("callback not completed", extra={"error_code": code, "outcome": outcome.value})
            return outcome
        return Outcome.COUNTED
