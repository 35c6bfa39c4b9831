"""API Gateway HTTP APIs at ``/_api/<api id>/...``, with Lambda proxy integrations in payload format 2.0.

moto stores APIs and answers no request to them.
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html)
"""

import base64
import json
import re
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from moto.apigatewayv2 import models
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request, Response

from sandbox.aws.arns import ACCOUNT_ID, FunctionReference, parse_function
from sandbox.aws.errors import AwsError
from sandbox.aws.faults import Faults
from sandbox.aws.lambda_api import LambdaApi

_FUNCTION_IN_URI = re.compile(r"(?:.*/functions/)?(arn:aws:lambda:[^/]+)(?:/invocations)?")
# Content types whose bodies arrive as text; any other body, a form too, arrives as base64.
_TEXT = re.compile(r"text/.*|application/(json|javascript|xml|([a-z.-]+\+)?(json|xml))")
# Headers between the client and the gateway, which no integration sees.
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "upgrade", "cookie"}


@dataclass(frozen=True)
class _Route:
    key: str
    parameters: dict[str, str]
    integration: Any


@dataclass(frozen=True)
class _Target:
    """Where in which API a request arrived."""

    region: str
    api: Any
    stage: str
    path: str
    route: _Route


class HttpApis:
    """Answers requests to the deployed HTTP APIs."""

    def __init__(self, functions: LambdaApi, faults: Faults) -> None:
        """Create it over the functions that integrations invoke."""
        self._functions = functions
        self._faults = faults

    def listed(self, address: str) -> list[dict[str, str]]:
        """Return id, name, region and local URL of every HTTP API."""
        return [
            {"id": api.api_id, "name": api.name, "region": region, "url": f"{address}/_api/{api.api_id}"}
            for region, api in _apis()
        ]

    def serve(self, request: Request, api_id: str, path: str) -> Response:
        """Answer a request to an API.

        Args:
            request: The request.
            api_id: API id.
            path: Path below the API's address, beginning with a slash.
        """
        found = next(((region, api) for region, api in _apis() if api.api_id == api_id), None)
        if found is None:
            return _message(404, "Not Found")
        region, api = found
        stage, path = _stage(api, path)
        route = _match(api, request.method, path) if stage else None
        if stage is None or route is None:
            return _message(404, "Not Found")
        event = self._event(request, _Target(region, api, stage, path, route))
        try:
            reference = _function(route.integration)
            source = f"arn:aws:execute-api:{region}:{ACCOUNT_ID}:{api_id}/{stage}/{_permission_path(route.key)}"
            if not self._functions.permits(reference, "apigateway.amazonaws.com", source):
                return _message(500, "Internal Server Error")  # what a client sees of a missing permission on AWS
            answer = self._functions.invoke(reference, json.dumps(event).encode(), "RequestResponse")
        except AwsError:
            return _message(500, "Internal Server Error")
        return _message(500, "Internal Server Error") if answer.failed else _response(answer.payload)

    def _event(self, request: Request, target: _Target) -> dict[str, Any]:
        api_id, stage, path, route = target.api.api_id, target.stage, target.path, target.route
        domain = f"{api_id}.execute-api.{target.region}.amazonaws.com"
        body = request.get_data()
        headers = _headers(request, domain)
        now = datetime.now(UTC)
        sent_path = path if stage == "$default" else f"/{stage}{path}"
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": route.key,
            "rawPath": sent_path,
            "rawQueryString": request.query_string.decode("latin-1"),
            "headers": headers,
            "requestContext": {
                "accountId": ACCOUNT_ID,
                "apiId": api_id,
                "domainName": domain,
                "domainPrefix": api_id,
                "http": {
                    "method": request.method,
                    "path": sent_path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": request.remote_addr or "127.0.0.1",
                    "userAgent": headers.get("user-agent", ""),
                },
                "requestId": base64.b64encode(uuid.uuid4().bytes[:11]).decode(),
                "routeKey": route.key,
                "stage": stage,
                "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
                "timeEpoch": int(now.timestamp() * 1000),
            },
            "isBase64Encoded": False,
        }
        if request.args:
            event["queryStringParameters"] = {key: ",".join(request.args.getlist(key)) for key in request.args}
        if route.parameters:
            event["pathParameters"] = route.parameters
        if request.cookies:
            event["cookies"] = [part.strip() for part in request.headers["Cookie"].split(";")]
        if body:
            as_text = _TEXT.fullmatch(request.mimetype) is not None or self._faults.plain_form_bodies
            event["body"] = body.decode("utf-8") if as_text else base64.b64encode(body).decode()
            event["isBase64Encoded"] = not as_text
        return event


