"""How fast, and in how much memory, the maintenance gate resumes parked tasks.

The real functions and boto3 talk HTTP to a stub of S3 and Step Functions in a second process on this machine, so the
figures are those of this code on this machine: AWS's own latency, CPU share and quotas come on top.

make bench-drain TASKS=<parked tasks> RATE=<tasks per second at most>
"""

import hashlib
import json
import os
import resource
import sys
import time
from bisect import bisect_right
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import uuid6

from maintenance import handler

_MACHINE = "arn:aws:states:us-east-2:123456789012:stateMachine:Order"
_FUNCTION = "arn:aws:lambda:us-east-2:123456789012:function:orders-maintenance:live"
_FOLDER = "maintenance/Order/"
_FLAG = "maintenance/~flags/Order.json"
_LAMBDA_SECONDS = 300.0


class _Stub:
    """One bucket and the answered tokens, in memory; parked tasks are kept in the order of their keys."""

    def __init__(self, tasks: int) -> None:
        self.keys = [f"{_FOLDER}{uuid6.uuid7()}.json" for _ in range(tasks)]
        self.next = 0
        self.objects = {key: _task(number) for number, key in enumerate(self.keys)}
        self.objects[_FLAG] = json.dumps({"state": "closed", "seq": 1, "nonce": "0", "lease": None}).encode()
        self.answered: list[int] = []

    def listed(self, folder: str, limit: int, after: str) -> list[str]:
        if folder != _FOLDER:
            return [key for key in self.objects if key.startswith(folder) and not key.startswith(_FOLDER)]
        while self.next < len(self.keys) and self.keys[self.next] not in self.objects:
            self.next += 1  # deletes come almost in order: no listing begins from the very first key
        start = max(self.next, bisect_right(self.keys, after))
        found = (key for key in self.keys[start : start + 5 * limit] if key in self.objects)
        return [key for key, _ in zip(found, range(limit), strict=False)]


def _task(number: int) -> bytes:
    token = str(number).rjust(704, "A")  # about as long as those of AWS
    return json.dumps({"taskToken": token, "timestamp": "2030-01-01T00:00:00.000Z"}).encode()


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


class _Handler(BaseHTTPRequestHandler):
    stub: _Stub
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def handle_expect_100(self) -> bool:
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def do_GET(self) -> None:
        split = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(split.query).items()}
        key = self._key(split.path)
        if key:
            body = self.stub.objects.get(key)
            if body is None:
                self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            else:
                self._answer(200, body, _etag(body))
            return
        keys = self.stub.listed(query.get("prefix", ""), int(query["max-keys"]), query.get("continuation-token", ""))
        more = len(keys) == int(query["max-keys"])
        shown = "".join(
            f"<Contents><Key>{escape(key)}</Key><ETag>{_etag(self.stub.objects[key])}</ETag>"
            "<LastModified>2030-01-01T00:00:00.000Z</LastModified></Contents>"
            for key in keys
        )
        token = f"<NextContinuationToken>{escape(keys[-1])}</NextContinuationToken>" if more else ""
        self._answer(200, f"<ListBucketResult>{shown}{token}</ListBucketResult>".encode())

    def do_PUT(self) -> None:
        key, body = self._key(urlsplit(self.path).path), self._body()
        current, wanted = self.stub.objects.get(key), self.headers.get("If-Match")
        if wanted is not None and (current is None or _etag(current) != wanted):
            self._answer(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            return
        self.stub.objects[key] = body
        self._answer(200, b"", _etag(body))

    def do_DELETE(self) -> None:
        self.stub.objects.pop(self._key(urlsplit(self.path).path), None)
        self._answer(204, b"")

    def do_POST(self) -> None:
        request = json.loads(self._body() or b"{}")
        target = self.headers.get("X-Amz-Target", "")
        if target.endswith("SendTaskSuccess"):
            self.stub.answered.append(int(request["taskToken"].lstrip("A") or 0))
        self._answer(200, json.dumps({"tags": []} if target.endswith("ListTagsForResource") else {}).encode())

    def _key(self, path: str) -> str:
        return unquote(path).removeprefix("/bucket").removeprefix("/")

    def _body(self) -> bytes:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
            return body
        size, _, rest = body.partition(b"\r\n")
        return rest[: int(size, 16)]

    def _answer(self, status: int, body: bytes, etag: str | None = None) -> None:
        self.send_response_only(status)
        self.send_header("Content-Length", str(len(body)))
        if etag is not None:
            self.send_header("ETag", etag)
        self.end_headers()
        self.wfile.write(body)


def _serve(connection: Connection, tasks: int) -> None:
    stub = _Handler.stub = _Stub(tasks)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, daemon=True).start()
    connection.send(server.server_port)
    connection.recv()
    server.shutdown()
    order = stub.answered
    moved = max((abs(place - number) for place, number in enumerate(order)), default=0)
    left = sum(key.startswith(_FOLDER) for key in stub.objects)
    connection.send((len(order), len(set(order)), moved, left))


class _Context:
    """An invocation as long as the default `timeout` lets it be."""

    invoked_function_arn = _FUNCTION

    def __init__(self) -> None:
        self._end = time.monotonic() + _LAMBDA_SECONDS

    def get_remaining_time_in_millis(self) -> int:
        """Time until this invocation ends."""
        return int((self._end - time.monotonic()) * 1000)


def main(tasks: int, rate: int) -> None:
    """Park, end the maintenance, and print what it took."""
    connection, other = Pipe()
    process = Process(target=_serve, args=(other, tasks))
    process.start()
    port = connection.recv()
    os.environ.update(
        AWS_ACCESS_KEY_ID="benchmark",
        AWS_SECRET_ACCESS_KEY="benchmark",
        AWS_DEFAULT_REGION="us-east-2",
        AWS_ENDPOINT_URL=f"http://127.0.0.1:{port}",
        Bucket="bucket",
        Prefix="maintenance",
        ResumeRatePerSecond=str(rate),
    )
    handler.settings()
    before = resource.getrusage(resource.RUSAGE_SELF)
    began = time.monotonic()
    state, invocations = "draining", 0
    while state == "draining":
        answer = handler.handler({"action": "drain", "stateMachineArn": _MACHINE}, _Context())
        state = answer["machines"]["Order"]
        invocations += 1
    seconds = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_SELF)
    connection.send("done")
    answered, different, moved, left = connection.recv()
    process.join()
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"parked tasks        {tasks}, at most {rate} per second")
    print(f"resumed             {answered} ({different} different), {left} left, gate {state}")
    print(f"time                {seconds:.1f} s in {invocations} invocation(s): {tasks / seconds:.0f} per second")
    print(f"processor           {1000 * cpu / max(tasks, 1):.2f} ms per task")
    print(f"memory              {before.ru_maxrss / 1024:.0f} MB before, {after.ru_maxrss / 1024:.0f} MB at most")
    print(f"out of order        by {moved} places at most")


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:3]))
