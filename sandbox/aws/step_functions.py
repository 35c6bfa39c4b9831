"""Corrections of moto's Step Functions: execution, task tokens, tags.

moto interprets state machines with LocalStack's interpreter; what is corrected here is what callers of task tokens,
retries, timeouts and tags would see differently on AWS.
"""

import json
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import botocore.session
import jsonata
from moto.core.config import default_user_config
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult, EmptyResult
from moto.stepfunctions import models, responses
from moto.stepfunctions.parser import models as parser_models
from moto.stepfunctions.parser.api import ExecutionStatus, InvalidToken, TaskTimedOut
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.common.timeouts.timeout import TimeoutSeconds
from moto.stepfunctions.parser.asl.component.state.exec import execute_state
from moto.stepfunctions.parser.asl.component.state.exec.state_task import state_task
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_callback as callback_service,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service import (
    state_task_service_lambda as lambda_service,
)
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.resource import ResourceCondition
from moto.stepfunctions.parser.asl.eval.callback import callback
from moto.stepfunctions.parser.asl.jsonata import jsonata as moto_jsonata
from moto.stepfunctions.parser.backend import execution

from sandbox.aws.clients import Clients
from sandbox.aws.corrections import extend, replace
from sandbox.aws.errors import AwsError

# How long StopExecution waits for an execution whose thread has not begun yet.
_START_LIMIT_SECONDS = 5.0


def apply(clients: Clients) -> None:
    """Apply every correction of this module.

    Args:
        clients: Clients with which state machines call other services.
    """
    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    _call_services_over_the_endpoint(clients)
    _name_unnamed_executions()
    _answer_terraform()
    _invoke_asynchronously()
    _name_errors_of_lambda()
    _evaluate_jsonata()
    _task_tokens()
    _one_token_for_each_attempt()
    _heartbeats()
    _stopping()
    _outputs_are_json()


def starter(clients: Clients) -> Callable[[str, Mapping[str, Any], bytes], None]:
    """Return how EventBridge starts a state machine with a target's role: called with rule ARN, target and input."""

    def start(_rule: str, target: Mapping[str, Any], payload: bytes) -> None:
        if "RoleArn" not in target:
            raise AwsError("ValidationException", f"RoleArn is required for target {target['Arn']}.")
        client = clients.get("stepfunctions", target["Arn"].split(":")[3], role=target["RoleArn"])
        client.start_execution(stateMachineArn=target["Arn"], input=payload.decode())

    return start


def _call_services_over_the_endpoint(clients: Clients) -> None:
    """Let state machines share clients, with their roles' permissions.

    moto creates a client for each call, which is slow and not thread-safe, and knows no permissions.
    """

    def client_for(region: str, service: str, state_credentials: Any = None) -> Any:
        return clients.get(service, region, role=state_credentials.role_arn)

    _everywhere("boto_client_for", client_for)


def _name_unnamed_executions() -> None:
    """AWS names an execution by a UUID where the caller gives no name; moto names each of them ``None``."""
    backend = parser_models.StepFunctionsParserBackend

    def start(self: Any, state_machine_arn: str, name: str | None = None, *args: Any, **kwargs: Any) -> Any:
        return original(self, state_machine_arn, name or str(uuid.uuid4()), *args, **kwargs)

    original = replace(backend, "start_execution", start)


def _answer_terraform() -> None:
    """Add two calls that Terraform makes and moto lacks: it validates a definition and lists a machine's versions."""
    response = responses.StepFunctionResponse

    def validate(self: Any) -> ActionResult:
        diagnostics = []
        try:
            parser_models.StepFunctionsParserBackend._validate_definition(self._get_param("definition"))  # noqa: SLF001
        except Exception as error:  # noqa: BLE001 - the parser raises whatever it stumbles over
            message = str(getattr(error, "message", None) or error)[:900]
            diagnostics = [{"severity": "ERROR", "code": "SCHEMA_VALIDATION_FAILED", "message": message}]
        result = "FAIL" if diagnostics else "OK"
        return ActionResult({"result": result, "diagnostics": diagnostics, "truncated": False})

    def versions(self: Any) -> ActionResult:
        machine = self.stepfunction_backend.describe_state_machine(self._get_param("stateMachineArn"))
        found = [
            {"stateMachineVersionArn": version.arn, "creationDate": version.creation_date}
            for _, version in sorted(machine.versions.items(), reverse=True)
        ]
        return ActionResult({"stateMachineVersions": found})

    extend(response, "validate_state_machine_definition", validate)
    extend(response, "list_state_machine_versions", versions)


