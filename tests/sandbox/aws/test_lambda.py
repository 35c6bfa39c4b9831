import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

Eventually = Callable[[Callable[[], Any]], Any]

ECHO = """
import os, sys
def handler(event, context):
    return {
        "event": event, "arn": context.invoked_function_arn, "version": context.function_version,
        "python": "python%d.%d" % sys.version_info[:2], "variables": dict(os.environ), "path": sys.path,
    }
"""


def code_of(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response: Any = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_an_alias_runs_the_version_that_it_names(aws: Any) -> None:
    name = aws.function("def handler(event, context): return 'first'")
    client = aws.client("lambda")
    client.update_function_code(FunctionName=name, ZipFile=aws.package("def handler(event, context): return 'second'"))
    assert aws.invoke(name) == "first"
    assert client.invoke(FunctionName=name)["Payload"].read() == b'"second"'
    second = client.publish_version(FunctionName=name)["Version"]
    client.update_alias(FunctionName=name, Name="live", FunctionVersion=second)
    answer = client.invoke(FunctionName=f"{name}:live")
    assert (answer["Payload"].read(), answer["ExecutedVersion"]) == (b'"second"', "2")


def test_a_function_sees_lambdas_environment_and_nothing_of_the_machines(aws: Any) -> None:
    name = aws.function(ECHO, Environment={"Variables": {"COLOUR": "blue"}}, MemorySize=512)
    seen = aws.invoke(name, {"n": 1})
    assert seen["event"] == {"n": 1}
    assert seen["arn"].endswith(f":function:{name}:live")
    assert seen["version"] == "1"
    by_number = json.loads(aws.client("lambda").invoke(FunctionName=f"{name}:1")["Payload"].read())
    assert by_number["arn"].endswith(f":function:{name}:1")  # though the same process runs it
    log_stream = "AWS_LAMBDA_LOG_STREAM_NAME"
    assert by_number["variables"][log_stream] == seen["variables"][log_stream]
    variables = seen["variables"]
    expected = {
        "COLOUR": "blue",
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_REGION": "us-east-2",
        "AWS_ENDPOINT_URL": aws.address,
        "AWS_LAMBDA_LOG_FORMAT": "Text",
    }
    assert expected.items() <= variables.items()
    assert not {"AWS_CA_BUNDLE", "HTTP_PROXY", "AWS_PROFILE"} & variables.keys()
    assert not any("site-packages" in entry for entry in seen["path"])


def test_a_function_runs_on_the_python_of_its_runtime_where_that_is_installed(aws: Any) -> None:
    other = "python3.12" if sys.version_info[:2] != (3, 12) else "python3.13"
    installed = list(Path.home().glob(f".pyenv/versions/*/bin/{other}")) or _runs(other)
    if not installed:
        pytest.skip(f"{other} is not installed")
    assert aws.invoke(aws.function(ECHO, Runtime=other))["python"] == other


def test_a_package_comes_from_the_bucket_too(aws: Any) -> None:
    aws.client("s3").create_bucket(Bucket="packages", CreateBucketConfiguration={"LocationConstraint": "us-east-2"})
    aws.client("s3").put_object(Bucket="packages", Key="k.zip", Body=aws.package("def handler(e, c): return 'from s3'"))
    name = aws.function("", Code={"S3Bucket": "packages", "S3Key": "k.zip"})
    assert aws.invoke(name) == "from s3"


def test_json_logs_have_the_records_of_the_application_and_of_the_platform(aws: Any) -> None:
    source = "import logging\ndef handler(e, c): logging.getLogger().info('hello', extra={'order': 7}); print('plain')"
    name = aws.function(source, LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "INFO"})
    aws.invoke(name)
    lines = aws.logged(name)
    records = [json.loads(line) for line in lines if line.startswith("{")]
    assert [record.get("type") or record["message"] for record in records] == [
        "platform.start",
        "hello",
        "platform.report",
    ]
    assert records[1]["order"] == 7
    assert "plain" in lines


def test_the_log_tail_comes_with_the_answer_when_asked_for(aws: Any) -> None:
    name = aws.function("def handler(e, c): print('for the caller')")
    answer = aws.client("lambda").invoke(FunctionName=name, LogType="Tail")
    assert "for the caller" in base64.b64decode(answer["LogResult"]).decode()


