"""The maintenance function, as a click sees it."""

import json
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from shared import logs
from slack_webhook.aws import CALL_AND_NOTE, may_have_worked, name_of
from slack_webhook.callbacks import Outcome
from slack_webhook.deadline import Deadline
from slack_webhook.notice import ALL, EndButton
from slack_webhook.settings import MaintenanceSettings

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_log = logs.logger(__name__)


class MaintenanceFunction:
    """Ends maintenances.

    Args:
        client: A client that gives up early and never tries again by itself.
        settings: Which function, and who may ask it.
    """

    def __init__(self, client: "LambdaClient", settings: MaintenanceSettings) -> None:
        self._client = client
        self._arn = settings.function_arn
        self.approvers = settings.approvers

    def end(self, button: EndButton, by: str, deadline: Deadline) -> Outcome:
        """Ask for the end of a maintenance; it does not wait until that is done.

        Args:
            button: Which maintenance. Another one of the same state machines is not ended, so asking twice is harmless.
            by: Who asks.
            deadline: No second attempt is started that might end after it.

        Returns:
            `COUNTED` if Lambda took it; `NOT_COUNTED` if it surely did not; `UNKNOWN` if it may have.
        """
        outcome = self._invoke(button, by)
        # The usual cause is a kept connection that died while the function was frozen.
        if outcome is Outcome.UNKNOWN and deadline.remaining() > CALL_AND_NOTE:
            outcome = self._invoke(button, by)
        return outcome

    def _invoke(self, button: EndButton, by: str) -> Outcome:
        whom = {"scope": ALL} if button.scope == ALL else {"stateMachineArn": button.scope}
        event = {"action": "end", **whom, "since": button.since, "by": by}
        try:
            self._client.invoke(FunctionName=self._arn, InvocationType="Event", Payload=json.dumps(event))
        except (ClientError, BotoCoreError) as error:
            outcome = Outcome.UNKNOWN if may_have_worked(error) else Outcome.NOT_COUNTED
            facts = {"error_code": name_of(error), "outcome": outcome.value}
            _log.error("maintenance function not invoked", extra=facts)
            return outcome
        return Outcome.COUNTED
