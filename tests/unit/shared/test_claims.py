import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from shared import claims

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "orders-gates"
TOKEN = "AAAAKgAAAAIAAAAAAAAAATaskToken=="
NOW = datetime(2026, 11, 25, 14, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def _client() -> Iterator["S3Client"]:
    with mock_aws():
        yield boto3.client("s3", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")


@pytest.fixture
def s3(_client: "S3Client") -> "S3Client":
    """S3 with an empty bucket."""
    _client.create_bucket(Bucket=BUCKET)
    for item in _client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        _client.delete_object(Bucket=BUCKET, Key=item["Key"])
    return _client


def test_the_first_execution_holds_the_claim(s3: "S3Client") -> None:
    assert claims.take(s3, BUCKET, TOKEN, "arn:first", NOW) == "arn:first"
    assert claims.take(s3, BUCKET, TOKEN, "arn:second", NOW) == "arn:first"


def test_taking_it_again_changes_nothing(s3: "S3Client") -> None:
    claims.take(s3, BUCKET, TOKEN, "arn:first", NOW)
    before = s3.head_object(Bucket=BUCKET, Key=claims.key(TOKEN))["ETag"]
    assert claims.take(s3, BUCKET, TOKEN, "arn:first", datetime.now(UTC)) == "arn:first"
    assert s3.head_object(Bucket=BUCKET, Key=claims.key(TOKEN))["ETag"] == before


def test_the_claim_never_holds_the_token(s3: "S3Client") -> None:
    claims.take(s3, BUCKET, TOKEN, "arn:first", NOW)
    [item] = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    body = s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
    assert item["Key"].startswith("approval-claims/")
    assert TOKEN not in item["Key"]
    assert json.loads(body) == {"execution_arn": "arn:first", "claimed_at": "2026-11-25T14:00:00+00:00"}


def test_tokens_are_claimed_one_by_one(s3: "S3Client") -> None:
    assert claims.take(s3, BUCKET, "one", "arn:first", NOW) == "arn:first"
    assert claims.take(s3, BUCKET, "two", "arn:second", NOW) == "arn:second"


def test_of_many_at_the_same_time_all_agree_on_one(s3: "S3Client") -> None:
    with ThreadPoolExecutor(8) as pool:
        owners = set(pool.map(lambda n: claims.take(s3, BUCKET, TOKEN, f"arn:{n}", NOW), range(8)))
    assert len(owners) == 1


def test_a_bucket_that_is_not_there_is_an_error(s3: "S3Client") -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        claims.take(s3, "nowhere", TOKEN, "arn:first", NOW)
