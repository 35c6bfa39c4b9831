"""The Lambda client of clicks: it gives up while Slack still waits, and then says what is known."""

from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

CONNECT_TIMEOUT = 0.6
READ_TIMEOUT = 1.0
_SERVER_ERROR = 500
# Seconds that a call may take while a private note still fits after it.
CALL_AND_NOTE = CONNECT_TIMEOUT + READ_TIMEOUT + 0.6


def lambda_client() -> "LambdaClient":
    """Return a client without retries: botocore would hide that an earlier attempt may have taken effect."""
    config = Config(connect_timeout=CONNECT_TIMEOUT, read_timeout=READ_TIMEOUT, retries={"total_max_attempts": 1})
    return boto3.client("lambda", config=config)


def name_of(error: ClientError | BotoCoreError) -> str:
    """Return an error's name: what may be logged of it, since nobody knows what its text repeats."""
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__


def may_have_worked(error: ClientError | BotoCoreError) -> bool:
    """Return whether AWS may have done what failed with this error."""
    if isinstance(error, ClientError):
        return error.response["ResponseMetadata"]["HTTPStatusCode"] >= _SERVER_ERROR
    # Timed out or broken off after it was sent; every other one means that it never left.
    return isinstance(error, HTTPClientError)
