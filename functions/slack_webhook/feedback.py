"""Telling people: private notes and the replaced message, through a click's `response_url`.

Slack ignores the body of the answer to a button, so everything goes this way. It may be used five times within 30
minutes: https://docs.slack.dev/interactivity/handling-user-interaction#message_responses
"""

import http.client
import json
import ssl
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from shared import logs
from slack_webhook.deadline import Deadline

# Seconds for a note even when the deadline has passed: late is better than never.
_AT_LEAST = 0.4
# Slack answers `ok`, or a short JSON object; more of it would only fill the log.
_ANSWER_LENGTH = 200

_log = logs.logger(__name__)
# Loading the certificates takes some 20 ms, so it is done at initialisation.
_TLS = ssl.create_default_context()


def note(response_url: str, text: str, deadline: Deadline) -> None:
    """Show a text (mrkdwn) to the person who clicked, and to nobody else."""
    _post("note", response_url, {"response_type": "ephemeral", "replace_original": False, "text": text}, deadline)


def replace(response_url: str, text: str, blocks: Sequence[Mapping[str, Any]], deadline: Deadline) -> None:
    """Replace the message that was clicked."""
    _post("replacement", response_url, {"replace_original": True, "text": text, "blocks": list(blocks)}, deadline)


def _post(what: str, response_url: str, body: Mapping[str, Any], deadline: Deadline) -> None:
    """Send once. A failure is logged and not raised: what was decided stays decided."""
    try:
        status, answer = _send(response_url, json.dumps(body).encode(), deadline)
    except (OSError, http.client.HTTPException, ValueError) as error:
        # By name only: some texts repeat the address.
        _log.warning("slack feedback not delivered", extra={"what": what, "reason": type(error).__name__})
        return
    # A refusal may come with status 200, as `{"ok":false,"error":"..."}`.
    if status != http.HTTPStatus.OK or b'"ok":false' in answer.replace(b" ", b""):
        _log.warning("slack feedback not delivered", extra={"what": what, "reason": f"HTTP {status} {answer!r}"})


def _send(url: str, body: bytes, deadline: Deadline) -> tuple[int, bytes]:
    parts = urlsplit(url)
    timeout = max(deadline.remaining(), _AT_LEAST)
    connection = (
        http.client.HTTPSConnection(parts.netloc, timeout=timeout, context=_TLS)
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.netloc, timeout=timeout)
    )
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        connection.request("POST", target, body, {"Content-Type": "application/json; charset=utf-8"})
        response = connection.getresponse()
        return response.status, response.read(_ANSWER_LENGTH)
    finally:
        connection.close()
