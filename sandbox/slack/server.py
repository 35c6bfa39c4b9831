"""The local Slack as an HTTP server on 127.0.0.1."""

import threading
from pathlib import Path
from typing import Self

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from sandbox.slack import control, page, public
from sandbox.slack.faults import Faults
from sandbox.slack.workspace import Workspace
from sandbox.web.pages import web_app

# Seconds within which the server notices that it is to stop.
_POLL = 0.02


class SlackServer:
    """A local Slack, serving while it is entered.

    Attributes:
        workspace: What it knows.
        faults: What it is to get wrong.
        url: Base address, without a trailing slash.

    Args:
        workspace: What it knows; by default a workspace with the sandbox's people and channels.
        port: Port of 127.0.0.1 to listen on; 0 takes a free one.
    """

    def __init__(self, workspace: Workspace | None = None, port: int = 0) -> None:
        self.workspace = workspace or Workspace()
        self.faults = Faults()
        app = web_app(__name__, Path(__file__).parent / "templates")
        app.register_blueprint(public.blueprint(self.workspace, self.faults))
        app.register_blueprint(control.blueprint(self.workspace, self.faults))
        app.register_blueprint(page.blueprint(self.workspace, self.faults))
        self._server: BaseWSGIServer = make_server("127.0.0.1", port, app, threaded=True, request_handler=_Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_POLL,), name="slack", daemon=True)
        self.url = f"http://127.0.0.1:{self._server.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Keep the terminal quiet: every call is recorded in the workspace."""
