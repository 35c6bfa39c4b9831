"""Entry point: Slack's interactivity over HTTP, and the status of durable executions from EventBridge."""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from shared.errors import WorkflowGatesError
from slack_webhook import http_api, status_change
from slack_webhook.endpoint import Endpoint
from slack_webhook.settings import Settings
from slack_webhook.status_change import StatusChanges


class UnknownEventError(WorkflowGatesError):
    """The function was invoked with something that it does not understand."""


@cache
def _endpoint() -> Endpoint:
    return Endpoint(Settings.from_environment())


@cache
def _status_changes() -> StatusChanges:
    return StatusChanges(Settings.from_environment())


# On Lambda everything that a click needs is made at initialisation, where there is full CPU and Slack is not waiting.
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    _endpoint()


def handler(event: Any, context: object) -> dict[str, Any] | None:  # noqa: ARG001 - Lambda's signature
    """Handle one event.

    Args:
        event: An HTTP API request (payload format 2.0), or a `Durable Execution Status Change`.
        context: Unused.

    Returns:
        The answer to an HTTP request; nothing for a status change.

    Raises:
        UnknownEventError: If the event is neither.
    """
    if not isinstance(event, Mapping):
        raise UnknownEventError(f"the event is a JSON {type(event).__name__}, not an object")
    if http_api.is_request(event):
        return _endpoint().answer(event)
    if status_change.is_status_change(event):
        _status_changes().handle(event)
        return None
    raise UnknownEventError(
        f"event with source {event.get('source')!r}, detail-type {event.get('detail-type')!r} and fields "
        f"{sorted(event)} is neither an HTTP API request of payload format 2.0 nor a {status_change.DETAIL_TYPE!r}; "
        "point the HTTP API's route and the EventBridge rule at this function, and nothing else"
    )
