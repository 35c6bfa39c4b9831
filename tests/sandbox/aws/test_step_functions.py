import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

Eventually = Callable[[Callable[[], Any]], Any]

# Tells the test the tokens that it was given, through its log.
CHECK_IN = "def handler(event, context): print('token=' + event['token'])"


class Machine:
    """A state machine with its executions."""

    def __init__(self, aws: Any, eventually: Eventually, states: dict[str, Any], **top: Any) -> None:
        self._eventually = eventually
        self.client = aws.client("stepfunctions")
        definition = {"StartAt": next(iter(states)), "States": states, **top}
        name = f"m{time.monotonic_ns()}"
        self.arn = self.client.create_state_machine(name=name, definition=json.dumps(definition), roleArn=aws.role)[
            "stateMachineArn"
        ]

    def start(self, data: Any = None) -> str:
        arn: str = self.client.start_execution(stateMachineArn=self.arn, input=json.dumps(data or {}))["executionArn"]
        return arn

    def described(self, execution: str) -> Any:
        return self.client.describe_execution(executionArn=execution)

    def ended(self, execution: str) -> Any:
        return self._eventually(lambda: (d := self.described(execution))["status"] != "RUNNING" and d)


def waiting(function: str, **more: Any) -> dict[str, Any]:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {
            "FunctionName": function,
            "InvocationType": "Event",
            "Payload": {"token.$": "$$.Task.Token"},
        },
        "End": True,
        **more,
    }


@pytest.fixture(scope="module")
def check_in(aws: Any) -> str:
    name: str = aws.function(CHECK_IN)
    return name


@pytest.fixture
def tokens(aws: Any, check_in: str, eventually: Eventually) -> Callable[[int], list[str]]:
    """Wait until so many more tokens were given out; return them, in no order."""
    before = _tokens(aws, check_in)

    def arrived(count: int) -> list[str]:
        found: set[str] = eventually(lambda: (t := _tokens(aws, check_in) - before) and len(t) >= count and t)
        return list(found)

    return arrived


def _tokens(aws: Any, name: str) -> set[str]:
    return {line.removeprefix("token=") for line in aws.logged(name) if line.startswith("token=")}


def code_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    response: Any = error.value.response
    code: str = response["Error"]["Code"]
    return code


def test_a_task_waits_for_its_token_and_takes_the_answer_as_its_result(
    aws: Any, check_in: str, tokens: Callable[[int], list[str]], eventually: Eventually
) -> None:
    machine = Machine(aws, eventually, {"Wait": waiting(f"{check_in}:live")})
    execution = machine.start()
    [token] = tokens(1)
    assert machine.described(execution)["status"] == "RUNNING"
    machine.client.send_task_success(taskToken=token, output='{"status": "resumed"}')
    done = machine.ended(execution)
    assert (done["status"], json.loads(done["output"])) == ("SUCCEEDED", {"status": "resumed"})


def test_an_answer_before_the_lambda_call_returns_counts(aws: Any, eventually: Eventually) -> None:
    slow = aws.function("import time\ndef handler(event, context): time.sleep(0.5)")
    state = waiting(slow, HeartbeatSeconds=5)
    del state["Parameters"]["InvocationType"]
    machine = Machine(aws, eventually, {"Wait": state})
    execution = machine.start()

    def scheduled() -> list[Any]:
        events = machine.client.get_execution_history(executionArn=execution)["events"]
        return [event for event in events if event["type"] == "TaskScheduled"]

    [event] = eventually(scheduled)
    token = json.loads(event["taskScheduledEventDetails"]["parameters"])["Payload"]["token"]
    machine.client.send_task_success(taskToken=token, output="1")
    assert machine.ended(execution)["status"] == "SUCCEEDED"


