import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from slack_sdk import WebClient

from sandbox.slack.client import SlackSandbox
from sandbox.slack.server import SlackServer


@dataclass
class Received:
    """One request of Slack's, as the app received it."""

    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, list[str]]:
        return parse_qs(self.body.decode(), strict_parsing=True)


@dataclass
class AppServer:
    """The app's side of interactivity: keeps what it is sent and answers as told."""

    url: str
    status: int = 200
    body: bytes = b""
    received: list[Received] = field(default_factory=list)
    answer: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def app_server() -> Iterator[AppServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            app.received.append(Received({k.lower(): v for k, v in self.headers.items()}, body))
            app.answer.wait(20)
            self.send_response(app.status)
            self.send_header("Content-Length", str(len(app.body)))
            self.end_headers()
            self.wfile.write(app.body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    app = AppServer(f"http://127.0.0.1:{server.server_port}/slack/interactions")
    app.answer.set()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield app
    app.answer.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server() -> Iterator[SlackServer]:
    with SlackServer() as running:
        yield running


@pytest.fixture
def slack(server: SlackServer) -> SlackSandbox:
    return SlackSandbox(server.url)


@pytest.fixture
def bot(server: SlackServer) -> WebClient:
    return WebClient(token=server.workspace.app.bot_token, base_url=f"{server.url}/api/", timeout=10, retry_handlers=[])


@pytest.fixture
def approval_blocks() -> list[dict[str, Any]]:
    return [
        {"type": "header", "text": {"type": "plain_text", "text": "Deploy v1?"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": "by <@U0RITA0001>"}},
        {
            "type": "actions",
            "block_id": "approval",
            "elements": [
                {
                    "type": "button",
                    "action_id": "approve",
                    "style": "primary",
                    "text": {"type": "plain_text", "text": "Approve"},
                    "value": '{"v":1,"d":"approve"}',
                },
                {
                    "type": "button",
                    "action_id": "reject",
                    "text": {"type": "plain_text", "text": "Reject"},
                    "value": '{"v":1,"d":"reject"}',
                },
            ],
        },
    ]
