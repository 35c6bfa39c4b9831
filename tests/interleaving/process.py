"""The real functions as state machines that can be stopped, copied and compared at every request.

A function that gets time, randomness and AWS from outside is determined by the answers it has got so far. So there
is no thread and no coroutine here: to let a function take one more step, it is run again from its beginning with the
answers recorded so far, up to its next request, where `_Pause` unwinds it. Each step is run once and remembered.

Two stops are one if the function cannot tell them apart: the same frames, at the same instructions, with the same
local variables. This is what keeps the number of states small; `exact` programs do without and prove it harmless.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from maintenance.cloud import CloudError, Event, Execution, Page, StoredObject, TaggedPage
from maintenance.drain import Tally
from maintenance.flag import Counts, Flag, Flags, Seen, Told
from maintenance.gate import Gate, Limits, Runtime
from maintenance.handler import serve
from maintenance.keys import OVERRIDE, Keys
from maintenance.machines import Home, Machine
from maintenance.tasks import Tasks
from shared.errors import WorkflowGatesError
from tests.interleaving.liveness import live

if TYPE_CHECKING:
    from types import FrameType

FUNCTION_ARN = "arn:aws:lambda:us-east-2:123456789012:function:orders-maintenance:live"
KEYS = Keys.below("gate")
MACHINE: Machine = Home.of_function(FUNCTION_ARN).machine("Orders")
NOW = datetime(2030, 1, 1, tzinfo=UTC)
"""What every clock shows; that a lease or a guard is over is an answer's property (see `Answer`)."""

_LONG = 10.0  # seconds, more than the guard
_AMPLE = 900.0  # seconds left to an invocation, more than the reserve


class Request(NamedTuple):
    """What a function asks of AWS: a method of `Cloud` and its arguments; or it waits for its next event."""

    call: str
    arguments: tuple[Any, ...] = ()


NEXT_EVENT = "next event"


class Answer(NamedTuple):
    """What a function gets.

    Attributes:
        value: The method's result, or (class, code) of the `CloudError` that it raises.
        raises: Whether it is an error.
        late: The answer has taken so long that the guard is over.
        short: From now on, the invocation's time is short.
    """

    value: Any = None
    raises: bool = False
    late: bool = False
    short: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """A function has returned, or failed with an error of its own."""

    result: Any
    failed: bool


class Stop:
    """A function between two requests. Compared by identity: see `Program`."""

    __slots__ = ("_after", "_program", "ended", "history", "names", "number", "request")

    def __init__(
        self, program: Program, number: int, history: _History, state: Request | Ended, names: frozenset[str]
    ) -> None:
        self.number = number
        self._program = program
        self._after: dict[Answer, Stop] = {}
        self.history = history
        self.names = names
        """The made-up names (ETags, random ids) that the function still remembers."""
        self.request = state if isinstance(state, Request) else Request("")
        self.ended = state if isinstance(state, Ended) else None

    def after(self, answer: Answer) -> Stop:
        """Let the function go on with an answer, to its next request or its end."""
        found = self._after.get(answer)
        if found is None:
            found = self._after[answer] = self._program.run((*self.history, (answer, self.names)))
        return found


_History = tuple[tuple[Answer, frozenset[str]], ...]


class _Pause(BaseException):
    """Unwinds a function at a request whose answer is not known yet. No `except` of the functions catches it."""


