"""Durable executions: the testing SDK's emulator behind Lambda's own calls, with AWS's names, errors and events.

The emulator keeps executions and their operations, timers and callbacks. What it leaves out is added here: Invoke
starts executions, names are idempotent, ARNs have AWS's form, a closed callback is told from an unknown one, each
change of status is an EventBridge event. The function's code runs in its own process, from its deployed package, like
every other function.
"""

import hashlib
import json
import re
import sys
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from aws_durable_execution_sdk_python.constants import CHECKPOINT_SIZE_LIMIT_BYTES
from aws_durable_execution_sdk_python.execution import DurableExecutionInvocationInput
from aws_durable_execution_sdk_python.lambda_service import (
    ErrorObject,
    OperationStatus,
    OperationType,
    OperationUpdate,
)
from aws_durable_execution_sdk_python_testing.checkpoint.processor import CheckpointProcessor
from aws_durable_execution_sdk_python_testing.checkpoint.validators.checkpoint import CheckpointValidator
from aws_durable_execution_sdk_python_testing.child_dispatcher import (
    ChainedInvokeRequest,
    ChildOutcome,
    DispatchResult,
    FunctionTarget,
    RunInvocation,
    StartChild,
    failed_to_start,
    function_not_found,
    result_outcome,
)
from aws_durable_execution_sdk_python_testing.exceptions import (
    CallbackTimeoutException,
    DurableFunctionsTestError,
    InvalidParameterValueException,
    ResourceNotFoundException,
)
from aws_durable_execution_sdk_python_testing.execution import Execution, ExecutionStatus
from aws_durable_execution_sdk_python_testing.executor import Executor
from aws_durable_execution_sdk_python_testing.invoker import InvokeResponse, LambdaInvoker
from aws_durable_execution_sdk_python_testing.model import Execution as ExecutionSummary
from aws_durable_execution_sdk_python_testing.model import (
    SendDurableExecutionCallbackFailureResponse,
    SendDurableExecutionCallbackHeartbeatResponse,
    SendDurableExecutionCallbackSuccessResponse,
    StartDurableExecutionInput,
)
from aws_durable_execution_sdk_python_testing.scheduler import Scheduler
from aws_durable_execution_sdk_python_testing.stores.memory import InMemoryExecutionStore
from aws_durable_execution_sdk_python_testing.worker.checkpoint_tasks import CallableTask
from aws_durable_execution_sdk_python_testing.worker.registry import ExecutionRegistry

from sandbox.aws import corrections
from sandbox.aws.accesses import invocation
from sandbox.aws.arns import ACCOUNT_ID, DEFAULT_REGION, FunctionReference, function_arn, parse_function
from sandbox.aws.callback_ids import execution_of
from sandbox.aws.errors import AwsError, invalid_parameter
from sandbox.aws.events import EventBus
from sandbox.aws.lambda_api import Answer, LambdaApi
from sandbox.aws.lambda_runtime import FunctionVersion, LambdaRuntime
from sandbox.aws.permissions import Permissions

# Longest execution that may be waited for synchronously: the longest invocation (AWS: "executionTimeout greater than
# 15 minutes").
_LONGEST_SYNCHRONOUS_SECONDS = 900
# API model: DurableConfig.
_EXECUTION_TIMEOUT = range(1, 31_622_400 + 1)
_RETENTION_DAYS = range(1, 90 + 1)
_DEFAULT_RETENTION_DAYS = 14
# API model: Result of SendDurableExecutionCallbackSuccess (BinaryOperationPayload).
_LARGEST_CALLBACK_RESULT = 1_048_576
# API model: DurableExecutionName.
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True)
class DurableSettings:
    """``durable_config`` of a function.

    Attributes:
        execution_timeout: Seconds after which an execution ends as ``TIMED_OUT``.
        retention_period: Days for which AWS keeps a finished execution; the sandbox keeps it until it stops.
    """

    execution_timeout: int
    retention_period: int = _DEFAULT_RETENTION_DAYS

    @classmethod
    def parse(cls, name: str, data: Any) -> "DurableSettings":
        """Return the settings of a function from JSON.

        Raises:
            ValueError: If a value is missing, unknown or out of range; the message names function, field and range.
        """
        if not isinstance(data, dict) or not data.keys() <= {"execution_timeout", "retention_period"}:
            raise ValueError(f"{name}: expected an object with execution_timeout and retention_period, got {data!r}")
        retention = data.get("retention_period")
        if retention is None:
            retention = _DEFAULT_RETENTION_DAYS
        checked = (
            ("execution_timeout", data.get("execution_timeout"), _EXECUTION_TIMEOUT),
            ("retention_period", retention, _RETENTION_DAYS),
        )
        for field, value, allowed in checked:
            if type(value) is not int or value not in allowed:
                raise ValueError(f"{name}.{field}: {value!r} is not a whole number from {allowed[0]} to {allowed[-1]}")
        return cls(data["execution_timeout"], retention)


