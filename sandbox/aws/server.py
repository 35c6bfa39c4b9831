"""The local AWS: one process, one address on 127.0.0.1, moto behind it with everything that moto lacks.

``python -m sandbox.aws`` prints one JSON line, ``{"address": "http://127.0.0.1:PORT", "pid": ...}``, when it is ready,
and runs until SIGTERM or SIGINT. With ``--exit-with-stdin`` it also ends when its standard input ends, that is, when
the program that started it is gone.
"""

import argparse
import json
import logging
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import unquote

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.wrappers import Request, Response

from sandbox.aws import (
    durable,
    events,
    lambda_api,
    lambda_control,
    page,
    permissions,
    s3,
    scheduler,
    step_functions,
    tags,
)
from sandbox.aws.clients import Clients
from sandbox.aws.control import PREFIX as CONTROL_PREFIX
from sandbox.aws.control import Control, Parts
from sandbox.aws.credentials import AccessKeys
from sandbox.aws.durable import DurableExecutions
from sandbox.aws.durable_api import PREFIX as DURABLE_PREFIX
from sandbox.aws.durable_api import DurableApi
from sandbox.aws.errors import AwsError, answer
from sandbox.aws.faults import Faults
from sandbox.aws.http_api import HttpApis
from sandbox.aws.interpreters import Interpreters
from sandbox.aws.lambda_runtime import LambdaRuntime
from sandbox.aws.shown import Shown
from sandbox.web.pages import PREFIX as PAGE_PREFIX

# Kept between runs, ignored by git.
_DEFAULT_DIRECTORY = Path(__file__).parents[2] / ".sandbox"
_LOG = logging.getLogger(__name__)
_FUNCTIONS_PREFIX = "/2015-03-31/functions/"
_INVOCATIONS = "/invocations"
_RECURSION = re.compile(r"/2024-08-31/functions/([^/]+)/recursion-config")
_API_PREFIX = "/_api/"
# What callback ids and task tokens look like.
_SECRET = re.compile(r"[A-Za-z0-9+/=]{80,}")

_WsgiApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]


