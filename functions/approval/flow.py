"""One request from start to end, as durable operations.

Their names and order are part of the interface: executions in flight are replayed by them, and of one that died the
Slack webhook reads the results of `post...` and `decide`, and whether `answer-task`, `emit-decided` and `close-message`
are done. In order:

- step `open`: the time of the request
- step `claim`: with a task token, whose execution answers it
- callbacks `vote-1`, `vote-2`, ...: votes; more of them after each `count-...`
- steps `post`, `post-2`, ...: the message, at every place; more of them with an escalation
- step `emit-requested`: the event `Approval Requested`
- callbacks `reminder-1`, ..., `escalation`: timers
- steps `count-1`, ...: what was over when something happened; after each, as needed: `post-...`; steps `update-1`, ...,
  each of the messages' last ones, the others' before it with a number behind the name; steps `escalate`, `escalate-2`,
  ... and `remind-1`, `remind-1-2`, ...: into the thread of every message
- step `decide`: the decision
- step `answer-task`: with a task token
- step `emit-decided`: the event `Approval Decided`
- step `close-message`: every message locked; of many the last ones, after `close-message-1`, ...
- step `notify-requester`: if there is one to tell

Each may be cut off at any line and run again; what runs outside of steps must come to the same result every time.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from aws_durable_execution_sdk_python import DurableContext
from aws_durable_execution_sdk_python.config import StepConfig
from aws_durable_execution_sdk_python.serdes import JsonSerDes
from botocore.exceptions import BotoCoreError, ClientError

from approval import request
from approval.audit import Auditor
from approval.decision import Decision
from approval.deployment import Deployment
from approval.inquiry import Inquiry
from approval.request import InvalidRequestError
from approval.retries import retried
from approval.task import Task, TaskAnswerUnavailableError
from shared import claims

# Seconds before the end of the execution at which nothing is begun any more.
_RESERVE = 30
# Attempts within about half a minute, and within about five minutes.
_FEW, _SOME = 6, 10
# Seconds of the longest delay between attempts to answer a task.
_LONGEST_ANSWER_DELAY = 900
# Characters of the noted decision: far below the 256 KB of a step's result, and all of it but for unusual requests.
_MAX_NOTED_LENGTH = 32_768


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
        inquiry = Inquiry(self.deployment, self.context, asked, requested_at=self.requested_at, ends_at=self._ends_at)
        inquiry.open()
        inquiry.ask()
        # Few attempts: votes are not counted meanwhile.
        self._auditor.record("emit-requested", "Approval Requested", inquiry.record(), attempts=_FEW)
        decision = inquiry.decision()
        self._note(decision)
        # The task first: Slack being away must not keep it waiting.
        if self.task:
            self._answer(self.task, lambda task: task.answer(decision, fails=asked.fails_task))
        self._auditor.record("emit-decided", "Approval Decided", decision.as_json(), attempts=_SOME)
        inquiry.close(decision)
        inquiry.tell_requester(decision)
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

    def _note(self, decision: Decision) -> None:
        """Leave the decision to whoever has to tell it, should this execution die when its task has been answered.

        Plain JSON, not the SDK's own encoding, for the Slack webhook.
        """
        noted = json.loads(decision.as_text(_MAX_NOTED_LENGTH))
        self.context.step(lambda _: noted, name="decide", config=StepConfig(serdes=JsonSerDes()))

    @property
    def _auditor(self) -> Auditor:
        settings = self.deployment.settings
        return Auditor(
            context=self.context,
            events=self.deployment.events,
            bus=settings.event_bus,
            environment=settings.environment,
            ends_at=self._ends_at,
        )

    def _answer(self, task: Task, send: Callable[[Task], dict[str, Any]]) -> None:
        strategy = retried(TaskAnswerUnavailableError, until=self._ends_at, longest=_LONGEST_ANSWER_DELAY)
        self.context.step(lambda _: send(task), name="answer-task", config=StepConfig(strategy))
