"""The gate's requests to AWS through boto3."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from maintenance.cloud import (
    CloudError,
    ConflictError,
    Event,
    Execution,
    ExecutionGoneError,
    ListedObject,
    MachineGoneError,
    Page,
    StoredObject,
    TaggedPage,
    TaskOverError,
    TokenRefusedError,
)

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_resourcegroupstaggingapi import ResourceGroupsTaggingAPIClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2RequestTypeDef
    from mypy_boto3_stepfunctions import SFNClient

SOURCE = "workflow-gates.maintenance"
"""Source of this gate's events."""

_TIMEOUT = 5  # seconds to connect, and to wait for an answer
IN_FLIGHT = 16
"""Tasks that a drain resumes at once: each takes three requests of some 10 to 30 ms, so about 12 give 200 a second."""

_RETRIED = Config(
    connect_timeout=_TIMEOUT,
    read_timeout=_TIMEOUT,
    max_pool_connections=IN_FLIGHT,
    retries={"mode": "standard", "total_max_attempts": 3},
)
# A token must not be answered later than the flag was checked: botocore would retry without looking.
_ONCE = _RETRIED.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))

_KINDS: Mapping[str, type[CloudError]] = {
    "PreconditionFailed": ConflictError,
    "ConditionalRequestConflict": ConflictError,
    "TaskTimedOut": TaskOverError,
    "TaskDoesNotExist": TaskOverError,
    "InvalidToken": TokenRefusedError,
    "ExecutionDoesNotExist": ExecutionGoneError,
    "ResourceNotFound": MachineGoneError,
    "StateMachineDoesNotExist": MachineGoneError,
}


