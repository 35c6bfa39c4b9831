"""What roles do over the local AWS's address, and what is done for them, is checked against their policies."""

import json
import re
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.sandbox.aws.test_durable import callback_of, durable, ended, start

Eventually = Callable[[Callable[[], Any]], Any]

REGION = "us-east-2:123456789012"
# A function tells its role's credentials; calls that are signed with them are the role's.
TELL = """
import os
def handler(event, context):
    return [os.environ[f"AWS_{name}"] for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN")]
"""


class Role:
    """A role that a function runs with, and the clients that this function would have."""

    def __init__(self, aws: Any) -> None:
        self._aws = aws
        self.name = f"role-{uuid.uuid4().hex[:8]}"
        document = json.dumps({"Version": "2012-10-17", "Statement": []})
        role = aws.client("iam").create_role(RoleName=self.name, AssumeRolePolicyDocument=document)
        self.arn: str = role["Role"]["Arn"]
        self.function: str = aws.function(TELL, Role=self.arn)
        self._keys = aws.invoke(self.function)
        self.session = f"arn:aws:sts::123456789012:assumed-role/{self.name}/{self.function}"

    def client(self, service: str) -> Any:
        create: Any = boto3.client
        key, secret, token = self._keys
        return create(
            service,
            endpoint_url=self._aws.address,
            region_name="us-east-2",
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(parameter_validation=False, retries={"total_max_attempts": 1}, proxies={}),
        )

    def allow(self, actions: Any, resources: Any = "*", **more: Any) -> None:
        """Let the role do this and nothing else."""
        self._aws.allow(self.name, {"Effect": "Allow", "Action": actions, "Resource": resources, **more})


@pytest.fixture
def role(aws: Any) -> Role:
    return Role(aws)


