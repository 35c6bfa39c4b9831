"""Slack's Web API, with every failure sorted by what it says about the outcome."""

import http.client
import re
from collections.abc import Mapping
from typing import Any

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from shared.errors import WorkflowGatesError

DEFAULT_API_URL = "https://slack.com/api/"

_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500
# Slack's answers that say nothing about whether the call took effect, or that ask to try again:
# https://docs.slack.dev/reference/methods/chat.postMessage#errors
_TRANSIENT = frozenset({"fatal_error", "internal_error", "request_timeout", "service_unavailable", "team_added_to_org"})
_RATE_LIMITED = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_DEFAULT_RETRY_AFTER = 30
# Anything else in its place is the library's own text about an answer that is not Slack's.
_CODE = re.compile(r"[a-z][a-z0-9_]*")
_SCOPE = re.compile(r"[a-z][a-z0-9_.:,]*")


class SlackError(WorkflowGatesError):
    """A call to Slack did not succeed."""


class SlackRefusedError(SlackError):
    """Slack surely did not do it, and will not do it however often it is asked.

    Attributes:
        code: Slack's error code, such as `not_in_channel`.
        scope: The scope that the app lacks, where the code is `missing_scope`.
    """

    def __init__(self, method: str, code: str, scope: str | None = None) -> None:
        super().__init__(f"Slack refused {method}: {code}" + (f" {scope}" if scope else ""))
        self.code = code
        self.scope = scope


class SlackRateLimitedError(SlackError):
    """Slack surely did not do it now; it may be asked again later.

    Attributes:
        retry_after: Seconds to wait.
    """

    def __init__(self, method: str, retry_after: int) -> None:
        super().__init__(f"Slack limits the rate of {method}: try again after {retry_after} s")
        self.retry_after = retry_after


class SlackUnavailableError(SlackError):
    """Nobody knows whether Slack did it: the connection broke, or Slack failed while working."""


class Slack:
    """A bot in one workspace.

    Args:
        token: Bot token (`xoxb-...`).
        api_url: Base URL of the Web API, with a trailing slash.
        timeout: Seconds to wait for an answer.
    """

    def __init__(self, token: str, api_url: str = DEFAULT_API_URL, timeout: int = 10) -> None:
        # The library's own retries are off: after a dropped connection they would post a message twice.
        self._client = WebClient(token=token, base_url=api_url, timeout=timeout, retry_handlers=[])

    def call(self, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call a Web API method once.

        Args:
            method: Name of the method, such as `chat.postMessage`.
            arguments: Its arguments.

        Returns:
            Slack's answer (`ok` is true).

        Raises:
            SlackRefusedError: If Slack surely did not do it.
            SlackRateLimitedError: If Slack asks to wait.
            SlackUnavailableError: If the outcome is unknown.
        """
        try:
            # The library's own methods know which of Slack's take JSON and which take a query only.
            answer = getattr(self._client, method.replace(".", "_"))(**arguments)
        except SlackApiError as error:
            raise _sorted(method, error) from None  # its text repeats Slack's whole answer
        except (OSError, http.client.HTTPException, SlackClientError) as error:
            raise SlackUnavailableError(f"no answer from Slack to {method}: {type(error).__name__}") from error
        if not isinstance(answer.data, dict):
            raise SlackUnavailableError(f"Slack's answer to {method} is not JSON")
        return answer.data


def _sorted(method: str, error: SlackApiError) -> SlackError:
    status = error.response.status_code if hasattr(error.response, "status_code") else 0
    data = error.response.data if isinstance(getattr(error.response, "data", None), dict) else {}
    code = str(data.get("error", ""))
    if status == _TOO_MANY_REQUESTS or code in _RATE_LIMITED:
        return SlackRateLimitedError(method, _retry_after(error.response.headers))
    if not _CODE.fullmatch(code):
        return SlackUnavailableError(f"Slack's answer to {method} is not understood: HTTP {status}")
    if status >= _SERVER_ERROR or code in _TRANSIENT:
        return SlackUnavailableError(f"Slack failed at {method}: HTTP {status} {code}")
    needed = str(data.get("needed", ""))
    return SlackRefusedError(method, code, needed if _SCOPE.fullmatch(needed) else None)


def _retry_after(headers: Mapping[str, Any]) -> int:
    values = [str(value) for name, value in headers.items() if name.lower() == "retry-after"]
    return max(1, int(values[0])) if values and values[0].isdecimal() else _DEFAULT_RETRY_AFTER
