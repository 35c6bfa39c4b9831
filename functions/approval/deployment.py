"""What one deployed function works with: settings, Slack and AWS clients."""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from aws_durable_execution_sdk_python.lambda_service import LambdaClient
from botocore.config import Config

from approval.settings import Settings
from shared.secrets import Secret
from shared.workspace import Workspace

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

# What does not come within a few seconds is tried again by the step that asked, without the function running meanwhile.
_CONFIG = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 3, "mode": "standard"})


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """Settings and clients, made once per container.

    Attributes:
        settings: The function's environment.
        workspace: Slack.
        s3: For claims.
        stepfunctions: For tasks.
        events: For the gate's events.
    """

    settings: Settings
    workspace: Workspace
    s3: "S3Client"
    stepfunctions: "SFNClient"
    events: "EventBridgeClient"


@functools.cache
def deployment() -> Deployment:
    """Return this container's settings and clients.

    Raises:
        ConfigurationError: If the function's environment is wrong; asked again, it looks again.
    """
    settings = Settings.from_environment()
    LambdaClient.initialize_client()  # the SDK's own, made ahead of its first use
    return Deployment(
        settings=settings,
        workspace=Workspace(Secret(settings.bot_token_arn), settings.api_url),
        s3=boto3.client("s3", config=_CONFIG),
        stepfunctions=boto3.client("stepfunctions", config=_CONFIG),
        events=boto3.client("events", config=_CONFIG),
    )
