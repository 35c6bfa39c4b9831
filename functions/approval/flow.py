"""One request from start to end, as durable operations.

Their names and order are part of the interface: executions in flight are replayed by them. Each may be cut off at any
line and run again; what runs outside of steps must come to the same result every time.
"""

import functools
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self, cast

from aws_durable_execution_sdk_python import (
    CallbackError,
    CallbackExternalError,
    CallbackTimeoutError,
    DurableContext,
    StepContext,
    StepError,
)
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration, StepConfig, StepSemantics
from aws_durable_execution_sdk_python.exceptions import StepInterruptedError, SuspendExecution
from aws_durable_execution_sdk_python.serdes import JsonSerDes
from aws_durable_execution_sdk_python.types import Callback, LambdaContext
from botocore.exceptions import BotoCoreError, ClientError

from approval import request
from approval.decision import Decision, Failure, Location, Voter
from approval.delivery import UNCONFIRMED, Delivery
from approval.deployment import Deployment
from approval.request import InvalidRequestError, Request
from approval.retries import any_of, retried
from approval.task import Task, TaskAnswerUnavailableError
from shared import claims
from shared.button import Button, ButtonTooLongError, Choice
from shared.click import Click
from shared.errors import WorkflowGatesError
from shared.message import RequestMessage, decision_text
from shared.secrets import SecretError
from shared.slack import SlackRateLimitedError, SlackRefusedError, SlackUnavailableError

# Seconds before the end of the execution at which nothing is begun any more.
_RESERVE = 30
# Attempts within about half a minute, and within about five minutes.
_FEW, _SOME = 6, 10
# Seconds of the longest delay between attempts to answer a task.
_LONGEST_ANSWER_DELAY = 900


class CallbackFailedError(WorkflowGatesError):
    """Somebody failed the callback: approve and reject are both sent as success."""


