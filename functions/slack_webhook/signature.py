"""Whether a request was signed by Slack.

Source: https://docs.slack.dev/authentication/verifying-requests-from-slack
"""

import hashlib
import hmac
import re
import time
from collections.abc import Callable, Mapping

from shared import logs
from shared.secrets import Secret, SecretError

SIGNATURE_HEADER = "x-slack-signature"
TIMESTAMP_HEADER = "x-slack-request-timestamp"

# Seconds by which Slack's clock and ours may differ; older requests may be replays.
MAX_AGE = 300
# Seconds between two readings of the secret that failing signatures may cause: anybody can send those.
REFRESH_INTERVAL = 60.0

_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_SIGNATURE = re.compile(r"v0=[0-9a-f]{64}")

_log = logs.logger(__name__)


class SignatureCheck:
    """Checks signatures, and follows when the signing secret is rotated.

    Args:
        secret: The app's signing secret.
        now: Seconds since the epoch.
        clock: Monotonic seconds.
    """

    def __init__(
        self, secret: Secret, now: Callable[[], float] = time.time, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._secret = secret
        self._now = now
        self._clock = clock
        self._refreshed_at: float | None = None

    def refusal(self, headers: Mapping[str, str], body: bytes) -> str | None:
        """Return why a request is not from Slack, or None if it is.

        Args:
            headers: By lower-case name.
            body: The raw body.

        Raises:
            SecretError: If the signing secret cannot be read, so that nobody can tell.
        """
        timestamp, signature = headers.get(TIMESTAMP_HEADER), headers.get(SIGNATURE_HEADER)
        if timestamp is None or signature is None:
            return "signature or timestamp header missing"
        if not _TIMESTAMP.fullmatch(timestamp) or not _SIGNATURE.fullmatch(signature):
            return "signature or timestamp header malformed"
        if abs(self._now() - int(timestamp)) > MAX_AGE:
            return f"timestamp more than {MAX_AGE} s away"
        if _signed(self._secret.value(), timestamp, body, signature):
            return None
        if self._refreshed() and _signed(self._secret.value(), timestamp, body, signature):
            return None
        return "signature does not match"

    def _refreshed(self) -> bool:
        """Read the secret anew, since it may have been rotated, unless that was done a moment ago."""
        now = self._clock()
        if self._refreshed_at is not None and now - self._refreshed_at < REFRESH_INTERVAL:
            return False
        self._refreshed_at = now
        try:
            self._secret.refresh()
        except SecretError as error:
            # The secret in hand still holds: a forged request must not turn into an outage.
            _log.warning("signing secret not refreshed", extra={"reason": str(error)})
            return False
        return True


def _signed(secret: str, timestamp: str, body: bytes, signature: str) -> bool:
    digest = hmac.new(secret.encode(), b"v0:" + timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"v0={digest}", signature)
