"""What is explored: every scenario here is tried in all orders of its requests."""

from __future__ import annotations

from tests.interleaving.explorer import Scenario
from tests.interleaving.state import Fault

_ONE = ("tag event",)
_TWO = ("tag event", "tag event")
_EVERY = Fault.EVERY

USUAL = (
    Scenario(
        "begin, end; 2 check-ins, 2 refreshes; 1 crash",
        "open",
        ("tag", "untag"),
        check_ins=2,
        events=_TWO,
        faults=1,
        kinds=Fault.CRASH,
        patient=True,
    ),
    Scenario(
        "end, begin; 2 check-ins, 2 refreshes", "closed", ("untag", "tag"), check_ins=2, events=_TWO, patient=True
    ),
    Scenario("end; 2 check-ins, 1 refresh; 1 fault", "closed", ("untag",), 2, _ONE, faults=1, patient=True),
    Scenario("end; 1 check-in, 2 refreshes; 1 fault", "closed", ("untag",), 1, _TWO, faults=1),
    Scenario("end; 3 check-ins, 1 refresh", "closed", ("untag",), 3, _ONE, patient=True),
    Scenario("begin, end, begin, end; 1 check-in, 2 refreshes", "open", ("tag", "untag") * 2, 1, _TWO),
    Scenario(
        "begin, end; 2 check-ins, 1 retry, 1 refresh twice; 1 fault",
        "open",
        ("tag", "untag"),
        check_ins=2,
        events=_ONE,
        runs=2,
        faults=1,
        retries=1,
        patient=True,
    ),
    Scenario("end, begin; 2 parked, 2 refreshes; 1 fault", "closed", ("untag", "tag"), 0, _TWO, parked=2, faults=1),
    Scenario(
        "end, begin; 3 parked in batches of 2, 2 refreshes; 1 crash",
        "closed",
        ("untag", "tag"),
        events=_TWO,
        parked=3,
        batch=2,
        faults=1,
        kinds=Fault.CRASH,
    ),
    Scenario(
        "end, begin, end; 1 parked, 2 refreshes twice; 1 fault",
        "closed",
        ("untag", "tag", "untag"),
        events=_TWO,
        runs=2,
        parked=1,
        faults=1,
    ),
    Scenario(
        "end; 1 check-in, 1 retry, 1 parked, 1 refresh twice; 2 faults",
        "closed",
        ("untag",),
        check_ins=1,
        events=_ONE,
        runs=2,
        parked=1,
        faults=2,
        retries=1,
    ),
    Scenario("first use, begin; 2 check-ins, 1 refresh", "missing", ("tag",), 2, _ONE, patient=True),
    Scenario("first use, begin; 1 check-in, 1 refresh; 1 fault", "missing", ("tag",), 1, _ONE, faults=1),
    Scenario(
        "first use under a tag, end; 2 check-ins, 1 refresh", "missing, tagged", ("untag",), 2, _ONE, patient=True
    ),
    Scenario(
        "first use under a tag, end; 1 check-in, 1 refresh; 1 fault", "missing, tagged", ("untag",), 1, _ONE, faults=1
    ),
    Scenario("first use; 2 check-ins, their hand-over", "missing", check_ins=2, workers=1, patient=True),
    Scenario(
        "first use; 1 check-in, its hand-over; 1 fault of any kind",
        "missing",
        check_ins=1,
        workers=1,
        faults=1,
        kinds=_EVERY,
    ),
    Scenario("override over a tag; 1 check-in, 2 refreshes", "closed", ("override", "untag", "lift"), 1, _TWO),
    Scenario("override on a missing flag; 1 check-in, 2 refreshes", "missing", ("override", "lift"), 1, _TWO),
    Scenario(
        "a parked execution is stopped, end; 1 check-in, 2 refreshes", "closed", ("stop", "untag"), 1, _TWO, parked=1
    ),
    Scenario(
        "a parked execution is stopped, end; 2 parked, 1 sweep twice, 1 refresh; 1 fault",
        "closed",
        ("stop", "untag"),
        events=("sweep", "tag event"),
        runs=2,
        parked=2,
        faults=1,
        patient=True,
    ),
    Scenario("action begin; end by hand; 1 refresh; 1 fault", "open", ("untag",), 0, ("begin", "tag event"), faults=1),
    Scenario("actions begin and end; 1 check-in", "open", check_ins=1, events=("begin", "end"), patient=True),
    Scenario("actions begin and end of all; 1 fault", "open", events=("begin all", "end all"), faults=1),
    Scenario(
        "actions begin and end of all; 1 check-in; 1 crash",
        "open",
        check_ins=1,
        events=("begin all", "end all"),
        faults=1,
        kinds=Fault.CRASH,
        patient=True,
    ),
    Scenario(
        "begin, end; 1 refresh twice; announcements disturbed; 1 fault of any kind",
        "open",
        ("tag", "untag"),
        events=_ONE,
        runs=2,
        faults=1,
        kinds=_EVERY,
        prompt=False,
    ),
    Scenario("begin, end; 2 refreshes; announcements disturbed", "open", ("tag", "untag"), events=_TWO, prompt=False),
    Scenario(
        "a parked execution is stopped, end; 1 refresh; announcements disturbed; 1 fault",
        "closed",
        ("stop", "untag"),
        events=_ONE,
        parked=1,
        faults=1,
        troubles=True,
        prompt=False,
    ),
    Scenario("end; 1 check-in, 1 sweep, 1 refresh", "closed", ("untag",), 1, ("sweep", "tag event")),
    Scenario(
        "begin, end; 1 check-in, 2 sweeps in one container, lagging tag list; 1 fault",
        "open",
        ("tag", "untag"),
        check_ins=1,
        events=("sweep",),
        runs=2,
        warm=True,
        lagging=True,
        faults=1,
    ),
    Scenario(
        "end; 1 check-in, 1 retry, 1 parked, 1 refresh, hand-over; 1 fault of any kind",
        "closed",
        ("untag",),
        check_ins=1,
        events=_ONE,
        parked=1,
        retries=1,
        workers=1,
        faults=1,
        kinds=_EVERY,
    ),
    Scenario("end; 1 check-in, 1 refresh; 2 faults of any kind", "closed", ("untag",), 1, _ONE, faults=2, kinds=_EVERY),
    Scenario(
        "end, begin; 1 parked, 2 refreshes; 1 fault of any kind",
        "closed",
        ("untag", "tag"),
        events=_TWO,
        parked=1,
        faults=1,
        kinds=_EVERY,
    ),
    Scenario(
        "stale tag reads, S1c not asked; end, begin; 1 parked, 2 refreshes",
        "closed",
        ("untag", "tag"),
        events=_TWO,
        parked=1,
        stale_tags=True,
        confirmed_closing=False,
    ),
)
"""Explored by default."""