@dataclass(frozen=True, kw_only=True)
class Flow:
    """A request in work.

    Attributes:
        deployment: Settings and clients.
        context: The durable execution.
        task: The Step Functions task that waits for the decision, if one does.
        requested_at: When the request was made (aware).
    """

    deployment: Deployment
    context: DurableContext
    task: Task | None
    requested_at: datetime

    @classmethod
    def begin(cls, deployment: Deployment, context: DurableContext, event: object) -> Self:
        """Note the time of the request: replays must find the same."""
        now = context.step(lambda _: datetime.now(UTC).isoformat(), name="open")
        token = request.usable_token(event)
        return cls(
            deployment=deployment,
            context=context,
            task=Task(deployment.stepfunctions, token) if token else None,
            requested_at=datetime.fromisoformat(now),
        )

    def run(self, event: object) -> dict[str, Any]:
        """Ask, wait and answer.

        Returns:
            What the handler returns.

        Raises:
            InvalidRequestError: If the request is wrong; nothing has been posted then.
            WorkflowGatesError: If somebody broke the callback.
            StepError: If a step failed for good.
        """
        asked = request.read(event, self.deployment.settings)
        if self.task and (holder := self._claim(self.task)) != self._execution_arn:
            self.context.logger.info("duplicate start", extra={"claimedBy": holder})
            return {"status": "duplicate", "claimed_by": holder}
        expires_at = self.requested_at + timedelta(seconds=asked.timeout_seconds)
        # In the root context: a callback inside a branch would take clicks that nobody reads.
        callback = self.context.create_callback("vote-1", CallbackConfig(timeout=_duration_until(expires_at)))
        delivery = self._delivery(asked, callback.callback_id, expires_at)
        try:
            delivery.check()
        except ButtonTooLongError as error:
            raise InvalidRequestError(f"request.approvers: {error}") from None

        posted = self._post(delivery, callback, expires_at)
        self.context.logger.info("approval requested", extra={"channel": posted.get("channel"), "ts": posted.get("ts")})
        click = None if "undelivered" in posted else _wait(callback)
        decision = self._decision(posted, click, expires_at)
        self.context.logger.info("approval decided", extra={"decision": decision.outcome})
        # The task first: Slack being away must not keep it waiting.
        if self.task:
            self._answer(self.task, lambda task: task.answer(decision, fails=asked.fails_task))
        if places := _places(decision.message, click):
            self._close(delivery.message, decision, places)
        return decision.as_json()

    def refuse(self, error: InvalidRequestError) -> None:
        """Fail the task, if there is one, because of its request.

        Raises:
            StepError: If Step Functions does not take it.
        """
        if self.task:
            self._answer(self.task, lambda task: task.refuse(error))

    @property
    def _execution_arn(self) -> str:
        return self.context.execution_context.durable_execution_arn

    @property
    def _ends_at(self) -> datetime:
        """When nothing is begun any more, lest AWS ends the execution in the middle of it."""
        return self.requested_at + timedelta(seconds=self.deployment.settings.execution_timeout - _RESERVE)

    def _claim(self, task: Task) -> str:
        """Return the execution that handles the task: a start may be delivered twice."""
        bucket = self.deployment.settings.bucket
        return self.context.step(
            lambda _: claims.take(self.deployment.s3, bucket, task.token, self._execution_arn, datetime.now(UTC)),
            name="claim",
            config=StepConfig(retried(ClientError, BotoCoreError, until=self._ends_at, attempts=_FEW)),
        )

    def _delivery(self, asked: Request, callback_id: str, expires_at: datetime) -> Delivery:
        arn = cast("LambdaContext", self.context.lambda_context).invoked_function_arn or ""
        _, _, _, region, account, *_ = arn.split(":")

        def button(choice: Choice, team: str) -> Button:
            return Button(
                choice=choice,
                execution_arn=self._execution_arn,
                callback_ids=(callback_id,),
                approvers=asked.approvers,
                requester=asked.requester,
                allow_self_approval=asked.allow_self_approval,
                team=team,
            )

        return Delivery(
            workspace=self.deployment.workspace,
            channel=asked.channel,
            message=RequestMessage(
                title=asked.title,
                description=asked.description,
                fields=asked.fields,
                environment=self.deployment.settings.environment,
                account=account,
                region=region,
                requester=asked.requester,
                expires_at=expires_at,
            ),
            button=button,
            mark=hashlib.sha256(self._execution_arn.encode()).hexdigest(),
            since=self.requested_at,
        )

    def _post(self, delivery: Delivery, callback: Callback[str], expires_at: datetime) -> dict[str, Any]:
        """Return where the message is, or why nobody could be asked, or that the request was over first."""

        def post(step: StepContext) -> dict[str, Any]:
            # At most once per attempt: after a crash the attempt counts as made, so that the next one knows of it.
            again = step.attempt > 1
            if again and _is_over(callback):
                return {"settled": True}
            posted = delivery.deliver(again=again)
            if isinstance(posted, Failure):
                return {"undelivered": asdict(posted), "at": datetime.now(UTC).isoformat()}
            return posted

        unclear = (SlackRateLimitedError, SlackUnavailableError, StepInterruptedError)
        strategy = any_of(
            # Until `post` finds that the request is over, by a click on an unconfirmed message or by its timeout.
            retried(*unclear, until=self._ends_at, not_past=expires_at),
            retried(SecretError, until=expires_at, attempts=_SOME),
        )
        # Plain JSON, not the SDK's own encoding: the Slack webhook reads it from the history of an execution that died.
        config = StepConfig(strategy, StepSemantics.AT_MOST_ONCE_PER_RETRY, serdes=JsonSerDes())
        return self.context.step(post, "post", config)

    def _decision(self, posted: Mapping[str, Any], click: Click | None, expires_at: datetime) -> Decision:
        ended = functools.partial(Decision, requested_at=self.requested_at, execution_arn=self._execution_arn)
        if "undelivered" in posted:
            at = datetime.fromisoformat(posted["at"])
            return ended(outcome="undelivered", decided_at=at, failure=Failure(**posted["undelivered"]))
        message = None
        if "ts" in posted:
            message = Location(channel=posted["channel"], ts=posted["ts"], permalink=posted["permalink"])
        if click:
            return ended(
                outcome="approved" if click.choice == "approve" else "rejected",
                decided_at=click.at,
                decided_by=(Voter(id=click.user_id, name=click.user_name, at=click.at),),
                reason=click.reason,
                inputs=click.inputs,
                message=message or Location(channel=click.channel, ts=click.ts, permalink=None),
            )
        if not message:
            return ended(outcome="undelivered", decided_at=expires_at, failure=UNCONFIRMED)
        return ended(outcome="timed_out", decided_at=expires_at, message=message)

    def _answer(self, task: Task, send: Callable[[Task], dict[str, Any]]) -> None:
        strategy = retried(TaskAnswerUnavailableError, until=self._ends_at, longest=_LONGEST_ANSWER_DELAY)
        self.context.step(lambda _: send(task), name="answer-task", config=StepConfig(strategy))

    def _close(self, message: RequestMessage, decision: Decision, places: Sequence[tuple[str, str]]) -> None:
        """Take the buttons off the message; failing to changes nothing about the decision."""
        outcome = decision_text(decision.as_json())
        # Without `metadata` in the call the message keeps its own.
        content = {"text": message.text(), "blocks": message.locked_blocks(outcome, decision.reason)}

        def close(step: StepContext) -> None:
            for channel, ts in places:
                try:
                    self.deployment.workspace.call("chat.update", {"channel": channel, "ts": ts, **content})
                except SlackRefusedError as error:
                    step.logger.warning("message not closed", extra={"channel": channel, "ts": ts, "code": error.code})

        errors = (SlackRateLimitedError, SlackUnavailableError, SecretError)
        strategy = retried(*errors, until=self._ends_at, attempts=_SOME)
        try:
            self.context.step(close, name="close-message", config=StepConfig(strategy))
        except StepError as error:
            self.context.logger.warning("message not closed", extra={"reason": error.message})


def _wait(callback: Callback[str]) -> Click | None:
    """Return the click that decides, or None where the time ran out first."""
    try:
        return Click.decode(callback.result())
    except CallbackTimeoutError:
        return None
    except CallbackExternalError:
        raise CallbackFailedError(
            "the callback vote-1 was failed from outside; complete it with success, a reject is a decision too"
        ) from None


def _is_over(callback: Callback[str]) -> bool:
    try:
        callback.result()
    except SuspendExecution:  # how the SDK says that it is still open
        return False
    except CallbackError:
        return True
    return True


def _places(message: Location | None, click: Click | None) -> list[tuple[str, str]]:
    """Return channel and timestamp of every known message: the posted one, and the copy of it that was clicked."""
    posted = [(message.channel, message.ts)] if message else []
    clicked = [(click.channel, click.ts)] if click else []
    return list(dict.fromkeys(posted + clicked))


def _duration_until(moment: datetime) -> Duration:
    return Duration.from_seconds(max(1, math.ceil((moment - datetime.now(UTC)).total_seconds())))
