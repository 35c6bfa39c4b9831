"""What apps see of the local Slack: the Web API at `/api/<method>` and `response_url`s at `/actions/<key>`."""

import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from sandbox.slack import interactivity, web_api
from sandbox.slack.faults import Fault, Faults
from sandbox.slack.workspace import Json, SlackRefusal, Workspace


class _DroppedError(HTTPException):
    """The connection was broken on purpose: whatever is answered goes nowhere."""

    code = HTTPStatus.INTERNAL_SERVER_ERROR


def blueprint(workspace: Workspace, faults: Faults) -> Blueprint:
    """Return the routes that an app calls."""
    routes = Blueprint("public", __name__)

    @routes.route("/api/<method>", methods=["GET", "POST"])
    def api(method: str) -> Response:
        arguments, sent_as_json = _arguments()
        token = _token(arguments)

        def run() -> Json:
            if not token:
                raise SlackRefusal("not_authed")
            if token != workspace.app.bot_token:
                raise SlackRefusal("invalid_auth")
            if arguments is None:
                raise SlackRefusal("invalid_json")
            return web_api.call(workspace, method, arguments, sent_as_json=sent_as_json)

        return _answer(workspace, faults.take(method), method, arguments or {}, run)

    @routes.post("/actions/<path:key>")
    def response_url(key: str) -> Response:
        body = request.get_json(silent=True, force=True)

        def run() -> Json:
            if not isinstance(body, dict):
                raise SlackRefusal("invalid_payload")
            interactivity.respond(workspace, key, body)
            return {"ok": True}

        name = "response_url"
        return _answer(workspace, faults.take(name), name, body if isinstance(body, dict) else {}, run)

    return routes


def _answer(workspace: Workspace, fault: Fault | None, name: str, arguments: Json, run: Callable[[], Json]) -> Response:
    """Run a call, or play the fault that is scripted for it, and record what happened."""
    if fault:
        time.sleep(fault.delay)
    if fault and fault.drop == "before":
        workspace.record_call(name, arguments, None, {})
        _drop_connection()
    scripted = _scripted(fault) if fault else None
    status, headers, answer = scripted or _run(name, run)
    if fault and fault.drop == "after":
        workspace.record_call(name, arguments, None, answer)
        _drop_connection()
    workspace.record_call(name, arguments, status, answer)
    response = jsonify(answer)
    response.status_code = status
    response.headers.update(headers)
    return response


def _scripted(fault: Fault) -> tuple[int, Mapping[str, str], Json] | None:
    if fault.status == HTTPStatus.TOO_MANY_REQUESTS:
        return fault.status, {"Retry-After": str(fault.retry_after)}, {"ok": False, "error": "ratelimited"}
    if fault.status is not None or fault.error is not None:
        return fault.status or HTTPStatus.OK, {}, {"ok": False, "error": fault.error or "internal_error"}
    return None


def _run(name: str, run: Callable[[], Json]) -> tuple[int, Mapping[str, str], Json]:
    try:
        return HTTPStatus.OK, {}, run()
    except SlackRefusal as refusal:
        # The Web API refuses with 200, a `response_url` with 404.
        status = HTTPStatus.NOT_FOUND if name == "response_url" else HTTPStatus.OK
        return status, {}, {"ok": False, "error": refusal.code, **refusal.details}


def _drop_connection() -> None:
    connection: socket.socket = request.environ["werkzeug.socket"]
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    raise _DroppedError


def _arguments() -> tuple[Json | None, bool]:
    """Return the arguments of a Web API call (None: a JSON body that is no object), and whether they were JSON."""
    if request.mimetype == "application/json":
        body = request.get_json(silent=True)
        return (body if isinstance(body, dict) else None), True
    return {**request.args.to_dict(), **request.form.to_dict()}, False


def _token(arguments: Json | None) -> str:
    """Return the token from the header, or from the parameters; it is taken out of these."""
    in_parameters = str((arguments or {}).pop("token", ""))
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else in_parameters