DEEP = (
    Scenario(
        "actions begin and end of all; 1 check-in; 1 fault",
        "open",
        check_ins=1,
        events=("begin all", "end all"),
        faults=1,
    ),
    Scenario("actions begin and end of all; 2 check-ins", "open", check_ins=2, events=("begin all", "end all")),
    Scenario(
        "end, begin; 3 parked in batches of 2, 2 refreshes; 1 fault",
        "closed",
        ("untag", "tag"),
        events=_TWO,
        parked=3,
        batch=2,
        faults=1,
    ),
    Scenario(
        "end; 1 check-in, 2 refreshes; 1 fault; announcements disturbed",
        "closed",
        ("untag",),
        1,
        _TWO,
        faults=1,
        troubles=True,
        prompt=False,
    ),
    Scenario("begin, end, begin, end; 1 check-in, 2 refreshes twice", "open", ("tag", "untag") * 2, 1, _TWO, runs=2),
    Scenario("end; 2 check-ins, 2 refreshes; 1 fault", "closed", ("untag",), 2, _TWO, faults=1, patient=True),
    Scenario("end; 2 check-ins, 2 refreshes; leases look over at any moment", "closed", ("untag",), 2, _TWO),
    Scenario(
        "end; 2 check-ins, 1 refresh; 1 fault; leases look over at any moment", "closed", ("untag",), 2, _ONE, faults=1
    ),
    Scenario(
        "end, begin; 2 check-ins, 2 refreshes; 1 crash",
        "closed",
        ("untag", "tag"),
        check_ins=2,
        events=_TWO,
        faults=1,
        kinds=Fault.CRASH,
        patient=True,
    ),
    Scenario(
        "end, begin; 2 check-ins, 2 refreshes, 1 parked", "closed", ("untag", "tag"), 2, _TWO, parked=1, patient=True
    ),
    Scenario("end, begin; 1 check-in, 2 refreshes, 1 parked", "closed", ("untag", "tag"), 1, _TWO, parked=1),
    Scenario("end; 3 check-ins, 1 refresh; leases look over at any moment", "closed", ("untag",), 3, _ONE),
    Scenario("actions begin and end; 2 check-ins", "open", check_ins=2, events=("begin", "end"), patient=True),
    Scenario(
        "actions begin and end; 1 check-in; 1 fault",
        "open",
        check_ins=1,
        events=("begin", "end"),
        faults=1,
        patient=True,
    ),
    Scenario("first use, begin; 2 check-ins, 1 refresh; 1 fault", "missing", ("tag",), 2, _ONE, faults=1, patient=True),
    Scenario(
        "first use under a tag, end; 2 check-ins, 1 refresh; 1 crash",
        "missing, tagged",
        ("untag",),
        2,
        _ONE,
        faults=1,
        kinds=Fault.CRASH,
        patient=True,
    ),
    Scenario("end; 1 check-in, 1 sweep, 1 refresh; 1 fault", "closed", ("untag",), 1, ("sweep", "tag event"), faults=1),
    Scenario(
        "end; 1 check-in, 1 retry, 1 parked, 2 refreshes; 2 faults",
        "closed",
        ("untag",),
        check_ins=1,
        events=_TWO,
        parked=1,
        retries=1,
        faults=2,
        patient=True,
    ),
)
"""Explored with INTERLEAVING=deep, minutes each."""

