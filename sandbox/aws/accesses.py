"""What a call must be allowed: the actions, resources and condition keys of the operations that functions use.

From the service authorization reference
(https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping

from aws_durable_execution_sdk_python_testing.exceptions import InvalidParameterValueException
from moto.kms.models import kms_backends
from moto.s3.models import FakeKey, s3_backends
from moto.secretsmanager.models import secretsmanager_backends
from moto.ssm.models import ssm_backends

from sandbox.aws.arns import ACCOUNT_ID, function_arn, parse_function
from sandbox.aws.callback_ids import execution_of
from sandbox.aws.errors import AwsError, invalid_parameter
from sandbox.aws.operations import Call, Signature
from sandbox.aws.policies import Access

# IAM's names of services whose signing names differ.
_PREFIXES = {"tagging": "tag", "monitoring": "cloudwatch"}
# Actions of operations without an action of their own name.
_ACTIONS = {
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:CopyObject": "s3:PutObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:ListObjectVersions": "s3:ListBucketVersions",
    "s3:ListObjects": "s3:ListBucket",
    "s3:UploadPart": "s3:PutObject",
    "sns:PublishBatch": "sns:Publish",
    "sqs:SendMessageBatch": "sqs:SendMessage",
}


def needed(call: Call) -> list[Access]:
    """Return everything that a call must be allowed.

    Of an operation that is not in the table only the action is known, not the resource.

    Raises:
        AwsError: If the call names nothing that could be allowed.
    """
    name = f"{_prefix(call.signature)}:{call.operation}"
    if name not in _TABLE:
        return [Access(_ACTIONS.get(name, name), None)]
    try:
        return list(_TABLE[name](call))
    except (KeyError, TypeError, ValueError) as error:
        missing = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else type(error).__name__
        raise AwsError("ValidationException", f"The call {name} is not valid ({missing}).") from error


def unknown(signed: Signature) -> Access:
    """Return what stands for an operation that is not known: only who may do all of the service may do it."""
    return Access(f"{_prefix(signed)}:UnknownToTheSandbox", None)


def log_writing(region: str, group: str, stream: str, *, create_group: bool) -> list[Access]:
    """Return what a function's role must allow for its output to be written."""
    arn = f"arn:aws:logs:{region}:{ACCOUNT_ID}:log-group:{group}"
    creation = [Access("logs:CreateLogGroup", f"{arn}:log-stream:")] if create_group else []
    return [
        *creation,
        *(Access(f"logs:{name}", f"{arn}:log-stream:{stream}") for name in ("CreateLogStream", "PutLogEvents")),
    ]


def invocation(arn: str) -> Access:
    """Return what invoking a function by an ARN must be allowed."""
    return Access("lambda:InvokeFunction", arn)


def _prefix(signed: Signature) -> str:
    return _PREFIXES.get(signed.service, signed.service)


# --- Lambda


def _function(call: Call) -> str:
    try:
        found = parse_function(call.address["FunctionName"], call.request.args.get("Qualifier"), call.signature.region)
    except ValueError as error:
        raise invalid_parameter(str(error)) from error
    return function_arn(found.name, found.qualifier, found.region)


def _on_function(action: str) -> Callable[[Call], Iterable[Access]]:
    return lambda call: [Access(action, _function(call))]


def _on_execution(call: Call) -> list[Access]:
    return [Access(f"lambda:{call.operation}", call.address["DurableExecutionArn"])]


def _on_callback(call: Call) -> list[Access]:
    try:
        return [Access(f"lambda:{call.operation}", execution_of(call.address["CallbackId"]))]
    except InvalidParameterValueException as error:
        raise invalid_parameter("The callback id is not valid.") from error


# --- S3


def _bucket(name: str) -> str:
    return f"arn:aws:s3:::{name}"


def _object(call: Call, action: str) -> Access:
    version = "Version" if "versionId" in call.request.args else ""
    headers = {"s3:if-match": "If-Match", "s3:if-none-match": "If-None-Match"}
    sent = call.request.headers
    context = {key: (sent[name],) for key, name in headers.items() if name in sent}
    return Access(f"s3:{action}{version}", f"{_bucket(call.address['Bucket'])}/{call.address['Key']}", context)


def _stored(call: Call) -> FakeKey | None:
    bucket = s3_backends[ACCOUNT_ID]["aws"].buckets.get(call.address["Bucket"])
    found = bucket.keys.get(call.address["Key"]) if bucket else None
    return found if isinstance(found, FakeKey) else None


def _reading(call: Call) -> Iterator[Access]:
    """Only who may list a bucket is told that a key is missing; and no prefix is asked for then."""
    yield _object(call, "GetObject")
    found = _stored(call)
    if found is None:
        yield Access("s3:ListBucket", _bucket(call.address["Bucket"]))
    elif found.encryption == "aws:kms":
        yield from _key(call, "kms:Decrypt", found.kms_key_id, "s3")


def _comparing(call: Call) -> Iterator[Access]:
    """A comparison of ETags reads the object (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html)."""
    if call.request.headers.get("If-Match", "*") != "*":
        yield _object(call, "GetObject")


def _writing(call: Call) -> Iterator[Access]:
    yield _object(call, "PutObject")
    yield from _comparing(call)
    for header, action in (("x-amz-tagging", "PutObjectTagging"), ("x-amz-acl", "PutObjectAcl")):
        if header in call.request.headers:
            yield _object(call, action)
    bucket = s3_backends[ACCOUNT_ID]["aws"].buckets.get(call.address["Bucket"])
    rule = (bucket.encryption or {}).get("Rule", {}) if bucket else {}
    default = rule.get("ApplyServerSideEncryptionByDefault", {})
    algorithm = call.request.headers.get("x-amz-server-side-encryption", default.get("SSEAlgorithm"))
    if algorithm == "aws:kms":
        key = call.request.headers.get("x-amz-server-side-encryption-aws-kms-key-id", default.get("KMSMasterKeyID"))
        yield from _key(call, "kms:GenerateDataKey", key, "s3")


