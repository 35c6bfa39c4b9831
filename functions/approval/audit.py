"""Records for auditors: one of every request and one of every decision, as a line of the log and as an event."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aws_durable_execution_sdk_python import DurableContext, StepContext, StepError
from aws_durable_execution_sdk_python.config import StepConfig
from botocore.exceptions import BotoCoreError, ClientError

from approval.retries import retried
from shared.records import DetailType, EventRefusedError, fitting, put_event

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient


@dataclass(frozen=True, kw_only=True)
class Auditor:
    """Writes records of one execution.

    Attributes:
        context: The durable execution.
        events: EventBridge.
        bus: Name of the event bus.
        environment: Label of the deployment.
        ends_at: When nothing is begun any more (aware).
    """

    context: DurableContext
    events: "EventBridgeClient"
    bus: str
    environment: str
    ends_at: datetime

    def record(self, name: str, detail_type: DetailType, detail: Mapping[str, Any], *, attempts: int) -> None:
        """Write a record; failing to changes nothing about the request.

        Args:
            name: Of the step.
            detail_type: What happened.
            detail: The record.
            attempts: How often to try to send the event.
        """
        record = fitting({**detail, "environment": self.environment})

        def emit(step: StepContext) -> None:
            if step.attempt == 1:
                step.logger.info(detail_type, extra={"audit": True, "record": record})
            put_event(self.events, self.bus, detail_type, record)

        strategy = retried(ClientError, BotoCoreError, EventRefusedError, until=self.ends_at, attempts=attempts)
        try:
            self.context.step(emit, name, StepConfig(strategy))
        except StepError as error:
            self.context.logger.warning("event not sent", extra={"step": name, "reason": error.message})