@pytest.fixture(scope="session")
def bucket(aws: Any) -> str:
    aws.client("s3").create_bucket(Bucket="perm", CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    aws.client("s3").put_object(Bucket="perm", Key="there", Body=b"1")
    return "perm"


def refused(call: Callable[[], Any]) -> tuple[str, int, str]:
    """Return code, status and message of a refusal."""
    with pytest.raises(ClientError) as error:
        call()
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def denied(call: Callable[[], Any]) -> bool:
    """Whether a call is refused for lack of a permission; whatever else becomes of it does not matter."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"] in {"AccessDenied", "AccessDeniedException"}
    return False


FUNCTION = f"arn:aws:lambda:{REGION}:function:orders"
EXECUTION = f"{FUNCTION}:1/durable-execution/name/id"
MACHINE = f"arn:aws:states:{REGION}:stateMachine:orders"
RUN = f"arn:aws:states:{REGION}:execution:orders:1"
TOPIC = f"arn:aws:sns:{REGION}:topic"
BUS = f"arn:aws:events:{REGION}:event-bus/default"
SECRET = f"arn:aws:secretsmanager:{REGION}:secret:s-abcdef"
ENTRY = {"Source": "s", "DetailType": "t", "Detail": "{}"}
TOKEN = "t" * 100
SHORT, LONG = ("AccessDenied", 403), ("AccessDeniedException", 403)
# AWS's services that speak JSON with a target header answer 400.
JSON = ("AccessDeniedException", 400)


class Case(NamedTuple):
    """A call, what it must be allowed, and the code and status of its refusal."""

    service: str
    method: str
    arguments: dict[str, Any]
    action: str
    resource: str
    error: tuple[str, int]


CASES = [
    Case("lambda", "invoke", {"FunctionName": "orders"}, "lambda:InvokeFunction", FUNCTION, LONG),
    Case(
        "lambda",
        "invoke",
        {"FunctionName": "orders", "Qualifier": "live"},
        "lambda:InvokeFunction",
        f"{FUNCTION}:live",
        LONG,
    ),
    Case(
        "lambda",
        "get_durable_execution",
        {"DurableExecutionArn": EXECUTION},
        "lambda:GetDurableExecution",
        EXECUTION,
        LONG,
    ),
    Case("s3", "get_object", {"Bucket": "perm", "Key": "there"}, "s3:GetObject", "arn:aws:s3:::perm/there", SHORT),
    Case("s3", "put_object", {"Bucket": "perm", "Key": "a b/c"}, "s3:PutObject", "arn:aws:s3:::perm/a b/c", SHORT),
    Case("s3", "delete_object", {"Bucket": "perm", "Key": "k"}, "s3:DeleteObject", "arn:aws:s3:::perm/k", SHORT),
    Case("s3", "list_objects_v2", {"Bucket": "perm"}, "s3:ListBucket", "arn:aws:s3:::perm", SHORT),
    Case("events", "put_events", {"Entries": [ENTRY]}, "events:PutEvents", BUS, JSON),
    Case("secretsmanager", "get_secret_value", {"SecretId": SECRET}, "secretsmanager:GetSecretValue", SECRET, JSON),
    Case("ssm", "get_parameter", {"Name": "/a/b"}, "ssm:GetParameter", f"arn:aws:ssm:{REGION}:parameter/a/b", JSON),
    Case("stepfunctions", "start_execution", {"stateMachineArn": MACHINE}, "states:StartExecution", MACHINE, JSON),
    Case("stepfunctions", "describe_execution", {"executionArn": RUN}, "states:DescribeExecution", RUN, JSON),
    Case(
        "stepfunctions",
        "list_tags_for_resource",
        {"resourceArn": MACHINE},
        "states:ListTagsForResource",
        MACHINE,
        JSON,
    ),
    Case(
        "stepfunctions",
        "send_task_success",
        {"taskToken": TOKEN, "output": "1"},
        "states:SendTaskSuccess",
        "*",
        JSON,
    ),
    Case("stepfunctions", "send_task_failure", {"taskToken": TOKEN}, "states:SendTaskFailure", "*", JSON),
    Case("resourcegroupstaggingapi", "get_resources", {}, "tag:GetResources", "*", JSON),
    Case(
        "sqs",
        "send_message",
        {"QueueUrl": "http://x/123456789012/q", "MessageBody": "1"},
        "sqs:SendMessage",
        f"arn:aws:sqs:{REGION}:q",
        JSON,
    ),
    Case("sns", "publish", {"TopicArn": TOPIC, "Message": "1"}, "sns:Publish", TOPIC, SHORT),
]


@pytest.mark.parametrize("case", CASES, ids=[f"{case.method}-{case.resource}" for case in CASES])
@pytest.mark.usefixtures("bucket")
def test_a_call_is_refused_as_aws_does_until_the_role_allows_it_on_that_resource(role: Role, case: Case) -> None:
    def call() -> Any:
        return getattr(role.client(case.service), case.method)(**case.arguments)

    role.allow(["a:*", f"{case.action}X"])
    code, status, message = refused(call)
    assert (code, status) == case.error
    named = f'"{case.resource}"' if case.service == "s3" else case.resource
    assert message == (
        f"User: {role.session} is not authorized to perform: {case.action} on resource: {named} "
        f"because no identity-based policy allows the {case.action} action"
    )
    if case.resource != "*":
        role.allow(case.action, f"{case.resource}-other")
        assert denied(call)
    role.allow(case.action, case.resource)
    assert not denied(call)


def test_a_refused_write_has_no_effect_and_the_administrator_needs_no_policy(aws: Any, role: Role, bucket: str) -> None:
    role.allow("s3:GetObject")
    assert denied(lambda: role.client("s3").put_object(Bucket=bucket, Key="refused", Body=b"x" * 300_000))
    assert "refused" not in [found["Key"] for found in aws.client("s3").list_objects_v2(Bucket=bucket)["Contents"]]


def test_which_actions_a_role_was_allowed_and_refused_can_be_asked_for(aws: Any, role: Role, bucket: str) -> None:
    role.allow("s3:GetObject")
    role.client("s3").get_object(Bucket=bucket, Key="there")
    assert denied(lambda: role.client("s3").delete_object(Bucket=bucket, Key="there"))
    asked = aws.control("permissions")[role.arn]
    assert asked == {"allowed": ["s3:GetObject"], "refused": ["logs:CreateLogGroup", "s3:DeleteObject"]}


def test_a_refused_head_request_has_no_body(role: Role, bucket: str) -> None:
    assert refused(lambda: role.client("s3").head_object(Bucket=bucket, Key="there"))[:2] == ("403", 403)


def test_only_who_may_list_a_bucket_is_told_that_a_key_is_missing(role: Role, bucket: str) -> None:
    def get() -> Any:
        return role.client("s3").get_object(Bucket=bucket, Key="missing")

    role.allow("s3:GetObject")
    assert refused(get)[:2] == SHORT
    role.allow(["s3:GetObject", "s3:ListBucket"])
    assert refused(get)[0] == "NoSuchKey"
    role.allow(["s3:*"], Condition={"StringLike": {"s3:prefix": ["m*"]}})
    assert refused(get)[:2] == SHORT  # the question has no prefix
    role.allow(["s3:*"], Condition={"StringLikeIfExists": {"s3:prefix": ["m*"]}})
    assert refused(get)[0] == "NoSuchKey"
    assert denied(lambda: role.client("s3").list_objects_v2(Bucket=bucket, Prefix="other"))
    assert not denied(lambda: role.client("s3").list_objects_v2(Bucket=bucket, Prefix="me"))


def test_who_compares_an_etag_must_be_allowed_to_read(role: Role, bucket: str) -> None:
    def put() -> Any:
        return role.client("s3").put_object(Bucket=bucket, Key="there", Body=b"1", IfMatch='"other"')

    role.allow("s3:PutObject")
    assert "s3:GetObject" in refused(put)[2]
    role.allow(["s3:GetObject", "s3:PutObject"])
    assert refused(put)[0] == "PreconditionFailed"


def test_only_the_tags_that_a_role_may_change_are_changed(aws: Any, role: Role) -> None:
    states = aws.client("stepfunctions")
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    machine = states.create_state_machine(name="tagged", definition=definition, roleArn=role.arn)["stateMachineArn"]
    condition = {"ForAllValues:StringEquals": {"aws:TagKeys": ["Maintenance"]}}
    role.allow(["states:TagResource", "states:UntagResource"], machine, Condition=condition)
    mine = role.client("stepfunctions")
    mine.tag_resource(resourceArn=machine, tags=[{"key": "Maintenance", "value": "true"}])
    assert denied(lambda: mine.tag_resource(resourceArn=machine, tags=[{"key": "Owner", "value": "me"}]))
    assert denied(lambda: mine.untag_resource(resourceArn=machine, tagKeys=["Maintenance", "Owner"]))
    mine.untag_resource(resourceArn=machine, tagKeys=["Maintenance"])
    assert states.list_tags_for_resource(resourceArn=machine)["tags"] == []


def test_what_is_encrypted_with_a_key_needs_the_key_through_its_service(aws: Any, role: Role) -> None:
    key = aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    secret = aws.client("secretsmanager").create_secret(Name="keyed", SecretString="s", KmsKeyId=key)["ARN"]
    aws.client("ssm").put_parameter(Name="keyed", Value="s", Type="SecureString", KeyId=key)
    aws.client("s3").create_bucket(Bucket="keyed", CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    aws.client("s3").put_bucket_encryption(
        Bucket="keyed",
        ServerSideEncryptionConfiguration={"Rules": [{"ApplyServerSideEncryptionByDefault": default}]},
    )
    aws.client("s3").put_object(Bucket="keyed", Key="k", Body=b"1")
    calls = {
        "secretsmanager": lambda: role.client("secretsmanager").get_secret_value(SecretId=secret),
        "ssm": lambda: role.client("ssm").get_parameter(Name="keyed", WithDecryption=True),
        "s3 reading": lambda: role.client("s3").get_object(Bucket="keyed", Key="k"),
        "s3 writing": lambda: role.client("s3").put_object(Bucket="keyed", Key="k2", Body=b"1"),
    }
    statement = {"Effect": "Allow", "Action": ["s3:*", "secretsmanager:*", "ssm:*"], "Resource": "*"}
    aws.allow(role.name, statement)
    assert {
        name: bool(re.search("kms:(Decrypt|Gen)", refused(call)[2])) for name, call in calls.items()
    } == dict.fromkeys(calls, True)
    via = {"StringLike": {"kms:ViaService": ["secretsmanager.*", "ssm.*"]}}
    decrypt = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key, "Condition": via}
    aws.allow(role.name, statement, decrypt)
    assert [name for name, call in calls.items() if denied(call)] == ["s3 reading", "s3 writing"]
    aws.allow(role.name, statement, {"Effect": "Allow", "Action": "kms:*", "Resource": key})
    assert [name for name, call in calls.items() if denied(call)] == []
    role.client("ssm").get_parameter(Name="keyed")  # encrypted as it is, nothing is decrypted


def test_attached_policies_and_the_boundary_count(aws: Any, role: Role, bucket: str) -> None:
    iam = aws.client("iam")

    def managed(action: str) -> str:
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": "*"}]}
        name = f"p-{uuid.uuid4().hex[:8]}"
        arn: str = iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(document))["Policy"]["Arn"]
        return arn

    def get() -> Any:
        return role.client("s3").get_object(Bucket=bucket, Key="there")

    attached = managed("s3:*")
    iam.attach_role_policy(RoleName=role.name, PolicyArn=attached)
    get()
    iam.put_role_permissions_boundary(RoleName=role.name, PermissionsBoundary=managed("ssm:*"))
    assert "because no permissions boundary allows the s3:GetObject action" in refused(get)[2]
    iam.put_role_permissions_boundary(RoleName=role.name, PermissionsBoundary=managed("s3:Get*"))
    get()
    iam.detach_role_policy(RoleName=role.name, PolicyArn=attached)
    assert "because no identity-based policy allows the s3:GetObject action" in refused(get)[2]


def test_policies_of_aws_itself_can_be_attached(aws: Any, role: Role, bucket: str) -> None:
    assert aws.logged(role.function) == []
    policy = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    aws.client("iam").attach_role_policy(RoleName=role.name, PolicyArn=policy)
    aws.invoke(role.function)
    assert aws.logged(role.function)
    assert denied(lambda: role.client("s3").get_object(Bucket=bucket, Key="there"))


def test_a_deleted_role_allows_nothing(aws: Any, role: Role, bucket: str) -> None:
    role.allow("*")
    role.client("s3").get_object(Bucket=bucket, Key="there")
    aws.client("iam").delete_role_policy(RoleName=role.name, PolicyName="it")
    aws.client("iam").delete_role(RoleName=role.name)
    assert denied(lambda: role.client("s3").get_object(Bucket=bucket, Key="there"))


def test_a_policy_that_is_not_understood_is_told_and_allows_nothing(aws: Any, role: Role, bucket: str) -> None:
    role.allow("s3:*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}})
    message = refused(lambda: role.client("s3").get_object(Bucket=bucket, Key="there"))[2]
    assert "the sandbox does not know the condition operator IpAddress" in message or "condition key" in message
    assert f"a policy of {role.arn}, asked for s3:GetObject" in aws.output.read_text()


@pytest.mark.parametrize(
    ("service", "method", "arguments", "action"),
    [
        ("dynamodb", "list_tables", {}, "dynamodb:ListTables"),
        ("iam", "list_roles", {}, "iam:ListRoles"),
        ("scheduler", "list_schedules", {}, "scheduler:ListSchedules"),
        ("lambda", "list_functions", {}, "lambda:ListFunctions"),
        ("s3", "list_buckets", {}, "s3:ListAllMyBuckets"),
    ],
)
def test_of_other_operations_the_action_is_checked(
    role: Role, service: str, method: str, arguments: dict[str, Any], action: str
) -> None:
    def call() -> Any:
        return getattr(role.client(service), method)(**arguments)

    role.allow("a:*")
    code, _, message = refused(call)
    assert code in {"AccessDenied", "AccessDeniedException"}
    assert message == (
        f"User: {role.session} is not authorized to perform: {action} "
        f"because no identity-based policy allows the {action} action"
    )
    role.allow(action, "arn:aws:x:::some")
    call()


def test_everybody_may_ask_who_they_are(role: Role) -> None:
    role.client("sts").get_caller_identity()


def test_a_malformed_call_is_refused_with_what_is_missing(role: Role) -> None:
    role.allow("*")
    code, status, message = refused(lambda: role.client("stepfunctions").describe_execution())
    assert (code, status) == ("ValidationException", 400)
    assert "states:DescribeExecution" in message
    assert "executionArn" in message


def test_output_of_a_function_whose_role_may_not_log_is_lost(aws: Any, role: Role, eventually: Eventually) -> None:
    logging = aws.function("def handler(e, c): print('hello'); return 1", Role=role.arn)
    group = f"arn:aws:logs:{REGION}:log-group:/aws/lambda/{logging}"
    role.allow(["logs:CreateLogStream", "logs:PutLogEvents"], f"{group}:*")
    assert aws.invoke(logging) == 1
    assert eventually(lambda: f"the output of {logging} is lost" in aws.output.read_text())
    assert aws.logged(logging) == []  # its group is not there and may not be created
    role.allow("logs:*", f"{group}:*")
    assert aws.invoke(logging) == 1
    assert "hello" in aws.logged(logging)


def test_a_destination_gets_only_what_the_functions_role_may_send(aws: Any, role: Role, eventually: Eventually) -> None:
    sqs = aws.client("sqs")
    queue = sqs.create_queue(QueueName="allowed")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    name = aws.function("def handler(e, c): return e", Role=role.arn)
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName=name, Qualifier="live", DestinationConfig={"OnSuccess": {"Destination": arn}}
    )
    aws.invoke(name, {"n": 1}, InvocationType="Event")
    assert eventually(lambda: f"a message of {name} to {arn} is lost" in aws.output.read_text())
    role.allow("sqs:SendMessage", arn)
    aws.invoke(name, {"n": 2}, InvocationType="Event")
    [message] = eventually(lambda: sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"))
    assert json.loads(message["Body"])["requestPayload"] == {"n": 2}


def test_a_state_machine_does_only_what_its_role_allows(aws: Any, role: Role, eventually: Eventually) -> None:
    states = aws.client("stepfunctions")
    function = aws.function("def handler(e, c): return 1")
    arn = f"arn:aws:lambda:{REGION}:function:{function}:live"
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": arn},
        "End": True,
    }
    definition = json.dumps({"StartAt": "A", "States": {"A": task}})
    machine = states.create_state_machine(name="invoking", definition=definition, roleArn=role.arn)["stateMachineArn"]

    def run() -> Any:
        execution = states.start_execution(stateMachineArn=machine)["executionArn"]
        return eventually(lambda: (d := states.describe_execution(executionArn=execution))["status"] != "RUNNING" and d)

    failed = run()
    assert (failed["status"], failed["error"]) == ("FAILED", "Lambda.AWSLambdaException")
    assert f"assumed-role/{role.name}/" in failed["cause"]
    assert f"is not authorized to perform: lambda:InvokeFunction on resource: {arn} because" in failed["cause"]
    role.allow("lambda:InvokeFunction", arn)
    assert run()["status"] == "SUCCEEDED"


def test_a_rule_starts_only_what_its_targets_role_allows(aws: Any, role: Role, eventually: Eventually) -> None:
    states, events = aws.client("stepfunctions"), aws.client("events")
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    machine = states.create_state_machine(name="ruled", definition=definition, roleArn=role.arn)["stateMachineArn"]
    events.put_rule(Name="ruled", EventPattern=json.dumps({"source": ["ruled"]}))

    def put(**target: str) -> str | None:
        events.put_targets(Rule="ruled", Targets=[{"Id": "m", "Arn": machine, **target}])
        sent = events.put_events(Entries=[{"Source": "ruled", "DetailType": "t", "Detail": "{}"}])["Entries"][0]
        [seen] = [event for event in aws.control("events") if event["event"]["id"] == sent["EventId"]]
        error: str | None = seen["deliveries"][0]["error"]
        return error

    assert "RoleArn is required for target" in str(put())
    assert "not authorized to perform: states:StartExecution" in str(put(RoleArn=role.arn))
    assert states.list_executions(stateMachineArn=machine)["executions"] == []
    role.allow("states:StartExecution", machine)
    assert put(RoleArn=role.arn) is None
    assert eventually(lambda: states.list_executions(stateMachineArn=machine)["executions"])


def test_an_execution_invokes_only_what_its_functions_role_allows(aws: Any, role: Role, eventually: Eventually) -> None:
    child = aws.function("def handler(e, c): return 1")
    parent = durable(aws, 60, Role=role.arn)
    checkpoints = {
        "Effect": "Allow",
        "Action": ["lambda:CheckpointDurableExecution", "lambda:GetDurableExecutionState"],
        "Resource": f"arn:aws:lambda:{REGION}:function:{parent}:*",
    }
    aws.allow(role.name, checkpoints)
    payload = {"call": f"{child}:live", "with": {}}
    failed = ended(aws, eventually, start(aws, parent, payload))
    assert failed["Status"] == "FAILED"
    assert "is not authorized to perform: lambda:InvokeFunction on resource" in failed["Error"]["ErrorMessage"]
    invoke = {
        "Effect": "Allow",
        "Action": "lambda:InvokeFunction",
        "Resource": f"arn:aws:lambda:{REGION}:function:{child}:live",
    }
    aws.allow(role.name, checkpoints, invoke)
    assert ended(aws, eventually, start(aws, parent, payload))["Status"] == "SUCCEEDED"


def test_callbacks_are_answered_by_who_may_answer_those_of_their_function(
    aws: Any, role: Role, eventually: Eventually
) -> None:
    asking = durable(aws, 60)
    arn = start(aws, asking, {"timeout": 60})
    callback = callback_of(aws, eventually, arn)

    def answer() -> Any:
        return role.client("lambda").send_durable_execution_callback_success(CallbackId=callback, Result=b"yes")

    action = "lambda:SendDurableExecutionCallbackSuccess"
    role.allow(action, f"arn:aws:lambda:{REGION}:function:{asking}:live")
    code, status, message = refused(answer)
    assert (code, status) == LONG
    assert f"{action} on resource: {arn} because" in message
    assert callback not in message
    role.allow(action, f"arn:aws:lambda:{REGION}:function:{asking}:*")
    answer()
    assert json.loads(ended(aws, eventually, arn)["Result"]) == {"answer": "yes"}
