"""Parked tasks: one S3 object each, whose key is never used again, so plain writes and deletes are enough."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from maintenance.cloud import Cloud, ListedObject
from maintenance.keys import Keys
from maintenance.timestamps import to_text
from shared.errors import WorkflowGatesError

LONGEST_TOKEN = 2048
"""Characters of a task token; Step Functions API reference, SendTaskSuccess `taskToken`."""

_PAGE = 1000  # the most that S3 lists at once


class UnreadableTaskError(WorkflowGatesError):
    """An object with a parked task's name holds no task token. The message does not quote it."""


@dataclass(frozen=True, slots=True)
class ParkedTask:
    """The content of a parked task's object.

    Attributes:
        token: The Step Functions task token: whoever knows it can complete the task.
        timestamp: When it checked in.
    """

    token: str = field(repr=False)
    timestamp: str

    @classmethod
    def arriving(cls, token: str, now: datetime) -> Self:
        """Return the task that checks in now."""
        return cls(token, to_text(now))

    def to_json(self) -> bytes:
        """Return the object's body."""
        return json.dumps({"taskToken": self.token, "timestamp": self.timestamp}).encode()

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
        return cls(token, str(content.get("timestamp", "")))


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
