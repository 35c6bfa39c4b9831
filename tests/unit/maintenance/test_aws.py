"""The port over botocore: moto where it does as AWS does, botocore's own stubs where it does not."""

import json
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from botocore.stub import Stubber

from maintenance.aws import Aws
from maintenance.cloud import (
    Cloud,
    CloudError,
    ConflictError,
    Event,
    ExecutionGoneError,
    MachineGoneError,
    TaskOverError,
    TokenRefusedError,
)
from tests.unit.maintenance.conftest import BUCKET, FUNCTION_ARN, MemoryAws, World

if TYPE_CHECKING:
    from collections.abc import Callable

ORDER = World.arn("Order")
TOKEN = "AQCYAAAAKgAAAAMAAAAAAAAAAW" * 20


@pytest.fixture
def aws(world: World) -> Aws:
    """Without the tests' own task tokens: the methods as they are deployed."""
    real = Aws.__new__(Aws)
    real.__dict__.update(vars(world.aws))
    return real


@pytest.fixture(params=["moto", "memory"])
def cloud(request: pytest.FixtureRequest, aws: Aws) -> Cloud:
    """The tests' cloud in memory has to do as AWS does, too."""
    return aws if request.param == "moto" else MemoryAws()


def test_objects_are_created_and_replaced_under_their_condition_only(cloud: Cloud) -> None:
    first = cloud.create_object("flag", b"1")
    with pytest.raises(ConflictError, match="s3:PutObject failed with PreconditionFailed"):
        cloud.create_object("flag", b"2")

    second = cloud.replace_object("flag", b"2", first)
    with pytest.raises(ConflictError):
        cloud.replace_object("flag", b"3", first)
    with pytest.raises(ConflictError):
        cloud.replace_object("missing", b"3", first)

    stored = cloud.get_object("flag")
    assert stored is not None
    assert (stored.body, stored.etag) == (b"2", second)
    assert cloud.list_folder("", 10).objects[0].etag == second


def test_objects_come_and_go(cloud: Cloud) -> None:
    assert cloud.get_object("key") is None
    cloud.put_object("key", b"{}")
    assert cloud.get_object("key") is not None

    cloud.delete_object("key")
    cloud.delete_object("key")

    assert cloud.get_object("key") is None


@pytest.mark.parametrize("code", ["ConditionalRequestConflict", "PreconditionFailed", "NoSuchKey"])
def test_every_lost_condition_is_a_conflict(aws: Aws, code: str) -> None:
    with Stubber(aws._s3) as stub:
        stub.add_client_error("put_object", code)
        with pytest.raises(ConflictError):
            aws.replace_object("flag", b"", '"etag"')


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket", "SlowDown"])
def test_other_failures_of_s3_are_no_conflict_and_no_missing_object(aws: Aws, code: str) -> None:
    operations: dict[str, Callable[[], object]] = {
        "put_object": lambda: aws.replace_object("flag", b"", '"etag"'),
        "get_object": lambda: aws.get_object("flag"),
        "delete_object": lambda: aws.delete_object("flag"),
        "list_objects_v2": lambda: aws.list_folder("", 1),
    }
    for name, operation in operations.items():
        with Stubber(aws._s3) as stub:
            stub.add_client_error(name, code, "the reason that AWS gives")
            with pytest.raises(CloudError, match=f"failed with {code}: the reason that AWS gives") as raised:
                operation()
        assert type(raised.value) is CloudError


def test_a_folder_is_listed_page_by_page_without_what_lies_below(cloud: Cloud) -> None:
    for key in ("a/", "a/1", "a/2", "a/deep/", "a/deep/4", "a/deep/5", "ab/6"):
        cloud.put_object(key, b"")

    keys: list[str] = []
    folders: list[str] = []
    after = None
    for _ in range(2):
        page = cloud.list_folder("a/", 2, after)
        keys += [listed.key for listed in page.objects]
        folders += page.folders
        after = page.after

    assert (keys, folders, after) == (["a/", "a/1", "a/2"], ["a/deep/"], None)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("TaskTimedOut", TaskOverError),
        ("TaskDoesNotExist", TaskOverError),
        ("InvalidToken", TokenRefusedError),
        ("ValidationException", TokenRefusedError),
        ("ThrottlingException", CloudError),
        ("KmsAccessDeniedException", CloudError),
    ],
)
@pytest.mark.parametrize("operation", ["send_task_success", "send_task_failure"])
def test_an_error_of_a_task_answer_has_its_meaning_and_never_quotes_the_token(
    aws: Aws, operation: str, code: str, kind: type[CloudError]
) -> None:
    with Stubber(aws._tokens) as stub:
        stub.add_client_error(operation, code, f"Value '{TOKEN}' at 'taskToken' failed to satisfy constraint")
        with pytest.raises(CloudError) as raised:
            getattr(aws, operation)(TOKEN, *(["{}"] if operation.endswith("success") else ["error", "cause"]))

    assert type(raised.value) is kind
    assert TOKEN not in "".join(traceback.format_exception(raised.value))
    assert code in str(raised.value)


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://states.us-east-2.amazonaws.com/"),
        ReadTimeoutError(endpoint_url="https://states.us-east-2.amazonaws.com/"),
    ],
)
def test_a_broken_connection_is_a_cloud_error(aws: Aws, error: Exception) -> None:
    def fail(**_: Any) -> None:
        raise error

    aws._tokens.meta.events.register("before-send.sfn.SendTaskSuccess", fail, unique_id="broken")
    try:
        with pytest.raises(CloudError, match=f"states:SendTaskSuccess failed with {type(error).__name__}"):
            aws.send_task_success(TOKEN, "{}")
    finally:
        aws._tokens.meta.events.unregister("before-send.sfn.SendTaskSuccess", unique_id="broken")


