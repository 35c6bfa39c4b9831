"""Durable executions over Lambda's own calls. The emulator itself is tested by its makers."""

import base64
import json
import re
import site
import sysconfig
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

Eventually = Callable[[Callable[[], Any]], Any]

# The package of this function holds no SDK: it takes the one of the tests' own environment.
WORKFLOW = """
import os, sys
sys.path.append(os.environ["SDK"])
from aws_durable_execution_sdk_python import durable_execution
from aws_durable_execution_sdk_python.config import CallbackConfig, Duration, InvokeConfig

@durable_execution
def handler(event, context):
    if "size" in event:
        return len(context.step(lambda _: "x" * (event["size"] - 2), name="large"))  # its JSON has two quotes
    if "boom" in event:
        raise ValueError(event["boom"])
    if "call" in event:
        return context.invoke(event["call"], event["with"], name="call")
    callback = context.create_callback("vote-1", CallbackConfig(timeout=Duration.from_seconds(event["timeout"])))
    try:
        return {"answer": callback.result()}
    except Exception as error:
        return {"error": type(error).__name__}
"""
ARN = re.compile(r"arn:aws:lambda:us-east-2:123456789012:function:([\w-]+):1/durable-execution/([\w-]+)/[0-9a-f-]{36}")


@pytest.fixture(scope="module")
def workflow(aws: Any) -> str:
    return durable(aws, 60)


def durable(aws: Any, execution_timeout: int, **settings: Any) -> str:
    variables = {"SDK": sysconfig.get_path("purelib")}
    name: str = aws.function(WORKFLOW, Environment={"Variables": variables}, Timeout=20, **settings)
    aws.control("durable-functions", {name: {"execution_timeout": execution_timeout}})
    return name


def start(aws: Any, name: str, payload: Any, **options: Any) -> str:
    arn: str = aws.client("lambda").invoke(
        FunctionName=f"{name}:live", InvocationType="Event", Payload=json.dumps(payload), **options
    )["DurableExecutionArn"]
    return arn


def callback_of(aws: Any, eventually: Eventually, arn: str) -> str:
    def created() -> str | None:
        events = aws.client("lambda").get_durable_execution_history(DurableExecutionArn=arn)["Events"]
        found = [
            event["CallbackStartedDetails"]["CallbackId"] for event in events if event["EventType"] == "CallbackStarted"
        ]
        return found[0] if found else None

    callback: str = eventually(created)
    return callback


def ended(aws: Any, eventually: Eventually, arn: str) -> Any:
    describe = aws.client("lambda").get_durable_execution
    return eventually(lambda: (d := describe(DurableExecutionArn=arn))["Status"] != "RUNNING" and d)


def refused(call: Callable[[], Any]) -> tuple[str, int]:
    with pytest.raises(ClientError) as error:
        call()
    response: Any = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def statuses(aws: Any, arn: str) -> list[str]:
    return [
        seen["event"]["detail"]["status"]
        for seen in aws.control("events")
        if seen["event"]["detail"].get("durableExecutionArn") == arn
    ]


def test_an_execution_waits_for_its_callback_and_its_changes_are_events(
    aws: Any, workflow: str, eventually: Eventually
) -> None:
    arn = start(aws, workflow, {"timeout": 50}, DurableExecutionName="order-1")
    match = ARN.fullmatch(arn)
    assert match is not None
    assert match.groups() == (workflow, "order-1")
    callback = callback_of(aws, eventually, arn)
    aws.client("lambda").send_durable_execution_callback_success(CallbackId=callback, Result=b'{"by": "U1"}')
    done = ended(aws, eventually, arn)
    assert (done["Status"], json.loads(done["Result"])) == ("SUCCEEDED", {"answer": '{"by": "U1"}'})
    assert (done["Version"], done["DurableExecutionName"]) == ("1", "order-1")
    assert statuses(aws, arn) == ["RUNNING", "SUCCEEDED"]
    [last] = [s["event"] for s in aws.control("events") if s["event"]["resources"] == [arn]][-1:]
    assert (last["source"], last["detail-type"]) == ("aws.lambda", "Durable Execution Status Change")
    assert last["detail"]["functionArn"] == f"arn:aws:lambda:us-east-2:123456789012:function:{workflow}:1"
    assert {"startTimestamp", "endTimestamp"} <= last["detail"].keys()