def test_each_iteration_of_a_map_and_each_branch_has_its_own_token(
    aws: Any, check_in: str, tokens: Callable[[int], list[str]], eventually: Eventually
) -> None:
    inner = {"StartAt": "Wait", "States": {"Wait": waiting(check_in)}}
    states = {
        "Map": {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": inner, "Next": "Parallel"},
        "Parallel": {"Type": "Parallel", "Branches": [inner, inner], "End": True},
    }
    machine = Machine(aws, eventually, states)
    execution = machine.start({"items": [1, 2, 3]})
    answered: set[str] = set()
    for count in (3, 5):
        for token in set(tokens(count)) - answered:
            machine.client.send_task_success(taskToken=token, output='"done"')
            answered.add(token)
    assert len(answered) == 5
    assert json.loads(machine.ended(execution)["output"]) == ["done", "done"]


def test_a_token_answers_once(
    aws: Any, check_in: str, tokens: Callable[[int], list[str]], eventually: Eventually
) -> None:
    states = {"Wait": {**waiting(check_in), "Next": "Stay"}, "Stay": {"Type": "Wait", "Seconds": 60, "End": True}}
    del states["Wait"]["End"]
    machine = Machine(aws, eventually, states)
    execution = machine.start()
    [token] = tokens(1)
    client = machine.client

    def answer(_: int) -> str:
        try:
            client.send_task_success(taskToken=token, output="{}")
        except ClientError as error:
            code: str = error.response["Error"]["Code"]
            return code
        return "OK"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(answer, range(4))) == ["OK", "TaskTimedOut", "TaskTimedOut", "TaskTimedOut"]
    assert machine.described(execution)["status"] == "RUNNING"
    assert code_of(lambda: client.send_task_failure(taskToken=token, error="E")) == "TaskTimedOut"
    assert code_of(lambda: client.send_task_heartbeat(taskToken=token)) == "TaskTimedOut"
    client.stop_execution(executionArn=execution)


def test_tokens_that_never_were_and_outputs_that_are_not_json_are_refused(
    aws: Any, check_in: str, tokens: Callable[[int], list[str]], eventually: Eventually
) -> None:
    machine = Machine(aws, eventually, {"Wait": waiting(check_in)})
    execution = machine.start()
    [token] = tokens(1)
    client = machine.client
    assert code_of(lambda: client.send_task_success(taskToken="nobody", output="{}")) == "InvalidToken"
    assert code_of(lambda: client.send_task_success(taskToken=token, output="{")) == "InvalidOutput"
    client.send_task_heartbeat(taskToken=token)
    client.stop_execution(executionArn=execution)


def test_a_failure_keeps_its_error_and_cause(
    aws: Any, check_in: str, tokens: Callable[[int], list[str]], eventually: Eventually
) -> None:
    machine = Machine(aws, eventually, {"Wait": waiting(check_in)})
    execution = machine.start()
    [token] = tokens(1)
    machine.client.send_task_failure(taskToken=token, error="Approval.Rejected", cause="too late")
    done = machine.ended(execution)
    assert (done["status"], done["error"], done["cause"]) == ("FAILED", "Approval.Rejected", "too late")
    assert code_of(lambda: machine.client.send_task_failure(taskToken=token, error="E")) == "TaskTimedOut"


