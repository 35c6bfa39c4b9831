"""The real code with one rule of the protocol taken away, and what the monitors must find then.

A mutant replaces small parts of the real modules while it is explored: the code itself knows of no mutants.

Rules without a mutant: the clock guards, the length of a lease and the time that draining may be delayed are
arithmetic with seconds, and there are none here; a write whose lost answer is not recognised by its nonce costs one
more try and breaks no invariant; nor does it to send a dead token's task to `~dead` twice.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from maintenance import care, check_in, handler, refresh, sweep
from maintenance.cloud import CloudError
from maintenance.drain import Drain
from maintenance.flag import Flag, Flags, Seen, State
from maintenance.keys import OVERRIDE
from maintenance.source import Source, closing, read_source
from maintenance.tasks import Tasks
from tests.interleaving.explorer import Scenario
from tests.interleaving.state import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from maintenance.gate import Gate
    from maintenance.machines import Machine

Patches = list[AbstractContextManager[Any]]

_ATTEMPT = refresh._Attempt.run
_READ = Flags.read
_WRITE = Flags.write
_OLDEST = Tasks.oldest
_LOOK = check_in._look
_LOOK_AFTER = care._look
_CHECK_IN = check_in.check_in
_CHECK_FLAG = Drain._check_flag
_NEXT_BATCH = Drain._next_batch


@dataclass(frozen=True, slots=True)
class Mutant:
    """A rule taken away.

    Attributes:
        name: The rule.
        patches: How.
        rule: Which invariant must be found broken.
        scenario: Where.
    """

    name: str
    patches: Callable[[], Patches]
    rule: str
    scenario: Scenario

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Replace the parts."""
        with ExitStack() as stack:
            for one in self.patches():
                stack.enter_context(one)
            yield


def _tag_before_flag() -> Patches:
    def run(attempt: refresh._Attempt) -> refresh.Refreshed:
        before = read_source(attempt.gate, attempt.machine)
        with patch.object(refresh, "read_source", lambda gate, machine: before):  # noqa: ARG005
            return _ATTEMPT(attempt)

    return [patch.object(refresh._Attempt, "run", run)]


def _value_of_the_event() -> Patches:
    """The event's own value is the tag as it was when the event was sent; here: when it arrives."""

    def refresh_each(gate: Gate, machines: Any, **options: Any) -> refresh.Round:
        (machine,) = machines
        sent = Source(None, gate.cloud.list_tags(machine.arn))
        with patch.object(refresh, "read_source", lambda gate, machine: sent):  # noqa: ARG005
            return refresh.refresh_each(gate, [machine], **options)

    return [patch.object(handler, "refresh_each", refresh_each)]


def _no_touch() -> Patches:
    def write(flags: Flags, name: str, seen: Seen, **changes: Any) -> Seen:
        if changes.get("state") is State.CLOSED and seen.flag.state is State.CLOSED and not seen.missing:
            return seen
        return _WRITE(flags, name, seen, **changes)

    return [patch.object(Flags, "write", write)]


def _plain_puts() -> Patches:
    return [patch.object(Flags, "write", _written_plainly)]


def _written_plainly(flags: Flags, name: str, seen: Seen, **changes: Any) -> Seen:
    flag = replace(seen.flag, **changes, seq=seen.flag.seq + 1, nonce=flags._nonce(), checked_at=flags._now())
    flags._cloud.put_object(flags._keys.flag(name), flag.to_json())
    return flags.read(name)


def _open_plainly() -> Patches:
    def write(flags: Flags, name: str, seen: Seen, **changes: Any) -> Seen:
        how = _written_plainly if changes.get("state") is State.OPEN else _WRITE
        return how(flags, name, seen, **changes)

    return [patch.object(Flags, "write", write)]


def _repeating_etag() -> Patches:
    to_json = Flag.to_json

    def without_number(flag: Flag) -> bytes:
        return json.dumps({**json.loads(to_json(flag)), "seq": 0, "nonce": ""}).encode()

    return [patch.object(Flag, "to_json", without_number)]


def _check_list_send() -> Patches:
    def next_batch(drain: Drain) -> Any:
        _CHECK_FLAG(drain)
        return _NEXT_BATCH(drain)

    return [
        patch.object(Drain, "_next_batch", next_batch),
        patch.object(Drain, "_check_flag", lambda _: None),
    ]


