"""The maintenance gates, as their buckets show them: flags and parked tasks, of which no token is read.

A function is a maintenance gate where its environment has the variables `Bucket` and `StateMachineNames`, as the module
sets them: with `Prefix` they say where its flags are and which state machines it serves. The bucket's layout is in
`functions/maintenance/keys.py`.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from moto.s3.models import FakeKey, s3_backends

from sandbox.aws.arns import ACCOUNT_ID
from sandbox.aws.histories import iso

TAG, TAG_UNTIL = "Maintenance", "MaintenanceUntil"
_ALL = "~all"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Where a maintenance gate keeps its state, and for whom.

    Attributes:
        function: Name of its function.
        bucket: Name of its bucket.
        root: Beginning of all its keys.
        names: Names of the state machines that it serves; `*` stands for any characters.
    """

    function: str
    bucket: str
    root: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, function: str, variables: Mapping[str, str]) -> "Gate | None":
        """Return the gate that a function is; None if it is none.

        Args:
            function: Name of the function.
            variables: Its environment variables.
        """
        if not {"Bucket", "StateMachineNames"} <= variables.keys():
            return None
        prefix = variables.get("Prefix", "").strip("/")
        return cls(
            function=function,
            bucket=variables["Bucket"],
            root=f"{prefix}/" if prefix else "",
            names=_names(variables["StateMachineNames"]),
        )

    def serves(self, name: str) -> bool:
        """Whether a state machine of this name belongs to it."""
        return any(fnmatchcase(name, pattern) for pattern in self.names)


def _names(text: str) -> tuple[str, ...]:
    """Return the names in the variable; none if it makes no sense, for then the function does not start."""
    try:
        names = json.loads(text)
    except ValueError:
        return ()
    return tuple(str(name) for name in names) if isinstance(names, list) else ()


@dataclass(frozen=True, kw_only=True)
class ParkedTask:
    """A parked task, without its token.

    Attributes:
        key: Key of its object.
        at: When it checked in, ISO 8601.
        execution: ARN of its execution; None if the check-in did not say.
        state: Name of its state; None if the check-in did not say.
    """

    key: str
    at: str
    execution: str | None
    state: str | None


@dataclass(frozen=True, kw_only=True)
class Flag:
    """What a flag says.

    Attributes:
        state: `open`, `closed`, `draining`; `missing` where there is none.
        since: Since when it is closed, ISO 8601.
        by: Who began the maintenance.
        reason: Why.
        until: When it is to end by itself, ISO 8601.
    """

    state: str = "missing"
    since: str | None = None
    by: str | None = None
    reason: str | None = None
    until: str | None = None


class Bucket:
    """The objects of one gate.

    Args:
        gate: The gate.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        bucket = s3_backends[ACCOUNT_ID]["aws"].buckets.get(gate.bucket)
        # Not the store's own items(): they look up each key once more, and it may be deleted by then.
        versions = sorted(dict.items(bucket.keys)) if bucket else []
        self._objects = {
            key: written[-1]
            for key, written in versions
            if key.startswith(gate.root) and isinstance(written[-1], FakeKey)
        }

    def version(self) -> tuple[int, int]:
        """Return what changes whenever an object is written or deleted."""
        return len(self._objects), hash(tuple((key, found.last_modified) for key, found in self._objects.items()))

    def override(self) -> Flag:
        """Return the flag of a maintenance of all."""
        return self.flag(_ALL)

    def flag(self, name: str) -> Flag:
        """Return the flag of a state machine."""
        content = self._content(f"{self._gate.root}~flags/{name}.json")
        if content is None:
            return Flag()
        return Flag(
            state=str(content.get("state", "unreadable")),
            since=content.get("closed_at"),
            by=content.get("by"),
            reason=content.get("reason"),
            until=content.get("until"),
        )

    def names(self) -> set[str]:
        """Return the names of the state machines that have a flag or tasks."""
        flags = f"{self._gate.root}~flags/"
        inside = [key.removeprefix(self._gate.root).split("/")[0] for key in self._objects if "/" in key]
        written = {key.removeprefix(flags).removesuffix(".json") for key in self._objects if key.startswith(flags)}
        return written - {_ALL} | {name for name in inside if not name.startswith("~")}

    def parked(self, name: str, limit: int) -> tuple[int, list[ParkedTask]]:
        """Return how many tasks of a state machine are parked, and the first of them in the order of their resumption.

        Args:
            name: Name of the state machine.
            limit: How many tasks at most.
        """
        keys = list(self._below(f"{self._gate.root}{name}/"))
        return len(keys), list(self._tasks(keys[:limit]))

    def dead(self, name: str) -> int:
        """Return how many tasks were over when they were to be resumed."""
        return sum(1 for _ in self._below(f"{self._gate.root}~dead/{name}/"))

    def quarantined(self, name: str) -> int:
        """Return how many tasks nobody can resume."""
        return sum(1 for _ in self._below(f"{self._gate.root}~quarantine/{name}/"))

    def _below(self, folder: str) -> Iterator[str]:
        return (key for key in self._objects if key.startswith(folder))

    def _tasks(self, keys: Iterable[str]) -> Iterator[ParkedTask]:
        for key in keys:
            content = self._content(key) or {}
            at = content.get("timestamp") or iso(self._objects[key].last_modified)
            yield ParkedTask(key=key, at=str(at), execution=content.get("executionArn"), state=content.get("stateName"))

    def _content(self, key: str) -> dict[str, Any] | None:
        """Return the JSON object that is stored; None if nothing is, an empty one if it is something else."""
        if key not in self._objects:
            return None
        try:
            content = json.loads(self._objects[key].value)
        except ValueError:  # also: deleted in this moment
            return {}
        return content if isinstance(content, dict) else {}
