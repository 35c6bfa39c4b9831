"""Scripted misbehaviour of the local Slack, one answer at a time."""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

REQUEST_URL = "request_url"


class FaultInvalidError(ValueError):
    """A fault that cannot be played."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What happens instead of (or besides) the normal answer to one call.

    Attributes:
        method: What it meets: a Web API method such as `chat.postMessage`; `response_url` for answers to clicks;
            `request_url` for what Slack sends to the app, whose answer then comes late or not at all.
        status: HTTP status to answer instead of doing anything (429 comes with `Retry-After`).
        error: Slack error code to answer instead of doing anything.
        drop: Break the connection before the call takes effect, or after it did.
        delay: Seconds to wait first.
        retry_after: Seconds for `Retry-After`.
        times: How many calls it meets.
    """

    method: str
    status: int | None = None
    error: str | None = None
    drop: Literal["before", "after"] | None = None
    delay: float = 0.0
    retry_after: int = 1
    times: int = 1

    def __post_init__(self) -> None:
        if self.method == REQUEST_URL and (self.status is not None or self.error is not None):
            raise FaultInvalidError("a fault of request_url is drop or delay: the status is the app's")
        if sum(effect is not None for effect in (self.status, self.error, self.drop)) + bool(self.delay) == 0:
            raise FaultInvalidError(f"the fault of {self.method} does nothing; give status, error, drop or delay")
        if self.drop not in (None, "before", "after"):
            raise FaultInvalidError(f"drop is {self.drop!r}; give 'before' or 'after'")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read a fault.

        Raises:
            FaultInvalidError: If a field is unknown or missing.
        """
        try:
            return cls(**data)
        except TypeError as error:
            raise FaultInvalidError(f"not a fault: {error}") from error


class Faults:
    """The faults still to be played; those of one method in the order in which they were added."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queue: deque[Fault] = deque()

    def add(self, fault: Fault) -> None:
        """Add a fault, played once for each of its `times`."""
        with self._lock:
            self._queue.extend([fault] * fault.times)

    def take(self, method: str) -> Fault | None:
        """Return the next fault for a method, and forget it."""
        with self._lock:
            for fault in self._queue:
                if fault.method == method:
                    self._queue.remove(fault)
                    return fault
        return None

    def pending(self) -> list[Fault]:
        """Return what is still to be played, in order."""
        with self._lock:
            return list(self._queue)

    def clear(self) -> None:
        """Forget all faults."""
        with self._lock:
            self._queue.clear()
