"""Execution environments: the processes in which the deployed functions run.

One environment is one process on the function's own interpreter, running the unpacked package under AWS's Python
runtime client (``awslambdaric``), which talks to a private Runtime API. Environments stay warm and are reused, one
invocation at a time.
"""

import contextlib
import hashlib
import io
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import uuid
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any, cast

from sandbox.aws.arns import FunctionReference, function_arn
from sandbox.aws.credentials import AccessKeys, Session
from sandbox.aws.errors import AwsError
from sandbox.aws.interpreters import Interpreters

_BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
# AWS gives initialisation 10 s. A developer's machine is not Lambda, so it gets more here.
_INIT_LIMIT_SECONDS = 60.0
# How often a waiting invocation looks whether its process is still there.
_POLL_SECONDS = 0.1
# Environments of one function version that may exist at a time; more invocations wait their turn. AWS would start
# more, this machine has few cores.
_ENVIRONMENTS_PER_VERSION = 8
# Warm processes kept in all; versions that nobody invokes any more lose theirs.
_IDLE_ENVIRONMENTS = 24
# As on AWS, without the folders that only Lambda has.
_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class FunctionVersion:
    """Everything that an environment needs to know of one version of a function.

    Attributes:
        reference: Name, qualifier as invoked, region.
        version: ``$LATEST`` or the version's number.
        handler: ``module.function``.
        runtime: Lambda runtime, such as ``python3.13``.
        timeout: Seconds.
        memory: MB; passed on, not enforced.
        role: ARN of the execution role.
        variables: Environment variables of the function.
        logging: ``LoggingConfig`` as in Lambda's API.
        package: The zip.
        package_sha256: Base64 digest of the zip, as in Lambda's API.
        reserved_concurrency: Reserved concurrent executions; ``None`` for none.
    """

    reference: FunctionReference
    version: str
    handler: str
    runtime: str
    timeout: int
    memory: int
    role: str
    variables: Mapping[str, str]
    logging: Mapping[str, str]
    package: bytes = field(repr=False)
    package_sha256: str
    reserved_concurrency: int | None = None

    @property
    def session(self) -> Session:
        """The role as the function uses it."""
        return Session(self.role, self.reference.name)

    @property
    def key(self) -> str:
        """What an environment must have been started with to serve this version."""
        parts = [
            function_arn(self.reference.name, self.version, self.reference.region),
            self.package_sha256,
            self.handler,
            self.runtime,
            self.role,
            self.timeout,
            self.memory,
            dict(self.variables),
            dict(self.logging),
        ]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What an invocation ended with.

    Attributes:
        ok: Whether the handler returned.
        payload: The handler's answer, or the error object, as JSON.
        request_id: Request id of the invocation.
        log: What the function wrote, with Lambda's own lines.
    """

    ok: bool
    payload: bytes
    request_id: str
    log: str = ""


@dataclass(frozen=True)
class _Invocation:
    request_id: str
    arn: str
    deadline: float
    payload: bytes


class _RuntimeApi(ThreadingHTTPServer):
    """The Runtime API of one environment (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _RuntimeApiHandler)
        self.asked = threading.Event()
        self.work: SimpleQueue[_Invocation | None] = SimpleQueue()
        self.answers: SimpleQueue[tuple[bool, bytes]] = SimpleQueue()
        threading.Thread(target=self.serve_forever, daemon=True, name="lambda-runtime-api").start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: the client's process is killed at will."""

    def close(self) -> None:
        self.work.put(None)
        # shutdown() waits for the serving loop's next turn; nobody needs to wait for that.
        threading.Thread(target=self._end, daemon=True).start()

    def _end(self) -> None:
        self.shutdown()
        self.server_close()