class _RequestHandler(MotoRequestHandler):
    # Answers are written in several small packets; without this each one waits 40 ms for an acknowledgement.
    disable_nagle_algorithm = True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing: paths hold callback ids."""


class LocalAws:
    """The local AWS of one process. moto keeps its state in modules, so there can be only one."""

    def __init__(self, port: int, directory: Path, environment: Mapping[str, str]) -> None:
        """Bind the port and correct the emulators.

        Args:
            port: Port on 127.0.0.1; 0 for a free one.
            directory: Folder for what is kept between runs.
            environment: Environment for pip.
        """
        self._server: BaseWSGIServer = make_server(
            "127.0.0.1", port, self._serve, threaded=True, request_handler=_RequestHandler
        )
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._faults = faults = Faults()
        keys = AccessKeys()
        self._permissions = permissions.Permissions(keys)
        clients = Clients(self.address, keys)
        interpreters = Interpreters(directory / "runtimes", environment)
        self._bus = events.EventBus()
        self._runtime = LambdaRuntime(interpreters, self.address, keys, lambda_api.log_writer(self._permissions))
        self._functions = lambda_api.LambdaApi(self._runtime, clients)
        self._executions = DurableExecutions(self._functions, self._runtime, self._bus, self._permissions)
        self._functions.durable = self._executions
        self._durable = DurableApi(self._executions, self._functions)
        self._apis = HttpApis(self._functions, faults)
        self._scheduler = scheduler.Scheduler(self._functions.deliver_with_role)
        self._control = Control(
            Parts(
                address=self.address,
                executions=self._executions,
                bus=self._bus,
                scheduler=self._scheduler,
                apis=self._apis,
                faults=faults,
                permissions=self._permissions,
            )
        )
        self._page = page.app(Shown(self._executions, self._bus), lambda service: clients.get(service, role=None))
        self._clock = events.ScheduleClock(self._bus)
        self._bus.add_target("lambda", self._functions.deliver)
        self._bus.add_target("states", step_functions.starter(clients))
        durable.apply()
        lambda_control.apply(self._forget_function)
        lambda_api.apply(self._functions)
        step_functions.apply(clients)
        tags.apply(self._bus, faults)
        events.apply(self._bus)
        permissions.apply()
        scheduler.apply()
        s3.apply()
        self._moto: _WsgiApplication = DomainDispatcherApplication(create_backend_app)

    def start(self) -> None:
        """Serve in background threads."""
        threading.Thread(target=self._server.serve_forever, daemon=True, name="local-aws").start()
        self._clock.start()
        self._scheduler.start()

    def stop(self) -> None:
        """End every function's process; answer nothing more."""
        self._clock.stop()
        self._scheduler.stop()
        self._executions.stop()
        self._runtime.stop()
        self._server.shutdown()

    def _forget_function(self, name: str) -> None:
        self._executions.stop_function(name)
        self._runtime.discard(name)

    def _serve(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"].startswith(f"{PAGE_PREFIX}/"):
            return self._page(environ, start_response)
        self._faults.slow_down(Request(environ))
        try:
            self._faults.throttle(Request(environ))
            self._permissions.check(Request(environ))
            response = self._own_answer(environ)
        except AwsError as error:
            response = answer(Request(environ), error)
        except Exception:  # noqa: BLE001 - told here; a client gets an answer that it can read
            _LOG.exception("no answer to %s %s", environ["REQUEST_METHOD"], environ["PATH_INFO"])
            response = AwsError("ServiceException", "The local AWS failed; its output says why.", 500).response()
        return self._moto(environ, start_response) if response is None else response(environ, start_response)

    def _own_answer(self, environ: dict[str, Any]) -> Response | None:
        """Answer what is not moto's; ``None`` for what is."""
        raw_path = environ["RAW_URI"].partition("?")[0]  # PATH_INFO has lost the encoded slashes of ARNs
        if raw_path.startswith(CONTROL_PREFIX):
            return self._control.serve(Request(environ), raw_path.removeprefix(CONTROL_PREFIX))
        if raw_path.startswith(_API_PREFIX):
            api_id, slash, _ = raw_path.removeprefix(_API_PREFIX).partition("/")
            path = environ["PATH_INFO"].removeprefix(f"{_API_PREFIX}{api_id}")
            return self._apis.serve(Request(environ), api_id, path if slash else "/")
        if raw_path.startswith(DURABLE_PREFIX):
            return self._durable.serve(Request(environ), raw_path)
        if raw_path.startswith(_FUNCTIONS_PREFIX) and raw_path.endswith(_INVOCATIONS):
            name = unquote(raw_path.removeprefix(_FUNCTIONS_PREFIX).removesuffix(_INVOCATIONS))
            return self._functions.serve(Request(environ), name)
        if match := _RECURSION.fullmatch(raw_path):
            return self._functions.serve_recursion(Request(environ), unquote(match[1]))
        return None


def main(environment: Mapping[str, str]) -> NoReturn:
    """Run the local AWS until a signal ends it, then end the process.

    Args:
        environment: The environment before ``isolate``.
    """
    parser = argparse.ArgumentParser(prog="python -m sandbox.aws", description="A local AWS for the workflow gates.")
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)")
    parser.add_argument(
        "--directory", type=Path, default=_DEFAULT_DIRECTORY, help="folder for what is kept between runs"
    )
    parser.add_argument("--exit-with-stdin", action="store_true", help="end when standard input ends")
    options = parser.parse_args()
    _log_errors()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if options.exit_with_stdin:
        threading.Thread(target=_await_end_of_input, args=(ended,), daemon=True).start()
    local = LocalAws(options.port, options.directory, environment)
    local.start()
    sys.stdout.write(json.dumps({"address": local.address, "pid": os.getpid()}) + "\n")
    sys.stdout.flush()
    ended.wait()
    local.stop()
    sys.stdout.flush()
    # The emulators' threads may be in the middle of a year's wait; nothing is left to be saved.
    os._exit(0)


def _await_end_of_input(ended: threading.Event) -> None:
    sys.stdin.buffer.read()
    ended.set()


def _log_errors() -> None:
    """Show the emulators' errors without the callback ids and task tokens that some of them repeat."""

    def hide(record: logging.LogRecord) -> bool:
        record.msg, record.args = _SECRET.sub("<hidden>", record.getMessage()), ()
        return True

    handler = logging.StreamHandler()
    handler.addFilter(hide)
    logging.basicConfig(level=logging.ERROR, handlers=[handler], format="%(name)s: %(message)s")
