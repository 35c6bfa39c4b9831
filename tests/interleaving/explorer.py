"""Walks through the orders in which processes may take their steps: all of them, or random ones."""

from __future__ import annotations

import json
import random
import time
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from maintenance.source import TAG, UNTIL
from maintenance.tasks import ParkedTask
from tests.interleaving.monitors import Monitors, ViolationError, closes, parked
from tests.interleaving.process import KEYS, MACHINE, NEXT_EVENT, NOW, Program, Request, Stop
from tests.interleaving.state import Fault, State, Status, Token, Version, replaced
from tests.interleaving.world import FLAGS, Caller, Outcome, World, execution_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EVENTS: dict[str, Any] = {
    "tag event": {
        "detail-type": "Tag Change on Resource",
        "resources": [MACHINE.arn],
        "detail": {"changed-tag-keys": [TAG], "resource-type": "stateMachine"},
    },
    "drain": {"action": "drain", "stateMachineArn": MACHINE.arn},
    "sweep": {"action": "sweep"},
    "begin": {"action": "begin", "stateMachineArn": MACHINE.arn},
    "end": {"action": "end", "stateMachineArn": MACHINE.arn},
    "begin all": {"action": "begin", "scope": "all"},
    "end all": {"action": "end", "scope": "all"},
}
"""What the maintenance function can be invoked with, beside check-ins."""

REPLAY = "PYTHONPATH=functions .venv/bin/python -m tests.interleaving"
"""Prints a trace again; followed by a scenario's name and a path."""

_OPERATOR = {"begin", "end", "begin all", "end all"}
_BEGINS = {"begin": 1, "begin all": 2}  # and their sources, see Monitors.source
_NEVER = "never comes"
_UNLIKELY = 0.05
_LONGEST_SWEEP = 500  # requests


@dataclass(frozen=True, slots=True)
class Scenario:
    """What happens, in any order.

    Attributes:
        name: For the reader.
        start: The flag before: `missing`, `open` or `closed`, which is by the tag; `missing, tagged`.
        script: What the operator does without the functions, in this order: `tag`, `untag`, `override`, `lift`,
            and `stop` (the execution of the first parked task).
        check_ins: How many tasks check in.
        events: What else invokes the function, each an independent process: keys of `EVENTS`.
        runs: How many times each of these events comes.
        parked: Tasks that are parked before.
        faults: How many at most.
        kinds: Of faults.
        batch: Tasks resumed under one check of the flag.
        retries: Check-ins that Step Functions repeats with a new token after a crash.
        workers: Asynchronous invocations that can be under way; more are lost.
        warm: Whether the events of one process come to the same container.
        lagging: Whether the bulk tag listing may be behind.
        stale_tags: Whether ListTagsForResource may be behind.
        troubles: Whether flags say that tasks died, which is announced. If not, they always say that it was.
        prompt: Whether who has written what is to be announced also sends it, and takes it out of the flag, before
            anybody else takes a step (or dies before that); if not, others may always step in.
        patient: Whether leases look over only once their holder is gone; else they may at any moment.
        confirmed_closing: Whether S1c is asked for.
        one_source: See `Monitors`.
        override_is_a_gate: See `Monitors`.
        exact: Whether nothing is done to make the states fewer.
    """

    name: str
    start: str
    script: tuple[str, ...] = ()
    check_ins: int = 0
    events: tuple[str, ...] = ()
    runs: int = 1
    parked: int = 0
    faults: int = 0
    kinds: Fault = Fault.USUAL
    batch: int = 1
    retries: int = 0
    workers: int = 0
    warm: bool = False
    lagging: bool = False
    stale_tags: bool = False
    troubles: bool = False
    prompt: bool = True
    patient: bool = False
    confirmed_closing: bool = True
    one_source: bool = False
    override_is_a_gate: bool = False
    exact: bool = False


class Step(NamedTuple):
    """One thing that may happen next."""

    who: str
    request: Request
    what: str
    state: State
    fault: bool

    def __str__(self) -> str:
        call, arguments = self.request
        shown = ", ".join(_readable(one) for one in arguments if one is not None)
        return f"{self.who:<14} {call}{f'({shown})' if shown else ''} -> {self.what}"