class _RuntimeApiHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Headers and body in one packet, at once: without both settings each answer waits 40 ms for an acknowledgement.
    disable_nagle_algorithm = True
    wbufsize = 65536

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing."""

    def do_GET(self) -> None:
        api = cast("_RuntimeApi", self.server)
        api.asked.set()
        invocation = api.work.get()
        if invocation is None:
            self.close_connection = True
            return
        root = f"1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"
        self._answer(
            200,
            invocation.payload,
            {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
                "Lambda-Runtime-Invoked-Function-Arn": invocation.arn,
                "Lambda-Runtime-Deadline-Ms": str(int(invocation.deadline * 1000)),
                "Lambda-Runtime-Trace-Id": f"Root={root};Parent={uuid.uuid4().hex[:16]};Sampled=0",
            },
        )

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        api = cast("_RuntimeApi", self.server)
        api.answers.put((self.path.endswith("/response"), body))
        api.asked.set()  # also after /init/error, so that the waiting invocation sees it
        self._answer(202, b"{}", {"Content-Type": "application/json"})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Environment:
    """One warm process of a function version. Serves one invocation at a time."""

    def __init__(
        self, version: FunctionVersion, command: list[str], folder: Path, variables: Mapping[str, str]
    ) -> None:
        self._version = version
        self._api = _RuntimeApi()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._log_position = 0
        self.log_stream = f"{datetime.now(UTC):%Y/%m/%d}/[{version.version}]{uuid.uuid4().hex}"
        self._kill_lock = threading.Lock()
        ours, self._pipe = os.pipe()
        try:
            self.process = subprocess.Popen(
                [*command, str(_BOOTSTRAP), str(ours), version.handler],
                cwd=folder,
                env={
                    **variables,
                    "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._api.server_port}",
                    "AWS_LAMBDA_LOG_STREAM_NAME": self.log_stream,
                },
                stdin=subprocess.DEVNULL,
                stdout=self._log,
                stderr=subprocess.STDOUT,
                pass_fds=[ours],
                start_new_session=True,
            )
        finally:
            os.close(ours)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    @property
    def function_name(self) -> str:
        return self._version.reference.name

    def invoke(self, invocation_id: str, arn: str, payload: bytes) -> Outcome:
        """Run one invocation; ends the process when it timed out or failed to start.

        ``arn`` is the function's as invoked: one version is reached by its number and by aliases.
        """
        version = self._version
        error = self._initialised()
        started = time.time()
        if error is None:
            deadline = started + version.timeout
            self._api.work.put(_Invocation(invocation_id, arn, deadline, payload))
            ok, answer, healthy = self._await_answer(deadline, invocation_id)
        else:
            ok, answer, healthy = False, error, False
        if not healthy:
            self.kill()
        lines = _log_lines(version, invocation_id, self._new_output(), (time.time() - started) * 1000)
        return Outcome(ok, answer, invocation_id, "\n".join(lines))

    def kill(self) -> None:
        """End the process now; the server's end and an invocation's may come at once."""
        with self._kill_lock:
            if self._pipe < 0:
                return
            self.process.kill()
            self.process.wait()
            self._api.close()
            os.close(self._pipe)
            self._pipe = -1

    def _initialised(self) -> bytes | None:
        """Wait until the runtime client asks for work; return the error object when it does not come to that."""
        deadline = time.time() + _INIT_LIMIT_SECONDS
        while not self._api.asked.wait(_POLL_SECONDS):
            if not self.alive:
                return self._exit_error()
            if time.time() > deadline:
                return _error("Sandbox.Timedout", f"initialisation took longer than {_INIT_LIMIT_SECONDS:.0f} s")
        with contextlib.suppress(Empty):
            return self._api.answers.get_nowait()[1]
        return None

    def _await_answer(self, deadline: float, request_id: str) -> tuple[bool, bytes, bool]:
        while True:
            try:
                ok, answer = self._api.answers.get(timeout=min(_POLL_SECONDS, max(deadline - time.time(), 0.001)))
            except Empty:
                if not self.alive and self._api.answers.empty():
                    return False, self._exit_error(request_id), False
                if time.time() > deadline:
                    seconds = f"{self._version.timeout:.2f}"
                    stamp = _timestamp()
                    message = f"{stamp} {request_id} Task timed out after {seconds} seconds"
                    return False, _error("Sandbox.Timedout", message), False
            else:
                return ok, answer, True

    def _exit_error(self, request_id: str = "") -> bytes:
        self.process.wait()
        code = self.process.returncode
        how = f"exit status {code}" if code >= 0 else f"signal {-code}"
        return _error("Runtime.ExitError", f"RequestId: {request_id} Error: Runtime exited with error: {how}")

    def _new_output(self) -> str:
        # The process and this reader share one file offset; the process only ever appends at the end of what was
        # written.
        position = self._log_position
        size = os.fstat(self._log.fileno()).st_size
        data = os.pread(self._log.fileno(), size - position, position)
        self._log_position = size
        return data.decode("utf-8", "replace")


class LambdaRuntime:
    """Runs function versions in environments and keeps these warm."""

    def __init__(
        self,
        interpreters: Interpreters,
        endpoint: str,
        keys: AccessKeys,
        write_log: Callable[[Session, str, str, str, list[str]], None],
    ) -> None:
        """Create the runtime.

        Args:
            interpreters: Where interpreters come from.
            endpoint: Address of the local AWS, for the functions' clients.
            keys: Access keys of the functions' roles.
            write_log: Called as ``write_log(session, region, group, stream, lines)`` after each invocation.
        """
        self._interpreters = interpreters
        self._endpoint = endpoint
        self._keys = keys
        self._write_log = write_log
        self._work = Path(tempfile.mkdtemp(prefix="sandbox-aws-"))
        self._lock = threading.Lock()
        self._idle: dict[_Environment, str] = {}  # to the version's key; the one idle for longest comes first
        self._all: set[_Environment] = set()
        self._slots: dict[str, threading.Semaphore] = defaultdict(
            lambda: threading.Semaphore(_ENVIRONMENTS_PER_VERSION)
        )
        self._running: dict[str, int] = defaultdict(int)
        self._unpack_lock = threading.Lock()
        self._stopped = threading.Event()

    def invoke(self, version: FunctionVersion, payload: bytes) -> Outcome:
        """Run one invocation to its end.

        Raises:
            AwsError: ``InvalidRuntimeException`` if no interpreter can run the function, ``ServiceException`` if the
                server is stopping.
        """
        request_id = str(uuid.uuid4())
        with self._slot(version):
            environment = self._take(version)
            try:
                outcome = environment.invoke(request_id, version.reference.arn, payload)
            finally:
                self._give_back(version, environment)
        group = version.logging.get("LogGroup") or f"/aws/lambda/{version.reference.name}"
        lines = outcome.log.split("\n")
        self._write_log(version.session, version.reference.region, group, environment.log_stream, lines)
        return outcome

    def running(self, name: str) -> int:
        """Return how many invocations of a function run or wait now."""
        return self._running[name]

    def discard(self, name: str) -> None:
        """End the idle environments of a deleted function."""
        with self._lock:
            gone = [environment for environment in self._idle if environment.function_name == name]
            self._forget(gone)
        for environment in gone:
            environment.kill()

    def stop(self) -> None:
        """End every process and remove the unpacked packages."""
        with self._lock:
            self._stopped.set()
            gone = list(self._all)
            self._all.clear()
            self._idle.clear()
        for environment in gone:
            environment.kill()
        shutil.rmtree(self._work, ignore_errors=True)

    @contextlib.contextmanager
    def _slot(self, version: FunctionVersion) -> Iterator[None]:
        with self._lock:
            self._running[version.reference.name] += 1
            slot = self._slots[version.key]
        try:
            with slot:
                yield
        finally:
            with self._lock:
                self._running[version.reference.name] -= 1

    def _take(self, version: FunctionVersion) -> _Environment:
        with self._lock:
            if self._stopped.is_set():
                raise _stopping()
            for environment in [e for e, key in reversed(self._idle.items()) if key == version.key]:
                del self._idle[environment]
                if environment.alive:
                    return environment
                self._all.discard(environment)
        environment = self._start(version)
        with self._lock:
            self._all.add(environment)
            stopped = self._stopped.is_set()
        if stopped:  # between the check above and here
            environment.kill()
            raise _stopping()
        return environment

    def _give_back(self, version: FunctionVersion, environment: _Environment) -> None:
        with self._lock:
            if environment.alive and not self._stopped.is_set():
                self._idle[environment] = version.key
            else:
                self._all.discard(environment)
            surplus = list(self._idle)[: max(len(self._idle) - _IDLE_ENVIRONMENTS, 0)]
            self._forget(surplus)
        for idle in surplus:
            idle.kill()

    def _forget(self, environments: list[_Environment]) -> None:
        for environment in environments:
            del self._idle[environment]
            self._all.discard(environment)

    def _start(self, version: FunctionVersion) -> _Environment:
        try:
            python = self._interpreters.python(version.runtime)
            client = self._interpreters.client(python)
        except (RuntimeError, ValueError) as error:
            raise AwsError("InvalidRuntimeException", str(error), 502) from error
        folder = self._unpacked(version)
        # -s and -S: neither the user's nor the interpreter's site-packages exist on Lambda.
        command = [str(python), "-s", "-S"]
        return _Environment(version, command, folder, self._variables(version, folder, client))

    def _unpacked(self, version: FunctionVersion) -> Path:
        folder = self._work / hashlib.sha256(version.package).hexdigest()[:32]
        with self._unpack_lock:
            if not folder.is_dir():
                scratch = Path(tempfile.mkdtemp(dir=self._work))
                with zipfile.ZipFile(io.BytesIO(version.package)) as archive:
                    archive.extractall(scratch)
                scratch.rename(folder)
        return folder

    def _variables(self, version: FunctionVersion, folder: Path, client: Path) -> dict[str, str]:
        """Return the environment of a function's process: AWS's variables, nothing of this machine's."""
        reference = version.reference
        logging = version.logging
        variables = {
            "PATH": _PATH,
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
            "HOME": str(self._work),
            "LAMBDA_TASK_ROOT": str(folder),
            "LAMBDA_RUNTIME_DIR": str(client),
            "PYTHONPATH": str(client),
            "PYTHONUNBUFFERED": "1",  # what is printed is in the log when the invocation ends
            "PYTHONDONTWRITEBYTECODE": "1",  # the task root is read-only on AWS
            "_HANDLER": version.handler,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{version.runtime}",
            "AWS_REGION": reference.region,
            "AWS_DEFAULT_REGION": reference.region,
            "AWS_LAMBDA_FUNCTION_NAME": reference.name,
            "AWS_LAMBDA_FUNCTION_VERSION": version.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(version.memory),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": logging.get("LogGroup") or f"/aws/lambda/{reference.name}",
            "AWS_LAMBDA_LOG_FORMAT": logging.get("LogFormat", "Text"),
            # The only address that leads anywhere.
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            **version.variables,
            # The role's: AWS takes no variables of these names.
            "AWS_ACCESS_KEY_ID": self._keys.of(version.session),
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_SESSION_TOKEN": "sandbox",
        }
        if level := logging.get("ApplicationLogLevel"):
            variables["AWS_LAMBDA_LOG_LEVEL"] = level
        return variables


def _log_lines(version: FunctionVersion, request_id: str, output: str, milliseconds: float) -> list[str]:
    """Put Lambda's own lines around what the function wrote."""
    own = output.splitlines()
    if version.logging.get("LogFormat") != "JSON":
        return [
            f"START RequestId: {request_id} Version: {version.version}",
            *own,
            f"END RequestId: {request_id}",
            f"REPORT RequestId: {request_id}\tDuration: {milliseconds:.2f} ms\tMemory Size: {version.memory} MB",
        ]
    if version.logging.get("SystemLogLevel", "INFO") == "WARN":
        return own
    start = {"requestId": request_id, "version": version.version}
    report = {
        "requestId": request_id,
        "metrics": {"durationMs": round(milliseconds, 3), "memorySizeMB": version.memory},
    }
    return [
        json.dumps({"time": _timestamp(), "type": "platform.start", "record": start}),
        *own,
        json.dumps({"time": _timestamp(), "type": "platform.report", "record": report}),
    ]


def _stopping() -> AwsError:
    return AwsError("ServiceException", "The local AWS is stopping.", 500)


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()


def _timestamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