@dataclass(frozen=True)
class ExecutionQuery:
    """Which executions to list.

    Attributes:
        function: Name of their function.
        version: Version that they run; ``None`` for all.
        name: Name of the execution; ``None`` for all.
        statuses: Statuses; empty for all.
        after: Started at or after this moment; ``None`` for no limit.
        before: Started at or before this moment; ``None`` for no limit.
        newest_first: Order.
        offset: Number of executions to leave out.
        limit: Largest number of executions to return.
    """

    function: str
    version: str | None = None
    name: str | None = None
    statuses: tuple[str, ...] = ()
    after: datetime | None = None
    before: datetime | None = None
    newest_first: bool = False
    offset: int = 0
    limit: int = 100

    def includes(self, started: datetime | None) -> bool:
        """Whether an execution that started at a moment is within the limits."""
        if started is None:
            return False
        return (self.after is None or started >= self.after) and (self.before is None or started <= self.before)


class DurableExecutions:
    """All durable executions of the local AWS."""

    def __init__(self, functions: LambdaApi, runtime: LambdaRuntime, bus: EventBus, permissions: Permissions) -> None:
        """Create it.

        Args:
            functions: Resolves functions.
            runtime: Runs their code.
            bus: Where changes of status are told.
            permissions: What functions may invoke.
        """
        self._functions = functions
        self._settings: dict[str, DurableSettings] = {}
        self._names: dict[tuple[str, str], tuple[str, bytes]] = {}
        self._names_lock = threading.RLock()  # a status event may start another execution
        self._store = store = InMemoryExecutionStore()
        self._scheduler = Scheduler()
        self._registry = ExecutionRegistry(store, self._scheduler)
        checkpoints = CheckpointProcessor(store, self._scheduler)
        self.executor = _Executor(
            bus,
            store=store,
            scheduler=self._scheduler,
            registry=self._registry,
            invoker=_Invoker(functions, runtime),
            checkpoint_processor=checkpoints,
            child_dispatcher=_Children(self, functions, permissions),
            region=DEFAULT_REGION,
        )
        checkpoints.add_execution_observer(self.executor)
        checkpoints.set_chained_invoke_preflight(self.executor.preflight_chained_invoke)
        self._scheduler.start()  # type: ignore[no-untyped-call] # the emulator's

    def register(self, settings: dict[str, Any]) -> None:
        """Say which functions are durable, by name. What was said of other functions stays.

        Raises:
            ValueError: If settings are invalid; then nothing is registered.
        """
        parsed = {name: DurableSettings.parse(name, data) for name, data in settings.items()}
        self._settings.update(parsed)

    def registered(self) -> dict[str, dict[str, int]]:
        """Return what ``register`` was told."""
        return {
            name: {"execution_timeout": found.execution_timeout, "retention_period": found.retention_period}
            for name, found in self._settings.items()
        }

    def settings(self, reference: FunctionReference) -> DurableSettings | None:
        """Return a function's settings, registered or from its own ``DurableConfig``; ``None`` if it is not durable."""
        if reference.name in self._settings:
            return self._settings[reference.name]
        config = self._functions.configuration(reference).get("DurableConfig")
        if not config:
            return None
        return DurableSettings(config["ExecutionTimeout"], config.get("RetentionPeriodInDays", _DEFAULT_RETENTION_DAYS))

    def all(self) -> list[Execution]:
        """Return all executions, in the order in which they were started."""
        return self._store.list_all()

    def handles(self, version: FunctionVersion) -> bool:
        """Whether the function is durable."""
        return self.settings(version.reference) is not None

    def invoke(self, version: FunctionVersion, payload: bytes, kind: str, name: str | None) -> Answer:
        """Start a durable execution and, for ``RequestResponse``, wait for its end.

        Raises:
            AwsError: As AWS refuses the call.
        """
        settings = self.settings(version.reference)
        if settings is None:
            raise AssertionError("asked for a function that is not durable")
        if version.reference.qualifier is None:
            raise invalid_parameter(
                "You cannot invoke a durable function using an unqualified ARN. "
                "Use a version, an alias or $LATEST as its qualifier."
            )
        if version.reference.region != DEFAULT_REGION:
            raise invalid_parameter(f"The sandbox runs durable functions in {DEFAULT_REGION} only.")
        if kind == "RequestResponse" and settings.execution_timeout > _LONGEST_SYNCHRONOUS_SECONDS:
            raise invalid_parameter(
                "You cannot synchronously invoke a durable function with an executionTimeout greater than 15 minutes."
            )
        arn = self._start(version, settings, payload, name)
        headers = [("X-Amz-Durable-Execution-Arn", arn), ("X-Amz-Executed-Version", version.version)]
        if kind == "Event":
            return Answer(202, headers=tuple(headers))
        output = self.executor.wait_for_end(arn)
        if output["Status"] == "SUCCEEDED":
            return Answer(200, (output.get("Result") or "null").encode(), tuple(headers))
        error = output.get("Error") or {}
        failure = {
            "errorType": error.get("ErrorType"),
            "errorMessage": error.get("ErrorMessage"),
            "errorData": error.get("ErrorData"),
            "stackTrace": error.get("StackTrace"),
        }
        body = json.dumps({field: value for field, value in failure.items() if value is not None}).encode()
        return Answer(200, body, (*headers, ("X-Amz-Function-Error", "Unhandled")))

    def stop_function(self, name: str) -> None:
        """Stop every running execution of a function, as deleting the function does.

        Its settings stay: Terraform may be replacing it.
        """
        with self._names_lock:
            for key in [key for key in self._names if key[0] == name]:
                del self._names[key]
        running, _ = self.executor.find(ExecutionQuery(name, statuses=("RUNNING",), limit=sys.maxsize))
        for execution in running:
            self.executor.stop_execution(
                execution.durable_execution_arn, ErrorObject.from_message("The function was deleted.")
            )

    def stop(self) -> None:
        """Run nothing more."""
        self.executor.shutdown()

    def _start(self, version: FunctionVersion, settings: DurableSettings, payload: bytes, name: str | None) -> str:
        if name is not None and _NAME.fullmatch(name) is None:
            raise invalid_parameter("DurableExecutionName must be 1 to 64 of the characters A-Z, a-z, 0-9, - and _.")
        function = version.reference.name
        with self._names_lock:
            if name is not None and (function, name) in self._names:
                arn, digest = self._names[function, name]
                if digest != hashlib.sha256(payload).digest():
                    raise AwsError(
                        "DurableExecutionAlreadyStartedException",
                        f"A durable execution with the name {name} was started with a different payload.",
                        409,
                    )
                return arn
            start = _start_input(version, settings, payload.decode(), name)
            arn = str(self.executor.start_execution(start).execution_arn)
            if name is not None:
                self._names[function, name] = (arn, hashlib.sha256(payload).digest())
            return arn