@dataclass(slots=True)
class Report:
    """What an exploration has found.

    Attributes:
        scenario: Its name.
        states: Different states visited.
        steps: Steps between them.
        ends: States in which nothing more can happen.
        stranded: Ends with parked tasks behind an open gate: only the sweep helps these.
        stops: Different stops of the functions.
        seconds: Of one core.
        cut: Whether the limit of states ended it.
        violation: What is wrong, with the trace and how to replay it.
        rule: Which invariant.
        outcomes: The different ends, without what only the exploration needs.
    """

    scenario: str
    states: int = 0
    steps: int = 0
    ends: int = 0
    stranded: int = 0
    stops: int = 0
    seconds: float = 0.0
    cut: bool = False
    violation: str = ""
    rule: str = ""
    outcomes: set[tuple[Any, ...]] = field(default_factory=set)

    @property
    def summary(self) -> str:
        """One line."""
        cut = "; CUT: not all orders were tried" if self.cut else ""
        return (
            f"{self.states:>9,} states {self.steps:>11,} steps {self.ends:>4} ends, {self.stranded:>2} need the sweep"
            f" {self.seconds:6.1f} s  {self.scenario}{f'; violates {self.rule}' if self.rule else ''}{cut}"
        )


class Explorer:
    """Takes the steps of one scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self._names: list[str] = []
        self._programs: list[Program] = []
        self._again: list[Program] = []
        self._operators: set[int] = set()
        self._first_event = scenario.check_ins + scenario.retries
        self._first_worker = self._first_event + len(scenario.events)
        tokens: list[int | None] = []
        arriving = range(scenario.parked, scenario.parked + scenario.check_ins + scenario.retries)
        for number in arriving:
            event = {"taskToken": f"token-{number}", "stateMachineArn": MACHINE.arn}
            self._add(f"check-in {number}", event, runs=1, task=number)
            tokens.append(number)
        for name in (*scenario.events, *["drain"] * scenario.workers, "sweep"):
            if name in _OPERATOR:
                self._operators.add(len(self._programs))
            is_event = len(self._programs) < len(arriving) + len(scenario.events)
            self._add(f"{name} {len(self._programs)}", EVENTS[name], runs=scenario.runs if is_event else 1)
            tokens.append(None)
        self._sweeper = len(self._programs) - 1
        self._alike = self._share_programs()
        self._names[self._sweeper] = "last sweep"
        self.monitors = Monitors(
            batch=scenario.batch,
            tokens=tuple(tokens),
            confirmed_closing=scenario.confirmed_closing,
            one_source=scenario.one_source,
            override_is_a_gate=scenario.override_is_a_gate,
        )
        self._world = World(
            monitors=self.monitors,
            faults=scenario.kinds,
            exact=scenario.exact,
            hasty=not scenario.patient,
            lagging=scenario.lagging,
            stale_tags=scenario.stale_tags,
            troubles=scenario.troubles or scenario.exact,
            first_worker=self._first_worker,
            sweeper=self._sweeper,
        )

    def _add(self, name: str, event: Any, *, runs: int, task: int = 0) -> None:
        process, scenario = len(self._programs), self.scenario
        self._names.append(name)
        for programs, attempt in ((self._programs, "first"), (self._again, "retried")):
            exact = f"{process}.{attempt}." if scenario.exact else None
            if scenario.exact or programs is self._programs:
                program = Program(event, task=task, runs=runs, warm=scenario.warm, exact=exact, batch=scenario.batch)
            programs.append(program)

    def _share_programs(self) -> list[list[int]]:
        """Return the groups of processes that do the same."""
        if self.scenario.exact:
            return []
        groups: dict[str, list[int]] = {}
        for process in range(len(self._programs) - 1):
            if (event := self._names[process].rpartition(" ")[0]) in EVENTS:
                groups.setdefault(f"{event}, {process < self._first_worker}", []).append(process)
        for group in groups.values():
            for process in group:
                self._programs[process] = self._again[process] = self._programs[group[0]]
        return [group for group in groups.values() if len(group) > 1]

    def _key(self, state: State) -> State:
        """Return what states have in common that differ only in which of the processes that are alike does what."""
        for group in self._alike:
            ranked = sorted(group, key=lambda process: _rank(state, process))
            if ranked != group:
                state = state.permuted(dict(zip(group, ranked, strict=True)))
        return state

    # The beginning

    def initial(self) -> State:
        """Return the state before everything."""
        scenario, world = self.scenario, self._world
        tagged = scenario.start in {"closed", "missing, tagged"}
        flag = scenario.start if scenario.start in {"open", "closed"} else None
        issued = scenario.parked + scenario.check_ins
        count = len(self._programs)
        starts: list[Stop | Status] = [Status.IDLE] * count
        for process in range(self._first_worker):
            if not scenario.check_ins <= process < self._first_event:
                starts[process] = self._programs[process].start()
        tags = ((TAG, "true"),) if tagged else ()
        return State(
            flag=None if flag is None else world.initial_version(flag),
            override=None,
            tags=tags,
            tags_before=tags,
            tokens=(Token.PENDING,) * issued + (Token.UNISSUED,) * scenario.retries,
            objects=tuple(
                (
                    KEYS.task(MACHINE.name, f"00000000-0000-7000-8000-{number:012d}"),
                    replace(ParkedTask.arriving(f"token-{number}", NOW), execution_arn=execution_of(number)).to_json(),
                )
                for number in range(scenario.parked)
            ),
            holds=((),) * count,
            processes=tuple(starts),
            queue=0,
            script=0,
            faults=scenario.faults,
            seen=(1 << scenario.parked) - 1,
            passed=0,
            confirmed=int(flag == "closed"),
            late=(0,) * count,
        )

    # Steps

    def steps(self, state: State) -> Iterator[Step]:
        """Iterate over everything that may happen next.

        Raises:
            ViolationError: If it breaks an invariant; its note is the step.
        """
        alone = self._unobserved(state)
        if alone is not None:
            yield from self._process_steps(state, alone)
            return
        if state.script < len(self.scenario.script):
            what = self.scenario.script[state.script]
            after = self._operate(state._replace(script=state.script + 1), what)
            yield Step("operator", Request(what), "done", after, fault=False)
        for process, where in enumerate(state.processes):
            if isinstance(where, Stop):
                yield from self._process_steps(state, process)
        if state.queue:  # then one of the workers, which are alike, is idle
            worker = state.processes.index(Status.IDLE, self._first_worker)
            after = state._replace(queue=state.queue - 1).with_process(worker, self._programs[worker].start())
            yield Step(self._names[worker], Request("invoked"), "starts", after, fault=False)

    def _process_steps(self, state: State, process: int) -> Iterator[Step]:
        stop = state.processes[process]
        assert isinstance(stop, Stop)
        who = self._names[process]
        try:
            for one in self._world.outcomes(state, Caller(process, stop)):
                yield Step(who, stop.request, one.what, self._told(process, stop, one), one.fault)
        except ViolationError as violation:
            violation.add_note(f"{who:<14} {stop.request.call} <-- here")
            raise
        if process >= self._first_event and (stop is self._programs[process].start() or _between(stop)):
            gone = self._gone(state, process, Status.DONE)
            yield Step(who, Request("event"), _NEVER, gone, fault=False)
        if state.faults and Fault.CRASH in self.scenario.kinds and not _between(stop):
            for what, after in self._crashes(state._replace(faults=state.faults - 1), process):
                yield Step(who, stop.request, f"CRASH before it, {what}", after, fault=True)

    def _told(self, process: int, stop: Stop, outcome: Outcome) -> State:
        """Let a process go on with its answer."""
        after = stop.after(outcome.answer)
        if after.ended is None:
            return self._world.forget(outcome.state, process, after.names).with_process(process, after)
        state = outcome.state
        if after.ended.failed:
            return self._failed(state, process)
        event = self._names[process].rpartition(" ")[0]
        if event in _BEGINS:
            state = self.monitors.begin_answered(state, _BEGINS[event])
        return self._gone(state, process, Status.DONE)

    def _failed(self, state: State, process: int) -> State:
        """An invocation has failed: with a check-in's, its task fails."""
        token = self.monitors.tokens[process]
        if token is None:
            return self._gone(state, process, Status.DONE)
        if state.tokens[token] is Token.PENDING:
            state = state.with_token(token, Token.OVER)
        return self._gone(state, process, Status.GONE)

    def _gone(self, state: State, process: int, status: Status) -> State:
        state = self._world.forget(state, process, frozenset())
        return state._replace(late=replaced(state.late, process, 0)).with_process(process, status)

    def _crashes(self, state: State, process: int) -> Iterator[tuple[str, State]]:
        token = self.monitors.tokens[process]
        if token is None:
            gone = self._gone(state, process, Status.DONE)
            yield "for good", gone
            yield "retried by Lambda", gone.with_process(process, self._again[process].start())
            return
        yield "unnoticed by Step Functions", self._gone(state, process, Status.GONE)
        if state.tokens[token] is Token.PENDING:
            failed = self._failed(state, process)
            yield "its task fails", failed
            if Token.UNISSUED in failed.tokens:
                number = failed.tokens.index(Token.UNISSUED)
                retry = number - self.scenario.parked
                again = failed.with_token(number, Token.PENDING)
                yield "its task is retried", again.with_process(retry, self._programs[retry].start())

    def _operate(self, state: State, what: str) -> State:
        match what:
            case "tag":
                return self._world.retag(state, {**dict(state.tags), TAG: "true"})
            case "untag":
                return self._world.retag(state, {key: value for key, value in state.tags if key != TAG})
            case "override":
                return self._world.override(state, "closed")
            case "lift":
                return self._world.override(state, "open")
            case "stop":
                return state.with_token(0, Token.OVER) if state.tokens[0] is Token.PENDING else state
            case _:
                raise ValueError(what)

    def _unobserved(self, state: State) -> int | None:
        """Return a process whose next step nobody else can notice or disturb: it may as well come first.

        That is waiting for an event, sending one to the bus (nothing reads that; who dies before is seen as well),
        reading the source when nobody is left who may change it, and what has the same answer for ever: a conditional
        write over a version that is gone, answering a token that is answered.
        """
        if self.scenario.exact:
            return None
        settled = (
            state.script == len(self.scenario.script)
            and UNTIL not in dict(state.tags)  # which every refresh may tidy up
            and not self.scenario.stale_tags
            and not self.scenario.lagging
            and not any(isinstance(state.processes[process], Stop) for process in self._operators)
        )
        for process, where in enumerate(state.processes):
            if isinstance(where, Stop):
                call, arguments = where.request
                if call in {NEXT_EVENT, "put_events"} or self._world.decided(state, process, where.request):
                    return process
                if self.scenario.prompt and self._world.only_announced(state, process, where.request):
                    return process
                if settled and (
                    call in {"list_tags", "list_tagged"} or (call == "get_object" and arguments[0] == FLAGS[1])
                ):
                    return process
        return None

    # The end

    def check_end(self, state: State) -> None:
        """Sweep once with the source on, if it is, and leases live; then with the source off and leases over.

        Raises:
            ViolationError: If S2, S4, S5 or L1 does not hold; its notes are the sweep's steps.
        """
        trace: list[Step] = []
        try:
            if self.monitors.source(state):
                after = self._sweep(state, trace)
                self.monitors.swept_with_source_on(state, after)
                state = after
            if state.tags:
                state = self._operate(state, "untag")
            if closes(state.override):
                state = self._operate(state, "lift")
            self.monitors.swept_with_source_off(self._sweep(state, trace))
        except ViolationError as violation:
            for step in trace:
                violation.add_note(str(step))
            raise

    def _sweep(self, state: State, trace: list[Step]) -> State:
        sweeper = self._sweeper
        state = state._replace(faults=0, holds=replaced(state.holds, sweeper, ()))
        state = state.with_process(sweeper, self._programs[sweeper].start())
        for _ in range(_LONGEST_SWEEP):
            stop = state.processes[sweeper]
            if not isinstance(stop, Stop):
                return state.with_process(sweeper, Status.IDLE)
            one = next(self._world.outcomes(state, Caller(sweeper, stop)))
            state = self._told(sweeper, stop, one)
            trace.append(Step("last sweep", stop.request, one.what, state, fault=False))
        raise ViolationError("L1", "the last sweep does not end")

    # Ways through

    def explore(self, limit: int = 20_000_000) -> Report:
        """Take all steps in all orders, breadth first.

        Args:
            limit: States at most; the report says if it was reached.
        """
        began, report = time.process_time(), Report(self.scenario.name)
        first = self.initial()
        here = self._key(first)
        came_from: dict[State, tuple[State, int] | None] = {here: None}
        todo = deque([(first, here)])
        checked: set[tuple[Any, ...]] = set()
        while todo:
            (state, here), choice = todo.popleft(), -1
            try:
                for choice, step in enumerate(self.steps(state)):
                    report.steps += 1
                    key = self._key(step.state)
                    if key not in came_from:
                        came_from[key] = (here, choice)
                        todo.append((step.state, key))
                if choice < 0:
                    report.ends += 1
                    outcome = _outcome(state)
                    report.stranded += _is_stranded(state)
                    if outcome not in checked:
                        checked.add(outcome)
                        self.check_end(state)
            except ViolationError as violation:
                report.rule = violation.rule
                report.violation = self._explained(violation, _path(came_from, here))
                break
            if len(came_from) > limit:
                report.cut = True
                break
        report.states, report.seconds = len(came_from), time.process_time() - began
        report.stops = sum(program.stops for program in self._programs)
        report.outcomes = checked
        return report

    def walks(self, seeds: range) -> Report:
        """Take random steps to an end, once for each seed; most of them without a fault."""
        began = time.process_time()
        report = Report(f"seeds {seeds.start} to {seeds.stop - 1}: {self.scenario.name}")
        for seed in seeds:
            path: list[int] = []
            try:
                self._walk(random.Random(seed), path, report)
            except ViolationError as violation:
                report.rule, report.violation = violation.rule, f"seed {seed}: {self._explained(violation, path)}"
                break
        report.seconds = time.process_time() - began
        return report

    def _walk(self, choose: random.Random, path: list[int], report: Report) -> None:
        state = self.initial()
        while steps := list(enumerate(self.steps(state))):
            likely = [one for one in steps if not one[1].fault and one[1].what != _NEVER]
            who = choose.choice(sorted({step.who for _, step in likely}))
            likely = [one for one in likely if one[1].who == who]
            choice, step = choose.choice(steps if choose.random() < _UNLIKELY else likely)
            path.append(choice)
            state = step.state
            report.steps += 1
        report.ends += 1
        report.stranded += _is_stranded(state)
        self.check_end(state)

    def replay(self, path: Sequence[int]) -> Iterator[str]:
        """Iterate over the steps of a path of choices, what follows from it, and what is wrong with it."""
        state = self.initial()
        for choice in path:
            step = next(step for index, step in enumerate(self.steps(state)) if index == choice)
            state = step.state
            yield str(step)
        try:
            if not list(self.steps(state)):
                self.check_end(state)
        except ViolationError as violation:
            yield from violation.__notes__
            yield str(violation)

    def _explained(self, violation: ViolationError, path: Sequence[int]) -> str:
        lines = "\n".join(f"  {number:>3} {line}" for number, line in enumerate(self.replay(path), 1))
        return f"{violation}\n{lines}\n  again: {REPLAY} '{self.scenario.name}: {'.'.join(map(str, path))}'"


