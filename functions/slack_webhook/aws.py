"""The Lambda client of clicks: it gives up while Slack still waits."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

CONNECT_TIMEOUT = 0.6
READ_TIMEOUT = 1.0
# Seconds that a call may take while a private note still fits after it.
CALL_AND_NOTE = CONNECT_TIMEOUT + READ_TIMEOUT + 0.6


def lambda_client() -> "LambdaClient":
    """Return a client without retries: botocore would hide that an earlier attempt may have taken effect."""
    config = Config(connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT, retries={"total_max_attempts": 1})
    return boto3.client("lambda", config=config)