def _apis() -> list[tuple[str, Any]]:
    regions = models.apigatewayv2_backends[ACCOUNT_ID]
    return [
        (region, api)
        for region, backend in list(regions.items())
        for api in list(backend.apis.values())
        if api.protocol_type == "HTTP"
    ]


def _stage(api: Any, path: str) -> tuple[str | None, str]:
    """Return the stage of a path and the path below it; named stages are the first segment of the path."""
    first, _, rest = path.lstrip("/").partition("/")
    if first in api.stages:
        return first, f"/{rest}"
    return ("$default" if "$default" in api.stages else None), path


def _match(api: Any, method: str, path: str) -> _Route | None:
    """Return the most specific route: fixed segments before ``{name}`` before ``{name+}`` before ``$default``."""
    best: tuple[tuple[int, int, bool], _Route] | None = None
    for route in api.routes.values():
        integration = api.integrations.get((route.target or "").rsplit("/", 1)[-1])
        if integration is None:
            continue
        if route.route_key == "$default":
            rank, parameters = (-1, 0, False), {}
        else:
            wanted, _, template = route.route_key.partition(" ")
            match = re.fullmatch(_pattern(template), path)
            if match is None or wanted not in {"ANY", method}:
                continue
            rank = ("+}" not in template, -template.count("{"), wanted != "ANY")
            parameters = match.groupdict()
        if best is None or rank > best[0]:
            best = (rank, _Route(route.route_key, parameters, integration))
    return best[1] if best else None


def _pattern(template: str) -> str:
    pieces = re.split(r"\{(\w+\+?)\}", template)
    text = ""
    for index, piece in enumerate(pieces):
        if index % 2 == 0:
            text += re.escape(piece)
        else:
            text += f"(?P<{piece[:-1]}>.+)" if piece.endswith("+") else f"(?P<{piece}>[^/]+)"
    return text


def _permission_path(route_key: str) -> str:
    """Return the end of the source ARN that API Gateway invokes a function with."""
    if route_key == "$default":
        return "$default"
    method, _, path = route_key.partition(" ")
    return f"{'*' if method == 'ANY' else method}{path}"


def _function(integration: Any) -> FunctionReference:
    match = _FUNCTION_IN_URI.fullmatch(integration.integration_uri or "")
    if match is None or integration.integration_type != "AWS_PROXY":
        raise AwsError("BadRequestException", f"integration {integration.id} is no Lambda proxy integration")
    return parse_function(match[1])


def _headers(request: Request, domain: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        lower = name.lower()
        if lower not in _HOP_BY_HOP:
            headers[lower] = f"{headers[lower]},{value}" if lower in headers else value
    headers.setdefault("content-length", "0")
    headers["host"] = domain
    headers["x-amzn-trace-id"] = f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"
    headers["x-forwarded-for"] = request.remote_addr or "127.0.0.1"
    headers["x-forwarded-port"] = "443"
    headers["x-forwarded-proto"] = "https"
    return headers


def _response(payload: bytes) -> Response:
    """Turn a function's answer into an HTTP response; without a status code the whole answer is the body."""
    answer = json.loads(payload)
    if not isinstance(answer, dict) or "statusCode" not in answer:
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return Response(text, content_type="application/json")
    body = answer.get("body") or ""
    if not isinstance(body, str) or not isinstance(answer["statusCode"], int):
        return _message(500, "Internal Server Error")
    headers = Headers({"content-type": "text/plain;charset=UTF-8"} if body else {})
    for name, value in (answer.get("headers") or {}).items():
        headers[name] = str(value)
    for cookie in answer.get("cookies") or []:
        headers.add("set-cookie", cookie)
    data = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
    return Response(data, status=answer["statusCode"], headers=headers)


def _message(status: int, message: str) -> Response:
    return Response(json.dumps({"message": message}), status=status, content_type="application/json")