def apply() -> None:
    """Let steps and child contexts checkpoint only results that AWS takes; the emulator takes results of any size.

    Limit and message: https://github.com/aws/aws-durable-execution-sdk-python/issues/342.
    """

    def validate(update: OperationUpdate, execution: Execution) -> None:
        original(update, execution)
        limited = update.operation_type in {OperationType.STEP, OperationType.CONTEXT}
        if limited and update.payload is not None:
            _limit(len(update.payload.encode()), CHECKPOINT_SIZE_LIMIT_BYTES, f"{update.operation_type.value} output")

    original = corrections.replace(CheckpointValidator, "_validate_payload_sizes", staticmethod(validate))


def _limit(size: int, largest: int, what: str) -> None:
    if size > largest:
        raise InvalidParameterValueException(f"{what} payload size must be less than or equal to {largest} bytes.")


class _Executor(Executor):
    """The emulator's executor with AWS's ARNs, callback errors and status events."""

    # The emulator's 5 s between the tries of an invocation that failed; AWS's are not documented.
    RETRY_BACKOFF_SECONDS = 1

    def __init__(self, bus: EventBus, **parts: Any) -> None:
        super().__init__(**parts)
        self._bus = bus
        self._ended: dict[str, threading.Event] = {}

    def wait_for_end(self, arn: str) -> dict[str, Any]:
        """Wait until an execution has ended and return its outcome (``Status``, ``Result``, ``Error``)."""
        self._ended[arn].wait()
        outcome = self.get_execution(arn).result
        if outcome is None:
            raise AssertionError(f"{arn} ended without an outcome")
        return dict(outcome.to_dict())

    def _create_execution(
        self,
        input: StartDurableExecutionInput,  # noqa: A002 - the emulator's name
        parent_execution_arn: str | None = None,
    ) -> Execution:
        """The emulator's, with an ARN of AWS's form (API model, DurableExecutionArn) instead of two UUIDs."""
        function = function_arn(input.function_name, input.function_qualifier, self.region)
        identity = str(uuid.uuid4())  # the SDK in the function looks for the input by the last part of the ARN
        arn = f"{function}/durable-execution/{input.execution_name}/{identity}"
        execution = Execution(arn, replace(input, invocation_id=identity), operations=[])
        execution.region = self.region
        execution.parent_execution_arn = parent_execution_arn
        execution.start(now=self._clock.now())
        self._ended[arn] = threading.Event()
        self._store.save(execution)
        return execution

    def _launch_execution(self, execution: Execution, timeout_seconds: int) -> None:
        self._tell(execution)
        super()._launch_execution(execution, timeout_seconds)

    def _complete_events(self, execution_arn: str) -> None:
        super()._complete_events(execution_arn)
        ended = self._ended[execution_arn]
        if not ended.is_set():
            ended.set()
            self._tell(self.get_execution(execution_arn))

    def _apply_timeout(self, execution_arn: str, error: ErrorObject) -> None:
        """The emulator's, which would turn an execution that ended in the same moment into a timed-out one."""
        if not self.get_execution(execution_arn).is_complete:
            super()._apply_timeout(execution_arn, error)

    def _tell(self, execution: Execution) -> None:
        """Emit the status event (https://docs.aws.amazon.com/lambda/latest/dg/durable-monitoring.html)."""
        operation = execution.get_operation_execution_started()
        detail = {
            "durableExecutionArn": execution.durable_execution_arn,
            "durableExecutionName": execution.start_input.execution_name,
            "functionArn": execution.function_arn(self.region),
            "status": execution.current_status().value,
            "startTimestamp": _iso(operation.start_timestamp),
        }
        if execution.current_status() is not ExecutionStatus.RUNNING:
            detail["endTimestamp"] = _iso(operation.end_timestamp)
        arn = execution.durable_execution_arn
        self._bus.emit("aws.lambda", "Durable Execution Status Change", detail, resources=[arn], region=self.region)

    def send_callback_success(
        self, callback_id: str, result: bytes | None = None
    ) -> SendDurableExecutionCallbackSuccessResponse:
        """Complete a callback; AWS's errors instead of the emulator's one for everything."""
        _limit(len(result or b""), _LARGEST_CALLBACK_RESULT, "CALLBACK result")
        self._answer(callback_id, lambda: self._complete_callback_success(callback_id, result))
        return SendDurableExecutionCallbackSuccessResponse()

    def send_callback_failure(
        self, callback_id: str, error: ErrorObject | None = None
    ) -> SendDurableExecutionCallbackFailureResponse:
        """Fail a callback; AWS's errors instead of the emulator's one for everything."""
        nothing = ErrorObject(message=None, type=None, data=None, stack_trace=None)
        self._answer(callback_id, lambda: self._complete_callback_failure(callback_id, error or nothing))
        return SendDurableExecutionCallbackFailureResponse()

    def send_callback_heartbeat(self, callback_id: str) -> SendDurableExecutionCallbackHeartbeatResponse:
        """Keep a callback alive; AWS's errors instead of the emulator's one for everything."""
        self._answer(callback_id, lambda: self._process_callback_heartbeat(callback_id), wake=False)
        return SendDurableExecutionCallbackHeartbeatResponse()

    def _answer(self, callback_id: str, change: Callable[[], None], *, wake: bool = True) -> None:
        arn = execution_of(callback_id)
        self.get_execution(arn)  # raises ResourceNotFoundException

        def checked() -> None:  # runs on the execution's own thread, so that no other change comes between
            execution = self.get_execution(arn)
            found = [
                operation
                for operation in execution.operations
                if operation.operation_type is OperationType.CALLBACK
                and operation.callback_details is not None
                and operation.callback_details.callback_id == callback_id
            ]
            if not found:
                raise ResourceNotFoundException("The callback does not exist.")
            if execution.is_complete or found[0].status is not OperationStatus.STARTED:
                raise CallbackTimeoutException(
                    "The callback ID token has either expired or the callback associated with the token "
                    "has already been closed."
                )
            change()

        self._registry.submit(arn, CallableTask(checked)).result()
        if wake:
            self._invoke_execution(arn)

    def find(self, query: ExecutionQuery) -> tuple[list[ExecutionSummary], str | None]:
        """Return a page of executions, and the marker of the next page when there is one.

        The emulator's own list takes one status only, no version and no times as botocore sends them.
        """
        executions, _ = self._store.query(
            function_name=query.function, execution_name=query.name, reverse_order=query.newest_first
        )
        arn_prefix = f"{function_arn(query.function, query.version, self.region)}{'/' if query.version else ':'}"
        found = [
            execution
            for execution in executions
            if execution.durable_execution_arn.startswith(arn_prefix)
            and (not query.statuses or execution.current_status().value in query.statuses)
            and query.includes(execution.get_operation_execution_started().start_timestamp)
        ]
        page = found[query.offset : query.offset + query.limit]
        end = query.offset + len(page)
        summaries = [
            ExecutionSummary.from_execution(execution, execution.current_status().value, self.region)
            for execution in page
        ]
        return summaries, str(end) if end < len(found) else None


