"""One local AWS for all tests of this folder, in a process of its own: moto's corrections are process-wide."""

import io
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import boto3
import pytest
from botocore.config import Config

REPOSITORY = Path(__file__).parents[3]
# The running interpreter's runtime is there on every machine.
RUNTIME = "python{}.{}".format(*sys.version_info[:2])


class LocalAws:
    """A running local AWS and what tests do with it."""

    def __init__(self, output: Path, environment: dict[str, str] | None = None) -> None:
        self.output = output
        with output.open("w") as stderr:
            self.process = self._start(environment or {}, stderr)
        assert self.process.stdout is not None
        ready = self.process.stdout.readline()
        if not ready:
            self.stop()
            pytest.fail(f"the local AWS did not start: {output.read_text()}")
        self.address: str = json.loads(ready)["address"]
        self._clients: dict[str, Any] = {}
        document = json.dumps({"Version": "2012-10-17", "Statement": []})
        role = self.client("iam").create_role(RoleName="functions", AssumeRolePolicyDocument=document)
        self.role: str = role["Role"]["Arn"]
        self.allow("functions", {"Effect": "Allow", "Action": "*", "Resource": "*"})

    def _start(self, environment: dict[str, str], stderr: IO[str]) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "sandbox.aws", "--exit-with-stdin"],
            cwd=REPOSITORY,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def client(self, service: str) -> Any:
        if service not in self._clients:
            create: Any = boto3.client
            self._clients[service] = create(
                service,
                endpoint_url=self.address,
                region_name="us-east-2",
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}, read_timeout=60, proxies={}),
            )
        return self._clients[service]

    def allow(self, role: str, *statements: Any) -> None:
        """Let a role do what statements say, and nothing else."""
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self.client("iam").put_role_policy(RoleName=role, PolicyName="it", PolicyDocument=document)

    def control(self, path: str, data: Any = None) -> Any:
        """Call a control endpoint: POST with data, GET without. An error answer is returned like any other."""
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(f"{self.address}/_sandbox/{path}", data=body)
        try:
            with urllib.request.urlopen(request, timeout=25) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return {"status": error.code, **json.load(error)}

    def function(self, source: str, name: str | None = None, **settings: Any) -> str:
        """Create a function from the source of its module, with an alias ``live``; return its name."""
        name = name or f"f-{uuid.uuid4().hex[:8]}"
        self.client("lambda").create_function(
            FunctionName=name,
            **{
                "Runtime": RUNTIME,
                "Role": self.role,
                "Handler": "app.handler",
                "Code": {"ZipFile": self.package(source)},
                "Timeout": 10,
                "Publish": True,
                **settings,
            },
        )
        self.client("lambda").create_alias(FunctionName=name, Name="live", FunctionVersion="1")
        return name

    def package(self, source: str) -> bytes:
        """Return a function package whose module ``app`` has the given source."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("app.py", source)
        return buffer.getvalue()

    def invoke(self, name: str, payload: Any = None, **options: Any) -> Any:
        """Invoke a function's alias and return its decoded answer."""
        answer = self.client("lambda").invoke(
            FunctionName=name, Qualifier="live", Payload=json.dumps(payload or {}).encode(), **options
        )
        return json.loads(answer["Payload"].read() or b"null")

    def logged(self, name: str) -> list[str]:
        """Return what a function wrote to its log group."""
        logs = self.client("logs")
        try:
            events = logs.filter_log_events(logGroupName=f"/aws/lambda/{name}")["events"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [event["message"] for event in events]

    def stop(self) -> int:
        self.process.terminate()
        code = self.process.wait(timeout=60)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        return code


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAws]:
    # What must not leak into functions and clients. (HTTPS_PROXY would be right for pip, which the server starts once.)
    strange = {"AWS_CA_BUNDLE": "/nowhere", "AWS_PROFILE": "mine", "HTTP_PROXY": "http://127.0.0.1:9"}
    local = LocalAws(tmp_path_factory.mktemp("aws") / "output", strange)
    # The first function of a new checkout waits until pip has installed the runtime client.
    local.invoke(local.function("def handler(event, context): pass"))
    yield local
    local.stop()


@pytest.fixture
def start_aws(tmp_path: Path) -> Iterator[Callable[[], LocalAws]]:
    """Start further servers, for tests that end them."""
    started: list[LocalAws] = []

    def start() -> LocalAws:
        started.append(LocalAws(tmp_path / f"output-{len(started)}"))
        return started[-1]

    yield start
    for local in started:
        local.stop()


@pytest.fixture(scope="session")
def eventually() -> Callable[[Callable[[], Any]], Any]:
    """Return the first true answer of a question asked again and again; fail after 10 seconds."""

    def ask(question: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + 10
        while True:
            answer = question()
            if answer:
                return answer
            assert time.monotonic() < deadline, "it never happened"
            time.sleep(0.02)

    return ask
