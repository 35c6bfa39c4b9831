import base64
from http import HTTPStatus
from typing import Any

import pytest

from slack_webhook.http_api import MAX_BODY_LENGTH, Request, UnreadableRequestError, answer, is_request
from tests.unit.slack_webhook.conftest import http_event


@pytest.mark.parametrize("encoded", [True, False])
def test_the_body_is_the_bytes_that_were_sent(encoded: bool) -> None:
    body = "payload=%7B%7D&note=ä".encode()
    assert Request.from_event(http_event(body, encoded=encoded)).body == body


def test_headers_are_found_in_any_case() -> None:
    event = http_event(b"")
    event["headers"] = {"X-Slack-Signature": "v0=1"}
    assert Request.from_event(event).headers == {"x-slack-signature": "v0=1"}


@pytest.mark.parametrize("missing", ["body", "headers"])
def test_a_request_without_body_or_headers_is_read(missing: str) -> None:
    event = http_event(b"")
    del event[missing]
    request = Request.from_event(event)
    assert request.body == b""


@pytest.mark.parametrize(
    ("body", "encoded", "status"),
    [
        ("not base64!", True, HTTPStatus.BAD_REQUEST),
        ("YQ", True, HTTPStatus.BAD_REQUEST),
        ("ä", True, HTTPStatus.BAD_REQUEST),
        ("\ud800", False, HTTPStatus.BAD_REQUEST),
        ({"payload": 1}, False, HTTPStatus.BAD_REQUEST),
        ("x" * (MAX_BODY_LENGTH + 1), False, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
        (base64.b64encode(b"x" * MAX_BODY_LENGTH).decode(), True, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    ],
    ids=["not base64", "padding", "not ascii", "surrogate", "object", "too long", "too long in base64"],
)
def test_an_unreadable_body_is_refused_with_the_status_that_says_why(
    body: Any, encoded: bool, status: HTTPStatus
) -> None:
    event = http_event(b"") | {"body": body, "isBase64Encoded": encoded}
    with pytest.raises(UnreadableRequestError) as caught:
        Request.from_event(event)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (http_event(b""), True),
        ({"version": "1.0", "requestContext": {"http": {}}}, False),
        ({"version": "2.0"}, False),
        ({"version": "0", "source": "aws.lambda"}, False),
        ({}, False),
    ],
)
def test_only_payload_format_2_is_a_request(event: dict[str, Any], expected: bool) -> None:
    assert is_request(event) is expected


def test_success_has_no_body_as_slack_wants_it() -> None:
    assert answer(HTTPStatus.OK) == {"statusCode": 200}
