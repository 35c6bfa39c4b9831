"""What records of a request have in common, whoever writes them."""

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from shared.errors import WorkflowGatesError

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

SOURCE = "workflow-gates.approval"
DetailType = Literal["Approval Requested", "Approval Decided"]

# An entry of PutEvents may have 256 KB, and so may a line of the log; the rest is for what stands around the record:
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
_MAX_LENGTH = 240_000


class EventRefusedError(WorkflowGatesError):
    """EventBridge did not take an event; it may be sent again."""


def put_event(client: "EventBridgeClient", bus: str, detail_type: DetailType, detail: Mapping[str, Any]) -> None:
    """Send an event. Consumers may see it more than once: its `execution_arn` tells them.

    Args:
        client: EventBridge.
        bus: Name of the event bus.
        detail_type: What happened.
        detail: The record; must not hold a task token or callback id.

    Raises:
        EventRefusedError: If the bus does not take it.
        botocore.exceptions.ClientError: If AWS refuses the call.
    """
    entry: PutEventsRequestEntryTypeDef = {
        "EventBusName": bus,
        "Source": SOURCE,
        "DetailType": detail_type,
        "Detail": json.dumps(detail),
    }
    answer = client.put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        code = answer["Entries"][0].get("ErrorCode", "unknown")
        raise EventRefusedError(f"the event bus {bus} did not take {detail_type!r}: {code}")


def fitting(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record that fits into an event, with a visible mark where it had to be shortened.

    Of a request only the title is kept, of a decision all but the answers to the form and each vote's reason. The
    request's hash says which it was, and its execution has all of it.
    """
    if len(json.dumps(record)) <= _MAX_LENGTH:
        return dict(record)
    if "request" in record:
        return {**record, "request": {"title": record["request"]["title"]}, "request_truncated": True}
    votes = [vote | {"reason": None} for vote in record["votes"]]
    return {**record, "inputs": {}, "votes": votes, "decision_truncated": True}


def request_hash(request: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a request as hexadecimal digits: what was asked, provably.

    It is taken of the request's JSON in UTF-8 with sorted names and without spaces, so that callers can take it too.
    """
    text = json.dumps(request, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
