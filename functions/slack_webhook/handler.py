"""Entry point: Slack's interactivity over HTTP, and events of both gates from EventBridge."""

import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from shared.errors import WorkflowGatesError
from slack_webhook import http_api, notice, status_change
from slack_webhook.endpoint import Endpoint
from slack_webhook.notices import Notices
from slack_webhook.settings import Settings
from slack_webhook.status_change import StatusChanges


class UnknownEventError(WorkflowGatesError):
    """The function was invoked with something that it does not understand."""


@cache
def _endpoint() -> Endpoint:
    return Endpoint(Settings.from_environment())


@cache
def _status_changes() -> StatusChanges | None:
    settings = Settings.from_environment()
    return StatusChanges(settings, settings.approval) if settings.approval else None


@cache
def _notices() -> Notices | None:
    settings = Settings.from_environment()
    return Notices(settings, settings.maintenance.channel) if settings.maintenance else None


# On Lambda everything that a click needs is made at initialisation, where there is full CPU and Slack is not waiting.
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    _endpoint()


def handler(event: Any, context: Any) -> dict[str, Any] | None:
    """Handle one event.

    Args:
        event: An HTTP API request (payload format 2.0), a `Durable Execution Status Change`, or an event of the
            maintenance function.
        context: Lambda's.

    Returns:
        The answer to an HTTP request; nothing for an event.

    Raises:
        UnknownEventError: If the event is none of these, or of a gate that this function is not deployed for.
    """
    if not isinstance(event, Mapping):
        raise UnknownEventError(f"the event is a JSON {type(event).__name__}, not an object")
    if http_api.is_request(event):
        return _endpoint().answer(event)
    if status_change.is_status_change(event) and (changes := _status_changes()):
        changes.handle(event)
        return None
    if notice.is_event(event) and (notices := _notices()):
        notices.handle(event, lambda: context.get_remaining_time_in_millis() / 1000)
        return None
    raise UnknownEventError(
        f"event with source {event.get('source')!r}, detail-type {event.get('detail-type')!r} and fields "
        f"{sorted(event)} is neither an HTTP API request of payload format 2.0, nor an event of a gate that this "
        f"function is deployed for ({status_change.DETAIL_TYPE!r}, or one of {notice.SOURCE}); point the HTTP API's "
        "route and the gates' EventBridge rules at this function, and nothing else"
    )
