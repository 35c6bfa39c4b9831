"""Endpoints below ``/_sandbox/`` with which tests, the demo and the pages steer and watch the local AWS."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from botocore.exceptions import ClientError
from werkzeug.wrappers import Request, Response

from sandbox.aws.durable import DurableExecutions
from sandbox.aws.events import EventBus
from sandbox.aws.faults import Faults
from sandbox.aws.http_api import HttpApis
from sandbox.aws.permissions import Permissions
from sandbox.aws.scheduler import Scheduler

PREFIX = "/_sandbox/"
# Longest wait for an event in one request, in seconds.
_LONGEST_WAIT_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The parts of the local AWS that the endpoints steer and show.

    Attributes:
        address: Address of the local AWS.
        executions: Durable executions.
        bus: The event buses.
        scheduler: EventBridge Scheduler.
        apis: HTTP APIs.
        faults: Faults that can be switched on.
        permissions: What roles may do, and did.
    """

    address: str
    executions: DurableExecutions
    bus: EventBus
    scheduler: Scheduler
    apis: HttpApis
    faults: Faults
    permissions: Permissions


class Control:
    """Answers the control endpoints. All speak JSON."""

    _endpoints: Mapping[tuple[str, str], Callable[[Request], Any]]

    def __init__(self, parts: Parts) -> None:
        """Create it over the parts that it shows."""
        self._parts = parts
        self._endpoints = {
            ("GET", "durable-functions"): lambda _: parts.executions.registered(),
            ("POST", "durable-functions"): self._register,
            ("GET", "events"): self._events,
            ("GET", "faults"): lambda _: asdict(parts.faults),
            ("POST", "faults"): self._set_faults,
            ("GET", "http-apis"): lambda _: parts.apis.listed(parts.address),
            ("GET", "permissions"): lambda _: parts.permissions.asked(),
            ("POST", "schedules/fire"): self._fire,
        }

    def serve(self, request: Request, path: str) -> Response:
        """Answer a request to ``/_sandbox/<path>``."""
        endpoint = self._endpoints.get((request.method, path))
        if endpoint is None:
            known = ", ".join(f"{method} {PREFIX}{name}" for method, name in self._endpoints)
            return _json({"error": f"no {request.method} {PREFIX}{path}; there are {known}"}, 404)
        try:
            return _json(endpoint(request), 200)
        except (KeyError, ValueError, ClientError) as error:
            return _json({"error": str(error.args[0])}, 400)

    def _register(self, request: Request) -> dict[str, dict[str, int]]:
        self._parts.executions.register(_body(request))
        return self._parts.executions.registered()

    def _set_faults(self, request: Request) -> dict[str, Any]:
        self._parts.faults.set(_body(request))
        return asdict(self._parts.faults)

    def _events(self, request: Request) -> list[dict[str, Any]]:
        wait = min(float(request.args.get("wait", 0)), _LONGEST_WAIT_SECONDS)
        return self._parts.bus.seen(int(request.args.get("after", 0)), wait)

    def _fire(self, request: Request) -> dict[str, str]:
        """Fire a rule's schedule, or the next occurrence of a schedule of EventBridge Scheduler."""
        body = _body(request)
        if "schedule" in body:
            due = self._parts.scheduler.fire(str(body.get("group", "default")), str(body["schedule"]))
            return {"fired": body["schedule"], "scheduled-time": due}
        rule = str(body.get("rule"))
        self._parts.bus.fire(rule)
        return {"fired": rule}


def _body(request: Request) -> dict[str, Any]:
    data = json.loads(request.get_data() or b"{}")
    if not isinstance(data, dict):
        raise ValueError(f"expected a JSON object, got {type(data).__name__}")  # noqa: TRY004 - answered as 400
    return data


def _json(data: Any, status: int) -> Response:
    return Response(json.dumps(data), status=status, content_type="application/json")
