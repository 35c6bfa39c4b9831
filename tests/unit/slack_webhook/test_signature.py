import hashlib
import hmac
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slack_sdk.signature import Clock, SignatureVerifier

from shared.secrets import Secret, SecretError
from slack_webhook.signature import MAX_AGE, REFRESH_INTERVAL, SignatureCheck

SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
NOW = 1_531_420_618.0
# The example of https://docs.slack.dev/authentication/verifying-requests-from-slack
EXAMPLE_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
EXAMPLE_SIGNATURE = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"


class StoredSecret(Secret):
    """A secret whose store is a variable."""

    def __init__(self, stored: str | None = SECRET) -> None:
        self.stored = stored
        self.reads = 0
        self.held: str | None = None

    def value(self) -> str:
        return self.held or self.refresh()

    def refresh(self) -> str:
        self.reads += 1
        if self.stored is None:
            raise SecretError("cannot read the secret: throttled")
        self.held = self.stored
        return self.held


class At(Clock):
    def now(self) -> float:
        return NOW


def check(secret: Secret | None = None, clock: Callable[[], float] = time.monotonic) -> SignatureCheck:
    return SignatureCheck(secret or StoredSecret(), now=lambda: NOW, clock=clock)


def signed(body: bytes, secret: str = SECRET, timestamp: str = str(int(NOW))) -> dict[str, str]:
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return {"x-slack-request-timestamp": timestamp, "x-slack-signature": f"v0={digest}"}


def oracle(headers: dict[str, str], body: bytes) -> bool:
    try:
        return SignatureVerifier(SECRET, clock=At()).is_valid_request(body, headers)
    except (ValueError, TypeError):  # it raises on hostile headers and on bodies that are not UTF-8
        return False


def test_the_example_of_slacks_documentation_is_accepted() -> None:
    headers = {"x-slack-request-timestamp": "1531420618", "x-slack-signature": EXAMPLE_SIGNATURE}
    assert check().refusal(headers, EXAMPLE_BODY) is None


@given(body=st.text().map(str.encode), timestamp=st.integers(int(NOW) - 2 * MAX_AGE, int(NOW) + 2 * MAX_AGE))
def test_agrees_with_slacks_verifier_on_any_body_and_time(body: bytes, timestamp: int) -> None:
    headers = signed(body, timestamp=str(timestamp))
    assert (check().refusal(headers, body) is None) == oracle(headers, body)


@given(
    body=st.text().map(str.encode),
    signature=st.one_of(st.text(), st.from_regex(r"v0=[0-9a-f]{64}", fullmatch=True)),
    timestamp=st.one_of(st.text(), st.integers().map(str)),
)
def test_agrees_with_slacks_verifier_on_hostile_headers_and_never_raises(
    body: bytes, signature: str, timestamp: str
) -> None:
    headers = {"x-slack-request-timestamp": timestamp, "x-slack-signature": signature}
    assert (check().refusal(headers, body) is None) == oracle(headers, body)


@given(body=st.binary(), flipped=st.integers(min_value=0))
def test_one_changed_byte_of_any_body_is_refused(body: bytes, flipped: int) -> None:
    headers = signed(body)
    assert check().refusal(headers, body) is None
    position = flipped % (len(body) + 1)
    changed = body[:position] + b"x" + body[position:]
    assert check().refusal(headers, changed) == "signature does not match"


@pytest.mark.parametrize("timestamp", ["", " 1531420618", "+1531420618", "1_531_420_618", "١٥٣١٤٢٠٦١٨", "1e9", "-1"])
def test_a_timestamp_that_is_not_plain_digits_is_refused_even_if_it_was_signed(timestamp: str) -> None:
    headers = signed(b"body", timestamp=timestamp)
    assert check().refusal(headers, b"body") == "signature or timestamp header malformed"


@pytest.mark.parametrize("missing", ["x-slack-request-timestamp", "x-slack-signature"])
def test_a_missing_header_is_refused_without_reading_the_secret(missing: str) -> None:
    secret, headers = StoredSecret(), signed(b"body")
    del headers[missing]
    assert check(secret).refusal(headers, b"body") == "signature or timestamp header missing"
    assert secret.reads == 0


@pytest.mark.parametrize(("offset", "accepted"), [(-300, True), (300, True), (-301, False), (301, False)])
def test_timestamps_are_accepted_up_to_five_minutes_away(offset: int, accepted: bool) -> None:
    headers = signed(b"body", timestamp=str(int(NOW) + offset))
    assert (check().refusal(headers, b"body") is None) == accepted


def test_a_rotated_secret_is_read_when_the_first_signature_fails() -> None:
    secret = StoredSecret("old-secret")
    checker = check(secret)
    assert checker.refusal(signed(b"body", "old-secret"), b"body") is None
    secret.stored = "new-secret"
    assert checker.refusal(signed(b"body", "new-secret"), b"body") is None
    assert secret.reads == 2


def test_forged_traffic_causes_at_most_one_reading_per_interval() -> None:
    secret, now = StoredSecret(), [0.0]
    checker = check(secret, clock=lambda: now[0])
    for second in range(100):
        now[0] = second * REFRESH_INTERVAL / 100
        assert checker.refusal(signed(b"body", "forged"), b"body") == "signature does not match"
    assert secret.reads == 2  # the first use, and one refresh
    now[0] = REFRESH_INTERVAL
    checker.refusal(signed(b"body", "forged"), b"body")
    assert secret.reads == 3


def test_malformed_signatures_cause_no_reading() -> None:
    secret = StoredSecret()
    checker = check(secret)
    for signature in ("", "v0=", "v1=" + "0" * 64, "v0=" + "g" * 64, "v0=" + "0" * 63):
        checker.refusal(signed(b"body") | {"x-slack-signature": signature}, b"body")
    assert secret.reads == 0


def test_a_secret_that_cannot_be_refreshed_does_not_turn_a_forgery_into_an_outage() -> None:
    secret = StoredSecret()
    checker = check(secret)
    assert checker.refusal(signed(b"body"), b"body") is None
    secret.stored = None
    assert checker.refusal(signed(b"body", "forged"), b"body") == "signature does not match"
    assert checker.refusal(signed(b"body"), b"body") is None


def test_without_any_secret_nobody_can_tell() -> None:
    with pytest.raises(SecretError):
        check(StoredSecret(None)).refusal(signed(b"body"), b"body")