def _list_all_send_all() -> Patches:
    def next_batch(drain: Drain) -> Any:
        return _OLDEST(drain._gate.tasks, drain._machine.name, 1000)

    return [
        patch.object(Drain, "_next_batch", next_batch),
        patch.object(Drain, "_check_flag", lambda _: None),
    ]


def _no_fence() -> Patches:
    return [patch.object(Drain, "_check_flag", lambda _: None)]


def _missing_is_open() -> Patches:
    return [patch.object(Seen, "lets_pass", property(lambda seen: seen.missing or seen.flag.state is not State.CLOSED))]


def _unreadable_is_open() -> Patches:
    def look(gate: Gate, machine: Machine, task: Any) -> Any:
        with patch.object(Flags, "read", reads):
            return _LOOK(gate, machine, task)

    def reads(flags: Flags, name: str) -> Seen:
        try:
            return _READ(flags, name)
        except CloudError:
            return Seen(Flag(state=State.OPEN, seq=0, nonce="", checked_at=None), None)

    return [patch.object(check_in, "_look", look)]


def _no_stragglers() -> Patches:
    """A refresh does not list under an open flag; drains still list."""

    def next_batch(drain: Drain) -> Any:
        if len(drain._failed) >= drain._gate.limits.batch:
            return ()
        return _OLDEST(drain._gate.tasks, drain._machine.name, drain._gate.limits.batch, but=drain._failed)

    return [
        patch.object(Tasks, "oldest", lambda *_, **__: []),
        patch.object(Drain, "_next_batch", next_batch),
    ]


def _no_takeover() -> Patches:
    def leased(seen: Seen, now: Any, but_to: str = "") -> bool:
        del now
        return seen.flag.lease is not None and seen.flag.lease.owner != but_to

    return [patch.object(Seen, "leased", leased)]


def _draining_parks() -> Patches:
    return [patch.object(Seen, "lets_pass", property(lambda seen: seen.flag.state is State.OPEN))]


def _no_reread() -> Patches:
    def checks_in(gate: Gate, machine: Machine, task: Any) -> dict[str, Any]:
        looks = 0

        def look(gate: Gate, machine: Machine, task: Any) -> Any:
            nonlocal looks
            looks += 1
            return _LOOK(gate, machine, task) if looks == 1 else check_in._Look(check_in._Answer.WAITS, None)

        with patch.object(check_in, "_look", look):
            return _CHECK_IN(gate, machine, task)

    return [patch.object(handler, "check_in", checks_in)]


def _delete_dead() -> Patches:
    return [patch.object(Tasks, "bury", lambda *_: None)]


def _forget_ended() -> Patches:
    def look(*arguments: Any) -> None:
        with patch.object(Tasks, "bury", lambda *_: None):
            _LOOK_AFTER(*arguments)

    return [patch.object(care, "_look", look)]


def _delete_before_send() -> Patches:
    resume_one = Drain._resume_one

    def deletes_first(drain: Drain, key: str) -> None:
        stored = drain._gate.cloud.get_object(key)
        drain._gate.cloud.delete_object(key)
        if stored is not None:
            resume_one(drain, key)

    return [patch.object(Drain, "_resume_one", deletes_first)]


def _second_flag() -> Patches:
    def look(gate: Gate, machine: Machine, task: Any) -> Any:
        seen = gate.flags.read(machine.name)
        if closing(gate.flags.read(OVERRIDE)) is not None:
            return check_in._Look(check_in._Answer.WAITS, seen)
        return _LOOK(gate, machine, task)

    def own_tag(gate: Gate, machine: Machine) -> Source:
        return Source(None, gate.cloud.list_tags(machine.arn))

    return [
        patch.object(check_in, "_look", look),
        patch.object(refresh, "read_source", own_tag),
        patch.object(check_in, "read_source", own_tag),
    ]


def _closing_waits() -> Patches:
    def run(attempt: refresh._Attempt) -> refresh.Refreshed:
        seen = attempt.gate.flags.read(attempt.machine.name)
        if seen.leased(attempt.gate.runtime.now(), but_to=attempt.owner):
            return attempt._left(seen)
        return _ATTEMPT(attempt)

    return [patch.object(refresh._Attempt, "run", run)]