@pytest.mark.parametrize(
    ("body", "settings", "kind"),
    [
        ("raise ValueError('no')", {}, "ValueError"),
        ("import time; time.sleep(30)", {"Timeout": 1}, "Sandbox.Timedout"),
        ("import os; os._exit(3)", {}, "Runtime.ExitError"),
    ],
)
def test_a_failure_is_a_function_error_and_the_next_invocation_runs_again(
    aws: Any, body: str, settings: dict[str, Any], kind: str
) -> None:
    name = aws.function(f"def handler(e, c):\n    if e.get('well'): return 'well'\n    {body}", **settings)
    answer = aws.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read())["errorType"] == kind
    assert aws.invoke(name, {"well": True}) == "well"


def test_a_module_that_cannot_be_imported_is_a_function_error(aws: Any) -> None:
    name = aws.function("import nothing_of_this_name")
    answer = aws.client("lambda").invoke(FunctionName=name)
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read())["errorType"] == "Runtime.ImportModuleError"


@pytest.mark.parametrize("qualifier", ["7", "nobody"])
def test_an_unknown_function_version_or_alias_is_not_found(aws: Any, qualifier: str) -> None:
    name = aws.function("def handler(e, c): pass")
    for unknown in (f"{name}:{qualifier}", f"{name}-not"):
        with pytest.raises(ClientError) as error:
            aws.client("lambda").invoke(FunctionName=unknown)
        assert code_of(error) == ("ResourceNotFoundException", 404)


def test_a_payload_that_is_not_json_is_refused(aws: Any) -> None:
    name = aws.function("def handler(e, c): pass")
    with pytest.raises(ClientError) as error:
        aws.client("lambda").invoke(FunctionName=name, Payload=b"{")
    assert code_of(error) == ("InvalidRequestContentException", 400)


def test_no_reserved_concurrency_is_left_means_429(aws: Any) -> None:
    name = aws.function("def handler(e, c): pass")
    aws.client("lambda").put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    with pytest.raises(ClientError) as error:
        aws.client("lambda").invoke(FunctionName=name)
    assert code_of(error) == ("TooManyRequestsException", 429)


