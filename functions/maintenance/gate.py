"""What every operation of the gate works with; all that is not pure comes in through here."""

import random
import time
import uuid
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import uuid6

from maintenance.cloud import Cloud
from maintenance.crew import Crew
from maintenance.flag import Flags, Seen
from maintenance.keys import Keys
from maintenance.machines import Home
from maintenance.tasks import Tasks


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Time, randomness and the Lambda invocation.

    Attributes:
        function_arn: The function as it was invoked (alias included): where a drain is handed over to.
        seconds_left: Until Lambda ends this invocation.
        now: Wall clock, for what others read.
        monotonic: Own clock in seconds, for guards.
        sleep: Waits this many seconds.
        task_id: A new UUIDv7, so that the order of keys is the order of arrival.
        random_id: A new random id, for nonces and lease owners.
        sample: So many of some items, by chance.
        crew: Resumes several tasks of a batch at once; None for one after the other.
        emit: Takes one record of metrics.
    """

    function_arn: str
    seconds_left: Callable[[], float]
    now: Callable[[], datetime] = _now
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    task_id: Callable[[], str] = lambda: str(uuid6.uuid7())
    random_id: Callable[[], str] = lambda: str(uuid.uuid4())
    sample: Callable[[Sequence[Any], int], list[Any]] = random.sample
    crew: Crew | None = None
    emit: Callable[[Mapping[str, Any]], None] = lambda _: None

    @property
    def unqualified_arn(self) -> str:
        """The function without its alias."""
        return ":".join(self.function_arn.split(":")[:7])


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The protocol's numbers. The lease must exceed the guard plus the longest request (10 s).

    Attributes:
        tries: Of read, decide, write, before the sweep is left to it.
        batch: Parked tasks resumed under one check of the flag.
        guard: Seconds after reading the flag in which a task may be resumed.
        lease: Seconds that a drain may be silent before another takes over.
        reserve: Seconds kept for putting work down before Lambda ends the invocation.
    """

    tries: int = 5
    batch: int = 100
    guard: float = 5
    lease: float = 30
    reserve: float = 20


@dataclass(frozen=True, kw_only=True)
class Gate:
    """The gate during one invocation.

    Attributes:
        cloud: AWS.
        keys: The bucket's layout.
        runtime: Time, randomness and the invocation.
        limits: The protocol's numbers.
        names: Names of the state machines that the gate serves; `*` stands for any characters.
        environment: What announcements call the place where this gate is.
        known_flags: Flags that this container has read; outlives the invocation.
    """

    cloud: Cloud
    keys: Keys
    runtime: Runtime
    limits: Limits = field(default_factory=Limits)
    names: tuple[str, ...] = ("*",)
    environment: str = ""
    known_flags: MutableMapping[str, Seen] = field(default_factory=dict)

    @cached_property
    def home(self) -> Home:
        """Where this function lives."""
        return Home.of_function(self.runtime.function_arn, self.names)

    @cached_property
    def flags(self) -> Flags:
        """The flags in the bucket."""
        return Flags(
            self.cloud,
            self.keys,
            now=self.runtime.now,
            nonce=self.runtime.random_id,
            known=self.known_flags,
        )

    @cached_property
    def tasks(self) -> Tasks:
        """The parked tasks in the bucket."""
        return Tasks(self.cloud, self.keys)

    @property
    def time_short(self) -> bool:
        """Whether this invocation has to put its work down."""
        return self.runtime.seconds_left() < self.limits.reserve
