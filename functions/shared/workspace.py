"""The Slack workspace as the bot sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.secrets import Secret
from shared.slack import Slack, SlackRefusedError

# Answers that a rotated token explains: https://docs.slack.dev/reference/methods/auth.test#errors
_TOKEN_REFUSED = frozenset({"account_inactive", "invalid_auth", "not_authed", "token_expired", "token_revoked"})


@dataclass(frozen=True)
class Identity:
    """Where the bot is.

    Attributes:
        team: Id of the workspace.
        url: Address of the workspace with a trailing slash, if Slack says it.
    """

    team: str
    url: str | None


class Workspace:
    """Slack's Web API with the current bot token.

    Args:
        token: The bot token.
        api_url: Base URL of the Web API.
        timeout: Seconds to wait for an answer.
    """

    def __init__(self, token: Secret, api_url: str, timeout: int = 10) -> None:
        self._token = token
        self._api_url = api_url
        self._timeout = timeout
        self._slack: tuple[str, Slack] | None = None
        self._identity: tuple[str, Identity] | None = None

    def call(self, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call a Web API method; once more where Slack refuses a token that has been replaced since it was read.

        Raises:
            SecretError: If the token cannot be read.
            SlackError: As `shared.slack.Slack.call`.
        """
        used = self._token.value()
        try:
            return self._client(used).call(method, arguments)
        except SlackRefusedError as error:
            if error.code not in _TOKEN_REFUSED or self._token.refresh() == used:
                raise
        return self._client(self._token.value()).call(method, arguments)

    def identity(self) -> Identity:
        """Return where the bot is; asked once per token.

        Raises:
            SecretError: If the token cannot be read.
            SlackError: As `shared.slack.Slack.call`.
        """
        if self._identity is None or self._identity[0] != self._token.value():
            answer = self.call("auth.test", {})
            self._identity = (self._token.value(), Identity(answer["team_id"], answer.get("url")))
        return self._identity[1]

    def _client(self, token: str) -> Slack:
        if self._slack is None or self._slack[0] != token:
            self._slack = (token, Slack(token, self._api_url, self._timeout))
        return self._slack[1]
