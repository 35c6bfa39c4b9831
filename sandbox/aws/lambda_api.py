"""Lambda's Invoke: which version runs, synchronously or not, with retries and dead letters."""

import base64
import json
import logging
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from botocore.exceptions import ClientError
from moto.awslambda import models as lambda_models
from moto.awslambda import responses as lambda_responses
from moto.awslambda.exceptions import LambdaClientError
from moto.logs import models as logs_models
from werkzeug.wrappers import Request, Response

from sandbox.aws.accesses import log_writing
from sandbox.aws.arns import ACCOUNT_ID, DEFAULT_REGION, FunctionReference, parse_function
from sandbox.aws.clients import Clients
from sandbox.aws.corrections import replace
from sandbox.aws.credentials import Session
from sandbox.aws.errors import AwsError, invalid_parameter, resource_not_found
from sandbox.aws.lambda_control import event_invoke_config, extra, may_invoke
from sandbox.aws.lambda_runtime import FunctionVersion, LambdaRuntime, Outcome
from sandbox.aws.permissions import Permissions

# AWS waits one minute before the first and two before the second retry of an asynchronous invocation.
_RETRY_DELAYS_SECONDS = (0.5, 1.0)
# What Lambda does about a function that invokes itself, in a chain of about 16; the first is the default.
_RECURSIVE_LOOP = ("Terminate", "Allow")
# Payload limits of Invoke (API model, "Payload"): 6 MB synchronous, 1 MB asynchronous.
_SYNCHRONOUS_LIMIT = 6 * 1024 * 1024
_ASYNCHRONOUS_LIMIT = 1024 * 1024
_LOG = logging.getLogger(__name__)


class DurableFunctions(Protocol):
    """What Invoke needs to know of durable executions."""

    def handles(self, version: FunctionVersion) -> bool:
        """Whether the function is durable."""

    def invoke(self, version: FunctionVersion, payload: bytes, kind: str, name: str | None) -> "Answer":
        """Start a durable execution, and wait for its end when the invocation is synchronous."""


