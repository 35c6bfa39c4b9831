"""What the request URL answers, through the function's entry point."""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from slack_webhook import handler as entry
from slack_webhook.http_api import MAX_BODY_LENGTH
from tests.unit.slack_webhook.conftest import FIXTURES, Clicker, FakeAws, FakeSlack, form, http_event, load

OK = {"statusCode": 200}
Records = Callable[[str], list[dict[str, Any]]]
SSL_CHECK = (FIXTURES / "slack" / "ssl_check.form").read_bytes().strip()


def status(answer: dict[str, Any] | None) -> int:
    assert answer
    return int(answer["statusCode"])


def unsigned(body: bytes) -> dict[str, Any]:
    event = http_event(body)
    del event["headers"]["x-slack-signature"]
    del event["headers"]["x-slack-request-timestamp"]
    return event


def test_a_forged_click_is_refused_and_nothing_happens(
    clicker: Clicker, aws: FakeAws, slack: FakeSlack, records: Records
) -> None:
    answer = clicker.send(clicker.payload(), secret="guessed")
    assert status(answer) == 401
    assert aws.server.calls == []
    assert slack.server.calls == []
    [record] = records("request refused")
    assert (record["status"], record["reason"]) == (401, "signature does not match")


@pytest.mark.parametrize("age", [301, -301])
def test_a_replayed_click_is_refused_by_its_timestamp(clicker: Clicker, aws: FakeAws, age: int) -> None:
    assert status(clicker.send(clicker.payload(), timestamp=time.time() - age)) == 401
    assert aws.server.calls == []


def test_a_click_whose_body_was_changed_is_refused(clicker: Clicker, aws: FakeAws) -> None:
    event = http_event(form(clicker.payload()), encoded=False)
    event["body"] = event["body"].replace("U0123ABCD", "U0456EFGH")
    assert status(entry.handler(event, None)) == 401
    assert aws.server.calls == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-slack-request-timestamp": "soon"},
        {"x-slack-signature": "v0=ä"},
        {"x-slack-signature": "v0=" + "0" * 64 + "," + "v0=" + "0" * 64},
        {"x-slack-request-timestamp": "9" * 400},
        {"x-slack-signature": None},
    ],
    ids=["none", "timestamp", "not ascii", "twice", "huge", "null"],
)
def test_hostile_headers_are_refused_and_never_crash(clicker: Clicker, headers: dict[str, Any]) -> None:
    event = http_event(form(clicker.payload()))
    event["headers"] = event["headers"] | headers if headers else {}
    assert status(entry.handler(event, None)) == 401


@pytest.mark.parametrize("body", [b"", b"payload=", b"payload=%7B", b"payload=[1]", b"\xff", b"text=hello"], ids=repr)
def test_a_signed_body_that_is_not_slacks_is_a_bad_request(aws: FakeAws, body: bytes) -> None:
    answer = entry.handler(http_event(body), None)
    assert status(answer) == 400
    assert answer
    assert json.loads(answer["body"])["error"]
    assert aws.server.calls == []


@pytest.mark.parametrize(("body", "expected"), [("%%%", 400), ("A" * (MAX_BODY_LENGTH + 4), 413)])
def test_an_unreadable_body_is_refused_before_anything_else(aws: FakeAws, body: str, expected: int) -> None:
    event = http_event(b"") | {"body": body}
    assert status(entry.handler(event, None)) == expected
    assert aws.server.calls == []


def test_the_certificate_check_is_answered_signed_or_not(aws: FakeAws) -> None:
    assert entry.handler(http_event(SSL_CHECK), None) == OK
    assert entry.handler(unsigned(SSL_CHECK), None) == OK
    assert aws.server.calls == []


@pytest.mark.usefixtures("aws")
def test_a_certificate_check_with_a_wrong_signature_is_refused() -> None:
    assert status(entry.handler(http_event(SSL_CHECK, secret="guessed"), None)) == 401


def test_a_click_cannot_pass_unsigned_as_a_certificate_check(clicker: Clicker, aws: FakeAws) -> None:
    body = form(clicker.payload())
    assert status(entry.handler(unsigned(body), None)) == 401
    assert status(entry.handler(unsigned(body + b"&ssl_check=1"), None)) == 401
    assert entry.handler(unsigned(b"payload=%7B%7D&ssl_check=1"), None) == OK
    assert aws.server.calls == []


@pytest.mark.parametrize("fixture", ["view_submission.json", "shortcut.json", "block_actions_foreign_button.json"])
def test_unknown_interactions_are_accepted_and_logged(
    aws: FakeAws, slack: FakeSlack, records: Records, fixture: str
) -> None:
    payload = load(fixture)
    assert entry.handler(http_event(form(payload)), None) == OK
    assert records("unknown interaction ignored")[0]["interaction_type"] == payload["type"]
    assert aws.server.calls == []
    assert slack.server.calls == []


@pytest.mark.usefixtures("fresh")
def test_a_rotated_signing_secret_is_followed(clicker: Clicker, aws: FakeAws) -> None:
    secrets, arn = boto3.client("secretsmanager"), os.environ["SLACK_SIGNING_SECRET_ARN"]
    before = secrets.get_secret_value(SecretId=arn)["SecretString"]
    aws.open = dict.fromkeys(aws.open, True)
    clicker.click()
    try:
        secrets.put_secret_value(SecretId=arn, SecretString="rotated")
        assert status(clicker.send(clicker.payload(), secret="rotated")) == 200
    finally:
        secrets.put_secret_value(SecretId=arn, SecretString=before)
    assert len(aws.completions()) == 2


@pytest.mark.usefixtures("fresh")
def test_where_the_signing_secret_cannot_be_read_nobody_can_tell(
    clicker: Clicker, aws: FakeAws, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = os.environ["SLACK_SIGNING_SECRET_ARN"] + "-missing"
    monkeypatch.setenv("SLACK_SIGNING_SECRET_ARN", missing)
    assert status(clicker.click()) == 503
    assert missing in records("request not verified")[0]["reason"]
    assert aws.server.calls == []
