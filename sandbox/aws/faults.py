"""Faults that a test or a person can switch on while the local AWS runs."""

import time
from dataclasses import dataclass, field, fields
from typing import Any

from werkzeug.wrappers import Request

from sandbox.aws import operations

# Longer than any client of the gates waits.
_SLOWEST_SECONDS = 60


@dataclass
class Faults:
    """Switches; all off at start.

    Attributes:
        drop_tag_events: EventBridge loses the events of tag changes (its delivery is best effort).
        plain_form_bodies: HTTP APIs hand form-encoded bodies on as text instead of base64.
        slow_calls: Seconds by which calls of an operation, such as ``GetObject``, begin too late. They take effect all
            the same, whether or not their client still waits.
    """

    drop_tag_events: bool = False
    plain_form_bodies: bool = False
    slow_calls: dict[str, float] = field(default_factory=dict)

    def set(self, changes: dict[str, Any]) -> None:
        """Set switches by name.

        Raises:
            ValueError: If a switch does not exist or its value is not one of its values; then nothing is changed.
        """
        known = {field.name for field in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"{name!r} is no fault; there are {', '.join(sorted(known))}")
            if name == "slow_calls":
                _check_slow_calls(value)
            elif not isinstance(value, bool):
                raise ValueError(f"{name}: {value!r} is neither true nor false")
        for name, value in changes.items():
            setattr(self, name, value)

    def slow_down(self, request: Request) -> None:
        """Let a request wait for as long as its operation is slow."""
        if self.slow_calls:
            time.sleep(self.slow_calls.get(operations.operation(request) or "", 0))


def _check_slow_calls(value: Any) -> None:
    if not isinstance(value, dict):
        raise ValueError(f'slow_calls: {value!r} is no object such as {{"GetObject": 5}}')  # noqa: TRY004
    for name, seconds in value.items():
        if name not in operations.known():
            raise ValueError(f"slow_calls: {name!r} is no operation that functions of the gates could call")
        if type(seconds) not in (int, float) or not 0 < seconds <= _SLOWEST_SECONDS:
            raise ValueError(f"slow_calls.{name}: {seconds!r} is no number of seconds up to {_SLOWEST_SECONDS}")
