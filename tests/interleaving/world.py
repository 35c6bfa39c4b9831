"""S3, Step Functions, tags and asynchronous invocations, as values: each request gives the next state.

A function knows an ETag or a random id only by comparing it. So each process has its own small names for them
(`etag:0`, `random:1`), free to be used again once it has forgotten them: `State.holds` says which of its ETags are
those of the present versions, and a version keeps its writer's names of nonce and lease. What nobody can compare any
more is dropped, so that histories which no process can tell apart become one state. That ETags never come back is
not assumed: a write without a new `seq` and a new `nonce` gets the ETag of its content.

An exact world keeps the written bytes and their hash instead.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from hashlib import md5
from typing import TYPE_CHECKING, NamedTuple

from maintenance.announce import TROUBLE
from maintenance.cloud import CloudError, ConflictError, Execution, ListedObject, Page, StoredObject, TaskOverError
from maintenance.keys import OVERRIDE
from maintenance.timestamps import to_text
from tests.interleaving.process import KEYS, MACHINE, NEXT_EVENT, NOW, Answer, Request, Stop
from tests.interleaving.state import SOMEBODY, Fault, Owned, State, Status, Tags, Token, Version, replaced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.interleaving.monitors import Monitors

FLAGS = (KEYS.flag(MACHINE.name), KEYS.flag(OVERRIDE))
"""The keys of the flag (0) and the override (1)."""

_LIVE, _EXPIRED = (to_text(NOW + timedelta(seconds=seconds)) for seconds in (30, -1))
_CONDITIONAL = {"create_object", "replace_object"}
_WRITING = _CONDITIONAL | {"put_object", "delete_object", "send_task_success", "tag", "untag", "invoke", "put_events"}
_ERROR = CloudError, "ServiceUnavailable"
_CONFLICT = ConflictError, "PreconditionFailed"


class Caller(NamedTuple):
    """Who makes a request."""

    process: int
    stop: Stop


class Outcome(NamedTuple):
    """One way in which a request may end.

    Attributes:
        what: For the reader of a trace.
        state: The world after it, the process not yet told.
        answer: What the process is told.
        fault: Whether it uses up a fault.
    """

    what: str
    state: State
    answer: Answer
    fault: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """The rules of one exploration.

    Attributes:
        monitors: Watch every change.
        faults: What may go wrong.
        exact: Whether versions are kept byte by byte.
        hasty: Whether a lease may look over at any moment; if not, it does once its holder is gone.
        lagging: Whether the bulk tag listing may show the tags before their last change.
        stale_tags: Whether ListTagsForResource may, too.
        troubles: Whether a flag says that tasks died; if not, it always says that this was announced.
        first_worker: The first process that serves asynchronous invocations; the others follow, up to the sweeper.
        sweeper: The process of the last sweep: leases are over when it is to open the gate, and live when it is to
            close it, which no lease may delay.
    """

    monitors: Monitors
    faults: Fault
    exact: bool
    hasty: bool
    lagging: bool
    stale_tags: bool
    troubles: bool
    first_worker: int
    sweeper: int

    def outcomes(self, state: State, caller: Caller) -> Iterator[Outcome]:
        """Iterate over all ways in which the request of a process may end.

        Raises:
            ViolationError: If the request breaks an invariant.
        """
        request = caller.stop.request
        if request.call == "get_object" and request.arguments[0] == FLAGS[0]:
            state = self.monitors.flag_requested(state, caller.process)
        handle: Callable[..., Iterator[Outcome]] = getattr(self, f"_{request.call.replace(' ', '_')}")
        ordinary = tuple(handle(state, caller, *request.arguments))
        yield from ordinary
        if state.faults and request.call != NEXT_EVENT:
            for what, after, answer in self._faulty(state, request, ordinary):
                yield Outcome(what, after._replace(faults=state.faults - 1), answer, fault=True)

    def _faulty(
        self, state: State, request: Request, ordinary: tuple[Outcome, ...]
    ) -> Iterator[tuple[str, State, Answer]]:
        call, on_flag = request.call, request.call == "get_object" and request.arguments[0] in FLAGS
        succeeds = not all(one.answer.raises for one in ordinary)
        failures = (
            (Fault.UNREADABLE, on_flag, "UNREADABLE", _ERROR),
            (Fault.ERROR, True, "FAILS, not applied", _ERROR),
            (Fault.BUSY, call in _CONDITIONAL and succeeds, "409, not applied", _CONFLICT),
            (
                Fault.LIE,
                call == "send_task_success" and succeeds,
                "called over, a LIE",
                (TaskOverError, "TaskTimedOut"),
            ),
        )
        for fault, applies, what, error in failures:
            if fault in self.faults and applies:
                yield what, state, Answer(error, raises=True)
        losses = (
            (Fault.LOST, call in _CONDITIONAL, "applied, ANSWER LOST, the retry gets 412", _CONFLICT),
            (Fault.TIMEOUT, call in _WRITING, "applied, but TIMES OUT", _ERROR),
        )
        for fault, applies, what, error in losses:
            if fault in self.faults and applies:
                for one in ordinary:
                    if not one.answer.raises:
                        yield what, one.state, Answer(error, raises=True)
        for one in ordinary:
            if Fault.LATE in self.faults:
                yield f"{one.what}, LATE", one.state, one.answer._replace(late=True)
            if Fault.SHORT in self.faults:
                yield f"{one.what}, TIME SHORT", one.state, one.answer._replace(short=True)

    def decided(self, state: State, process: int, request: Request) -> bool:
        """Return whether a request changes nothing and will always have the answer that it has now."""
        call, arguments = request
        if call == "replace_object":
            return not self._matches(state, process, FLAGS.index(arguments[0]), arguments[2], for_ever=True)
        if call == "create_object":
            return _versions(state)[FLAGS.index(arguments[0])] is not None
        if call == "send_task_success":
            return state.tokens[_number(arguments[0])] is not Token.PENDING
        return False

    def only_announced(self, state: State, process: int, request: Request) -> bool:
        """Return whether a request takes what was sent out of the present flag, and changes nothing else."""
        if request.call != "replace_object":
            return False
        key, body, etag = request.arguments
        which = FLAGS.index(key)
        present = _versions(state)[which]
        if present is None or not present.outbox or not self._matches(state, process, which, etag):
            return False
        after = self._version(process, body)
        return (
            len(after.outbox) < len(present.outbox)
            and after._replace(outbox=present.outbox, nonce=present.nonce) == present
        )

    def forget(self, state: State, process: int, names: frozenset[str]) -> State:
        """Drop the names that a process does not remember any more."""
        if self.exact:
            return state
        if held := state.holds[process]:
            kept = tuple(one for one in held if one[1] in names)
            if kept != held:
                state = state._replace(holds=replaced(state.holds, process, kept))
        if state.flag is not None:
            state = state._replace(flag=_forgotten(state.flag, process, names))
        if state.override is not None:
            state = state._replace(override=_forgotten(state.override, process, names))
        return state

    # The requests: each handler yields the outcomes that need no fault.

    def _next_event(self, state: State, caller: Caller) -> Iterator[Outcome]:
        del caller
        yield Outcome("comes", state, Answer())

    def _get_object(self, state: State, caller: Caller, key: str) -> Iterator[Outcome]:
        if key not in FLAGS:
            body = dict(state.objects).get(key)
            yield Outcome("gone" if body is None else "read", state, Answer(body and StoredObject(body, "")))
            return
        which = FLAGS.index(key)
        version = _versions(state)[which]
        if version is None:
            yield Outcome("missing", state, Answer())
            return
        state, etag = self._named(state, caller, which, version)
        others = version.lease is not None and version.lease.process != caller.process
        ages = (False, True) if others and (self.hasty or version.lease == SOMEBODY) else (False,)
        if caller.process == self.sweeper:
            ages = (not self.monitors.source(state),)
        for expired in ages:
            what = version.state + ((", lease over" if expired else ", leased") if version.lease else "")
            body = self._shown(version, caller.process, expired=expired, of_all=bool(which))
            yield Outcome(what, state, Answer(StoredObject(body, etag)))

    def _put_object(self, state: State, caller: Caller, key: str, body: bytes) -> Iterator[Outcome]:
        if key in FLAGS:
            state, _ = self._write(state, caller, FLAGS.index(key), body)
        else:
            state = state._replace(objects=tuple(sorted({**dict(state.objects), key: body}.items())))
        yield Outcome("done", state, Answer())

    def _create_object(self, state: State, caller: Caller, key: str, body: bytes) -> Iterator[Outcome]:
        which = FLAGS.index(key)
        yield self._conditional(state, caller, which, body, matches=_versions(state)[which] is None)

    def _replace_object(self, state: State, caller: Caller, key: str, body: bytes, etag: str) -> Iterator[Outcome]:
        which = FLAGS.index(key)
        matches = self._matches(state, caller.process, which, etag)
        yield self._conditional(state, caller, which, body, matches=matches)

    def _matches(self, state: State, process: int, which: int, etag: str, *, for_ever: bool = False) -> bool:
        version = _versions(state)[which]
        if version is None:
            return False
        if version.etag is not None:
            return etag == version.etag or (for_ever and not self.exact)  # content may come back
        return (which, etag) in state.holds[process]

    def _conditional(self, state: State, caller: Caller, which: int, body: bytes, *, matches: bool) -> Outcome:
        if not matches:
            return Outcome("412", state, Answer(_CONFLICT, raises=True))
        state, etag = self._write(state, caller, which, body)
        return Outcome("done", state, Answer(etag))

    def _delete_object(self, state: State, caller: Caller, key: str) -> Iterator[Outcome]:
        del caller
        objects = dict(state.objects)
        body = objects.pop(key, None)
        if body is not None:
            self.monitors.deleted(state, key, body)
        yield Outcome("done", state._replace(objects=tuple(objects.items())), Answer())

    def _list_folder(
        self, state: State, caller: Caller, folder: str, limit: int, after: str | None
    ) -> Iterator[Outcome]:
        etags = {key: "" for key, _ in state.objects}
        for which, version in enumerate(_versions(state)):
            if version is not None and FLAGS[which].startswith(folder):
                state, etags[FLAGS[which]] = self._named(state, caller, which, version)
        page = _page(tuple(sorted(etags.items())), folder, limit, after)
        what = [*(one.key.removeprefix(folder) for one in page.objects), *page.folders]
        yield Outcome(", ".join(what) or "nothing", state, Answer(page))

    def _send_task_success(self, state: State, caller: Caller, token: str, output: str) -> Iterator[Outcome]:
        del output
        number = _number(token)
        if state.tokens[number] is Token.PENDING:
            yield Outcome("resumed", self.monitors.resumed(state, caller.process, number), Answer())
        else:
            yield Outcome("over", state, Answer((TaskOverError, "TaskTimedOut"), raises=True))

    def _list_tags(self, state: State, caller: Caller, machine_arn: str) -> Iterator[Outcome]:
        del caller, machine_arn
        yield Outcome(_tags_text(state.tags), state, Answer(state.tags))
        if self.stale_tags and state.tags_before != state.tags:
            yield Outcome(f"{_tags_text(state.tags_before)} (STALE)", state, Answer(state.tags_before))

    def _list_tagged(self, state: State, caller: Caller, tag: str, after: str | None) -> Iterator[Outcome]:
        del caller, after
        answers = (state.tags, state.tags_before) if self.lagging else (state.tags,)
        for tags in dict.fromkeys(tags if tag in dict(tags) else () for tags in answers):
            yield Outcome(_tags_text(tags), state, Answer(tags))

    def _tag(self, state: State, caller: Caller, machine_arn: str, tags: Tags) -> Iterator[Outcome]:
        del caller, machine_arn
        yield Outcome("done", self.retag(state, {**dict(state.tags), **dict(tags)}), Answer())

    def _untag(self, state: State, caller: Caller, machine_arn: str, names: tuple[str, ...]) -> Iterator[Outcome]:
        del caller, machine_arn
        yield Outcome("done", self.retag(state, {key: tag for key, tag in state.tags if key not in names}), Answer())

    def _invoke(self, state: State, caller: Caller, function_arn: str, payload: str) -> Iterator[Outcome]:
        del caller, function_arn, payload
        idle = state.processes[self.first_worker : self.sweeper].count(Status.IDLE)
        yield Outcome("queued", state._replace(queue=min(state.queue + 1, idle)), Answer())

    def _describe_execution(self, state: State, caller: Caller, arn: str) -> Iterator[Outcome]:
        """Show the execution of a task that was parked before: it ends when stopped, or some time after resuming."""
        del caller
        token = state.tokens[int(arn.rpartition(":")[2])]
        if token is not Token.OVER:
            yield Outcome("running", state, Answer(Execution("RUNNING", NOW)))
        if token is not Token.PENDING:
            yield Outcome("ended", state, Answer(Execution("ABORTED", NOW)))

    def _put_events(self, state: State, caller: Caller, name: str, events: tuple[str, ...]) -> Iterator[Outcome]:
        """Note what was sent, if it is sent from the present flag: if not, whoever wrote that one is to send it again.

        Where nobody's names of ETags are kept (exact worlds, ETags that come back), it is noted in any case.
        """
        which = int(name == OVERRIDE)
        version = _versions(state)[which]
        held = version is not None and (
            version.etag is not None or any(one == which for one, _ in state.holds[caller.process])
        )
        if version is not None and held and tuple(kind for kind, _ in version.outbox[: len(events)]) == events:
            sent = version._replace(outbox=(*((kind, True) for kind in events), *version.outbox[len(events) :]))
            state = state._replace(override=sent) if which else state._replace(flag=sent)
        yield Outcome("sent", state, Answer())

    # What the operator does without the functions

    def retag(self, state: State, tags: Mapping[str, str]) -> State:
        """Change the tags."""
        changed = state._replace(tags=tuple(sorted(tags.items())), tags_before=state.tags)
        return self.monitors.source_changed(changed)

    def override(self, state: State, to: str) -> State:
        """Change the override, as somebody else whose write nobody can compare."""
        before = state.override or Version(to)
        after = before._replace(state=to, since=False, nonce=None, etag=None, body=b"")
        return self.monitors.source_changed(self._store(state, 1, after))

    def initial_version(self, to: str) -> Version:
        """Return a flag that was written before everything else."""
        closed = to == "closed"
        if not self.exact:
            return Version(to, since=closed or not self.troubles, told=closed, troubled=not self.troubles)
        return self._version(
            -1,
            _body(
                Version(to, since=closed, told=closed, troubled=not self.troubles),
                "before",
                None,
                expired=False,
                of_all=False,
            ),
        )

    # Versions

    def _write(self, state: State, caller: Caller, which: int, body: bytes) -> tuple[State, str]:
        before = _versions(state)[which]
        version = self._version(caller.process, body)
        version = version._replace(outbox=self.monitors.announced(before, version))
        after = self._store(state, which, version)
        after, etag = self._named(after, caller, which, version)
        if which:
            return self.monitors.source_changed(after), etag
        return self.monitors.flag_written(state, after), etag

    @staticmethod
    def _store(state: State, which: int, version: Version) -> State:
        holds = tuple(tuple(one for one in held if one[0] != which) for held in state.holds)
        if which:
            return state._replace(override=version, holds=holds)
        return state._replace(flag=version, holds=holds)

    def _version(self, process: int, body: bytes) -> Version:
        content = json.loads(body)
        lease, outbox = content.get("lease"), content["outbox"]
        nonce = str(content["nonce"])
        version = Version(
            state=content["state"],
            until=content.get("until"),
            lease=_owned(process, lease["owner"]) if lease else None,
            nonce=Owned(process, nonce) if nonce.startswith("random:") else None,
            told=bool(content.get("told")),
            overridden=bool(content.get("overridden")),
        )
        if self.troubles:
            version = version._replace(
                since=bool(content.get("closed_at")),
                dead=bool(content["tally"]["dead"]) and not content["troubles"],
                troubled=bool(content["troubles"]),
            )
        else:
            version = version._replace(since=True, troubled=True)
            outbox = [event for event in outbox if event["detail_type"] != TROUBLE]
        version = version._replace(outbox=tuple((event["detail_type"], False) for event in outbox))
        if self.exact:
            return version._replace(etag=md5(body, usedforsecurity=False).hexdigest(), body=body)
        if content["seq"] == 0 and version.nonce is None:  # nothing new in it: see _shown
            return version._replace(etag=f"of {version}")
        return version

    @staticmethod
    def _named(state: State, caller: Caller, which: int, version: Version) -> tuple[State, str]:
        """Return the process's name of a present version's ETag, a new one if it has none yet."""
        if version.etag is not None:
            return state, version.etag
        held = state.holds[caller.process]
        for one, name in held:
            if one == which:
                return state, name
        number, taken = 0, caller.stop.names.union(name for _, name in held)
        while (name := f"etag:{number}") in taken:
            number += 1
        return state._replace(holds=replaced(state.holds, caller.process, (*held, (which, name)))), name

    def _shown(self, version: Version, process: int, *, expired: bool, of_all: bool) -> bytes:
        """Return a version as a process gets to see it: names of others mean nothing to it."""
        if self.exact:
            return _aged(version.body) if expired else version.body
        lease, nonce = version.lease, version.nonce
        owner = None if lease is None else lease.name if lease.process == process else "somebody"
        mine = nonce.name if nonce is not None and nonce.process == process else "another"
        return _body(version._replace(lease=None, nonce=None), mine, owner, expired=expired, of_all=of_all)


def execution_of(number: int) -> str:
    """Return the execution of a task that was parked before."""
    return f"{MACHINE.arn.replace(':stateMachine:', ':execution:')}:{number}"


def _number(token: str) -> int:
    return int(token.removeprefix("token-"))


def _owned(process: int, name: str) -> Owned:
    return Owned(process, name) if name.startswith("random:") else SOMEBODY


def _forgotten(version: Version, process: int, names: frozenset[str]) -> Version:
    if version.lease is not None and version.lease.process == process and version.lease.name not in names:
        version = version._replace(lease=SOMEBODY)
    if version.nonce is not None and version.nonce.process == process and version.nonce.name not in names:
        version = version._replace(nonce=None)
    return version


def _versions(state: State) -> tuple[Version | None, Version | None]:
    return state.flag, state.override


@cache
def _body(version: Version, nonce: str, owner: str | None, *, expired: bool, of_all: bool) -> bytes:
    """Return a body with all of a version that decides something."""
    now = to_text(NOW)
    return json.dumps(
        {
            "state": version.state,
            "seq": 0,
            "nonce": nonce,
            "closed_at": now if version.since else None,
            "until": version.until,
            "lease": owner and {"owner": owner, "expires": _EXPIRED if expired else _LIVE},
            "overridden": now if version.overridden else None,
            "tally": {"dead": int(version.dead)},
            "told": {"since": now} if version.told else None,
            "troubles": ["tasks_dead"] if version.troubled else [],
            "outbox": [
                {"detail_type": kind, "detail": {"scope": "all"} if of_all else {}} for kind, _ in version.outbox
            ],
        }
    ).encode()


@cache
def _aged(body: bytes) -> bytes:
    content = json.loads(body)
    if content.get("lease"):
        content["lease"]["expires"] = _EXPIRED
    return json.dumps(content).encode()


@cache
def _page(etags: tuple[tuple[str, str], ...], folder: str, limit: int, after: str | None) -> Page:
    entries: dict[str, ListedObject | None] = {}  # None: a folder
    for key, etag in etags:
        if key.startswith(folder):
            name, slash, _ = key.removeprefix(folder).partition("/")
            entries.setdefault(folder + name + slash, None if slash else ListedObject(key, etag, NOW))
    rest = [(name, one) for name, one in entries.items() if after is None or name > after]
    shown = rest[:limit]
    return Page(
        objects=tuple(one for _, one in shown if one is not None),
        folders=tuple(name for name, one in shown if one is None),
        after=shown[-1][0] if len(rest) > limit else None,
    )


def _tags_text(tags: Tags) -> str:
    return ", ".join(f"{key}={value}" for key, value in tags) or "no tags"