@dataclass(frozen=True)
class Answer:
    """The answer to an Invoke.

    Attributes:
        status: HTTP status: 200 synchronous, 202 asynchronous, 204 dry run.
        payload: What the function returned, or its error object.
        headers: Lambda's headers of the answer.
    """

    status: int
    payload: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the function failed."""
        return any(name == "X-Amz-Function-Error" for name, _ in self.headers)


class LambdaApi:
    """Resolves and invokes functions."""

    def __init__(self, runtime: LambdaRuntime, clients: Clients) -> None:
        """Create the API; ``durable`` must be set before the first invocation."""
        self._runtime = runtime
        self._clients = clients
        self.durable: DurableFunctions

    def resolve(self, reference: FunctionReference) -> FunctionVersion:
        """Return the version of a function that an invocation runs.

        Raises:
            AwsError: ``ResourceNotFoundException`` if there is no such function, version or alias.
        """
        function = self._function(reference)
        return FunctionVersion(
            reference=reference,
            version=str(function.version),
            handler=function.handler,
            runtime=function.run_time,
            timeout=int(function.timeout),
            memory=int(function.memory_size),
            role=function.role,
            variables={name: str(value) for name, value in function.environment_vars.items()},
            logging=extra(function).get("LoggingConfig", {}),
            package=function.code_bytes,
            package_sha256=function.code_sha_256,
            reserved_concurrency=function.reserved_concurrency,
        )

    def configuration(self, reference: FunctionReference) -> dict[str, Any]:
        """Return the configuration that moto does not know (``DurableConfig``, ``DeadLetterConfig``, ...).

        Raises:
            AwsError: ``ResourceNotFoundException`` if there is no such function.
        """
        return extra(self._function(reference))

    def permits(self, reference: FunctionReference, service: str, source_arn: str) -> bool:
        """Whether the function's resource policy lets a service invoke it."""
        return may_invoke(self._function(reference), reference.qualifier, service, source_arn)

    def deliver(self, source_arn: str, target: Mapping[str, Any], payload: bytes) -> None:
        """Invoke the target of an EventBridge rule asynchronously.

        Raises:
            AwsError: If the function does not exist or its policy does not let the rule invoke it.
        """
        reference = parse_function(target["Arn"])
        if not self.permits(reference, "events.amazonaws.com", source_arn):
            message = f"the policy of {target['Arn']} does not let {source_arn} invoke it"
            raise AwsError("AccessDeniedException", message, 403)
        self.invoke(reference, payload, "Event")

    def deliver_with_role(self, target: Mapping[str, Any], payload: bytes) -> None:
        """Invoke the target of a schedule asynchronously.

        Raises:
            ClientError: As Lambda refuses the call.
        """
        region = target["Arn"].split(":")[3]
        client = self._clients.get("lambda", region, role=target["RoleArn"])
        client.invoke(FunctionName=target["Arn"], InvocationType="Event", Payload=payload)

    def serve(self, request: Request, name: str) -> Response:
        """Answer an HTTP Invoke.

        Args:
            request: The request.
            name: Function as named in the path.
        """
        try:
            reference = parse_function(name, request.args.get("Qualifier"), _region(request))
        except ValueError as error:
            raise invalid_parameter(str(error)) from error
        kind = request.headers.get("X-Amz-Invocation-Type", "RequestResponse")
        execution_name = request.headers.get("X-Amz-Durable-Execution-Name")
        answer = self.invoke(reference, request.get_data(), kind, execution_name)
        response = Response(answer.payload, status=answer.status, content_type="application/json")
        response.headers["x-amzn-RequestId"] = str(uuid.uuid4())
        for header, value in answer.headers:
            if header != "X-Amz-Log-Result" or request.headers.get("X-Amz-Log-Type") == "Tail":
                response.headers[header] = value
        return response

    def serve_recursion(self, request: Request, name: str) -> Response:
        """Answer Get- and PutFunctionRecursionConfig, which moto lacks. The sandbox itself stops no loop.

        Args:
            request: The request.
            name: Function as named in the path.

        Raises:
            AwsError: As AWS refuses the call.
        """
        function = self._function(parse_function(name, region=_region(request)))
        if request.method == "PUT":
            wanted = request.get_json().get("RecursiveLoop")
            if wanted not in _RECURSIVE_LOOP:
                raise invalid_parameter(f"RecursiveLoop {wanted!r} is none of {', '.join(_RECURSIVE_LOOP)}")
            function.sandbox_recursive_loop = wanted
        kept = getattr(function, "sandbox_recursive_loop", _RECURSIVE_LOOP[0])
        return Response(json.dumps({"RecursiveLoop": kept}), content_type="application/json")

    def invoke(
        self, reference: FunctionReference, payload: bytes, kind: str, execution_name: str | None = None
    ) -> Answer:
        """Invoke a function.

        Args:
            reference: The function as the caller named it.
            payload: JSON; empty means ``{}``.
            kind: ``RequestResponse``, ``Event`` or ``DryRun``.
            execution_name: Name of the durable execution, for durable functions.

        Raises:
            AwsError: As AWS refuses the call.
        """
        version = self.resolve(reference)
        _check(payload, kind)
        if kind == "DryRun":
            return Answer(204)
        payload = payload or b"{}"
        limit = version.reserved_concurrency
        if limit is not None and self._runtime.running(reference.name) >= int(limit):
            raise AwsError("TooManyRequestsException", "Rate Exceeded.", 429)
        if self.durable.handles(version):
            return self.durable.invoke(version, payload, kind, execution_name)
        if execution_name is not None:
            raise invalid_parameter("DurableExecutionName was given, but the function is not durable.")
        if kind == "Event":
            threading.Thread(target=self._run_event, args=(version, payload), daemon=True, name="lambda-event").start()
            return Answer(202, headers=(("X-Amz-Executed-Version", version.version),))
        outcome = self._runtime.invoke(version, payload)
        headers = [
            ("X-Amz-Executed-Version", version.version),
            ("X-Amz-Log-Result", base64.b64encode(outcome.log.encode()[-4096:]).decode()),
        ]
        if not outcome.ok:
            headers.append(("X-Amz-Function-Error", "Unhandled"))
        return Answer(200, outcome.payload, tuple(headers))

    def _function(self, reference: FunctionReference) -> Any:
        backend = lambda_models.lambda_backends[ACCOUNT_ID][reference.region]
        try:
            return backend.get_function(reference.name, reference.qualifier)
        except LambdaClientError as error:
            raise resource_not_found(f"Function not found: {reference.arn}") from error

    def _run_event(self, version: FunctionVersion, payload: bytes) -> None:
        """Run an asynchronous invocation with its retries, then tell its destinations."""
        function = self._function(version.reference)
        config = event_invoke_config(function, version.reference.qualifier)
        outcome = self._runtime.invoke(version, payload)
        attempts = 1
        while not outcome.ok and attempts <= int(config.get("MaximumRetryAttempts", 2)):
            time.sleep(_RETRY_DELAYS_SECONDS[attempts - 1])
            outcome = self._runtime.invoke(version, payload)
            attempts += 1
        destinations = config.get("DestinationConfig", {})
        chosen = destinations.get("OnSuccess" if outcome.ok else "OnFailure", {}).get("Destination")
        if chosen:
            self._send(version, chosen, _record(version, payload, outcome, attempts), {})
        dead_letters = extra(function).get("DeadLetterConfig", {}).get("TargetArn")
        if dead_letters and not outcome.ok:
            message = json.loads(outcome.payload).get("errorMessage", "")
            attributes = {
                "RequestID": {"DataType": "String", "StringValue": outcome.request_id},
                "ErrorCode": {"DataType": "Number", "StringValue": "200"},
                "ErrorMessage": {"DataType": "String", "StringValue": message[:1024] or "-"},
            }
            self._send(version, dead_letters, payload.decode(), attributes)

    def _send(self, version: FunctionVersion, target: str, message: str, attributes: dict[str, Any]) -> None:
        """Tell a target with the function's role; what it refuses is lost, as on AWS, which counts it."""
        try:
            self._send_with_role(version.role, target, message, attributes)
        except ClientError as error:
            _LOG.error("a message of %s to %s is lost: %s", version.reference.name, target, error)

    def _send_with_role(self, role: str, target: str, message: str, attributes: dict[str, Any]) -> None:
        service, region, name = (target.split(":")[index] for index in (2, 3, -1))
        client = self._clients.get(service, region, role=role)
        if service == "sqs":
            url = self._clients.get(service, region, role=None).get_queue_url(QueueName=name)["QueueUrl"]
            client.send_message(QueueUrl=url, MessageBody=message, MessageAttributes=attributes)
        elif service == "sns":
            client.publish(TopicArn=target, Message=message, MessageAttributes=attributes)
        elif service == "lambda":
            client.invoke(FunctionName=target, InvocationType="Event", Payload=message.encode())
        else:
            raise ValueError(f"destination {target}: the sandbox delivers to SQS, SNS and Lambda only")


