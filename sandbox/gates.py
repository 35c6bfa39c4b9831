"""What people and programs do with the two gates of a running sandbox: ask, look, tag, start, wait."""

import hashlib
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from sandbox.deployment import NAME, Sandbox, SandboxError, until
from sandbox.slack.workspace import Message

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

Json = dict[str, Any]

TAG = "Maintenance"
PREFIX = "maintenance"
_WAIT = 30.0


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How an execution ended.

    Attributes:
        status: AWS's status, such as `SUCCEEDED`.
        output: Its result; None if it has none.
        error: Error type, if it failed.
        cause: What the failure says, if it failed.
    """

    status: str
    output: Any = None
    error: str | None = None
    cause: str | None = None


class Gates:
    """Both gates of a sandbox.

    Args:
        sandbox: The running sandbox. What is deployed in it has outputs named as the module's; those of its own are
            `state_machine_arn`.
        state_machine: ARN of the state machine that is held and looked at; None for the output's.
    """

    def __init__(self, sandbox: Sandbox, state_machine: str | None = None) -> None:
        self._sandbox = sandbox
        self._slack = sandbox.slack
        self._lambda: LambdaClient = sandbox.client("lambda")
        self._states: SFNClient = sandbox.client("stepfunctions")
        self._s3: S3Client = sandbox.client("s3")
        self._chosen = state_machine

    @property
    def state_machine(self) -> str:
        """ARN of the state machine that is held and looked at."""
        return self._chosen or self._output("state_machine_arn")

    @property
    def name(self) -> str:
        """Name of the state machine."""
        return self.state_machine.rpartition(":")[2]

    # --- approval gate

    def ask(self, request: Json, name: str | None = None) -> str:
        """Ask for approval, as a program does, and return the ARN of the durable execution.

        Args:
            request: The request.
            name: Name of the durable execution; one name is one request, however often it is sent.
        """
        answer = self._lambda.invoke(
            FunctionName=self._output("approval_function_arn"),
            InvocationType="Event",
            DurableExecutionName=name or f"request-{uuid4()}",
            Payload=json.dumps({"request": request}),
        )
        return answer["DurableExecutionArn"]

    def question(self, execution_arn: str, timeout: float = _WAIT) -> Message:
        """Return the Slack message of a durable execution, as soon as it is there."""
        return self._slack.wait_for_message(lambda m: _is_about(m, execution_arn), timeout)

    def questions(self, execution_arns: Sequence[str], timeout: float = _WAIT) -> list[Message]:
        """Return the Slack messages of durable executions, in their order, as soon as all are there.

        Raises:
            SandboxError: If one does not come in time.
        """
        marks = [_mark(arn) for arn in execution_arns]
        found: dict[str, Message] = {}
        deadline, seen = time.monotonic() + timeout, 0
        while not found.keys() >= set(marks):
            left = deadline - time.monotonic()
            if left < 0:
                raise SandboxError(f"only {len(found)} of {len(marks)} questions within {timeout:.0f} s")
            changes = self._slack.changes(seen, left)
            seen = changes.version
            found |= {mark: message for message in changes.messages if (mark := _mark_of(message)) in marks}
        return [found[mark] for mark in marks]

    def question_titled(self, title: str, timeout: float = _WAIT) -> Message:
        """Return the Slack message with a title, as soon as it is there."""
        return self._slack.wait_for_message(
            lambda m: bool(m.blocks) and m.blocks[0].get("text", {}).get("text") == title, timeout
        )

    def execution_of(self, message: Message) -> str:
        """Return the ARN of the durable execution that a Slack message belongs to.

        Raises:
            SandboxError: If there is none.
        """
        name = self._output("approval_function_arn").removesuffix(":live")
        pages = self._lambda.get_paginator("list_durable_executions_by_function").paginate(FunctionName=name)
        for execution in (execution for page in pages for execution in page["DurableExecutions"]):
            if _is_about(message, execution["DurableExecutionArn"]):
                return execution["DurableExecutionArn"]
        raise SandboxError(f"no durable execution posted the message {message.ts}")

    def locked(self, message: Message, timeout: float = _WAIT) -> Message:
        """Return a message as soon as its buttons are gone."""
        return self._slack.wait_for_message(lambda m: _same(m, message) and not m.actions(), timeout)

    def showing(self, message: Message, text: str, timeout: float = _WAIT) -> Message:
        """Return a message as soon as its blocks hold a text."""
        return self._slack.wait_for_message(lambda m: _same(m, message) and text in shown(m), timeout)

    def messages(self, execution_arn: str, number: int, timeout: float = _WAIT) -> list[Message]:
        """Return the Slack messages of a durable execution as soon as there are so many: one at each place."""

        def all_of_them() -> list[Message]:
            found = [message for message in self._slack.messages() if _is_about(message, execution_arn)]
            return found if len(found) == number else []

        return until(all_of_them, f"{number} messages of {execution_arn}", timeout)

    def replies(self, message: Message, number: int, timeout: float = _WAIT) -> list[Message]:
        """Return the messages in the thread of a message as soon as there are so many."""

        def all_of_them() -> list[Message]:
            found = [m for m in self._slack.messages() if (m.channel, m.thread_ts) == (message.channel, message.ts)]
            return found if len(found) == number else []

        return until(all_of_them, f"{number} replies to {message.ts}", timeout)

    def status(self, execution_arn: str) -> str:
        """Return the status of a durable execution."""
        return self._lambda.get_durable_execution(DurableExecutionArn=execution_arn)["Status"]

    def decision(self, execution_arn: str, timeout: float = _WAIT) -> Ended:
        """Return how a durable execution ended, as soon as it has."""

        def ended() -> Ended | None:
            found = self._lambda.get_durable_execution(DurableExecutionArn=execution_arn)
            if found["Status"] == "RUNNING":
                return None
            error = found.get("Error", {})
            return Ended(
                status=found["Status"],
                output=json.loads(found["Result"]) if found.get("Result") else None,
                error=error.get("ErrorType"),
                cause=error.get("ErrorMessage"),
            )

        return until(ended, f"the end of {execution_arn}", timeout)

    def wait_for_vote(self, execution_arn: str, timeout: float = _WAIT) -> None:
        """Return as soon as a durable execution has done everything up to the first vote."""

        def posted() -> bool:
            history = self._lambda.get_durable_execution_history(DurableExecutionArn=execution_arn)["Events"]
            return any(e.get("EventType") == "StepSucceeded" and e.get("Name") == "post" for e in history)

        until(posted, f"{execution_arn} to wait for a vote", timeout)

    def stop(self, execution_arn: str) -> None:
        """Stop a durable execution, as an operator does."""
        self._lambda.stop_durable_execution(DurableExecutionArn=execution_arn)

    # --- maintenance gate and a state machine

    @contextmanager
    def another(self, states: Json | None = None) -> Iterator["Gates"]:
        """Make another state machine, and delete it in the end.

        Args:
            states: What it runs, beginning with the state `CheckIn`; None for the example's check-in state alone.

        Yields:
            The gates as seen with that state machine.
        """
        role = self._states.describe_state_machine(stateMachineArn=self.state_machine)["roleArn"]
        definition = {"StartAt": "CheckIn", "States": states or {"CheckIn": {**self.check_in_state(), "End": True}}}
        made = self._states.create_state_machine(
            name=f"machine-{uuid4()}", definition=json.dumps(definition), roleArn=role
        )
        try:
            yield Gates(self._sandbox, made["stateMachineArn"])
        finally:
            self._states.delete_state_machine(stateMachineArn=made["stateMachineArn"])

    def check_in_state(self) -> Json:
        """Return the state that checks in, as the module offers it, without what comes after it."""
        example = self._states.describe_state_machine(stateMachineArn=self._sandbox.outputs["state_machine_arn"])
        state: Json = json.loads(example["definition"])["States"]["MaintenanceCheck"]
        return {name: value for name, value in state.items() if name != "Next"}

    def act(self, action: str, **fields: Any) -> Json:
        """Ask the maintenance function for an action, and return its answer.

        Args:
            action: The action.
            fields: The action's further fields; of `stateMachineArn` and `scope` the state machine unless one is given.

        Raises:
            SandboxError: If the function fails.
        """
        whom = {} if "scope" in fields else {"stateMachineArn": self.state_machine}
        event = {"action": action, **whom, **fields}
        answer = self._lambda.invoke(FunctionName=self._output("maintenance_function_arn"), Payload=json.dumps(event))
        said: Json = json.load(answer["Payload"])
        if answer.get("FunctionError"):
            raise SandboxError(f"the action {action} failed: {said.get('errorType')}: {said.get('errorMessage')}")
        return said

    def notice(self, timeout: float = _WAIT) -> Message:
        """Return the Slack message about the maintenance that the state machine is in, as soon as it is there."""
        key = f"{self.state_machine}|{self.gate()['since']}"
        return self._slack.wait_for_message(lambda m: bool(m.blocks) and m.blocks[0].get("block_id") == key, timeout)

    def sweep(self) -> None:
        """Let the schedule of the sweep fire now."""
        self._sandbox.control("POST", "schedules/fire", {"rule": f"{NAME}-maintenance-sweep"})

    def begin_maintenance(self) -> None:
        """Set the tag on the state machine."""
        self._states.tag_resource(resourceArn=self.state_machine, tags=[{"key": TAG, "value": "true"}])

    def end_maintenance(self) -> None:
        """Remove the tag from the state machine."""
        self._states.untag_resource(resourceArn=self.state_machine, tagKeys=[TAG])

    def start(self, state: Json | None = None) -> str:
        """Start an execution of the state machine and return its ARN."""
        answer = self._states.start_execution(
            stateMachineArn=self.state_machine, name=f"order-{uuid4()}", input=json.dumps(state or {})
        )
        return answer["executionArn"]

    def parked(self) -> list[str]:
        """Return the keys of the state machine's parked tasks, in the order in which they are resumed."""
        folder = f"{PREFIX}/{self.name}/"
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._output("bucket_name"), Prefix=folder)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def wait_for_parked(self, number: int, timeout: float = _WAIT) -> list[str]:
        """Return the parked tasks' keys as soon as there are so many."""

        def so_many() -> list[list[str]]:
            keys = self.parked()
            return [keys] if len(keys) == number else []

        return until(so_many, f"{number} parked tasks", timeout)[0]

    def gate_state(self) -> str:
        """Return what the maintenance gate says of the state machine: `open`, `closed`, `draining` or `missing`."""
        return str(self.gate()["state"])

    def gate(self) -> Json:
        """Return all that the maintenance gate says of the state machine."""
        shown: Json = self.act("status")["machines"][self.name]
        return shown

    def wait_for_gate(self, *states: str, timeout: float = _WAIT) -> str:
        """Return the gate's state as soon as it is one of these."""

        def reached() -> str | None:
            state = self.gate_state()
            return state if state in states else None

        return until(reached, f"the gate of {self.state_machine} to be {' or '.join(states)}", timeout)

    def ended(self, execution_arn: str, timeout: float = _WAIT) -> Ended:
        """Return how an execution of the state machine ended, as soon as it has."""

        def ended() -> Ended | None:
            found = self._states.describe_execution(executionArn=execution_arn)
            if found["status"] == "RUNNING":
                return None
            output = found.get("output")
            return Ended(
                status=found["status"],
                output=json.loads(output) if output else None,
                error=found.get("error"),
                cause=found.get("cause"),
            )

        return until(ended, f"the end of {execution_arn}", timeout)

    def running(self, execution_arns: Iterable[str]) -> list[bool]:
        """Return of each execution of the state machine whether it is running."""
        return [self._states.describe_execution(executionArn=a)["status"] == "RUNNING" for a in execution_arns]

    def _output(self, name: str) -> str:
        try:
            return str(self._sandbox.outputs[name])
        except KeyError:
            raise SandboxError(
                f"what is deployed has no output {name}: it has {', '.join(self._sandbox.outputs) or 'none at all'}"
            ) from None


def shown(message: Message) -> str:
    """Return all that a message shows, as text to look for something in."""
    return json.dumps(message.blocks, ensure_ascii=False)


def _same(one: Message, other: Message) -> bool:
    return (one.channel, one.ts) == (other.channel, other.ts)


def _is_about(message: Message, execution_arn: str) -> bool:
    return _mark_of(message) == _mark(execution_arn)


def _mark(execution_arn: str) -> str:
    return hashlib.sha256(execution_arn.encode()).hexdigest()


def _mark_of(message: Message) -> str | None:
    metadata = message.content.metadata or {"event_payload": {}}
    mark: str | None = metadata["event_payload"].get("execution")
    return mark
