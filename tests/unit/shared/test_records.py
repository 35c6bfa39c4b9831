import hashlib
import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from shared.records import EventRefusedError, fitting, put_event, request_hash

ENTRY = {
    "EventBusName": "audit",
    "Source": "workflow-gates.approval",
    "DetailType": "Approval Decided",
    "Detail": json.dumps({"decision": "approved"}),
}


def test_the_hash_is_that_of_the_canonical_json_in_utf_8() -> None:
    expected = hashlib.sha256('{"fields":{"a":"ü","b":"1"},"title":"Deploy?"}'.encode()).hexdigest()

    assert request_hash({"title": "Deploy?", "fields": {"b": "1", "a": "ü"}}) == expected


def test_another_request_has_another_hash() -> None:
    assert request_hash({"title": "Deploy v1?"}) != request_hash({"title": "Deploy v2?"})


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}, None),
        (
            {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]},
            "audit did not take .*InternalFailure",
        ),
        ({"FailedEntryCount": 1, "Entries": [{}]}, "unknown"),
    ],
)
def test_an_event_is_sent_to_the_bus_and_a_refusal_is_an_error(answer: dict[str, Any], problem: str | None) -> None:
    client = boto3.client("events", region_name="us-east-2", aws_access_key_id="a", aws_secret_access_key="b")
    with Stubber(client) as stub:
        stub.add_response("put_events", answer, {"Entries": [ENTRY]})
        if problem:
            with pytest.raises(EventRefusedError, match=problem):
                put_event(client, "audit", "Approval Decided", {"decision": "approved"})
        else:
            put_event(client, "audit", "Approval Decided", {"decision": "approved"})
        stub.assert_no_pending_responses()


def test_a_request_that_is_too_long_for_an_event_leaves_a_visible_mark() -> None:
    request = {"title": "Deploy v1?", "description": "é" * 100_000}
    record = {"request": request, "request_hash": "0" * 64}

    assert fitting(record) == {"request": {"title": "Deploy v1?"}, "request_hash": "0" * 64, "request_truncated": True}
    assert fitting({"request": {"title": "x"}}) == {"request": {"title": "x"}}
