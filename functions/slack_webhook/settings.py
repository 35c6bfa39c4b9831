"""Settings of the function."""

import json
import os
import re
from dataclasses import dataclass
from typing import Self

from shared import environment
from shared.errors import ConfigurationError
from shared.slack import DEFAULT_API_URL

_FUNCTION = r"arn:[\w-]+:lambda:[\w-]+:\d{12}:function:[\w-]+"
_FUNCTION_ARN = re.compile(_FUNCTION)
_ALIAS_ARN = re.compile(rf"{_FUNCTION}:[\w-]+")


@dataclass(frozen=True, kw_only=True)
class ApprovalSettings:
    """What clicks on requests need.

    Attributes:
        function_arn: ARN of the approval function, without version or alias.
        bucket: Name of the bucket that holds the claims.
        event_bus: Name of the event bus that `Approval Decided` goes to.
    """

    function_arn: str
    bucket: str
    event_bus: str

    @classmethod
    def from_environment(cls) -> Self | None:
        """Read the settings; None where there is no approval gate.

        Raises:
            ConfigurationError: If one is missing or wrong.
        """
        function_arn = environment.optional("APPROVAL_FUNCTION_ARN")
        if not function_arn:
            return None
        if not _FUNCTION_ARN.fullmatch(function_arn):
            raise ConfigurationError(
                f"environment variable APPROVAL_FUNCTION_ARN is {function_arn!r}; set it to the ARN of the approval "
                "function without version or alias (arn:aws:lambda:REGION:ACCOUNT:function:NAME)"
            )
        return cls(
            function_arn=function_arn,
            bucket=environment.required("BUCKET", "the name of the bucket that holds approval-claims/"),
            event_bus=environment.optional("EVENT_BUS_NAME", "default"),
        )


@dataclass(frozen=True, kw_only=True)
class MaintenanceSettings:
    """What the notices of the maintenance gate need.

    Attributes:
        function_arn: ARN of the maintenance function's alias: what a click invokes.
        channel: Id of the channel that is told.
        approvers: Ids of those who may end a maintenance: users (`U...`, `W...`) and user groups (`S...`).
    """

    function_arn: str
    channel: str
    approvers: tuple[str, ...]

    @classmethod
    def from_environment(cls) -> Self | None:
        """Read the settings; None where the maintenance gate gives no notices.

        Raises:
            ConfigurationError: If one is missing or wrong.
        """
        function_arn = environment.optional("MAINTENANCE_FUNCTION_ARN")
        if not function_arn:
            return None
        if not _ALIAS_ARN.fullmatch(function_arn):
            raise ConfigurationError(
                f"environment variable MAINTENANCE_FUNCTION_ARN is {function_arn!r}; set it to the ARN of the "
                "maintenance function's alias (arn:aws:lambda:REGION:ACCOUNT:function:NAME:ALIAS)"
            )
        return cls(
            function_arn=function_arn,
            channel=environment.required("MAINTENANCE_CHANNEL", "the id of the Slack channel that is told"),
            approvers=_approvers(environment.required("MAINTENANCE_APPROVERS", "who may end a maintenance")),
        )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What Terraform tells the function.

    Attributes:
        signing_secret_arn: Where the signing secret of the Slack app is kept.
        bot_token_arn: Where the bot token is kept.
        api_url: Base URL of Slack's Web API.
        environment: Label of the deployment, shown in messages.
        approval: The approval gate, if there is one.
        maintenance: The maintenance gate, if it gives notices.
    """

    signing_secret_arn: str
    bot_token_arn: str
    api_url: str
    environment: str
    approval: ApprovalSettings | None
    maintenance: MaintenanceSettings | None

    @classmethod
    def from_environment(cls) -> Self:
        """Read the settings.

        Raises:
            ConfigurationError: If one is missing or wrong.
        """
        if not {"APPROVAL_FUNCTION_ARN", "MAINTENANCE_FUNCTION_ARN"} & {name for name, v in os.environ.items() if v}:
            raise ConfigurationError(
                "neither environment variable APPROVAL_FUNCTION_ARN nor MAINTENANCE_FUNCTION_ARN is set; set the one "
                "of each gate that asks or gives notices in Slack"
            )
        return cls(
            signing_secret_arn=environment.required("SLACK_SIGNING_SECRET_ARN", "the ARN of the app's signing secret"),
            bot_token_arn=environment.required("SLACK_BOT_TOKEN_ARN", "the ARN of the app's bot token"),
            api_url=environment.optional("SLACK_API_URL", DEFAULT_API_URL),
            environment=environment.required("ENVIRONMENT", "the label of the deployment that messages show"),
            approval=ApprovalSettings.from_environment(),
            maintenance=MaintenanceSettings.from_environment(),
        )


def _approvers(text: str) -> tuple[str, ...]:
    try:
        data = json.loads(text)
        approvers = (*data["users"], *data["groups"])
        understood = bool(approvers) and all(isinstance(approver, str) for approver in approvers)
    except (ValueError, KeyError, TypeError):
        understood = False
    if not understood:
        raise ConfigurationError(
            f"environment variable MAINTENANCE_APPROVERS is {text!r}; set it to JSON with lists of Slack ids, such as "
            '{"users": ["U0123ABCD"], "groups": ["S0123ABCD"]}, at least one id'
        )
    return approvers