def test_every_attempt_of_a_task_has_its_own_token(
    aws: Any, check_in: str, tokens: Callable[[int], list[str]], eventually: Eventually
) -> None:
    retry = [{"ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 1}]
    machine = Machine(aws, eventually, {"Wait": waiting(check_in, Retry=retry)})
    execution = machine.start()
    [first] = tokens(1)
    machine.client.send_task_failure(taskToken=first, error="Again")
    [second] = set(tokens(2)) - {first}
    assert code_of(lambda: machine.client.send_task_success(taskToken=first, output="1")) == "TaskTimedOut"
    machine.client.send_task_success(taskToken=second, output="2")
    assert machine.ended(execution)["output"] == "2"


def test_a_token_dies_with_its_timeout_while_the_execution_goes_on(
    aws: Any, check_in: str, tokens: Callable[[int], list[str]], eventually: Eventually
) -> None:
    catch = [{"ErrorEquals": ["States.Timeout"], "Next": "Stay"}]
    states = {
        "Wait": waiting(check_in, TimeoutSeconds=1, Catch=catch),
        "Stay": {"Type": "Wait", "Seconds": 60, "End": True},
    }
    machine = Machine(aws, eventually, states)
    execution = machine.start()
    [token] = tokens(1)
    eventually(lambda: "WaitStateEntered" in _history(machine, execution))
    assert code_of(lambda: machine.client.send_task_success(taskToken=token, output="1")) == "TaskTimedOut"
    machine.client.stop_execution(executionArn=execution)


@pytest.mark.parametrize("caught", ["States.HeartbeatTimeout", "States.Timeout"])
def test_a_missed_heartbeat_is_caught_by_its_own_name_and_as_a_timeout(
    aws: Any, check_in: str, eventually: Eventually, caught: str
) -> None:
    catch = [{"ErrorEquals": [caught], "Next": "Caught"}]
    states = {"Wait": waiting(check_in, HeartbeatSeconds=1, Catch=catch), "Caught": {"Type": "Pass", "End": True}}
    machine = Machine(aws, eventually, states)
    done = machine.ended(machine.start())
    assert done["status"] == "SUCCEEDED"
    assert json.loads(done["output"])["Error"] == "States.HeartbeatTimeout"


def test_stopping_ends_a_waiting_execution_and_its_token(
    aws: Any, check_in: str, tokens: Callable[[int], list[str]], eventually: Eventually
) -> None:
    machine = Machine(aws, eventually, {"Wait": waiting(check_in)})
    execution = machine.start()
    [token] = tokens(1)
    machine.client.stop_execution(executionArn=execution, error="Cancelled", cause="by hand")
    done = machine.described(execution)
    assert (done["status"], done["error"], done["cause"]) == ("ABORTED", "Cancelled", "by hand")
    assert code_of(lambda: machine.client.send_task_success(taskToken=token, output="1")) == "TaskTimedOut"


def test_executions_without_a_name_get_different_ones(aws: Any, eventually: Eventually) -> None:
    machine = Machine(aws, eventually, {"Pass": {"Type": "Pass", "End": True}})
    first, second = machine.start(), machine.start()
    assert first != second
    assert machine.ended(second)["status"] == "SUCCEEDED"


def test_jsonata_sees_strings_with_quotes(aws: Any, eventually: Eventually) -> None:
    states = {"Greet": {"Type": "Pass", "Output": "{% 'hello ' & $states.input.name %}", "End": True}}
    machine = Machine(aws, eventually, states, QueryLanguage="JSONata")
    assert json.loads(machine.ended(machine.start({"name": 'the "one"'}))["output"]) == 'hello the "one"'


def test_jsonata_sees_the_context_object(
    aws: Any, check_in: str, tokens: Callable[[int], list[str]], eventually: Eventually
) -> None:
    arguments = {"FunctionName": check_in, "Payload": {"token": "{% $states.context.Task.Token %}"}}
    states = {
        "Wait": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Arguments": arguments,
            "Output": "{% [$states.input, $states.context.State.Name] %}",
            "End": True,
        }
    }
    machine = Machine(aws, eventually, states, QueryLanguage="JSONata")
    execution = machine.start({"order": 1})
    [token] = tokens(1)
    machine.client.send_task_success(taskToken=token, output="{}")
    assert json.loads(machine.ended(execution)["output"]) == [{"order": 1}, "Wait"]


def test_a_definition_is_validated_without_creating_anything(aws: Any) -> None:
    client = aws.client("stepfunctions")
    good = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    assert client.validate_state_machine_definition(definition=good)["result"] == "OK"
    bad = client.validate_state_machine_definition(definition="{}")
    assert (bad["result"], bad["diagnostics"][0]["severity"]) == ("FAIL", "ERROR")


def test_published_versions_are_listed_newest_first(aws: Any, eventually: Eventually) -> None:
    machine = Machine(aws, eventually, {"Pass": {"Type": "Pass", "End": True}})
    for result in (1, 2):
        definition = {"StartAt": "P", "States": {"P": {"Type": "Pass", "Result": result, "End": True}}}
        machine.client.update_state_machine(
            stateMachineArn=machine.arn, definition=json.dumps(definition), publish=True
        )
    versions = machine.client.list_state_machine_versions(stateMachineArn=machine.arn)["stateMachineVersions"]
    assert [version["stateMachineVersionArn"].rsplit(":", 1)[1] for version in versions] == ["2", "1"]


def _history(machine: Machine, execution: str) -> list[str]:
    return [event["type"] for event in machine.client.get_execution_history(executionArn=execution)["events"]]
