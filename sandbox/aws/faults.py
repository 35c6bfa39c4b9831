"""Faults that a test or a person can switch on while the local AWS runs."""

import threading
import time
from dataclasses import dataclass, field, fields
from typing import Any

from werkzeug.wrappers import Request

from sandbox.aws import operations
from sandbox.aws.errors import AwsError

# Longer than any client of the gates waits.
_SLOWEST_SECONDS = 60
_MOST_THROTTLED = 10_000
_COUNTING = threading.Lock()
# What services answer to too many requests, where it is not the usual `ThrottlingException`.
_THROTTLED = {"lambda": ("TooManyRequestsException", 429), "s3": ("SlowDown", 503)}


@dataclass
class Faults:
    """Switches; all off at start.

    Attributes:
        drop_tag_events: EventBridge loses the events of tag changes (its delivery is best effort).
        plain_form_bodies: HTTP APIs hand form-encoded bodies on as text instead of base64.
        slow_calls: Seconds by which calls of an operation, such as ``GetObject``, begin too late. They take effect all
            the same, whether or not their client still waits.
        throttled_calls: How many of the next calls of an operation, such as ``SendTaskSuccess``, are refused because
            there were too many, and have no effect.
    """

    drop_tag_events: bool = False
    plain_form_bodies: bool = False
    slow_calls: dict[str, float] = field(default_factory=dict)
    throttled_calls: dict[str, int] = field(default_factory=dict)

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
            elif name == "throttled_calls":
                _check_throttled_calls(value)
            elif not isinstance(value, bool):
                raise ValueError(f"{name}: {value!r} is neither true nor false")
        for name, value in changes.items():
            setattr(self, name, value)

    def slow_down(self, request: Request) -> None:
        """Let a request wait for as long as its operation is slow."""
        if self.slow_calls:
            time.sleep(self.slow_calls.get(operations.operation(request) or "", 0))

    def throttle(self, request: Request) -> None:
        """Refuse a request whose operation is throttled, and count it.

        Raises:
            AwsError: The refusal.
        """
        if not self.throttled_calls:
            return
        name = operations.operation(request) or ""
        with _COUNTING:
            left = self.throttled_calls.get(name, 0)
            if not left:
                return
            self.throttled_calls[name] = left - 1
        signed = operations.signature(request)
        code, status = _THROTTLED.get(signed.service if signed else "", ("ThrottlingException", 400))
        raise AwsError(code, "Rate exceeded (the fault throttled_calls of the local AWS)", status)


def _check_throttled_calls(value: Any) -> None:
    _check_operations("throttled_calls", value, '{"SendTaskSuccess": 5}')
    for name, number in value.items():
        if type(number) is not int or not 0 <= number <= _MOST_THROTTLED:
            raise ValueError(f"throttled_calls.{name}: {number!r} is no number of calls up to {_MOST_THROTTLED}")


def _check_operations(fault: str, value: Any, example: str) -> None:
    if not isinstance(value, dict):
        raise ValueError(f"{fault}: {value!r} is no object such as {example}")  # noqa: TRY004
    for name in value:
        if name not in operations.known():
            raise ValueError(f"{fault}: {name!r} is no operation that functions of the gates could call")


def _check_slow_calls(value: Any) -> None:
    _check_operations("slow_calls", value, '{"GetObject": 5}')
    for name, seconds in value.items():
        if type(seconds) not in (int, float) or not 0 < seconds <= _SLOWEST_SECONDS:
            raise ValueError(f"slow_calls.{name}: {seconds!r} is no number of seconds up to {_SLOWEST_SECONDS}")
