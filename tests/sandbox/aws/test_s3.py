import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def bucket(aws: Any, request: pytest.FixtureRequest) -> str:
    name = f"b{abs(hash(request.node.name))}"
    aws.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    return name


def code_of(error: ClientError) -> str:
    code: str = error.response["Error"]["Code"]
    return code


@pytest.mark.parametrize("existing", [False, True])
def test_one_of_several_racing_conditional_writes_wins(aws: Any, bucket: str, existing: bool) -> None:
    s3 = aws.client("s3")
    for round_number in range(5):
        key = f"k{round_number}"
        condition = {"IfNoneMatch": "*"}
        if existing:
            condition = {"IfMatch": s3.put_object(Bucket=bucket, Key=key, Body=b"0")["ETag"]}

        def write(number: int, key: str = key, condition: dict[str, str] = condition) -> str:
            try:
                s3.put_object(Bucket=bucket, Key=key, Body=f"n{number}".encode(), **condition)
            except ClientError as error:
                return code_of(error)
            return "won"

        with ThreadPoolExecutor(8) as pool:
            answers = sorted(pool.map(write, range(8)))
        assert answers == ["PreconditionFailed"] * 7 + ["won"]


def test_a_conditional_write_to_a_key_that_is_gone_is_not_found(aws: Any, bucket: str) -> None:
    with pytest.raises(ClientError) as error:
        aws.client("s3").put_object(Bucket=bucket, Key="k", Body=b"", IfMatch='"etag"')
    assert code_of(error.value) == "NoSuchKey"


def test_a_policy_that_demands_tls_denies_nothing_else(aws: Any, bucket: str) -> None:
    s3 = aws.client("s3")
    statement = {
        "Sid": "OnlyTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    assert json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]) == policy


def test_a_policy_without_a_condition_still_denies(aws: Any, bucket: str) -> None:
    s3 = aws.client("s3")
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
