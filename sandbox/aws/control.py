"""Endpoints below ``/_sandbox/`` with which tests, the demo and the pages steer and watch the local AWS."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from werkzeug.wrappers import Request, Response

from sandbox.aws.durable import DurableExecutions
from sandbox.aws.events import EventBus
from sandbox.aws.faults import Faults
from sandbox.aws.http_api import HttpApis

PREFIX = "/_sandbox/"
# Longest wait for an event in one request, in seconds.
_LONGEST_WAIT_SECONDS = 20.0


class Control:
    """Answers the control endpoints. All speak JSON."""

    _endpoints: Mapping[tuple[str, str], Callable[[Request], Any]]

    def __init__(
        self, address: str, executions: DurableExecutions, bus: EventBus, apis: HttpApis, faults: Faults
    ) -> None:
        """Create it over the parts that it shows."""
        self._address = address
        self._executions = executions
        self._bus = bus
        self._apis = apis
        self._faults = faults
        self._endpoints = {
            ("GET", "durable-functions"): lambda _: executions.registered(),
            ("POST", "durable-functions"): self._register,
            ("GET", "events"): self._events,
            ("GET", "faults"): lambda _: asdict(faults),
            ("POST", "faults"): self._set_faults,
            ("GET", "http-apis"): lambda _: apis.listed(address),
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
        except (KeyError, ValueError) as error:
            return _json({"error": str(error.args[0])}, 400)

    def _register(self, request: Request) -> dict[str, dict[str, int]]:
        self._executions.register(_body(request))
        return self._executions.registered()

    def _set_faults(self, request: Request) -> dict[str, Any]:
        self._faults.set(_body(request))
        return asdict(self._faults)

    def _events(self, request: Request) -> list[dict[str, Any]]:
        wait = min(float(request.args.get("wait", 0)), _LONGEST_WAIT_SECONDS)
        return self._bus.seen(int(request.args.get("after", 0)), wait)

    def _fire(self, request: Request) -> dict[str, str]:
        rule = str(_body(request).get("rule"))
        self._bus.fire(rule)
        return {"fired": rule}


def _body(request: Request) -> dict[str, Any]:
    data = json.loads(request.get_data() or b"{}")
    if not isinstance(data, dict):
        raise ValueError(f"expected a JSON object, got {type(data).__name__}")  # noqa: TRY004 - answered as 400
    return data


def _json(data: Any, status: int) -> Response:
    return Response(json.dumps(data), status=status, content_type="application/json")
