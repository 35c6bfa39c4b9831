"""Parked tasks: one S3 object each, whose key is never used again, so plain writes and deletes are enough."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from maintenance.cloud import Cloud, ListedObject
from maintenance.keys import Keys
from maintenance.timestamps import to_text
from shared.errors import WorkflowGatesError

LONGEST_TOKEN = 2048
"""Characters of a task token; Step Functions API reference, SendTaskSuccess `taskToken`."""

LARGEST_OUTPUT = 262_144
"""Bytes of a state's output in UTF-8; Step Functions Developer Guide, "Quotas related to task executions"."""

COUNTED = 10_000
"""Tasks of a folder that are counted: ten requests; nobody needs to know it more exactly to act."""

_PAGE = 1000  # the most that S3 lists at once


class UnreadableTaskError(WorkflowGatesError):
    """An object with a parked task's name holds no task token. The message does not quote it."""


@dataclass(frozen=True, slots=True)
class ParkedTask:
    """The content of a parked task's object.

    Attributes:
        token: The Step Functions task token: whoever knows it can complete the task.
        timestamp: When it checked in.
        execution_arn: Its execution, if the check-in names it.
        state_name: Its state, if the check-in names it.
        timeout_seconds: The state's `TimeoutSeconds`, if the check-in gives it.
        output: The JSON text that the task is to succeed with, if the check-in brings it.
    """

    token: str = field(repr=False)
    timestamp: str
    execution_arn: str | None = None
    state_name: str | None = None
    timeout_seconds: int | None = None
    output: str | None = field(default=None, repr=False)

    @classmethod
    def arriving(cls, token: str, now: datetime) -> Self:
        """Return the task that checks in now."""
        return cls(token, to_text(now))

    def to_json(self) -> bytes:
        """Return the object's body; what the check-in left out is left out."""
        content = {
            "taskToken": self.token,
            "timestamp": self.timestamp,
            "executionArn": self.execution_arn,
            "stateName": self.state_name,
            "timeoutSeconds": self.timeout_seconds,
        }
        given: dict[str, Any] = {name: value for name, value in content.items() if value is not None}
        if self.output is not None:
            given["output"] = json.loads(self.output)
        return json.dumps(given).encode()

    @classmethod
    def from_json(cls, body: bytes) -> Self:
        """Return the task that a body holds.

        Raises:
            UnreadableTaskError: If it holds none.
        """
        try:
            content = json.loads(body)
        except ValueError as error:
            raise UnreadableTaskError(f"it is not JSON ({type(error).__name__})") from None
        token = content.get("taskToken") if isinstance(content, dict) else None
        if not isinstance(token, str) or not 0 < len(token) <= LONGEST_TOKEN:
            raise UnreadableTaskError("it has no taskToken")
        return cls(
            token,
            str(content.get("timestamp", "")),
            content.get("executionArn"),
            content.get("stateName"),
            content.get("timeoutSeconds"),
            _output(content["output"]) if "output" in content else None,
        )


def output_text(value: object) -> str:
    """Return a JSON value as the text that a task can succeed with.

    Raises:
        ValueError: If there is no such text, or Step Functions takes none of that size. The message names no content.
    """
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        size = len(text.encode())
    except ValueError:
        raise ValueError("it is no JSON (a number that is none, or half a character)") from None
    if size > LARGEST_OUTPUT:
        raise ValueError(f"it has {size} bytes, and Step Functions takes at most {LARGEST_OUTPUT}")
    return text


def _output(value: object) -> str:
    try:
        return output_text(value)
    except ValueError as error:
        raise UnreadableTaskError(f"output: {error}") from None


@dataclass(frozen=True, slots=True)
class Count:
    """Tasks in a folder.

    Attributes:
        number: How many, `COUNTED` at most.
        more: Whether there are more.
        oldest: When the oldest came.
    """

    number: int = 0
    more: bool = False
    oldest: datetime | None = None


class Tasks:
    """The parked tasks in the bucket."""

    def __init__(self, cloud: Cloud, keys: Keys) -> None:
        self._cloud = cloud
        self._keys = keys

    def oldest(self, name: str, limit: int, *, but: Collection[str] = ()) -> list[str]:
        """Return the keys of a state machine's first parked tasks, in order of arrival.

        Objects of others in the folder are passed over, or the gate could never open beside them.

        Args:
            name: The state machine's name.
            limit: How many keys at most.
            but: Keys to pass over.

        Raises:
            CloudError: If S3 does not answer.
        """
        found: list[str] = []
        for listed in self._listing(self._keys.tasks(name), limit + len(but)):
            if listed.key not in but:
                found.append(listed.key)
                if len(found) == limit:
                    break
        return found

    def all(self, folder: str) -> Iterator[ListedObject]:
        """Iterate over all tasks in a folder (parked, dead or quarantined), page by page.

        Raises:
            CloudError: If S3 does not answer.
        """
        return self._listing(folder, _PAGE)

    def count(self, folder: str) -> Count:
        """Count the tasks in a folder (parked, dead or quarantined).

        Raises:
            CloudError: If S3 does not answer.
        """
        number, oldest = 0, None
        for task in self.all(folder):
            if number == COUNTED:
                return Count(number, more=True, oldest=oldest)
            number += 1
            oldest = task.modified if oldest is None else min(oldest, task.modified)
        return Count(number, oldest=oldest)

    def bury(self, name: str, key: str, body: bytes) -> None:
        """Keep a task whose token Step Functions calls over: error codes never delete a token (P10, D5)."""
        self._cloud.put_object(self._keys.dead(name) + key.rpartition("/")[2], body)

    def quarantine(self, name: str, key: str, body: bytes) -> None:
        """Keep a task that nobody can resume, out of the way of the others (D5)."""
        self._cloud.put_object(self._keys.quarantine(name) + key.rpartition("/")[2], body)

    def _listing(self, folder: str, first: int) -> Iterator[ListedObject]:
        page = self._cloud.list_folder(folder, min(first, _PAGE))
        while True:
            yield from (listed for listed in page.objects if self._keys.is_task(listed.key))
            if page.after is None:
                return
            page = self._cloud.list_folder(folder, _PAGE, page.after)