class Program:
    """One invocation of the maintenance function, or several of one container, one after the other."""

    def __init__(
        self,
        event: Any,
        *,
        task: int = 0,
        runs: int = 1,
        warm: bool = False,
        exact: str | None = None,
        batch: int = 1,
    ) -> None:
        """Prepares a program.

        Args:
            event: What the function is invoked with.
            task: Makes the key of the task that it parks.
            runs: How many times it is invoked.
            warm: Whether the container remembers flags from one invocation to the next.
            exact: Two stops are one only if all answers were the same, and random ids begin with this text.
            batch: Tasks resumed under one check of the flag.
        """
        self._event = event
        self._task = task
        self._runs = runs
        self._warm = warm
        self._exact = exact
        self._limits = Limits(tries=2, batch=batch)
        self._stops: dict[Hashable, Stop] = {}
        self._first: Stop | None = None

    @property
    def stops(self) -> int:
        """How many different stops were found."""
        return len(self._stops)

    def start(self) -> Stop:
        """Return the function's first stop."""
        if self._first is None:
            self._first = self.run(())
        return self._first

    def run(self, history: _History) -> Stop:
        """Return the stop that a history of answers leads to."""
        recorded = _Recorded(history, exact=self._exact)
        state: Request | Ended
        try:
            state = Ended(self._invoke(recorded), failed=False)
        except _Pause:
            state = recorded.request
        except WorkflowGatesError as error:
            state = Ended(error, failed=True)
        if isinstance(state, Ended):
            return Stop(self, 0, history, state, frozenset())
        # One that has begun over is not one that has never run: its event has come.
        key: Hashable = (recorded.fingerprint, bool(history)) if self._exact is None else history
        if key not in self._stops:
            self._stops[key] = Stop(self, len(self._stops), history, state, frozenset(recorded.names))
        return self._stops[key]

    def _invoke(self, recorded: _Recorded) -> Any:
        known: dict[str, Seen] = {} if self._warm else _Forgetful()
        recorded.known = known
        result = None
        for run in range(self._runs):
            if run:
                recorded.ask(NEXT_EVENT)
            runtime = Runtime(
                function_arn=FUNCTION_ARN,
                seconds_left=recorded.seconds_left,
                now=lambda: NOW,
                monotonic=recorded.monotonic,
                sleep=lambda _: None,
                task_id=lambda: f"00000000-0000-7000-8000-{self._task:012d}",
                random_id=recorded.random_id,
            )
            result = serve(
                Gate(cloud=recorded, keys=KEYS, runtime=runtime, limits=self._limits, known_flags=known), self._event
            )
        return result


class _Forgetful(dict[str, Seen]):
    """A container that is always new."""

    def __setitem__(self, name: str, seen: Seen) -> None:
        pass


class _Recorded:
    """A `Cloud`, a clock and randomness that repeat a history and stop where it ends."""

    def __init__(self, history: _History, *, exact: str | None) -> None:
        self._history = history
        self._exact = exact
        self._answered = 0
        self._seconds = 0.0
        self._short = False
        self._taken: set[str] = set()
        self.known: Mapping[str, Seen] = {}
        self.request = Request("")
        self.fingerprint: Hashable = None
        self.names: set[str] = set()

    def ask(self, call: str, *arguments: Any) -> Any:
        if self._answered == len(self._history):
            self._stop(Request(call, arguments))
        answer, names = self._history[self._answered]
        self._answered += 1
        self._short |= answer.short
        if answer.late:
            self._seconds += _LONG
        if self._exact is None:
            self._taken = set(names)
        if answer.raises:
            kind, code = answer.value
            raise kind(call, code)
        return answer.value

    def _stop(self, request: Request) -> NoReturn:
        self.request = request
        if self._exact is None:
            describe = _Description(self._seconds)
            frame: FrameType | None = sys._getframe(2)
            frames = []
            while frame is not None and frame.f_code is not Program._invoke.__code__:
                alive = live(frame.f_code, frame.f_lineno)
                variables = tuple((name, describe(one)) for name, one in frame.f_locals.items() if name in alive)
                frames.append((frame.f_code, frame.f_lasti, variables))
                frame = frame.f_back
            run = frame.f_locals.get("run") if frame is not None else None
            self.fingerprint = (request.call, run, self._short, tuple(frames), describe(dict(self.known)))
            self.names = describe.names
        raise _Pause

    # Time and randomness

    def monotonic(self) -> float:
        return self._seconds

    def seconds_left(self) -> float:
        return 0 if self._short else _AMPLE

    def random_id(self) -> str:
        """Make up a name that the function does not remember any more: the same names for the same stop."""
        number = 0
        while (name := f"random:{self._exact or ''}{number}") in self._taken:
            number += 1
        self._taken.add(name)
        return name

    # The requests

    def get_object(self, key: str) -> StoredObject | None:
        found: StoredObject | None = self.ask("get_object", key)
        return found

    def put_object(self, key: str, body: bytes) -> None:
        self.ask("put_object", key, body)

    def create_object(self, key: str, body: bytes) -> str:
        return str(self.ask("create_object", key, body))

    def replace_object(self, key: str, body: bytes, etag: str) -> str:
        return str(self.ask("replace_object", key, body, etag))

    def delete_object(self, key: str) -> None:
        self.ask("delete_object", key)

    def list_folder(self, folder: str, limit: int, after: str | None = None) -> Page:
        page: Page = self.ask("list_folder", folder, limit, after)
        return page

    def send_task_success(self, token: str, output: str) -> None:
        self.ask("send_task_success", token, output)

    def send_task_failure(self, token: str, error: str, cause: str) -> None:
        self.ask("send_task_failure", token, error, cause)

    def list_tags(self, machine_arn: str) -> Mapping[str, str]:
        return dict(self.ask("list_tags", machine_arn))

    def tag(self, machine_arn: str, tags: Mapping[str, str]) -> None:
        self.ask("tag", machine_arn, tuple(sorted(tags.items())))

    def untag(self, machine_arn: str, names: Sequence[str]) -> None:
        self.ask("untag", machine_arn, tuple(names))

    def list_tagged(self, tag: str, after: str | None = None) -> TaggedPage:
        tags = dict(self.ask("list_tagged", tag, after))
        return TaggedPage({MACHINE.arn: tags} if tags else {}, None)

    def describe_execution(self, arn: str) -> Execution:
        found: Execution = self.ask("describe_execution", arn)
        return found

    def put_events(self, events: Sequence[Event], function_arn: str) -> None:
        del function_arn
        of_all = any(event.detail.get("scope") == "all" for event in events)
        self.ask("put_events", OVERRIDE if of_all else MACHINE.name, tuple(event.detail_type for event in events))

    def invoke(self, function_arn: str, payload: str) -> None:
        self.ask("invoke", function_arn, payload)


