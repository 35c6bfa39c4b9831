"""Claims: which durable execution answers a Step Functions task token.

A start may be delivered twice, and an execution may die; exactly one of those concerned answers the task. Whoever
creates the claim object first is the one.
"""

import hashlib
import json
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PREFIX = "approval-claims/"
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html: the object exists / a write that
# raced with this one is not settled yet.
_EXISTS = "PreconditionFailed"
_RACED = "ConditionalRequestConflict"


def key(token: str) -> str:
    """Return the key of the claim for a task token; it does not reveal the token."""
    return f"{PREFIX}{hashlib.sha256(token.encode()).hexdigest()}.json"


def take(s3: "S3Client", bucket: str, token: str, execution_arn: str, now: datetime) -> str:
    """Claim a task token for an execution, unless another one was first. Repeating it changes nothing.

    Args:
        s3: Client with the right to put and get objects below `PREFIX`.
        bucket: Name of the bucket.
        token: The task token; only its hash is stored.
        execution_arn: Durable execution that wants to answer the task.
        now: The time noted in the claim (aware).

    Returns:
        ARN of the execution that holds the claim: the given one, or the one that was first.

    Raises:
        botocore.exceptions.ClientError: If S3 refuses, or two writes raced; it may be repeated.
    """
    claim = {"execution_arn": execution_arn, "claimed_at": now.isoformat()}
    try:
        s3.put_object(
            Bucket=bucket,
            Key=key(token),
            Body=json.dumps(claim).encode(),
            ContentType="application/json",
            IfNoneMatch="*",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] not in (_EXISTS, _RACED):
            raise
        # After a race the winner's object may not be readable yet: that raises NoSuchKey, and the caller repeats.
        held = json.loads(s3.get_object(Bucket=bucket, Key=key(token))["Body"].read())
        return str(held["execution_arn"])
    return execution_arn