def _invoke_asynchronously() -> None:
    """``lambda:invoke`` takes ``InvocationType``; moto's list of its parameters lacks it."""
    lambda_service._SUPPORTED_API_PARAM_BINDINGS["invoke"].add("InvocationType")  # noqa: SLF001


def _name_errors_of_lambda() -> None:
    """An error that Lambda's API model does not list for Invoke, such as a refusal, is ``Lambda.AWSLambdaException``.

    moto names it by its code.
    """
    service = lambda_service.StateTaskServiceLambda
    invoke = botocore.session.get_session().get_service_model("lambda").operation_model("Invoke")
    modelled = {f"Lambda.{shape.name}" for shape in invoke.error_shapes}

    def error_and_cause(error: Any) -> tuple[str, str]:
        name, cause = original(error)
        return name if name in modelled else "Lambda.AWSLambdaException", cause

    original = replace(service, "_error_cause_from_client_error", staticmethod(error_and_cause))


def _evaluate_jsonata() -> None:
    """Stock moto left out LocalStack's JSONata engine and writes variables into expressions without escaping them.

    Nor does it know how to write the times in the context object.
    """

    def evaluate(expression: str) -> Any:
        try:
            result = jsonata.Jsonata(expression).evaluate(None)
            return json.loads(json.dumps(result))
        except Exception as error:
            raise moto_jsonata.JSONataException("UNKNOWN", str(error)) from error

    def declare(bindings: dict[str, Any]) -> str:
        return "".join(f"{name}:={json.dumps(value, default=_instant)};" for name, value in bindings.items())

    _everywhere("eval_jsonata_expression", evaluate)
    _everywhere("encode_jsonata_variable_declarations", declare)


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _TaskGone(TaskTimedOut):
    """Step Functions' answer for a token whose task has ended, however it ended."""

    def __init__(self) -> None:
        super().__init__("Task Timed Out: 'Provided task does not exist anymore'", "TaskTimedOut", 400)


def _task_tokens() -> None:
    """AWS answers for a token whose task has ended with ``TaskTimedOut``.

    moto answers 200 for a token used twice or timed out while the execution runs on, 200 for a failure and
    ``InvalidToken`` for a success after its end, and ``InvalidToken`` for a heartbeat of a task without
    HeartbeatSeconds. It also loses the cause of a failure and takes an output that is not JSON.
    """
    lock = threading.Lock()  # of two answers to one token, one wins
    response = responses.StepFunctionResponse

    def answer(self: Any, outcome: Any) -> EmptyResult:
        with lock:
            _open_endpoint(self.stepfunction_backend, outcome.callback_id).notify(outcome)
        return EmptyResult()

    def success(self: Any) -> EmptyResult:
        token, output = self._get_param("taskToken"), self._get_param("output")
        try:
            json.loads(output)
        except ValueError as error:
            raise JsonRESTError("InvalidOutput", "Invalid Output: 'Could not parse JSON'") from error
        return answer(self, callback.CallbackOutcomeSuccess(token, output))

    def failure(self: Any) -> EmptyResult:
        token, error, cause = (self._get_param(name) for name in ("taskToken", "error", "cause"))
        return answer(self, callback.CallbackOutcomeFailure(token, error, cause))

    def heartbeat(self: Any) -> EmptyResult:
        with lock:
            _open_endpoint(self.stepfunction_backend, self._get_param("taskToken")).notify_heartbeat()
        return EmptyResult()

    replace(response, "send_task_success", success)
    replace(response, "send_task_failure", failure)
    replace(response, "send_task_heartbeat", heartbeat)


def _open_endpoint(backend: Any, token: str) -> Any:
    """Return the endpoint of a token whose task still waits.

    Raises:
        _TaskGone: If its task has ended or was answered.
        InvalidToken: If there was never such a token.
    """
    for machine in list(backend.state_machines):
        for started in list(machine.executions):
            env = started.exec_worker.env if started.exec_worker else None  # neither is there at the very start
            found = env.callback_pool_manager.get(token) if env else None
            if found is None:
                continue
            answered = found.get_outcome() is not None
            if started.exec_status != ExecutionStatus.RUNNING or answered or found.consumer_error:
                raise _TaskGone
            return found
    raise InvalidToken