_NAME = re.compile(r"(etag|random):\d+")
_SEQ = re.compile(rb'"seq": \d+')

_CONSTANT = (Gate, Flags, Tasks, Keys, Home, Runtime, Limits, Counts, Told, _Recorded)

# There is one state machine, so what is left of these shows in the other variables.
_ITERATORS = {"map", "generator", "dict_itemiterator", "dict_values"}


class _Description:
    """Turns what a function's variables hold into something that can be compared.

    Left out is what cannot make a difference: a flag's `seq`, who began it and why, and how many tasks were resumed
    (the functions only pass them on), and what is the same for all programs. A type that is not known here is an
    error, never ignored.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.names: set[str] = set()

    def __call__(self, value: Any) -> Hashable:
        described: Hashable = value
        if isinstance(value, str):
            if not isinstance(value, Enum) and _NAME.fullmatch(value):
                self.names.add(value)
        elif isinstance(value, float):  # when the flag was read or checked
            described = "guard over" if self._seconds - value >= _LONG else "in time"
        elif isinstance(value, bytes):
            described = _SEQ.sub(b"", value)
        elif isinstance(value, _CONSTANT) or callable(value) or type(value).__name__ in _ITERATORS:
            described = type(value).__name__
        elif value is not None and not isinstance(value, int | Enum | datetime):
            described = self._composed(value)
        return described

    def _composed(self, value: Any) -> Hashable:
        parts: Iterable[Any]
        if (summary := _summary(value)) is not None:
            parts = summary
        elif isinstance(value, Mapping):
            parts = (part for item in value.items() for part in item)
        elif isinstance(value, list | tuple):
            parts = value
        elif isinstance(value, set | frozenset):
            parts = sorted(value)
        elif is_dataclass(value):
            parts = (getattr(value, field.name) for field in fields(value))
        elif type(value).__module__.startswith("maintenance."):
            parts = vars(value).values()
        else:
            raise TypeError(f"teach _Description how to compare a {type(value)}: {value!r}")
        return (type(value).__name__, *map(self, parts))


def _summary(value: Any) -> tuple[Any, ...] | None:
    """Return what decides something in a value of the gate's, or None for what has no such summary."""
    match value:
        case Flag():
            notes = (value.closed_at is None, value.told is None, value.overridden is None)
            trouble = "troubled" if value.troubles else "dead" if value.tally.dead else ""
            return value.state, value.until, value.nonce, value.lease, *notes, trouble, value.outbox
        case Tally():
            return value.total, value.dead > value.noted.dead
        case Event():
            return (value.detail_type,)
        case CloudError():
            return (value.code,)
        case Exception():
            return (str(value),)
        case _:
            return None