def _deleting(call: Call) -> Iterator[Access]:
    yield _object(call, "DeleteObject")
    yield from _comparing(call)


def _listing(call: Call) -> list[Access]:
    context = {
        f"s3:{name}": (call.request.args[name],)
        for name in ("prefix", "delimiter", "max-keys")
        if name in call.request.args
    }
    return [Access("s3:ListBucket", _bucket(call.address["Bucket"]), context)]


def _key(call: Call, action: str, key: str | None, via: str) -> Iterator[Access]:
    """What a service does with a customer's key it does for the caller; keys of AWS itself need no permission."""
    if not key or key.rpartition(":")[2].startswith("alias/aws/"):
        return
    region = call.signature.region
    backend = kms_backends[ACCOUNT_ID][region]
    known = backend.any_id_to_key_id(key)
    arn = backend.keys[known].arn if known in backend.keys else key
    yield Access(action, arn, {"kms:viaservice": (f"{via}.{region}.amazonaws.com",)})


# --- Step Functions


def _on(member: str) -> Callable[[Call], Iterable[Access]]:
    return lambda call: [Access(f"states:{call.operation}", call.body[member])]


def _tagging(call: Call) -> list[Access]:
    keys = call.body.get("tagKeys") or [tag["key"] for tag in call.body["tags"]]
    return [Access(f"states:{call.operation}", call.body["resourceArn"], {"aws:tagkeys": tuple(keys)})]


def _without_resource(action: str) -> Callable[[Call], Iterable[Access]]:
    return lambda _: [Access(action, "*")]


# --- others


def _events(call: Call) -> Iterator[Access]:
    region = call.signature.region
    for entry in call.body["Entries"]:
        bus = entry.get("EventBusName", "default")
        arn = bus if bus.startswith("arn:") else f"arn:aws:events:{region}:{ACCOUNT_ID}:event-bus/{bus}"
        context = {"events:source": (entry["Source"],), "events:detail-type": (entry["DetailType"],)}
        yield Access("events:PutEvents", arn, context)


def _secret(call: Call) -> Iterator[Access]:
    region, name = call.signature.region, call.body["SecretId"]
    found = secretsmanager_backends[ACCOUNT_ID][region].secrets.get(name)
    named = name if name.startswith("arn:") else f"arn:aws:secretsmanager:{region}:{ACCOUNT_ID}:secret:{name}"
    yield Access("secretsmanager:GetSecretValue", found.arn if found else named)
    if found:
        yield from _key(call, "kms:Decrypt", getattr(found, "kms_key_id", None), "secretsmanager")


def _parameter(call: Call) -> Iterator[Access]:
    region, name = call.signature.region, call.body["Name"]
    arn = name if name.startswith("arn:") else f"arn:aws:ssm:{region}:{ACCOUNT_ID}:parameter/{name.removeprefix('/')}"
    yield Access("ssm:GetParameter", arn)
    found = ssm_backends[ACCOUNT_ID][region].get_parameter(name)
    if found and found.parameter_type == "SecureString" and call.body.get("WithDecryption"):
        yield from _key(call, "kms:Decrypt", found.keyid, "ssm")


def _queue(call: Call) -> list[Access]:
    name = call.body["QueueUrl"].rpartition("/")[2]
    return [Access("sqs:SendMessage", f"arn:aws:sqs:{call.signature.region}:{ACCOUNT_ID}:{name}")]


def _topic(call: Call) -> list[Access]:
    return [Access("sns:Publish", call.body["TopicArn"])]


_TABLE: Mapping[str, Callable[[Call], Iterable[Access]]] = {
    "events:PutEvents": _events,
    "lambda:CheckpointDurableExecution": _on_execution,
    "lambda:GetDurableExecution": _on_execution,
    "lambda:GetDurableExecutionHistory": _on_execution,
    "lambda:GetDurableExecutionState": _on_execution,
    "lambda:Invoke": _on_function("lambda:InvokeFunction"),
    "lambda:ListDurableExecutionsByFunction": _on_function("lambda:ListDurableExecutionsByFunction"),
    "lambda:SendDurableExecutionCallbackFailure": _on_callback,
    "lambda:SendDurableExecutionCallbackHeartbeat": _on_callback,
    "lambda:SendDurableExecutionCallbackSuccess": _on_callback,
    "lambda:StopDurableExecution": _on_execution,
    "s3:DeleteObject": _deleting,
    "s3:GetObject": _reading,
    "s3:HeadObject": _reading,
    "s3:ListObjectsV2": _listing,
    "s3:PutObject": _writing,
    "secretsmanager:GetSecretValue": _secret,
    "sns:Publish": _topic,
    "sqs:SendMessage": _queue,
    "ssm:GetParameter": _parameter,
    "states:DescribeExecution": _on("executionArn"),
    "states:ListTagsForResource": _on("resourceArn"),
    # A token belongs to no resource that a policy could name.
    "states:SendTaskFailure": _without_resource("states:SendTaskFailure"),
    "states:SendTaskHeartbeat": _without_resource("states:SendTaskHeartbeat"),
    "states:SendTaskSuccess": _without_resource("states:SendTaskSuccess"),
    "states:StartExecution": _on("stateMachineArn"),
    "states:StopExecution": _on("executionArn"),
    "states:TagResource": _tagging,
    "states:UntagResource": _tagging,
    "sts:GetCallerIdentity": lambda _: [],  # AWS allows it to everybody
    "tag:GetResources": _without_resource("tag:GetResources"),
}
