"""Entry point: who asked for what, and which part of the gate answers."""

import json
import os
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from maintenance import events, metrics
from maintenance.aws import IN_FLIGHT, Aws
from maintenance.check_in import InvalidCheckInError, check_in
from maintenance.cloud import Cloud, CloudError
from maintenance.crew import Crew
from maintenance.flag import Seen
from maintenance.gate import Gate, Runtime
from maintenance.keys import Keys
from maintenance.operate import begin, end
from maintenance.refresh import Notes, refresh_each
from maintenance.replay import replay
from maintenance.status import status
from maintenance.sweep import sweep
from shared.environment import optional, required
from shared.errors import ConfigurationError
from shared.logs import logger

INVALID_CHECK_IN = "Maintenance.InvalidCheckIn"
"""Error of a task whose check-in is malformed."""

_RESUME_RATE = 200  # tasks per second: below the 300 that the account's quota allows in most regions

_log = logger(__name__)


class Context(Protocol):
    """What this function uses of Lambda's context."""

    @property
    def invoked_function_arn(self) -> str:
        """The function as it was invoked, alias included."""

    def get_remaining_time_in_millis(self) -> int:
        """Time until Lambda ends this invocation."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What one container keeps between invocations."""

    cloud: Cloud
    keys: Keys
    names: tuple[str, ...]
    environment: str
    crew: Crew
    known_flags: MutableMapping[str, Seen] = field(default_factory=dict)


@cache
def settings() -> Settings:
    """Read the environment and make the clients, once.

    Raises:
        ConfigurationError: If an environment variable is missing or wrong.
    """
    bucket = required("Bucket", "the name of the S3 bucket for flags and parked tasks")
    return Settings(
        cloud=Aws(bucket, optional("EVENT_BUS_NAME", "default")),
        keys=Keys.below(optional("Prefix")),
        names=_names(optional("StateMachineNames", '["*"]')),
        environment=optional("ENVIRONMENT"),
        crew=Crew(IN_FLIGHT, _rate(optional("ResumeRatePerSecond", str(_RESUME_RATE)))),
    )


def _names(text: str) -> tuple[str, ...]:
    try:
        names = json.loads(text)
    except ValueError:
        names = None
    if not (isinstance(names, list) and names and all(isinstance(name, str) for name in names)):
        raise ConfigurationError(
            f"environment variable StateMachineNames is {text!r}; set it to a JSON list of state machine names, "
            'in which * stands for any characters, such as ["Order*"]'
        )
    return tuple(names)


def _rate(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ConfigurationError(
            f"environment variable ResumeRatePerSecond is {text!r}; set it to a whole number greater than 0"
        )
    return int(text)


if "AWS_LAMBDA_RUNTIME_API" in os.environ:
    settings()  # Lambda gives initialisation a full CPU; an import elsewhere needs no environment


def handler(event: Any, context: Context) -> dict[str, Any]:
    """Serve one event: a check-in, an action, or a tag change.

    Raises:
        WorkflowGatesError: If the event is malformed or could not be served.
    """
    container = settings()
    gate = Gate(
        cloud=container.cloud,
        keys=container.keys,
        names=container.names,
        environment=container.environment,
        known_flags=container.known_flags,
        runtime=Runtime(
            function_arn=context.invoked_function_arn,
            crew=container.crew,
            emit=metrics.write,
            seconds_left=lambda: context.get_remaining_time_in_millis() / 1000,
        ),
    )
    return serve(gate, event)


def serve(gate: Gate, event: Any) -> dict[str, Any]:
    """Serve one event with the gate given.

    Raises:
        WorkflowGatesError: If the event is malformed or could not be served.
    """
    try:
        request = events.parse(event, gate.home, gate.runtime.now())
    except InvalidCheckInError as error:
        _fail_task(gate.cloud, events.token_of(event), error)
        raise
    match request:
        case events.CheckIn(machine, task):
            answer = check_in(gate, machine, task)
        case events.TagChange(machines):
            answer = refresh_each(gate, machines).answer("tag change")
        case events.DrainNow(machine):
            answer = refresh_each(gate, [machine]).answer("drain")
        case events.Begin(scope, reason, by, until, window):
            answer = begin(gate, scope, Notes(reason, by, until), window=window)
        case events.End(scope, reason, by, since):
            answer = end(gate, scope, Notes(reason, by), since)
        case events.Replay(machine):
            answer = replay(gate, machine)
        case events.ShowStatus(scope):
            answer = status(gate, scope)
        case events.Sweep():
            answer = sweep(gate)
    return answer


def _fail_task(cloud: Cloud, token: str | None, error: InvalidCheckInError) -> None:
    """Fail the task of a malformed check-in: it would wait until its own timeout."""
    if token is None:
        return
    try:
        cloud.send_task_failure(token, INVALID_CHECK_IN, str(error))
    except CloudError as failure:
        _log.warning("task of a malformed check-in not failed: %s", failure)