def _one_token_for_each_attempt() -> None:
    """On AWS every attempt of a task has its own token, and the token dies with the attempt.

    moto makes one token for the state: a retry after SendTaskFailure reads the first attempt's answer again, and a
    token stays good after its attempt timed out or its Lambda call failed.
    """
    service = callback_service.StateTaskServiceCallback
    original = execute_state.ExecutionState._evaluate_with_timeout  # noqa: SLF001

    def evaluate(self: Any, env: Any) -> None:
        if self.resource.condition != ResourceCondition.WaitForTaskToken:
            original(self, env)
            return
        context = env.states.context_object
        if context.context_object_data["State"]["RetryCount"]:
            env.callback_pool_manager.add(context.update_task_token())
        token = context.context_object_data["Task"]["Token"]
        try:
            original(self, env)
        finally:
            env.callback_pool_manager.get(token).report(callback.CallbackConsumerLeft())

    extend(service, "_evaluate_with_timeout", evaluate)


class _HeartbeatTimeout(StatesErrorName):
    """``States.HeartbeatTimeout``, which a catcher or retrier of ``States.Timeout`` matches too."""

    def __init__(self) -> None:
        super().__init__(StatesErrorNameType.StatesHeartbeatTimeout)

    def __eq__(self, other: object) -> bool:
        names = {"States.HeartbeatTimeout", "States.Timeout"}
        return getattr(other, "error_name", None) in names

    def __hash__(self) -> int:
        return hash(self.error_name)


def _heartbeats() -> None:
    """A missed heartbeat is ``States.HeartbeatTimeout`` on AWS, and a heartbeat alone sets no timeout.

    moto reports ``States.Timeout`` that no catcher of the other matches, ends a task with a heartbeat and without a
    timeout after 60 s, and misses an answer that comes before its Lambda call has returned.
    """

    def from_error(self: Any, env: Any, ex: Exception) -> Any:
        event = original_from_error(self, env, ex)
        if isinstance(ex, callback.HeartbeatTimeoutError):
            details = event.event_details["taskTimedOutEventDetails"]
            details["error"] = StatesErrorNameType.StatesHeartbeatTimeout.to_name()
            return FailureEvent(
                env=env, error_name=_HeartbeatTimeout(), event_type=event.event_type, event_details=event.event_details
            )
        return event

    def from_properties(self: Any, state_props: Any) -> None:
        original_properties(self, state_props)
        if self.heartbeat is not None and isinstance(self.timeout, TimeoutSeconds) and self.timeout.is_default_value():
            self.timeout = TimeoutSeconds(TimeoutSeconds.DEFAULT_TIMEOUT_SECONDS)

    def setup(self: Any, heartbeat_seconds: int) -> Any:
        endpoint = original_setup(self, heartbeat_seconds)
        if self.get_outcome() is not None:
            endpoint.notify()
        return endpoint

    original_from_error = replace(state_task.StateTask, "_from_error", from_error)
    original_properties = replace(execute_state.ExecutionState, "from_state_props", from_properties)
    original_setup = replace(callback.CallbackEndpoint, "setup_heartbeat_endpoint", setup)


def _stopping() -> None:
    """StopExecution ends an execution at once, with error and cause; deleting a machine stops its executions.

    moto leaves an execution that waits for a token RUNNING, drops error and cause, and keeps the executions of a
    deleted machine waiting.
    """

    def stop(running: Any, error: str | None, cause: str | None) -> None:
        if running.exec_status != ExecutionStatus.RUNNING:
            return
        deadline = time.monotonic() + _START_LIMIT_SECONDS
        while running.exec_worker.env is None and time.monotonic() < deadline:
            time.sleep(0.01)  # its thread is just starting
        now = datetime.now(UTC)
        running.stop(stop_date=now, error=error, cause=cause)
        running.exec_status, running.stop_date = ExecutionStatus.ABORTED, now
        running.error, running.cause = error, cause

    def stop_execution(self: Any) -> ActionResult:
        found = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        stop(found, self._get_param("error"), self._get_param("cause"))
        return ActionResult({"stopDate": found.stop_date})

    def delete(self: Any, arn: str) -> None:
        for machine in self.state_machines:
            if machine.arn == arn:
                for found in machine.executions:
                    stop(found, None, None)
        original_delete(self, arn)

    replace(responses.StepFunctionResponse, "stop_execution", stop_execution)
    original_delete = replace(models.StepFunctionBackend, "delete_state_machine", delete)


def _outputs_are_json() -> None:
    """DescribeExecution's output is JSON text; moto leaves out the quotes of an output that is a string."""

    def reflect(self: Any) -> None:
        original(self)
        if self.execution.exec_status == ExecutionStatus.SUCCEEDED:
            self.execution.output = json.dumps(self.execution.output)

    original = replace(execution.BaseExecutionWorkerCommunication, "_reflect_execution_status", reflect)


def _everywhere(name: str, replacement: Any) -> None:
    """Replace a function in its own module and in every module that imported it by name."""
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("moto.stepfunctions.parser.") and hasattr(module, name):
            replace(module, name, replacement)