WALKS = (
    Scenario(
        "everything: 3 check-ins, begin and end by hand and by action, sweeps, 2 parked; 3 faults of any kind",
        "closed",
        ("untag", "tag", "untag", "tag", "untag"),
        check_ins=3,
        events=("end", "sweep", "tag event", "tag event"),
        runs=2,
        parked=2,
        faults=3,
        kinds=_EVERY,
        batch=2,
        retries=2,
        workers=2,
        warm=True,
        lagging=True,
    ),
    Scenario(
        "everything: the same with the override, on a missing flag",
        "missing",
        ("override", "tag", "lift", "untag"),
        check_ins=3,
        events=("end all", "sweep", "tag event", "begin"),
        runs=2,
        faults=3,
        kinds=_EVERY,
        retries=2,
        workers=2,
        warm=True,
        lagging=True,
    ),
)
"""Too large for all orders: random ones are tried."""

EXACT = (
    Scenario("end; 1 check-in, 1 refresh; 1 fault", "closed", ("untag",), 1, _ONE, faults=1),
    Scenario("end; 1 parked, 2 refreshes", "closed", ("untag",), 0, _TWO, parked=1),
    Scenario("begin, end; 1 check-in, 1 sweep; 1 fault", "open", ("tag", "untag"), 1, ("sweep",), faults=1),
    Scenario(
        "first use, begin; 1 check-in, 1 refresh; 1 crash", "missing", ("tag",), 1, _ONE, faults=1, kinds=Fault.CRASH
    ),
)
"""Explored twice: with and without merging states that no process can tell apart."""
