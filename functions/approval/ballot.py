"""The callbacks through which votes come, and those by which the time of a reminder or an escalation comes.

All are of the root context: one inside a branch would, once its branch has lost a race, take clicks that nobody reads.
Lambda calls the function again when any of them is over, so that waiting needs no branches at all: what is over is
noted by a step, for replays to find the same, and then read from the callbacks themselves.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from aws_durable_execution_sdk_python import (
    CallbackError,
    CallbackExternalError,
    CallbackTimeoutError,
    DurableContext,
)
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration
from aws_durable_execution_sdk_python.exceptions import SuspendExecution
from aws_durable_execution_sdk_python.types import Callback

from approval.votes import Tally
from shared.click import Click
from shared.errors import WorkflowGatesError


class CallbackFailedError(WorkflowGatesError):
    """Somebody failed a callback: approve and reject are both sent as success."""


@dataclass(frozen=True, kw_only=True)
class News:
    """What happened.

    Attributes:
        clicks: Clicks, by their time.
        due: Names of the timers whose time has come.
        expired: Whether the request's time is over: nothing else will happen.
    """

    clicks: tuple[Click, ...]
    due: tuple[str, ...]
    expired: bool


class Ballot:
    """Open callbacks of a request.

    Args:
        context: The durable execution.
        expires_at: When the request's time is over (aware).
    """

    def __init__(self, context: DurableContext, expires_at: datetime) -> None:
        self._context = context
        self._expires_at = expires_at
        self._votes: dict[str, Callback[str]] = {}
        self._timers: dict[str, Callback[str]] = {}
        self._opened = 0
        self._rounds = 0

    @property
    def callback_ids(self) -> tuple[str, ...]:
        """Ids of the callbacks that wait for votes, in the order to take them; bearer capabilities, never logged."""
        return tuple(callback.callback_id for callback in self._votes.values())

    def open(self) -> None:
        """Open one more callback for a vote: AWS takes a vote until the request's time is over."""
        self._opened += 1
        name = f"vote-{self._opened}"
        self._votes[name] = self._callback(name, self._expires_at)

    def set_timer(self, name: str, at: datetime) -> None:
        """Let `next` return at a moment (aware): a callback that nobody completes survives every round."""
        self._timers[name] = self._callback(name, at)

    def next(self) -> News:
        """Wait until something happens. Whatever AWS took before the request's time was over is among it.

        Raises:
            CallbackFailedError: If somebody failed a callback.
            ClickUnreadableError: If something else than a click completed one.
        """
        waiting = self._votes | self._timers
        if not any(map(_is_over, waiting.values())):
            next(iter(waiting.values())).result()  # suspends
        self._rounds += 1
        over = self._context.step(
            lambda _: [name for name, callback in waiting.items() if _is_over(callback)], name=f"count-{self._rounds}"
        )
        clicks = [self._read(name) for name in over if name in self._votes]
        expired = None in clicks
        if expired:
            # The others end within a second; a vote that one of them took before counts.
            clicks += [self._read(name) for name in list(self._votes)]
        due = tuple(name for name in over if self._timers.pop(name, None))
        counted = sorted((click for click in clicks if click), key=lambda click: click.at)
        return News(clicks=tuple(counted), due=due, expired=expired)

    def has_news(self) -> bool:
        """Return whether `next` would have something to tell now, timers aside; for use in steps only."""
        return any(map(_is_over, self._votes.values()))

    def is_decided(self, tally: Tally) -> bool:
        """Return whether what has happened meanwhile ends the request; for use in steps only."""
        for name, callback in self._votes.items():
            if _is_over(callback):
                try:
                    click = _click(name, callback)
                except WorkflowGatesError:
                    return True  # `next` says what is wrong
                if click is None:
                    return True
                tally = tally.with_click(click)
        return tally.verdict is not None

    def _callback(self, name: str, until: datetime) -> Callback[str]:
        left = max(1, math.ceil((until - datetime.now(UTC)).total_seconds()))
        return self._context.create_callback(name, CallbackConfig(timeout=Duration.from_seconds(left)))

    def _read(self, name: str) -> Click | None:
        return _click(name, self._votes.pop(name))


def _is_over(callback: Callback[str]) -> bool:
    try:
        callback.result()
    except SuspendExecution:  # how the SDK says that it is still open
        return False
    except CallbackError:
        return True
    return True


def _click(name: str, callback: Callback[str]) -> Click | None:
    """Return the click that completed a callback, or None where its time ran out first."""
    try:
        return Click.decode(callback.result())
    except CallbackTimeoutError:
        return None
    except CallbackExternalError:
        raise CallbackFailedError(
            f"the callback {name} was failed from outside; complete it with success, a reject is a decision too"
        ) from None
