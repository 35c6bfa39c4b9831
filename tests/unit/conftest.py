"""A Slack Web API on the loopback, small enough to be seen through, that does what it is told."""

import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest


@dataclass(frozen=True)
class Reply:
    """One scripted answer: a status with a body, or a dropped connection, before or after the call took effect."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    takes_effect: bool = False
    drops: bool = False


class HttpServer:
    """A server on a free port of the loopback; `respond` gets the path, the headers and the body."""

    def __init__(self, respond: Callable[[str, Mapping[str, str], bytes], Reply]) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                reply = respond(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
                if reply.drops:
                    self.close_connection = True
                    return
                content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in {"Content-Type": "application/json", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class SlackApi:
    """A workspace with one bot. Scripted replies come first, then it behaves as Slack does."""

    team = "T0WORKSPC"

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.tokens: list[str] = []
        self.messages: dict[str, dict[str, Any]] = {}
        self.notes: list[dict[str, Any]] = []
        self.history_is_readable = True
        self._script: defaultdict[str, deque[Reply]] = defaultdict(deque)
        self._changed = threading.Condition()
        self._server = HttpServer(self._respond)
        self.url = f"{self._server.url}api/"

    def will(self, method: str, *replies: Reply) -> None:
        self._script[method].extend(replies)

    def forget(self, method: str) -> None:
        """Answer a method as Slack does from now on, whatever was scripted."""
        self._script[method].clear()

    def called(self, method: str) -> list[dict[str, Any]]:
        return [arguments for name, arguments in self.calls if name == method]

    def wait_for_message(self) -> dict[str, Any]:
        """Wait until there is a message and return the newest one."""
        self.wait_until(lambda: bool(self.messages))
        return self.messages[max(self.messages)]

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until calls have made a condition true."""
        with self._changed:
            assert self._changed.wait_for(condition, timeout=10)

    def close(self) -> None:
        self._server.close()

    def _respond(self, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        address = urlsplit(path)
        method = address.path.rsplit("/", 1)[-1]
        if headers.get("content-type", "").startswith("application/json"):
            arguments = json.loads(body)
        else:
            arguments = dict(parse_qsl(body.decode() or address.query))
        with self._changed:
            self._changed.notify_all()
            self.calls.append((method, arguments))
            self.tokens.append(headers["authorization"].removeprefix("Bearer "))
            scripted = self._script[method].popleft() if self._script[method] else None
            if scripted and not scripted.takes_effect:
                return scripted
            answer = self._answer(method, arguments)
        return scripted or Reply(body=answer)

    def _answer(self, method: str, arguments: dict[str, Any]) -> dict[str, Any]:
        refused = None
        answer: dict[str, Any] = {}
        match method:
            case "auth.test":
                answer = {"team_id": self.team, "url": "https://acme.slack.com/", "user_id": "U0BOT"}
            case "chat.postMessage" if "metadata" not in arguments:
                self.notes.append(arguments)
                answer = {"channel": arguments["channel"], "ts": f"1795615300.{len(self.notes):06}"}
            case "chat.postMessage":
                ts = f"1795615200.{len(self.messages):06}"
                # Whoever posts to a person's id posts into the direct messages with that person.
                channel = arguments["channel"].replace("U", "D", 1)
                self.messages[ts] = {"ts": ts, **arguments, "channel": channel}
                answer = {"channel": channel, "ts": ts}
            case "chat.update" if arguments["ts"] in self.messages:
                self.messages[arguments["ts"]] |= arguments
                answer = {"channel": arguments["channel"], "ts": arguments["ts"]}
            case "chat.update":
                refused = "message_not_found"
            case "conversations.history" if self.history_is_readable:
                there = [message for message in self.messages.values() if message["channel"] == arguments["channel"]]
                newest_first = sorted(there, key=lambda message: str(message["ts"]), reverse=True)
                answer = {"messages": newest_first, "has_more": False}
            case _:
                refused = "missing_scope"
        return {"ok": False, "error": refused} if refused else {"ok": True, **answer}


@pytest.fixture
def slack_api() -> Iterator[SlackApi]:
    api = SlackApi()
    yield api
    api.close()