def test_a_closed_callback_is_told_from_an_unknown_and_a_malformed_one(
    aws: Any, workflow: str, eventually: Eventually
) -> None:
    client = aws.client("lambda")
    arn = start(aws, workflow, {"timeout": 50})
    callback = callback_of(aws, eventually, arn)
    client.send_durable_execution_callback_heartbeat(CallbackId=callback)
    client.send_durable_execution_callback_success(CallbackId=callback, Result=b"1")
    for late in (
        lambda: client.send_durable_execution_callback_success(CallbackId=callback, Result=b"2"),
        lambda: client.send_durable_execution_callback_failure(CallbackId=callback, Error={"ErrorMessage": "no"}),
        lambda: client.send_durable_execution_callback_heartbeat(CallbackId=callback),
    ):
        assert refused(late) == ("CallbackTimeoutException", 400)
    unknown = json.dumps({"arn": f"{arn}0", "op": "x"}), json.dumps({"arn": arn, "op": "x"})
    for text in unknown:
        strange = base64.b64encode(text.encode()).decode()
        call = lambda i=strange: client.send_durable_execution_callback_success(CallbackId=i)  # noqa: E731
        assert refused(call) == ("ResourceNotFoundException", 404)
    malformed = lambda: client.send_durable_execution_callback_success(CallbackId="abc")  # noqa: E731
    assert refused(malformed) == ("InvalidParameterValueException", 400)


def test_an_expired_callback_and_one_of_a_stopped_execution_are_closed(
    aws: Any, workflow: str, eventually: Eventually
) -> None:
    client = aws.client("lambda")
    expiring, stopped = start(aws, workflow, {"timeout": 1}), start(aws, workflow, {"timeout": 50})
    callbacks = [callback_of(aws, eventually, arn) for arn in (expiring, stopped)]
    client.stop_durable_execution(DurableExecutionArn=stopped, Error={"ErrorType": "Cancelled", "ErrorMessage": "me"})
    assert json.loads(ended(aws, eventually, expiring)["Result"]) == {"error": "CallbackTimeoutError"}
    done = ended(aws, eventually, stopped)
    assert (done["Status"], done["Error"]["ErrorType"]) == ("STOPPED", "Cancelled")
    assert statuses(aws, stopped) == ["RUNNING", "STOPPED"]
    for callback in callbacks:
        call = lambda i=callback: client.send_durable_execution_callback_success(CallbackId=i)  # noqa: E731
        assert refused(call) == ("CallbackTimeoutException", 400)


def test_a_result_that_is_too_large_is_no_answer_to_a_callback(aws: Any, workflow: str, eventually: Eventually) -> None:
    arn = start(aws, workflow, {"timeout": 60})
    callback = callback_of(aws, eventually, arn)
    send = aws.client("lambda").send_durable_execution_callback_success
    largest = 1024 * 1024
    too_large = refused(lambda: send(CallbackId=callback, Result=b"x" * (largest + 1)))
    assert too_large == ("InvalidParameterValueException", 400)
    send(CallbackId=callback, Result=b"x" * largest)
    assert ended(aws, eventually, arn)["Result"] == json.dumps({"answer": "x" * largest})


def test_a_step_whose_result_is_too_large_fails_its_execution(aws: Any, workflow: str, eventually: Eventually) -> None:
    largest = 256 * 1024
    assert ended(aws, eventually, start(aws, workflow, {"size": largest}))["Result"] == str(largest - 2)
    failed = ended(aws, eventually, start(aws, workflow, {"size": largest + 1}))
    assert failed["Status"] == "FAILED"
    message = "STEP output payload size must be less than or equal to 262144 bytes."
    assert message in failed["Error"]["ErrorMessage"]


def test_a_name_starts_one_execution(aws: Any, workflow: str) -> None:
    first = start(aws, workflow, {"timeout": 50}, DurableExecutionName="once")
    assert start(aws, workflow, {"timeout": 50}, DurableExecutionName="once") == first
    other = lambda: start(aws, workflow, {"timeout": 49}, DurableExecutionName="once")  # noqa: E731
    assert refused(other) == ("DurableExecutionAlreadyStartedException", 409)


def test_an_execution_that_takes_too_long_is_timed_out(aws: Any, eventually: Eventually) -> None:
    arn = start(aws, durable(aws, 1), {"timeout": 50})
    assert ended(aws, eventually, arn)["Status"] == "TIMED_OUT"
    assert statuses(aws, arn) == ["RUNNING", "TIMED_OUT"]


def test_a_synchronous_invocation_returns_the_result_or_the_error(aws: Any, workflow: str) -> None:
    assert aws.invoke(workflow, {"timeout": 1}) == {"error": "CallbackTimeoutError"}
    answer = aws.client("lambda").invoke(FunctionName=f"{workflow}:live", Payload=b'{"boom": "no"}')
    assert answer["FunctionError"] == "Unhandled"
    assert json.loads(answer["Payload"].read()) == {"errorType": "ValueError", "errorMessage": "no"}
    assert ARN.fullmatch(answer["DurableExecutionArn"])