class Aws:
    """Implements `maintenance.cloud.Cloud`."""

    def __init__(self, bucket: str, bus: str = "default") -> None:
        """Makes the clients from the environment's region, credentials and endpoint.

        Args:
            bucket: Where flags and parked tasks are.
            bus: Name of the event bus that is told.
        """
        self._bucket = bucket
        self._bus = bus
        self._s3: S3Client = boto3.client("s3", config=_RETRIED)
        self._states: SFNClient = boto3.client("stepfunctions", config=_RETRIED)
        self._tokens: SFNClient = boto3.client("stepfunctions", config=_ONCE)
        self._tagging: ResourceGroupsTaggingAPIClient = boto3.client("resourcegroupstaggingapi", config=_RETRIED)
        self._events: EventBridgeClient = boto3.client("events", config=_RETRIED)
        self._functions: LambdaClient = boto3.client("lambda", config=_RETRIED)

    def get_object(self, key: str) -> StoredObject | None:
        """Read an object."""
        with _translated("s3:GetObject"):
            try:
                answer = self._s3.get_object(Bucket=self._bucket, Key=key)
            except self._s3.exceptions.NoSuchKey:
                return None
            return StoredObject(answer["Body"].read(), answer["ETag"])

    def put_object(self, key: str, body: bytes) -> None:
        """Write an object."""
        with _translated("s3:PutObject"):
            self._s3.put_object(Bucket=self._bucket, Key=key, Body=body, ContentType="application/json")

    def create_object(self, key: str, body: bytes) -> str:
        """Write an object if there is none."""
        with _translated("s3:PutObject"):
            answer = self._s3.put_object(
                Bucket=self._bucket, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*"
            )
            return answer["ETag"]

    def replace_object(self, key: str, body: bytes, etag: str) -> str:
        """Write an object if it still has this ETag."""
        with _translated("s3:PutObject", {"NoSuchKey": ConflictError}):
            answer = self._s3.put_object(
                Bucket=self._bucket, Key=key, Body=body, ContentType="application/json", IfMatch=etag
            )
            return answer["ETag"]

    def delete_object(self, key: str) -> None:
        """Delete an object."""
        with _translated("s3:DeleteObject"):
            self._s3.delete_object(Bucket=self._bucket, Key=key)

    def list_folder(self, folder: str, limit: int, after: str | None = None) -> Page:
        """List objects and folders directly in a folder."""
        request: ListObjectsV2RequestTypeDef = {
            "Bucket": self._bucket,
            "Prefix": folder,
            "Delimiter": "/",
            "MaxKeys": limit,
        }
        if after is not None:
            request["ContinuationToken"] = after
        with _translated("s3:ListObjectsV2"):
            answer = self._s3.list_objects_v2(**request)
        return Page(
            tuple(ListedObject(one["Key"], one["ETag"], one["LastModified"]) for one in answer.get("Contents", ())),
            tuple(one["Prefix"] for one in answer.get("CommonPrefixes", ())),
            answer.get("NextContinuationToken"),
        )

    def send_task_success(self, token: str, output: str) -> None:
        """Complete a task."""
        with _translated("states:SendTaskSuccess", _TOKEN, quotable=False):
            self._tokens.send_task_success(taskToken=token, output=output)

    def send_task_failure(self, token: str, error: str, cause: str) -> None:
        """Fail a task."""
        with _translated("states:SendTaskFailure", _TOKEN, quotable=False):
            self._tokens.send_task_failure(taskToken=token, error=error, cause=cause)

    def describe_execution(self, arn: str) -> Execution:
        """Look at an execution."""
        with _translated("states:DescribeExecution"):
            answer = self._states.describe_execution(executionArn=arn, includedData="METADATA_ONLY")
        return Execution(answer["status"], answer["startDate"])

    def list_tags(self, machine_arn: str) -> Mapping[str, str]:
        """Read a state machine's tags."""
        try:
            with _translated("states:ListTagsForResource"):
                answer = self._states.list_tags_for_resource(resourceArn=machine_arn)
        except MachineGoneError:
            return {}
        return {tag["key"]: tag.get("value", "") for tag in answer.get("tags", ()) if "key" in tag}

    def tag(self, machine_arn: str, tags: Mapping[str, str]) -> None:
        """Set tags of a state machine."""
        with _translated("states:TagResource"):
            self._states.tag_resource(
                resourceArn=machine_arn, tags=[{"key": key, "value": value} for key, value in tags.items()]
            )

    def untag(self, machine_arn: str, names: Sequence[str]) -> None:
        """Remove tags of a state machine."""
        with _translated("states:UntagResource"):
            self._states.untag_resource(resourceArn=machine_arn, tagKeys=list(names))

    def list_tagged(self, tag: str, after: str | None = None) -> TaggedPage:
        """List the state machines that have a tag."""
        with _translated("tag:GetResources"):
            answer = self._tagging.get_resources(
                ResourceTypeFilters=["states:stateMachine"],
                TagFilters=[{"Key": tag}],
                PaginationToken=after or "",
            )
        return TaggedPage(
            {
                one["ResourceARN"]: {pair["Key"]: pair["Value"] for pair in one.get("Tags", ())}
                for one in answer.get("ResourceTagMappingList", ())
            },
            answer.get("PaginationToken") or None,
        )

    def put_events(self, events: Sequence[Event], function_arn: str) -> None:
        """Send events of this function; rules tell several gates on one bus apart by the resource."""
        entries: list[PutEventsRequestEntryTypeDef] = [
            {
                "EventBusName": self._bus,
                "Source": SOURCE,
                "Resources": [function_arn],
                "DetailType": event.detail_type,
                "Detail": json.dumps(event.detail),
            }
            for event in events
        ]
        with _translated("events:PutEvents"):
            answer = self._events.put_events(Entries=entries)
        for entry in answer["Entries"] if answer["FailedEntryCount"] else ():
            if "ErrorCode" in entry:
                raise CloudError("events:PutEvents", entry["ErrorCode"], entry.get("ErrorMessage", ""))

    def invoke(self, function_arn: str, payload: str) -> None:
        """Start a Lambda function asynchronously."""
        with _translated("lambda:Invoke"):
            self._functions.invoke(FunctionName=function_arn, InvocationType="Event", Payload=payload)


# Only the token can be invalid: it is the one argument that is not ours.
_TOKEN: Mapping[str, type[CloudError]] = {"ValidationException": TokenRefusedError}


@contextmanager
def _translated(
    operation: str, kinds: Mapping[str, type[CloudError]] | None = None, *, quotable: bool = True
) -> Iterator[None]:
    """Raise boto3's errors as the gate's, without boto3's own: they may quote a task token."""
    try:
        yield
    except ClientError as error:
        code = error.response["Error"].get("Code", "no code")
        kind = {**_KINDS, **(kinds or {})}.get(code, CloudError)
        explanation = error.response["Error"].get("Message", "") if quotable else ""
        raise kind(operation, code, explanation) from None
    except BotoCoreError as error:
        raise CloudError(operation, type(error).__name__) from None
