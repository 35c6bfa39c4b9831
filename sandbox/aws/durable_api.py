"""The HTTP side of durable executions: Lambda's API version 2025-12-01, answered by the emulator's own handlers."""

from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs

from aws_durable_execution_sdk_python_testing.exceptions import AwsApiException, UnknownRouteError
from aws_durable_execution_sdk_python_testing.web import handlers, routes
from aws_durable_execution_sdk_python_testing.web.models import HTTPRequest, HTTPResponse
from werkzeug.wrappers import Request, Response

from sandbox.aws.arns import parse_function
from sandbox.aws.durable import DurableExecutions, ExecutionQuery
from sandbox.aws.errors import AwsError, invalid_parameter
from sandbox.aws.lambda_api import LambdaApi

# First path segment of every one of these calls (API model).
PREFIX = "/2025-12-01/"
_FIRST_ERROR_STATUS = 400
# Statuses of the API model, where the emulator's differ.
_STATUS = {"CallbackTimeoutException": 400}


class DurableApi:
    """Answers the calls on durable executions and their callbacks."""

    def __init__(self, executions: DurableExecutions, functions: LambdaApi) -> None:
        """Create it over the executions."""
        self._router = routes.Router()
        self._functions = functions
        self._executor = executor = executions.executor
        self._handlers: dict[type[routes.Route], handlers.EndpointHandler] = {
            routes.CheckpointDurableExecutionRoute: handlers.CheckpointDurableExecutionHandler(executor),
            routes.GetDurableExecutionRoute: handlers.GetDurableExecutionHandler(executor),
            routes.GetDurableExecutionHistoryRoute: handlers.GetDurableExecutionHistoryHandler(executor),
            routes.GetDurableExecutionStateRoute: handlers.GetDurableExecutionStateHandler(executor),
            routes.StopDurableExecutionRoute: handlers.StopDurableExecutionHandler(executor),
            routes.CallbackSuccessRoute: handlers.SendDurableExecutionCallbackSuccessHandler(executor),
            routes.CallbackFailureRoute: handlers.SendDurableExecutionCallbackFailureHandler(executor),
            routes.CallbackHeartbeatRoute: handlers.SendDurableExecutionCallbackHeartbeatHandler(executor),
        }

    def serve(self, request: Request, raw_path: str) -> Response:
        """Answer a call.

        Args:
            request: The request.
            raw_path: Its path as sent: an ARN inside it holds encoded slashes.
        """
        try:
            route = self._router.find_route(raw_path, request.method)
            if isinstance(route, routes.ListDurableExecutionsByFunctionRoute):
                return self._list(request, route.function_name)
            handler = self._handlers[type(route)]
        except (UnknownRouteError, KeyError):
            message = f"the sandbox does not know {request.method} {request.path}"
            raise AwsError("UnknownOperationException", message, 404) from None
        try:
            return _response(handler.handle(route, _emulator_request(request, route)))
        except AwsApiException as error:  # from a body that is no JSON
            return _error(error.to_dict(), error.http_status_code)

    def _list(self, request: Request, name: str) -> Response:
        arguments = request.args
        try:
            reference = parse_function(name, arguments.get("Qualifier"))
            query = ExecutionQuery(
                function=reference.name,
                version=self._functions.resolve(reference).version if reference.qualifier else None,
                name=arguments.get("DurableExecutionName"),
                statuses=tuple(arguments.getlist("Statuses")),
                after=_moment(arguments.get("StartedAfter")),
                before=_moment(arguments.get("StartedBefore")),
                newest_first=arguments.get("ReverseOrder") == "true",
                offset=int(arguments.get("Marker", 0)),
                limit=int(arguments.get("MaxItems", 0)) or 100,
            )
        except ValueError as error:
            raise invalid_parameter(str(error)) from error
        self._functions.resolve(reference)
        found, marker = self._executor.find(query)
        body: dict[str, Any] = {"DurableExecutions": [execution.to_dict() for execution in found]}
        if marker is not None:
            body["NextMarker"] = marker
        return _response(HTTPResponse.create_json(200, body))


def _emulator_request(request: Request, route: routes.Route) -> HTTPRequest:
    build = HTTPRequest.from_raw_bytes if isinstance(route, routes.BytesPayloadRoute) else HTTPRequest.from_bytes
    built = build(
        body_bytes=request.get_data(),
        method=request.method,
        path=route,
        headers=dict(request.headers),
        query_params=parse_qs(request.query_string.decode()),
    )
    if isinstance(route, routes.StopDurableExecutionRoute) and built.body:
        # By the API model the body is the error; the emulator looks for it one level below.
        return replace(built, body={"Error": built.body})
    return built


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _response(answer: HTTPResponse) -> Response:
    if answer.status_code >= _FIRST_ERROR_STATUS:  # the emulator's handlers turn their errors into answers
        return _error(answer.body, answer.status_code)
    body = answer.body_to_bytes() if answer.body else b"{}"
    return Response(body, status=answer.status_code, content_type="application/json")


def _error(body: dict[str, Any], status: int) -> Response:
    """Return an error as AWS sends it: the emulator leaves out the type's header and errs in a status."""
    kind = body.get("Type", "ServiceException")
    message = str(body.get("message") or body.get("Message") or "")
    return AwsError(kind, message, _STATUS.get(kind, status)).response()
