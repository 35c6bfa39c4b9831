"""What the gate asks of AWS: one method is one request. Nothing else in this package talks to AWS."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from shared.errors import WorkflowGatesError


class CloudError(WorkflowGatesError):
    """A request failed; whether it took effect is unknown.

    The explanation is left out where AWS may quote a task token in it.

    Attributes:
        operation: The request, for example `s3:PutObject`.
        code: AWS's error code, or the name of the transport's error.
    """

    def __init__(self, operation: str, code: str, explanation: str = "") -> None:
        super().__init__(f"{operation} failed with {code}" + (f": {explanation}" if explanation else ""))
        self.operation = operation
        self.code = code


class ConflictError(CloudError):
    """A conditional write found another object than the one it was to replace (412, 409, 404)."""


class TaskOverError(CloudError):
    """Step Functions says that the token's task has ended (or an earlier answer's response was lost)."""


class TokenRefusedError(CloudError):
    """Step Functions says that this never was a task token."""


class ExecutionGoneError(CloudError):
    """The execution does not exist, or not any more: nobody knows how it ended."""


class MachineGoneError(CloudError):
    """The state machine does not exist."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An S3 object; the body may hold a task token."""

    body: bytes = field(repr=False)
    etag: str


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An S3 object as a listing shows it."""

    key: str
    etag: str
    modified: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a folder's listing: its objects, its folders, and where the next page begins."""

    objects: Sequence[ListedObject]
    folders: Sequence[str]
    after: str | None


@dataclass(frozen=True, slots=True)
class TaggedPage:
    """One page of the state machines (by ARN) that have some tag, with all of their tags."""

    tags: Mapping[str, Mapping[str, str]]
    after: str | None


@dataclass(frozen=True, slots=True)
class Execution:
    """An execution's status, as Step Functions calls it, and when it started."""

    status: str
    started: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """Something to be told on the event bus."""

    detail_type: str
    detail: Mapping[str, Any]


class Cloud(Protocol):
    """The requests. All raise `CloudError` beside what they name."""

    def get_object(self, key: str) -> StoredObject | None:
        """Read an object; None if there is none."""

    def put_object(self, key: str, body: bytes) -> None:
        """Write an object whose key nobody else writes."""

    def create_object(self, key: str, body: bytes) -> str:
        """Write an object if there is none, and return its ETag.

        Raises:
            ConflictError: If there is one.
        """

    def replace_object(self, key: str, body: bytes, etag: str) -> str:
        """Write an object if it still has this ETag, and return its new one.

        Raises:
            ConflictError: If it has not, or is gone.
        """

    def delete_object(self, key: str) -> None:
        """Delete an object; deleting none is fine."""

    def list_folder(self, folder: str, limit: int, after: str | None = None) -> Page:
        """List at most `limit` (1 to 1,000) objects and folders directly in a folder, in the order of keys."""

    def send_task_success(self, token: str, output: str) -> None:
        """Complete a Step Functions task with a JSON output.

        Raises:
            TaskOverError: If the task has ended.
            TokenRefusedError: If this is no task token.
        """

    def send_task_failure(self, token: str, error: str, cause: str) -> None:
        """Fail a Step Functions task.

        Raises:
            TaskOverError: If the task has ended.
            TokenRefusedError: If this is no task token.
        """

    def describe_execution(self, arn: str) -> Execution:
        """Look at an execution.

        Raises:
            ExecutionGoneError: If it does not exist.
        """

    def list_tags(self, machine_arn: str) -> Mapping[str, str]:
        """Read a state machine's tags; one that does not exist has none."""

    def tag(self, machine_arn: str, tags: Mapping[str, str]) -> None:
        """Set tags of a state machine, all at once.

        Raises:
            MachineGoneError: If it does not exist.
        """

    def untag(self, machine_arn: str, names: Sequence[str]) -> None:
        """Remove tags of a state machine, all at once.

        Raises:
            MachineGoneError: If it does not exist.
        """

    def list_tagged(self, tag: str, after: str | None = None) -> TaggedPage:
        """List the state machines that have a tag, whatever its value. May lag behind `list_tags`."""

    def put_events(self, events: Sequence[Event], function_arn: str) -> None:
        """Send at most 10 events of this function to the event bus; if it fails, some may have arrived."""

    def invoke(self, function_arn: str, payload: str) -> None:
        """Start a Lambda function asynchronously; it may never run."""
