"""The deployed entry point, and the whole way with executions of moto's own Step Functions."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.core.config import default_user_config

from maintenance import handler as entry
from maintenance.events import InvalidEventError
from shared.errors import ConfigurationError
from tests.unit.maintenance.conftest import BUCKET, FUNCTION_ARN, REGION

FUNCTIONS = Path(entry.__file__).parents[1]


class Context:
    invoked_function_arn = FUNCTION_ARN

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 300_000


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("Bucket", BUCKET)
    monkeypatch.delenv("Prefix", raising=False)
    entry.settings.cache_clear()
    with mock_aws():
        boto3.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield
    entry.settings.cache_clear()


@pytest.mark.usefixtures("environment")
def test_without_a_bucket_every_event_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("Bucket")

    with pytest.raises(ConfigurationError, match="environment variable Bucket is not set; set it to the name of"):
        entry.handler({"action": "sweep"}, Context())


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("value", ["fast", "0", "-1", "1.5", "\u00b2"])
def test_a_rate_that_is_none_says_what_to_set(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ResumeRatePerSecond", value)

    with pytest.raises(ConfigurationError, match=r"ResumeRatePerSecond is '.*'; set it to a whole number greater than"):
        entry.handler({"action": "sweep"}, Context())


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("value", ["Order*", "[]", "[1]", "{}"])
def test_names_that_are_no_list_say_what_to_set(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("StateMachineNames", value)

    with pytest.raises(ConfigurationError, match=r"StateMachineNames is .* set it to a JSON list of state machine"):
        entry.handler({"action": "sweep"}, Context())


@pytest.mark.usefixtures("environment")
def test_the_metrics_of_an_invocation_are_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    entry.handler({"action": "sweep"}, Context())

    (record,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (record["FunctionName"], record["Sweeps"], record["SweepFailures"]) == ("orders-maintenance", 1, 0)


@pytest.mark.usefixtures("environment")
def test_a_machine_whose_name_is_not_served_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("StateMachineNames", '["Order*", "Billing"]')
    event = {"action": "status", "stateMachineArn": f"arn:aws:states:{REGION}:123456789012:stateMachine:Refund"}

    with pytest.raises(
        InvalidEventError, match=r"this gate serves Order\*, Billing only; add the name to its state_mach"
    ):
        entry.handler(event, Context())


@pytest.mark.usefixtures("environment")
def test_the_clients_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("Prefix", "gates/")
    entry.handler({"action": "sweep"}, Context())
    first = entry.settings()

    entry.handler({"action": "sweep"}, Context())

    assert entry.settings() is first
    assert first.keys.root == "gates/"


def test_importing_the_handler_needs_no_environment() -> None:
    imported = subprocess.run(
        [sys.executable, "-c", "import maintenance.handler"],
        env={"PYTHONPATH": str(FUNCTIONS), "PATH": os.environ["PATH"]},
        check=False,
        capture_output=True,
        text=True,
    )

    assert (imported.returncode, imported.stderr) == (0, "")


DEFINITION = {
    "StartAt": "MaintenanceCheck",
    "States": {
        "MaintenanceCheck": {
            "Type": "Task",
            # The deployed state invokes the function; a queue hands its payload to this test instead.
            "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
            "Parameters": {
                "QueueUrl.$": "$.queue",
                "MessageBody": {"taskToken.$": "$$.Task.Token", "stateMachineArn.$": "$$.StateMachine.Id"},
            },
            "ResultPath": "$.maintenance",
            "Next": "BusinessLogic",
        },
        "BusinessLogic": {"Type": "Pass", "End": True},
    },
}


@pytest.mark.usefixtures("environment")
def test_executions_wait_under_the_tag_and_go_on_without_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "maintenance")
    monkeypatch.setitem(default_user_config, "stepfunctions", {"execute_state_machine": True})
    states, sqs = boto3.client("stepfunctions"), boto3.client("sqs")
    queue = sqs.create_queue(QueueName="check-ins")["QueueUrl"]
    machine = states.create_state_machine(
        name="Order", definition=json.dumps(DEFINITION), roleArn="arn:aws:iam::123456789012:role/states"
    )["stateMachineArn"]
    states.tag_resource(resourceArn=machine, tags=[{"key": "Maintenance", "value": "true"}])
    entry.handler({"action": "sweep"}, Context())

    tokens: list[str] = []

    def start() -> str:
        execution = states.start_execution(
            stateMachineArn=machine,
            name=f"order-{len(tokens)}",  # moto gives all unnamed executions one ARN
            input=json.dumps({"queue": queue, "order": 7}),
        )
        (message,) = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        event = json.loads(message["Body"])
        tokens.append(event["taskToken"])
        answers.append(entry.handler(event, Context()))
        return execution["executionArn"]

    def ended(execution: str) -> dict[str, Any]:
        deadline = time.monotonic() + 10
        while (found := states.describe_execution(executionArn=execution))["status"] == "RUNNING":
            assert time.monotonic() < deadline
            time.sleep(0.02)  # an execution tells nobody that it ended
        assert found["status"] == "SUCCEEDED"
        output: dict[str, Any] = json.loads(found["output"])
        return output

    answers: list[dict[str, Any]] = []
    parked = [start() for _ in range(3)]
    assert [answer["status"] for answer in answers] == ["maintenance"] * 3

    answer = entry.handler({"action": "end", "stateMachineArn": machine}, Context())
    assert answer == {"action": "end", "machines": {"Order": "open"}, "resumed_tokens": 3}
    late = start()

    for execution in parked:
        assert ended(execution) == {"queue": queue, "order": 7, "maintenance": {"status": "resumed"}}
    assert ended(late)["maintenance"] == {"status": "proceeding"}
    assert not [token for token in tokens if token in caplog.text]