def test_an_asynchronous_failure_is_retried_and_reaches_the_dead_letter_queue(aws: Any, eventually: Eventually) -> None:
    sqs = aws.client("sqs")
    queue = sqs.create_queue(QueueName="dead-letters")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    name = aws.function(
        "def handler(e, c): print('attempt'); raise OSError('down')", DeadLetterConfig={"TargetArn": arn}
    )
    aws.client("lambda").put_function_event_invoke_config(FunctionName=name, Qualifier="live", MaximumRetryAttempts=1)
    aws.invoke(name, {"n": 1}, InvocationType="Event")
    [message] = eventually(lambda: sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"]).get("Messages"))
    assert json.loads(message["Body"]) == {"n": 1}
    assert message["MessageAttributes"]["ErrorMessage"]["StringValue"] == "down"
    assert aws.logged(name).count("attempt") == 2


def test_an_asynchronous_failure_is_recorded_at_its_destination(aws: Any, eventually: Eventually) -> None:
    sqs = aws.client("sqs")
    queue = sqs.create_queue(QueueName="failures")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    name = aws.function("def handler(e, c): raise OSError('down')")
    aws.client("lambda").put_function_event_invoke_config(
        FunctionName=name,
        Qualifier="live",
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": arn}},
    )
    aws.invoke(name, {"n": 1}, InvocationType="Event")
    [message] = eventually(lambda: sqs.receive_message(QueueUrl=queue).get("Messages"))
    record = json.loads(message["Body"])
    assert record["requestPayload"] == {"n": 1}
    assert record["requestContext"]["approximateInvokeCount"] == 1
    assert record["responsePayload"]["errorType"] == "OSError"


def test_what_was_configured_reads_back(aws: Any) -> None:
    kept = {
        "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "/mine", "ApplicationLogLevel": "DEBUG"},
        "DeadLetterConfig": {"TargetArn": "arn:aws:sqs:us-east-2:123456789012:q"},
    }
    name = aws.function("", **kept)
    client = aws.client("lambda")
    shown = client.get_function_configuration(FunctionName=name)
    assert kept.items() <= shown.items()
    client.update_function_configuration(FunctionName=name, DeadLetterConfig={"TargetArn": ""})
    assert client.get_function_configuration(FunctionName=name)["DeadLetterConfig"] == {"TargetArn": ""}
    published = client.get_function_configuration(FunctionName=name, Qualifier="1")
    assert published["DeadLetterConfig"] == kept["DeadLetterConfig"]


def test_whether_a_function_may_invoke_itself_for_ever_reads_back(aws: Any) -> None:
    name = aws.function("")
    client = aws.client("lambda")
    assert client.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Terminate"
    assert client.put_function_recursion_config(FunctionName=name, RecursiveLoop="Allow")["RecursiveLoop"] == "Allow"
    arn = client.get_function_configuration(FunctionName=name)["FunctionArn"]
    assert client.get_function_recursion_config(FunctionName=arn)["RecursiveLoop"] == "Allow"
    with pytest.raises(ClientError) as error:
        client.put_function_recursion_config(FunctionName=name, RecursiveLoop="Perhaps")
    assert code_of(error) == ("InvalidParameterValueException", 400)
    with pytest.raises(ClientError) as error:
        client.get_function_recursion_config(FunctionName="nobody")
    assert code_of(error) == ("ResourceNotFoundException", 404)


def test_each_qualifier_has_its_event_invoke_configuration(aws: Any) -> None:
    name = aws.function("")
    client = aws.client("lambda")
    client.put_function_event_invoke_config(FunctionName=name, Qualifier="live", MaximumRetryAttempts=0)
    with pytest.raises(ClientError) as error:
        client.get_function_event_invoke_config(FunctionName=name)
    assert code_of(error) == ("ResourceNotFoundException", 404)
    found = client.get_function_event_invoke_config(FunctionName=name, Qualifier="live")
    assert (found["MaximumRetryAttempts"], found["FunctionArn"].rsplit(":", 1)[1]) == (0, "live")
    client.delete_function_event_invoke_config(FunctionName=name, Qualifier="live")
    with pytest.raises(ClientError):
        client.get_function_event_invoke_config(FunctionName=name, Qualifier="live")


def test_each_qualifier_has_its_policy_and_refuses_a_second_statement_of_one_id(aws: Any) -> None:
    name = aws.function("")
    client = aws.client("lambda")
    permission = {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com"}
    client.add_permission(FunctionName=name, Qualifier="live", **permission)
    client.add_permission(FunctionName=name, **permission)
    with pytest.raises(ClientError) as error:
        client.add_permission(FunctionName=name, Qualifier="live", **permission)
    assert code_of(error) == ("ResourceConflictException", 409)
    [statement] = json.loads(client.get_policy(FunctionName=name, Qualifier="live")["Policy"])["Statement"]
    assert statement["Resource"].endswith(f":function:{name}:live")
    client.remove_permission(FunctionName=name, Qualifier="live", StatementId="s")
    with pytest.raises(ClientError) as error:
        client.get_policy(FunctionName=name, Qualifier="live")
    assert code_of(error) == ("ResourceNotFoundException", 404)
    assert client.get_policy(FunctionName=name)["Policy"]


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_the_server(
    start_aws: Callable[[], Any], eventually: Eventually, number: signal.Signals
) -> None:
    local = start_aws()
    source = "import os, time\ndef handler(e, c):\n    if e.get('stay'): time.sleep(60)\n    return os.getpid()"
    name = local.function(source, Timeout=60)
    pid = local.invoke(name)
    local.invoke(name, {"stay": True}, InvocationType="Event")
    os.kill(local.process.pid, number)
    local.process.wait(timeout=5)
    eventually(lambda: not _alive(pid))


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A dead child of a dead server stays until the machine's first process collects it.
    status = Path(f"/proc/{pid}/status")
    return not (status.exists() and "State:\tZ" in status.read_text())


def _runs(python: str) -> bool:
    try:
        return subprocess.run([python, "-V"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def test_functions_are_created_while_others_log(start_aws: Callable[[], Any]) -> None:
    aws = start_aws()
    logs = aws.client("logs")
    for number in range(200):  # moto used to copy them all for each function
        logs.create_log_group(logGroupName=f"before-{number}")
    created = threading.Event()

    def log(writer: int) -> int:
        number = 0
        while not created.is_set():
            number += 1
            logs.create_log_group(logGroupName=f"{writer}-{number}")
        return number

    with ThreadPoolExecutor() as pool:
        writers = [pool.submit(log, writer) for writer in range(3)]
        try:
            names = {aws.function("def handler(event, context): return 1") for _ in range(25)}
        finally:
            created.set()
        assert all(writer.result() > 0 for writer in writers)
    assert names == {function["FunctionName"] for function in aws.client("lambda").list_functions()["Functions"]}
