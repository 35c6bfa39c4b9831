"""What Terraform tells the function about its deployment."""

import json
from dataclasses import dataclass
from typing import Self

from shared import environment
from shared.errors import ConfigurationError
from shared.slack import DEFAULT_API_URL


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The function's environment.

    Attributes:
        bot_token_arn: ARN of the secret or parameter that holds the bot token.
        api_url: Base URL of Slack's Web API.
        channel: Where requests go that name no channel.
        bucket: Bucket of the claims.
        event_bus: Name of the EventBridge bus of the gate's events.
        environment: Label of the deployment, shown in every message.
        execution_timeout: Seconds after which AWS ends an execution.
        default_timeout: Seconds that a request waits unless it says otherwise.
        approvers: Slack user ids of who may decide unless a request says otherwise.
    """

    bot_token_arn: str
    api_url: str
    channel: str
    bucket: str
    event_bus: str
    environment: str
    execution_timeout: int
    default_timeout: int
    approvers: tuple[str, ...]

    @classmethod
    def from_environment(cls) -> Self:
        """Read the environment variables.

        Raises:
            ConfigurationError: If one is missing or wrong.
        """
        return cls(
            bot_token_arn=environment.required(
                "SLACK_BOT_TOKEN_ARN", "the ARN of the secret or parameter that holds Slack's bot token"
            ),
            api_url=environment.optional("SLACK_API_URL", DEFAULT_API_URL),
            channel=environment.required("SLACK_CHANNEL", "the Slack channel of requests that name none"),
            bucket=environment.required("BUCKET", "the name of the module's bucket"),
            event_bus=environment.optional("EVENT_BUS_NAME", "default"),
            environment=environment.required("ENVIRONMENT", "the label of this deployment, such as prod"),
            execution_timeout=environment.required_integer(
                "EXECUTION_TIMEOUT_SECONDS", "the durable function's execution timeout in seconds"
            ),
            default_timeout=environment.required_integer(
                "DEFAULT_TIMEOUT_SECONDS", "the seconds that a request waits unless it says otherwise"
            ),
            approvers=_user_ids("APPROVERS"),
        )


def _user_ids(name: str) -> tuple[str, ...]:
    text = environment.optional(name, "[]")
    try:
        ids = json.loads(text)
    except ValueError:
        ids = None
    if not isinstance(ids, list) or not all(isinstance(item, str) for item in ids):
        raise ConfigurationError(
            f'environment variable {name} is {text!r}; set it to a JSON list of Slack user ids, such as ["U0123ABCD"]'
        )
    return tuple(ids)
