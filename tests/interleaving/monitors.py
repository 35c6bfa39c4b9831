"""The invariants, looked at with every change of the world.

S1   A token is resumed only if the gate was not closed at some moment since its check-in first asked for the flag.
S1c  Once closed was written with a source (tag or override) on, no write opens the gate until that source goes off.
     A `begin` that has answered has closed the gate.
S2   With the source off, one whole sweep leaves no task parked, and every live token resumed or kept in `~dead`.
S3   A parked task's object is deleted only if its token was resumed or is kept in `~dead` or `~quarantine`.
S4   After that sweep the gate is open, or (with no flag, hence nothing parked) the next check-in opens it.
S5   After a re-close, a drain resumes no more than the batch that it had fenced; with the source on, a sweep leaves
     the gate closed and every task parked whose execution waits.
A1   Nothing that is to be announced is lost: it is taken out of the flag's outbox only once it was sent, and after one
     whole sweep it was, the end of every announced maintenance included.
L1   A crashed holder of the lease never delays closing, and draining only until its lease is over: S5 holds for a
     sweep that finds the lease live, S2 and S4 for one that finds it over.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from maintenance.source import tag_is_on
from maintenance.tasks import ParkedTask
from tests.interleaving.process import KEYS, MACHINE
from tests.interleaving.state import State, Status, Token, Version, replaced

KEPT = (KEYS.dead(MACHINE.name), KEYS.quarantine(MACHINE.name))
PARKED = KEYS.tasks(MACHINE.name)


class ViolationError(AssertionError):
    """An invariant does not hold; `rule` names it as above."""

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(f"{rule}: {what}")
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Monitors:
    """Watches one exploration.

    Attributes:
        batch: Tasks resumed under one check of the flag.
        tokens: The token of each process that is a check-in.
        confirmed_closing: Whether S1c is asked for.
        one_source: Whether S1c takes tag and override for one source.
        override_is_a_gate: Whether the override counts as a second flag (a mutant's idea of it).
    """

    batch: int
    tokens: tuple[int | None, ...]
    confirmed_closing: bool = True
    one_source: bool = False
    override_is_a_gate: bool = False

    def closed(self, state: State) -> bool:
        """Return whether the gate is closed."""
        if self.override_is_a_gate and closes(state.override):
            return True
        return state.flag is None or closes(state.flag)

    def source(self, state: State) -> int:
        """Return which sources want the gate closed: 1 for the tag, 2 for the override."""
        on = tag_is_on(dict(state.tags)) | (closes(state.override) and not self.override_is_a_gate) << 1
        return bool(on) if self.one_source else on

    def flag_requested(self, state: State, process: int) -> State:
        """S1: a check-in asks for the flag."""
        token = self.tokens[process]
        if token is None or state.seen >> token & 1:
            return state
        return self._noticed(state._replace(seen=state.seen | 1 << token))

    def flag_written(self, before: State, after: State) -> State:
        """S1c, S5: the flag has changed."""
        opened = not closes(after.flag)
        if opened and before.confirmed and self.confirmed_closing:
            raise ViolationError("S1c", "the gate is opened, though closing was confirmed and the source never off")
        if not opened:
            after = after._replace(confirmed=self.source(after))
            if before.flag is not None and before.flag.state == "draining":
                after = after._replace(late=(0,) * len(after.late))
        return self._noticed(after)

    def source_changed(self, state: State) -> State:
        """S1c: a tag or the override has changed."""
        return self._noticed(state._replace(confirmed=state.confirmed & self.source(state)))

    def begin_answered(self, state: State, source: int) -> State:
        """S1c: the action has told its caller that the gate is closed."""
        if not self.source(state) & source:
            return state
        if not self.closed(state) and self.confirmed_closing:
            raise ViolationError("S1c", "begin has answered, its source is on, but the gate is not closed")
        return state._replace(confirmed=state.confirmed | source)

    def resumed(self, state: State, process: int, token: int) -> State:
        """S1, S5: a live token is resumed."""
        if not state.passed >> token & 1:
            raise ViolationError(
                "S1", f"token {token} is resumed; the gate was closed since its check-in read the flag"
            )
        if self.tokens[process] != token and closes(state.flag):
            late = state.late[process] + 1
            if late > self.batch:
                raise ViolationError("S5", "a drain goes on after the re-close for more than the batch it had fenced")
            state = state._replace(late=replaced(state.late, process, late))
        return state.with_token(token, Token.RESUMED)

    def deleted(self, state: State, key: str, body: bytes) -> None:
        """S3: an object is deleted."""
        if not key.startswith(PARKED):
            raise ViolationError("S3", f"{key} is deleted, which is no parked task")
        token = token_in(body)
        if state.tokens[token] is not Token.RESUMED and token not in kept(state):
            raise ViolationError("S3", f"the task of token {token} is deleted, neither resumed nor kept")

    def announced(self, before: Version | None, after: Version) -> tuple[tuple[str, bool], ...]:
        """A1: the outbox of a new version, with what is known of the one before it."""
        known, kinds = () if before is None else before.outbox, [kind for kind, _ in after.outbox]
        gone = next(
            gone for gone in range(len(known) + 1) if [kind for kind, _ in known[gone:]] == kinds[: len(known) - gone]
        )
        if lost := [kind for kind, sent in known[:gone] if not sent]:
            raise ViolationError("A1", f"{lost[0]} is taken out of the outbox, but was never sent")
        return (*known[gone:], *after.outbox[len(known) - gone :])

    def swept_with_source_on(self, before: State, after: State) -> None:
        """S5, L1: the gate is closed, whoever holds a lease, and nothing has moved."""
        if after.flag is not None and after.flag.state == "draining":
            raise ViolationError("L1", f"source on, swept: {_shown(after)}")
        ended = {token for token, what in enumerate(after.tokens) if what is not Token.PENDING}
        if not self.closed(after) or parked(after) - ended != parked(before) - ended:
            raise ViolationError("S5", f"source on, swept: {_shown(after)}, before: {_shown(before)}")
        _check_announced(after)

    def swept_with_source_off(self, state: State) -> None:
        """S2, S4, L1: nothing is left."""
        if parked(state):
            raise ViolationError("S2", f"source off, swept: {_shown(state)}")
        if state.flag is not None and state.flag.state != "open":
            raise ViolationError("S4", f"source off, swept: {_shown(state)}")
        gone = {
            token
            for process, token in enumerate(self.tokens)
            if token is not None and state.processes[process] is not Status.DONE
        }
        for token, what in enumerate(state.tokens):
            if what is Token.PENDING and token not in gone and token not in kept(state):
                raise ViolationError("S2", f"token {token} is never resumed and nowhere kept")
        _check_announced(state)
        for version in (state.flag, state.override):
            if version is not None and version.told:
                raise ViolationError("A1", "source off, swept, but an end is not announced")

    def _noticed(self, state: State) -> State:
        return state if self.closed(state) else state._replace(passed=state.passed | state.seen)


def closes(version: Version | None) -> bool:
    """Return whether a version (of the flag or the override) says closed."""
    return version is not None and version.state == "closed"


@cache
def token_in(body: bytes) -> int:
    """Return the number of the token that a task's object holds."""
    return int(ParkedTask.from_json(body).token.removeprefix("token-"))


def parked(state: State) -> set[int]:
    """Return the tokens that are parked."""
    return {token_in(body) for key, body in state.objects if key.startswith(PARKED)}


def kept(state: State) -> set[int]:
    """Return the tokens that are kept as dead or in quarantine."""
    return {token_in(body) for key, body in state.objects if key.startswith(KEPT)}


def _check_announced(state: State) -> None:
    for version in (state.flag, state.override):
        if version is not None and version.outbox:
            raise ViolationError("A1", f"swept, but {version.outbox[0][0]} is not announced")


def _shown(state: State) -> str:
    flag = "missing" if state.flag is None else state.flag.state
    return f"flag {flag}, parked {sorted(parked(state)) or 'nothing'}"