def _rank(state: State, process: int) -> tuple[Any, ...]:
    where = state.processes[process]
    versions = [version for version in (state.flag, state.override) if version is not None]
    names = [name for version in versions for name in (version.lease, version.nonce)]
    own = [name.name if name is not None and name.process == process else "" for name in names]
    number = where.number if isinstance(where, Stop) else -where
    return number, state.holds[process], state.late[process], own


def _between(stop: Stop) -> bool:
    return stop.request.call == NEXT_EVENT


def _is_stranded(state: State) -> bool:
    return state.flag is not None and state.flag.state == "open" and bool(parked(state))


def _outcome(state: State) -> tuple[Any, ...]:
    """Return what the last sweep depends on."""
    flag, override = state.flag, state.override
    return (
        flag and _without_names(flag),
        override and _without_names(override),
        state.tags,
        state.tokens,
        state.objects,
        state.processes,
        state.confirmed,
        state.seen,
        state.passed,
    )


def _without_names(version: Version) -> tuple[Any, ...]:
    outbox = tuple(kind for kind, _ in version.outbox)
    notes = (version.since, version.told, version.overridden, version.dead, version.troubled)
    return version.state, version.lease and "leased", notes, outbox


def _path(came_from: dict[State, tuple[State, int] | None], state: State) -> list[int]:
    path = []
    while (before := came_from[state]) is not None:
        state, choice = before
        path.append(choice)
    return path[::-1]


def _readable(argument: Any) -> str:
    if isinstance(argument, bytes):
        content = json.loads(argument)
        if "taskToken" in content:
            return str(content["taskToken"])
        if "state" not in content:
            return "a sweep's report"
        lease = content["lease"]
        return f"{content['state']}, lease of {lease['owner']}" if lease else str(content["state"])
    return str(argument).replace(MACHINE.arn, MACHINE.name).removeprefix(KEYS.root)