def apply(api: LambdaApi) -> None:
    """Route moto's own invocations (SNS, SQS, S3 notifications, log subscriptions) to the functions' processes.

    AWS runs the function; moto would start a Docker container.
    """

    def invoke(self: Any, body: str | bytes, request_headers: Any, response_headers: dict[str, str]) -> str | bytes:
        reference = parse_function(self.function_arn)
        payload = body.encode() if isinstance(body, str) else body
        kind = request_headers.get("X-Amz-Invocation-Type", "Event")
        answer = api.invoke(reference, payload, kind)
        response_headers.update(answer.headers)
        return answer.payload

    def invoke_over_http(self: Any) -> tuple[int, dict[str, str], str]:
        raise AssertionError(f"Invoke is answered before moto sees it: {self.path}")

    replace(lambda_models.LambdaFunction, "invoke", invoke)
    replace(lambda_responses.LambdaResponse, "invoke", invoke_over_http)


def log_writer(permissions: Permissions) -> Callable[[Session, str, str, str, list[str]], None]:
    """Return the function that puts the functions' output into CloudWatch Logs, as far as their roles allow it."""
    lock = threading.Lock()

    def write(session: Session, region: str, group: str, stream: str, lines: list[str]) -> None:
        backend = logs_models.logs_backends[ACCOUNT_ID][region]
        now = int(time.time() * 1000)
        with lock:  # moto's log streams are not thread-safe
            missing = group not in backend.groups
            if not permissions.allow(session, log_writing(region, group, stream, create_group=missing)):
                _LOG.error("the output of %s is lost: its role does not allow to write to %s", session.name, group)
                return
            if missing:
                backend.create_log_group(group, {})
            if stream not in backend.groups[group].streams:
                backend.create_log_stream(group, stream)
            backend.put_log_events(group, stream, [{"timestamp": now, "message": line} for line in lines if line])

    return write


def _region(request: Request) -> str:
    """Return the region for which a request was signed."""
    authorization = request.headers.get("Authorization", "")
    scope = authorization.partition("Credential=")[2].split("/")
    return scope[2] if len(scope) > 2 else DEFAULT_REGION  # noqa: PLR2004 - key/date/region/service/aws4_request


def _check(payload: bytes, kind: str) -> None:
    if kind not in {"RequestResponse", "Event", "DryRun"}:
        raise invalid_parameter(f"InvocationType {kind!r} is none of RequestResponse, Event, DryRun")
    limit = _ASYNCHRONOUS_LIMIT if kind == "Event" else _SYNCHRONOUS_LIMIT
    if len(payload) > limit:
        message = f"{len(payload)} byte payload is too large for the {kind} invocation type (limit {limit} bytes)"
        raise AwsError("RequestTooLargeException", message, 413)
    if payload:
        try:
            json.loads(payload)
        except ValueError as error:
            raise AwsError("InvalidRequestContentException", "Could not parse request body into json.") from error


def _record(version: FunctionVersion, payload: bytes, outcome: Outcome, attempts: int) -> str:
    """Return the record that a destination gets (https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html)."""
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": outcome.request_id,
            "functionArn": version.reference.arn,
            "condition": "Success" if outcome.ok else "RetriesExhausted",
            "approximateInvokeCount": attempts,
        },
        "requestPayload": json.loads(payload),
        "responseContext": {"statusCode": 200, "executedVersion": version.version},
        "responsePayload": json.loads(outcome.payload),
    }
    if not outcome.ok:
        record["responseContext"]["functionError"] = "Unhandled"
    return json.dumps(record)
