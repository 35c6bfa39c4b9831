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


def request_hash(request: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a request as hexadecimal digits: what was asked, provably.

    It is taken of the request's JSON in UTF-8 with sorted names and without spaces, so that callers can take it too.
    """
    text = json.dumps(request, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