def test_invocations_that_aws_refuses_are_refused(aws: Any, workflow: str) -> None:
    client = aws.client("lambda")
    unqualified = lambda: client.invoke(FunctionName=workflow, InvocationType="Event")  # noqa: E731
    assert refused(unqualified) == ("InvalidParameterValueException", 400)
    long = durable(aws, 901)
    assert refused(lambda: aws.invoke(long)) == ("InvalidParameterValueException", 400)
    assert start(aws, long, {"timeout": 1})
    plain = aws.function("def handler(e, c): pass")
    named = lambda: aws.invoke(plain, DurableExecutionName="n")  # noqa: E731
    assert refused(named) == ("InvalidParameterValueException", 400)


def test_a_durable_function_invokes_plain_and_durable_functions(
    aws: Any, workflow: str, eventually: Eventually
) -> None:
    plain = aws.function("def handler(event, context): return {'got': event}")
    assert aws.invoke(workflow, {"call": f"{plain}:live", "with": {"n": 1}}) == {"got": {"n": 1}}
    parent = start(aws, workflow, {"call": f"{workflow}:live", "with": {"call": f"{plain}:live", "with": 2}})
    assert json.loads(ended(aws, eventually, parent)["Result"]) == {"got": 2}
    answer = aws.invoke(workflow, {"call": "nobody:live", "with": 1})
    assert "nobody" in answer["errorMessage"]


def test_executions_are_listed_by_function_version_and_status(aws: Any, eventually: Eventually) -> None:
    name = durable(aws, 60)
    client = aws.client("lambda")
    before = datetime.now(UTC)
    done, running = start(aws, name, {"timeout": 1}), start(aws, name, {"timeout": 50})
    ended(aws, eventually, done)
    for function, qualifier in ((name, "live"), (f"arn:aws:lambda:us-east-2:123456789012:function:{name}", "1")):
        listed = client.list_durable_executions_by_function(FunctionName=function, Qualifier=qualifier)
        assert {e["DurableExecutionArn"] for e in listed["DurableExecutions"]} == {done, running}
    listed = client.list_durable_executions_by_function(FunctionName=name, Statuses=["RUNNING"])
    assert [e["DurableExecutionArn"] for e in listed["DurableExecutions"]] == [running]
    assert (
        client.list_durable_executions_by_function(FunctionName=name, StartedBefore=before)["DurableExecutions"] == []
    )
    page = client.list_durable_executions_by_function(FunctionName=name, MaxItems=1)
    rest = client.list_durable_executions_by_function(FunctionName=name, Marker=page["NextMarker"])
    assert [p["DurableExecutions"][0]["DurableExecutionArn"] for p in (page, rest)] == [done, running]
    with pytest.raises(ClientError):
        client.list_durable_executions_by_function(FunctionName="nobody")


def test_deleting_a_function_stops_its_executions(aws: Any, eventually: Eventually) -> None:
    name = durable(aws, 60)
    arn = start(aws, name, {"timeout": 50}, DurableExecutionName="n")
    aws.client("lambda").delete_function(FunctionName=name)
    assert ended(aws, eventually, arn)["Status"] == "STOPPED"
    aws.function(WORKFLOW, name=name, Environment={"Variables": {"SDK": sysconfig.get_path("purelib")}})
    assert start(aws, name, {"timeout": 1}, DurableExecutionName="n") != arn  # durable again, without being told


def test_durable_config_of_the_function_itself_counts(aws: Any) -> None:
    client = aws.client("lambda")
    config = {"ExecutionTimeout": 60, "RetentionPeriodInDays": 7}
    variables = {"Variables": {"SDK": site.getsitepackages()[0]}}
    name = aws.function(WORKFLOW, DurableConfig=config, Environment=variables)
    assert client.get_function_configuration(FunctionName=name)["DurableConfig"] == config
    assert ARN.fullmatch(start(aws, name, {"timeout": 1}))


def test_no_callback_id_reaches_the_servers_own_output(aws: Any, workflow: str, eventually: Eventually) -> None:
    arn = start(aws, workflow, {"timeout": 1})
    callback = callback_of(aws, eventually, arn)
    ended(aws, eventually, arn)
    refused(lambda: aws.client("lambda").send_durable_execution_callback_success(CallbackId=callback))
    aws.invoke(workflow, {"boom": callback})  # which the emulator logs
    output = aws.output.read_text()
    assert "<hidden>" in output
    assert callback not in output
