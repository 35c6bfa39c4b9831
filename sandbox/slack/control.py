"""What people and tests see of the local Slack: look, wait, click, and make it fail.

JSON in, JSON out; what cannot be done is answered with 400 and `{"error": ...}`:

    GET    /_sandbox/app                   the app's settings, people, channels
    POST   /_sandbox/app                   change settings: bot_token, request_url, scopes, signing_secret
    GET    /_sandbox/changes?after=&wait=  what changed after a version; waits up to `wait` seconds for a change
    POST   /_sandbox/click                 click a button: see `interactivity.ClickRequest`
    POST   /_sandbox/submit                submit a modal: see `modals.SubmitRequest`
    POST   /_sandbox/close                 close a modal without submitting it: `{"view_id": ...}`
    POST   /_sandbox/faults                script a fault: see `faults.Fault`
    DELETE /_sandbox/faults                forget all faults
"""

from dataclasses import asdict
from http import HTTPStatus

from flask import Blueprint, Response, jsonify, request

from sandbox.slack import interactivity, modals
from sandbox.slack.faults import Fault, Faults
from sandbox.slack.workspace import Json, Workspace

# A waiting request holds a thread: whoever wants to wait longer asks again.
MAX_WAIT = 30.0
_SETTINGS = ("bot_token", "request_url", "scopes", "signing_secret")


class RequestInvalidError(ValueError):
    """A request to a control endpoint that means nothing."""


def blueprint(workspace: Workspace, faults: Faults) -> Blueprint:
    """Return the routes that steer and watch the workspace."""
    routes = Blueprint("control", __name__, url_prefix="/_sandbox")

    @routes.get("/app")
    def settings() -> Response:
        return jsonify(_settings(workspace))

    @routes.post("/app")
    def change_settings() -> Response:
        given = _object()
        unknown = sorted(set(given) - set(_SETTINGS))
        if unknown:
            raise RequestInvalidError(f"unknown settings {unknown}; known are {list(_SETTINGS)}")
        if "scopes" in given:
            given["scopes"] = frozenset(given["scopes"])
        workspace.configure(**given)
        return jsonify(_settings(workspace))

    @routes.get("/changes")
    def changes() -> Response:
        wait = min(float(request.args.get("wait", "0")), MAX_WAIT)
        return jsonify(workspace.changes(int(request.args.get("after", "0")), wait).as_json())

    @routes.post("/faults")
    def add_fault() -> Response:
        fault = Fault.from_json(_object())
        faults.add(fault)
        workspace.touch()
        return jsonify(asdict(fault))

    @routes.delete("/faults")
    def clear_faults() -> Response:
        faults.clear()
        workspace.touch()
        return jsonify({})

    _add_people(routes, workspace, faults)

    @routes.errorhandler(ValueError)
    def invalid(error: ValueError) -> tuple[Response, int]:
        return jsonify({"error": str(error)}), HTTPStatus.BAD_REQUEST

    return routes


def _add_people(routes: Blueprint, workspace: Workspace, faults: Faults) -> None:
    """Add the routes of what people do."""

    @routes.post("/click")
    def click() -> Response:
        clicked = interactivity.ClickRequest.from_json(_object())
        return jsonify(asdict(interactivity.click(workspace, clicked, f"{request.url_root}actions/", faults)))

    @routes.post("/submit")
    def submit() -> Response:
        submitted = modals.SubmitRequest.from_json(_object())
        return jsonify(asdict(modals.submit(workspace, submitted, faults)))

    @routes.post("/close")
    def close() -> Response:
        return jsonify(asdict(modals.close(workspace, str(_object().get("view_id")))))


def _object() -> Json:
    body = request.get_json(silent=True, force=True)
    if not isinstance(body, dict):
        raise RequestInvalidError("the body must be a JSON object")
    return body


def _settings(workspace: Workspace) -> Json:
    return {
        **asdict(workspace.app),
        "scopes": sorted(workspace.app.scopes),
        "users": [asdict(user) for user in workspace.users.values()],
        "channels": [asdict(channel) for channel in workspace.channels()],
        "groups": workspace.groups,
    }
