"""What one moment of an exploration consists of."""

from __future__ import annotations

from enum import Flag, IntEnum, auto
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.interleaving.process import Stop

Tags = tuple[tuple[str, str], ...]

_T = TypeVar("_T")


class Fault(Flag):
    """What may go wrong, at any request, as often as a scenario allows."""

    CRASH = auto()
    """The invocation ends before this request. Lambda may retry it, Step Functions may retry its task."""
    UNREADABLE = auto()
    """A flag cannot be read."""
    LOST = auto()
    """A conditional write is applied and its answer lost; the client's retry gets 412."""
    BUSY = auto()
    """A conditional write gets 409 and is not applied."""
    LIE = auto()
    """Step Functions calls a live token over."""
    ERROR = auto()
    """Any request fails and is not applied."""
    TIMEOUT = auto()
    """Any writing request is applied and fails."""
    LATE = auto()
    """An answer takes so long that the guard is over."""
    SHORT = auto()
    """The invocation's time becomes short."""

    USUAL = CRASH | UNREADABLE | LOST | LIE
    EVERY = USUAL | BUSY | ERROR | TIMEOUT | LATE | SHORT


class Owned(NamedTuple):
    """A made-up name of one process."""

    process: int
    name: str


SOMEBODY = Owned(-1, "somebody")
"""Who holds a lease and has forgotten it: no process takes it for its own any more."""


class Version(NamedTuple):
    """A flag's (or the override's) content: what decides something.

    Attributes:
        state: Open, closed or draining.
        until: When the maintenance ends by itself.
        lease: Its owner.
        nonce: The writer's, while the writer remembers it.
        since: Whether it says since when the gate is closed.
        told: Whether it says that a maintenance was announced as begun, and not yet as ended.
        overridden: Whether it says that a maintenance of all has closed the gate.
        dead: Whether it counts dead tasks that are not announced yet.
        troubled: Whether it says that dead tasks were announced.
        outbox: What is to be announced, and whether it was sent (which no process can see).
        etag: None: unlike that of any other version. A text: that of every version with the same content.
        body: What was written, in exact worlds.
    """

    state: str
    until: str | None = None
    lease: Owned | None = None
    nonce: Owned | None = None
    since: bool = False
    told: bool = False
    overridden: bool = False
    dead: bool = False
    troubled: bool = False
    outbox: tuple[tuple[str, bool], ...] = ()
    etag: str | None = None
    body: bytes = b""

    def renamed(self, processes: Mapping[int, int]) -> Version:
        """Return the version with processes in each other's place."""
        lease, nonce = self.lease, self.nonce
        return self._replace(
            lease=lease and Owned(processes.get(lease.process, lease.process), lease.name),
            nonce=nonce and Owned(processes.get(nonce.process, nonce.process), nonce.name),
        )


class Status(IntEnum):
    """What a process is that is not running."""

    IDLE = auto()
    DONE = auto()
    GONE = auto()


class Token(IntEnum):
    """What a task token is."""

    UNISSUED = auto()
    PENDING = auto()
    RESUMED = auto()
    OVER = auto()
    """Its task has ended otherwise: stopped, or failed with its check-in."""


class State(NamedTuple):
    """The world, every process, and what the monitors have to remember.

    Attributes:
        flag: The state machine's flag, if there is one.
        override: The override, if there is one.
        tags: The state machine's tags.
        tags_before: The tags before their last change.
        tokens: By number.
        objects: Key and body of all objects but the two flags, in the order of keys.
        holds: For each process, its names of the present flag's (0) and override's (1) ETag.
        processes: Where each is.
        queue: Asynchronous invocations under way.
        script: Steps that the operator has done.
        faults: How many are still to come at most.
        seen: S1: tokens whose check-in has asked for the flag, as bits.
        passed: S1: those of them that have met an open gate since then.
        confirmed: S1c: the sources, as bits, with which on closed has been written, if they have been on since.
        late: S5: for each process, how many tasks it has resumed under a closed gate.
    """

    flag: Version | None
    override: Version | None
    tags: Tags
    tags_before: Tags
    tokens: tuple[Token, ...]
    objects: tuple[tuple[str, bytes], ...]
    holds: tuple[tuple[tuple[int, str], ...], ...]
    processes: tuple[Stop | Status, ...]
    queue: int
    script: int
    faults: int
    seen: int
    passed: int
    confirmed: int
    late: tuple[int, ...]

    def with_process(self, process: int, where: Stop | Status) -> State:
        """Return the state with one process elsewhere."""
        return self._replace(processes=replaced(self.processes, process, where))

    def permuted(self, order: Mapping[int, int]) -> State:
        """Return the state with processes in each other's place, given as new place -> old place."""
        back = {old: new for new, old in order.items()}
        holds, processes, late = list(self.holds), list(self.processes), list(self.late)
        for new, old in order.items():
            holds[new], processes[new], late[new] = self.holds[old], self.processes[old], self.late[old]
        return self._replace(
            flag=self.flag and self.flag.renamed(back),
            override=self.override and self.override.renamed(back),
            holds=tuple(holds),
            processes=tuple(processes),
            late=tuple(late),
        )

    def with_token(self, number: int, token: Token) -> State:
        """Return the state with one token changed."""
        return self._replace(tokens=replaced(self.tokens, number, token))


def replaced(items: tuple[_T, ...], index: int, item: _T) -> tuple[_T, ...]:
    """Return a tuple with one item changed."""
    return (*items[:index], item, *items[index + 1 :])
