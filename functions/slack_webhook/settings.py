"""Settings of the function."""

import re
from dataclasses import dataclass
from typing import Self

from shared import environment
from shared.errors import ConfigurationError
from shared.slack import DEFAULT_API_URL

_FUNCTION_ARN = re.compile(r"arn:[\w-]+:lambda:[\w-]+:\d{12}:function:[\w-]+")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What Terraform tells the function.

    Attributes:
        signing_secret_arn: Where the signing secret of the Slack app is kept.
        bot_token_arn: Where the bot token is kept.
        api_url: Base URL of Slack's Web API.
        bucket: Name of the bucket that holds the claims.
        approval_function_arn: ARN of the approval function, without version or alias.
        environment: Label of the deployment, shown in messages.
        event_bus: Name of the event bus that `Approval Decided` goes to.
    """

    signing_secret_arn: str
    bot_token_arn: str
    api_url: str
    bucket: str
    approval_function_arn: str
    environment: str
    event_bus: str

    @classmethod
    def from_environment(cls) -> Self:
        """Read the settings.

        Raises:
            ConfigurationError: If one is missing or wrong.
        """
        function_arn = environment.required("APPROVAL_FUNCTION_ARN", "the ARN of the approval function")
        if not _FUNCTION_ARN.fullmatch(function_arn):
            raise ConfigurationError(
                f"environment variable APPROVAL_FUNCTION_ARN is {function_arn!r}; set it to the ARN of the approval "
                "function without version or alias (arn:aws:lambda:REGION:ACCOUNT:function:NAME)"
            )
        return cls(
            signing_secret_arn=environment.required("SLACK_SIGNING_SECRET_ARN", "the ARN of the app's signing secret"),
            bot_token_arn=environment.required("SLACK_BOT_TOKEN_ARN", "the ARN of the app's bot token"),
            api_url=environment.optional("SLACK_API_URL", DEFAULT_API_URL),
            bucket=environment.required("BUCKET", "the name of the bucket that holds approval-claims/"),
            approval_function_arn=function_arn,
            environment=environment.required("ENVIRONMENT", "the label of the deployment that messages show"),
            event_bus=environment.optional("EVENT_BUS_NAME", "default"),
        )
