"""Requests and answers of an API Gateway HTTP API, payload format 2.0.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self

from shared.errors import WorkflowGatesError

# A click carries the whole message, which Slack limits to 50 blocks of 3,000 characters; percent-encoded JSON takes
# up to 12 bytes for a character outside ASCII. Real clicks stay far below; API Gateway would let 10 MB through.
MAX_BODY_LENGTH = 2 * 1024 * 1024


class UnreadableRequestError(WorkflowGatesError):
    """The request is refused before its content is looked at.

    Attributes:
        status: HTTP status that says why.
    """

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request as it came over the wire.

    Attributes:
        headers: By lower-case name.
        body: The raw bytes, as they were signed.
    """

    headers: Mapping[str, str]
    body: bytes

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> Self:
        """Read a request.

        Raises:
            UnreadableRequestError: If the body is too long, or not what its encoding flag says.
        """
        body = event.get("body") or ""
        if not isinstance(body, str):
            raise UnreadableRequestError(HTTPStatus.BAD_REQUEST, "the body is not text")
        if len(body) > MAX_BODY_LENGTH:
            raise UnreadableRequestError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is longer than {MAX_BODY_LENGTH} characters"
            )
        try:
            raw = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
        except ValueError:
            raise UnreadableRequestError(HTTPStatus.BAD_REQUEST, "the body is not encoded as declared") from None
        headers = event.get("headers") or {}
        return cls(headers={str(name).lower(): str(value) for name, value in headers.items()}, body=raw)


def is_request(event: Mapping[str, Any]) -> bool:
    """Return whether an event of this function is an HTTP request."""
    context = event.get("requestContext")
    return event.get("version") == "2.0" and isinstance(context, Mapping) and "http" in context


def answer(status: HTTPStatus, error: str | None = None) -> dict[str, Any]:
    """Return the answer to a request.

    Args:
        status: HTTP status.
        error: What was wrong, for whoever made the request; nothing where all is well: Slack wants an empty body.
    """
    return json_answer(status, None if error is None else {"error": error})


def json_answer(status: HTTPStatus, body: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return an answer that carries JSON, or nothing.

    Args:
        status: HTTP status.
        body: What Slack is to do with a submitted modal, or what was wrong.
    """
    if body is None:
        return {"statusCode": int(status)}
    headers = {"content-type": "application/json"}
    return {"statusCode": int(status), "headers": headers, "body": json.dumps(body)}