def _noted_before_sent() -> Patches:
    def tell(gate: Gate, name: str, seen: Seen) -> Seen:
        after = gate.flags.write(name, seen, outbox=()) if seen.flag.outbox else seen
        if seen.flag.outbox:
            gate.cloud.put_events(seen.flag.outbox, gate.runtime.unqualified_arn)
        return after

    return [patch.object(refresh, "tell", tell)]


def _outbox_not_carried() -> Patches:
    """Who writes a flag leaves what others are to tell to them."""

    def run(attempt: refresh._Attempt) -> refresh.Refreshed:
        with patch.object(Flags, "read", read):
            return _ATTEMPT(attempt)

    def read(flags: Flags, name: str) -> Seen:
        return _READ(flags, name).changed(outbox=())

    return [patch.object(refresh._Attempt, "run", run)]


def _open_is_well() -> Patches:
    """The sweep passes over an open flag without parked tasks, whatever it is to tell."""

    def needs_care(gate: Gate, name: str, etag: str, override: Seen, found: Any) -> bool:
        del override, found
        return gate.flags.read_listed(name, etag).flag.state is not State.OPEN

    return [patch.object(sweep, "_needs_care", needs_care)]


def _earlier_sketch() -> Patches:
    return [*_no_takeover(), *_no_stragglers(), *_list_all_send_all()]


def _none() -> Patches:
    return []


_PAIR = ("tag event", "tag event")
_AGAIN = ("untag", "tag")

