"""What handling a click works with; made once per container."""

from dataclasses import dataclass
from typing import Self

from shared.secrets import Secret
from shared.workspace import Workspace
from slack_webhook.aws import lambda_client
from slack_webhook.callbacks import Callbacks
from slack_webhook.executions import Executions
from slack_webhook.groups import UserGroups
from slack_webhook.maintenance import MaintenanceFunction
from slack_webhook.settings import Settings

# Whole seconds, the least that the client library takes: Slack waits 3 s for the answer to a click.
SLACK_TIMEOUT = 1


@dataclass(frozen=True, kw_only=True)
class Gate:
    """The other side of the gates: their functions, and Slack.

    Attributes:
        callbacks: What votes complete.
        executions: What requests are.
        groups: Who is in a user group.
        maintenance: What ends a maintenance; None where the maintenance gate gives no notices.
        slack: The workspace.
    """

    callbacks: Callbacks
    executions: Executions
    groups: UserGroups
    maintenance: MaintenanceFunction | None
    slack: Workspace

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Make the clients; nothing is called yet."""
        client = lambda_client()
        slack = Workspace(Secret(settings.bot_token_arn), settings.api_url, SLACK_TIMEOUT)
        return cls(
            callbacks=Callbacks(client),
            executions=Executions(client),
            groups=UserGroups(slack),
            maintenance=MaintenanceFunction(client, settings.maintenance) if settings.maintenance else None,
            slack=slack,
        )