def test_task_answers_are_never_retried_behind_the_flags_back_and_all_else_is(aws: Aws) -> None:
    attempts = {
        client.meta.service_model.service_id: client.meta.config.retries["total_max_attempts"]  # type: ignore[attr-defined]
        for client in (aws._s3, aws._states, aws._tagging, aws._functions)
    }

    assert attempts == {"S3": 3, "SFN": 3, "Resource Groups Tagging API": 3, "Lambda": 3}
    assert aws._tokens.meta.config.retries["total_max_attempts"] == 1  # type: ignore[attr-defined]


def test_tags_are_set_read_found_and_removed(cloud: Cloud) -> None:
    cloud.tag(ORDER, {"Maintenance": "true", "MaintenanceUntil": ""})

    assert cloud.list_tags(ORDER) == {"Maintenance": "true", "MaintenanceUntil": ""}
    assert cloud.list_tagged("Maintenance").tags == {ORDER: {"Maintenance": "true", "MaintenanceUntil": ""}}
    assert cloud.list_tagged("CostCenter").tags == {}

    cloud.untag(ORDER, ["Maintenance", "MaintenanceUntil"])
    assert cloud.list_tags(ORDER) == {}


def test_tagged_machines_are_listed_page_by_page(aws: Aws) -> None:
    mapping = {"ResourceARN": ORDER, "Tags": [{"Key": "Maintenance", "Value": "true"}]}
    with Stubber(aws._tagging) as stub:
        stub.add_response("get_resources", {"ResourceTagMappingList": [mapping], "PaginationToken": "more"})
        stub.add_response("get_resources", {"ResourceTagMappingList": [], "PaginationToken": ""})
        first = aws.list_tagged("Maintenance")
        second = aws.list_tagged("Maintenance", first.after)

    assert (first.after, second.after) == ("more", None)


@pytest.mark.parametrize("code", ["ResourceNotFound", "StateMachineDoesNotExist"])
def test_a_state_machine_that_does_not_exist_has_no_tags_and_takes_none(aws: Aws, code: str) -> None:
    with Stubber(aws._states) as stub:
        stub.add_client_error("list_tags_for_resource", code)
        stub.add_client_error("tag_resource", code)
        stub.add_client_error("untag_resource", code)

        assert aws.list_tags(ORDER) == {}
        with pytest.raises(MachineGoneError):
            aws.tag(ORDER, {"Maintenance": "true"})
        with pytest.raises(MachineGoneError):
            aws.untag(ORDER, ["Maintenance"])


def test_a_fresh_invocation_is_started_asynchronously_through_the_alias(aws: Aws) -> None:
    payload = json.dumps({"action": "sweep"})
    with Stubber(aws._functions) as stub:
        expected = {"FunctionName": FUNCTION_ARN, "InvocationType": "Event", "Payload": payload}
        stub.add_response("invoke", {"StatusCode": 202}, expected)

        aws.invoke(FUNCTION_ARN, payload)
        stub.assert_no_pending_responses()


def test_objects_are_json(aws: Aws) -> None:
    aws.put_object("key", b"{}")

    assert aws._s3.head_object(Bucket=BUCKET, Key="key")["ContentType"] == "application/json"


FUNCTION = "arn:aws:lambda:us-east-2:123456789012:function:orders-maintenance"
EVENTS = [Event("Maintenance Began", {"since": "2030-01-01T00:00:00.000Z"}), Event("Maintenance Ended", {"dead": 0})]
ENTRIES = [
    {
        "EventBusName": "default",
        "Source": "workflow-gates.maintenance",
        "Resources": [FUNCTION],
        "DetailType": "Maintenance Began",
        "Detail": '{"since": "2030-01-01T00:00:00.000Z"}',
    },
    {
        "EventBusName": "default",
        "Source": "workflow-gates.maintenance",
        "Resources": [FUNCTION],
        "DetailType": "Maintenance Ended",
        "Detail": '{"dead": 0}',
    },
]


def test_events_go_to_the_bus_in_one_request(aws: Aws) -> None:
    with Stubber(aws._events) as stub:
        stub.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}, {"Entries": ENTRIES})
        aws.put_events(EVENTS, FUNCTION)
        stub.assert_no_pending_responses()


def test_an_event_that_the_bus_did_not_take_is_an_error(aws: Aws) -> None:
    answer = {
        "FailedEntryCount": 1,
        "Entries": [{"EventId": "1"}, {"ErrorCode": "InternalFailure", "ErrorMessage": "x"}],
    }
    with Stubber(aws._events) as stub:
        stub.add_response("put_events", answer, {"Entries": ENTRIES})
        with pytest.raises(CloudError, match="events:PutEvents failed with InternalFailure: x"):
            aws.put_events(EVENTS, FUNCTION)


def test_an_execution_is_described_by_its_status_and_start(aws: Aws) -> None:
    runs = [aws._states.start_execution(stateMachineArn=ORDER)["executionArn"] for _ in range(2)]
    aws._states.stop_execution(executionArn=runs[0])

    stopped, goes_on = (aws.describe_execution(run) for run in runs)

    assert (stopped.status, goes_on.status) == ("ABORTED", "RUNNING")
    assert stopped.started.tzinfo is not None
    with pytest.raises(ExecutionGoneError):
        aws.describe_execution(World.execution(run="never"))