MUTANTS = (
    Mutant(
        "the tag is read before the flag",
        _tag_before_flag,
        "S1c",
        Scenario("end, begin; 2 refreshes", "closed", _AGAIN, events=_PAIR),
    ),
    Mutant(
        "the event's own tag value is used",
        _value_of_the_event,
        "S1c",
        Scenario("end, begin; 2 events", "closed", _AGAIN, events=_PAIR),
    ),
    Mutant(
        "a refresh that changes nothing does not write (no touch)",
        _no_touch,
        "S1c",
        Scenario("end; 1 refresh, 1 begin", "closed", ("untag",), events=("tag event", "begin")),
    ),
    Mutant(
        "plain puts instead of conditional ones",
        _plain_puts,
        "S1c",
        Scenario("end, begin; 2 refreshes", "closed", _AGAIN, events=_PAIR),
    ),
    Mutant(
        "an ETag can come back (no seq, no nonce)",
        _repeating_etag,
        "S1c",
        Scenario("end, begin; 3 refreshes", "closed", _AGAIN, events=(*_PAIR, "tag event")),
    ),
    Mutant(
        "check, then list, then send",
        _check_list_send,
        "S1",
        Scenario("end, begin; 1 check-in, 2 refreshes", "closed", _AGAIN, check_ins=1, events=_PAIR),
    ),
    Mutant(
        "list all, send all, no check in between",
        _list_all_send_all,
        "S5",
        Scenario("end, begin; 3 parked, 2 refreshes", "closed", _AGAIN, parked=3, events=_PAIR),
    ),
    Mutant(
        "no check after the listing",
        _no_fence,
        "S5",
        Scenario("end, begin; 2 parked, 2 refreshes", "closed", _AGAIN, parked=2, events=_PAIR),
    ),
    Mutant(
        "a missing flag is open",
        _missing_is_open,
        "S1",
        Scenario("first use under a tag; 1 check-in", "missing, tagged", check_ins=1),
    ),
    Mutant(
        "an unreadable flag is open",
        _unreadable_is_open,
        "S1",
        Scenario("1 check-in, 1 fault", "closed", check_ins=1, faults=1),
    ),
    Mutant(
        "no second look after parking, and no listing under an open flag",
        lambda: [*_no_reread(), *_no_stragglers()],
        "S2",
        Scenario("end; 1 check-in, 1 refresh", "closed", ("untag",), check_ins=1, events=("tag event",)),
    ),
    Mutant(
        "the sweep looks only at tag and flag (no listing under an open flag)",
        _no_stragglers,
        "S2",
        Scenario(
            "end; 1 check-in, 1 refresh, 1 fault", "closed", ("untag",), check_ins=1, events=("tag event",), faults=1
        ),
    ),
    Mutant(
        "check-ins park while draining, and no listing under an open flag",
        lambda: [*_draining_parks(), *_no_stragglers()],
        "S2",
        Scenario("end; 1 check-in, 1 refresh", "closed", ("untag",), check_ins=1, events=("tag event",)),
    ),
    Mutant(
        "nobody takes over a lease",
        _no_takeover,
        "S2",
        Scenario("end; 1 parked, 1 refresh, 1 fault", "closed", ("untag",), parked=1, events=("tag event",), faults=1),
    ),
    Mutant(
        "closing waits for the lease",
        _closing_waits,
        "L1",
        Scenario("end, begin; 1 refresh, 1 fault", "closed", _AGAIN, events=("tag event",), faults=1),
    ),
    Mutant(
        "a task is deleted on a dead-token answer",
        _delete_dead,
        "S3",
        Scenario("end; 1 parked, 1 refresh, 1 fault", "closed", ("untag",), parked=1, events=("tag event",), faults=1),
    ),
    Mutant(
        "a task is deleted when its execution has ended, and not kept",
        _forget_ended,
        "S3",
        Scenario("a parked execution is stopped; 1 sweep", "closed", ("stop",), parked=1, events=("sweep",)),
    ),
    Mutant(
        "a task is deleted before its token is answered",
        _delete_before_send,
        "S3",
        Scenario("end; 1 parked, 1 refresh", "closed", ("untag",), parked=1, events=("tag event",)),
    ),
    Mutant(
        "draining to open without If-Match",
        _open_plainly,
        "S1c",
        Scenario("end, begin; 2 refreshes", "closed", _AGAIN, events=_PAIR),
    ),
    Mutant(
        "the override is a second flag that only check-ins read",
        _second_flag,
        "S1",
        Scenario(
            "override; 1 check-in, 1 refresh",
            "open",
            ("override", "lift"),
            check_ins=1,
            events=("tag event",),
            override_is_a_gate=True,
        ),
    ),
    Mutant(
        "an event is taken out of the outbox before it is sent",
        _noted_before_sent,
        "A1",
        Scenario("begin; 1 refresh, 1 crash", "open", ("tag",), events=("tag event",), faults=1, kinds=Fault.CRASH),
    ),
    Mutant(
        "a write does not carry the outbox along",
        _outbox_not_carried,
        "A1",
        Scenario("begin; 1 refresh, 1 crash", "open", ("tag",), events=("tag event",), faults=1, kinds=Fault.CRASH),
    ),
    Mutant(
        "an open flag with something to tell is left alone",
        _open_is_well,
        "A1",
        Scenario("end; 1 refresh, 1 crash", "closed", ("untag",), events=("tag event",), faults=1, kinds=Fault.CRASH),
    ),
    Mutant(
        "an earlier sketch (no takeover, no listing under an open flag, no check per batch)",
        _earlier_sketch,
        "S2",
        Scenario(
            "end; 1 parked, 1 check-in, 1 refresh, 1 fault",
            "closed",
            ("untag",),
            parked=1,
            check_ins=1,
            events=("tag event",),
            faults=1,
        ),
    ),
)
"""Every rule of the protocol, one by one."""

HAZARDS = (
    Mutant(
        "ListTagsForResource answers with an old tag: an acknowledged gate may open",
        _none,
        "S1c",
        Scenario("end, begin; 2 refreshes; stale tag reads", "closed", _AGAIN, events=_PAIR, stale_tags=True),
    ),
    Mutant(
        "the tag is removed before the begin of all has answered: the gate may open in between",
        _none,
        "S1c",
        Scenario("override over a tag; 2 refreshes", "closed", ("override", "untag"), events=_PAIR, one_source=True),
    ),
    Mutant(
        "two begins and an end at once: one begin may take the other's tag for its own and answer too early",
        _none,
        "S1c",
        Scenario("actions begin, begin and end", "open", events=("begin", "begin", "end")),
    ),
)
"""What the protocol does not promise: nothing is taken away, the world is worse or more is asked for."""
