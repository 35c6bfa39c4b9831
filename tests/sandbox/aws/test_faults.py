from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from sandbox.aws.faults import Faults
from sandbox.aws.operations import operation

ARN = "arn:aws:lambda:us-east-2:123456789012:function:f:1/durable-execution/name/id"
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "GetDurableExecution": ("lambda", {"DurableExecutionArn": ARN}),
    "GetDurableExecutionHistory": ("lambda", {"DurableExecutionArn": ARN}),
    "Invoke": ("lambda", {"FunctionName": "f"}),
    "SendDurableExecutionCallbackSuccess": ("lambda", {"CallbackId": "abcd+/=="}),
    "GetObject": ("s3", {"Bucket": "b", "Key": "a/b c.json"}),
    "GetObjectTagging": ("s3", {"Bucket": "b", "Key": "k"}),
    "ListObjectsV2": ("s3", {"Bucket": "b"}),
    "ListParts": ("s3", {"Bucket": "b", "Key": "k", "UploadId": "u"}),
    "PutObject": ("s3", {"Bucket": "b", "Key": "k"}),
    "GetParameter": ("ssm", {"Name": "p"}),
    "GetSecretValue": ("secretsmanager", {"SecretId": "s"}),
    "PutEvents": ("events", {"Entries": [{"Source": "s", "DetailType": "t", "Detail": "{}"}]}),
    "SendTaskSuccess": ("stepfunctions", {"taskToken": "t", "output": "{}"}),
}


@cache
def client_of(service: str) -> Any:
    create: Any = boto3.client
    return create(
        service,
        endpoint_url="http://127.0.0.1:1",
        region_name="us-east-2",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


class SentError(Exception):
    """A client was about to send a request."""


def sent(client: Any, method: str, arguments: dict[str, Any]) -> Request:
    """Return the request that a client makes for a call, without sending it."""

    def keep(request: AWSPreparedRequest, **_: Any) -> None:
        raise SentError(request)

    client.meta.events.register("before-send", keep)
    with pytest.raises(SentError) as raised:
        getattr(client, method)(**arguments)
    [made] = raised.value.args
    headers = [(str(name), _text(value)) for name, value in made.headers.items()]
    environ = EnvironBuilder(method=made.method, headers=headers).get_environ()
    return Request({**environ, "RAW_URI": made.url.removeprefix("http://127.0.0.1:1")})


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@pytest.mark.parametrize("name", CALLS)
def test_a_request_tells_which_operation_it_asks_for(name: str) -> None:
    service, arguments = CALLS[name]
    client = client_of(service)
    method = next(method for method, known in client.meta.method_to_api_mapping.items() if known == name)
    assert operation(sent(client, method, arguments)) == name


@pytest.fixture
def slow(aws: Any) -> Iterator[Callable[..., Any]]:
    yield lambda **calls: aws.control("faults", {"slow_calls": calls})
    aws.control("faults", {"slow_calls": {}})


def test_a_slow_call_outlasts_its_client_takes_effect_and_leaves_others_alone(
    aws: Any, slow: Callable[..., Any], eventually: Callable[..., Any]
) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="slow", CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    create: Any = boto3.client
    hasty = create(
        "s3",
        endpoint_url=aws.address,
        region_name="us-east-2",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(read_timeout=0.2, retries={"total_max_attempts": 1}),
    )
    assert slow(PutObject=0.5)["slow_calls"] == {"PutObject": 0.5}
    with pytest.raises(ReadTimeoutError):
        hasty.put_object(Bucket="slow", Key="key", Body=b"there")
    assert eventually(lambda: s3.list_objects_v2(Bucket="slow").get("Contents"))[0]["Key"] == "key"
    slow()
    hasty.put_object(Bucket="slow", Key="other", Body=b"at once")


THROTTLED = {
    "s3": ("ListObjectsV2", {"Bucket": "throttled"}, "SlowDown", 503),
    "stepfunctions": ("ListStateMachines", {}, "ThrottlingException", 400),
    "lambda": ("ListFunctions", {}, "TooManyRequestsException", 429),
}


@pytest.mark.parametrize("service", THROTTLED)
def test_as_many_calls_as_told_are_throttled_in_the_words_of_their_service(aws: Any, service: str) -> None:
    name, arguments, code, status = THROTTLED[service]
    aws.client("s3").create_bucket(Bucket="throttled", CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    client = aws.client(service)
    call = next(getattr(client, method) for method, known in client.meta.method_to_api_mapping.items() if known == name)
    try:
        assert aws.control("faults", {"throttled_calls": {name: 2}})["throttled_calls"] == {name: 2}
        for _ in range(2):
            with pytest.raises(ClientError) as refused:
                call(**arguments)
            answer = refused.value.response
            assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
        call(**arguments)
        assert aws.control("faults")["throttled_calls"] == {name: 0}
    finally:
        aws.control("faults", {"throttled_calls": {}})
        aws.client("s3").delete_bucket(Bucket="throttled")


@pytest.mark.parametrize(
    ("calls", "problem"),
    [
        (["PutObject"], "throttled_calls: \\['PutObject'\\] is no object"),
        ({"PutObjekt": 5}, "throttled_calls: 'PutObjekt' is no operation"),
        ({"PutObject": -1}, "throttled_calls.PutObject: -1 is no number of calls"),
        ({"PutObject": True}, "throttled_calls.PutObject: True is no"),
    ],
)
def test_throttling_that_could_not_be_is_refused(calls: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Faults().set({"throttled_calls": calls})


@pytest.mark.parametrize(
    ("calls", "problem"),
    [
        (5, "slow_calls: 5 is no object"),
        ({"GetObjekt": 5}, "slow_calls: 'GetObjekt' is no operation"),
        ({"GetObject": 0}, "slow_calls.GetObject: 0 is no number of seconds up to 60"),
        ({"GetObject": True}, "slow_calls.GetObject: True is no"),
        ({"GetObject": 61}, "slow_calls.GetObject: 61 is no"),
    ],
)
def test_a_slow_call_that_could_not_be_is_refused(calls: Any, problem: str) -> None:
    faults = Faults()
    with pytest.raises(ValueError, match=problem):
        faults.set({"slow_calls": calls})
    assert faults == Faults()