class _Invoker(LambdaInvoker):
    """Runs a durable function's code in its process instead of over a Lambda endpoint."""

    def __init__(self, functions: LambdaApi, runtime: LambdaRuntime) -> None:
        super().__init__(lambda_client=None)
        self._functions = functions
        self._runtime = runtime

    def invoke(
        self,
        function_name: str,
        input: DurableExecutionInvocationInput,  # noqa: A002 - the emulator's name
        *_endpoint: Any,
        **_identity: Any,
    ) -> InvokeResponse:
        """Run the handler once; a failure makes the emulator try again, as the service does."""
        reference = parse_function(function_name)
        try:
            version = self._functions.resolve(reference)
        except AwsError as error:
            raise ResourceNotFoundException(error.message) from error
        outcome = self._runtime.invoke(version, json.dumps(input.to_json_dict()).encode())
        if not outcome.ok:
            raise DurableFunctionsTestError(outcome.payload.decode())
        return InvokeResponse.from_payload(outcome.payload, outcome.request_id)

    def inherit_endpoint(self, child_execution_arn: str, parent_execution_arn: str) -> None:
        """There is one endpoint."""


class _Children:
    """What ``context.invoke`` starts: a child execution of a durable function, or one invocation of another."""

    def __init__(self, executions: DurableExecutions, functions: LambdaApi, permissions: Permissions) -> None:
        self._executions = executions
        self._functions = functions
        self._permissions = permissions

    def preflight(self, target: FunctionTarget) -> ChildOutcome | None:
        """Refuse a target that does not exist, before anything is scheduled."""
        try:
            self._functions.resolve(_target(target.name, target.qualifier))
        except AwsError:
            return function_not_found(target.name).outcome
        return None

    def dispatch(self, request: ChainedInvokeRequest) -> DispatchResult:
        """Start the child, or return the invocation to run."""
        reference = _target(request.function_name, request.qualifier)
        try:
            version = self._functions.resolve(reference)
            settings = self._executions.settings(reference)
        except AwsError:
            return function_not_found(request.function_name)
        parent = self._functions.resolve(parse_function(request.parent_execution_arn.partition("/")[0]))
        try:
            self._permissions.require(parent.session, [invocation(reference.arn)])
        except AwsError as error:
            return failed_to_start(error.message, error.code)
        payload = request.payload or "{}"
        if settings is not None:
            return StartChild(_start_input(version, settings, payload, None))
        return RunInvocation(lambda: self._run(reference, payload))

    def _run(self, reference: FunctionReference, payload: str) -> ChildOutcome:
        try:
            answer = self._functions.invoke(reference, payload.encode(), "RequestResponse")
        except AwsError as error:
            return ChildOutcome(error=ErrorObject(message=error.message, type=error.code, data=None, stack_trace=None))
        if not answer.failed:
            return result_outcome(answer.payload.decode())
        error_object = json.loads(answer.payload)
        return ChildOutcome(
            error=ErrorObject(
                message=error_object.get("errorMessage"),
                type=error_object.get("errorType"),
                data=None,
                stack_trace=error_object.get("stackTrace"),
            )
        )


def _target(name: str, qualifier: str | None) -> FunctionReference:
    return FunctionReference(name, qualifier, DEFAULT_REGION)


def _start_input(
    version: FunctionVersion, settings: DurableSettings, payload: str, name: str | None
) -> StartDurableExecutionInput:
    return StartDurableExecutionInput(
        account_id=ACCOUNT_ID,
        function_name=version.reference.name,
        function_qualifier=version.version,  # an execution stays on the version that it started on
        execution_name=name or str(uuid.uuid4()),
        execution_timeout_seconds=settings.execution_timeout,
        execution_retention_period_days=settings.retention_period,
        input=payload,
    )


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if moment else None
