"""Servers as child processes that never outlive the sandbox, unless they are told to."""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# The local AWS imports all of moto first: seconds, on a busy machine more.
START_SECONDS = 120.0
STOP_SECONDS = 20.0
_POLL = 0.1
_TAIL = 20


class ProcessError(Exception):
    """A child process did not start or did not do its work."""


@contextmanager
def server(module: str, log: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Run one of the sandbox's servers while the context is open.

    Args:
        module: Python module to run; it prints one JSON line with its `address` once it listens.
        log: File for what it writes to standard error.
        environment: All of its environment variables.

    Yields:
        Its address, without a trailing slash.

    Raises:
        ProcessError: If it does not start.
    """
    with log.open("ab") as errors, _started(module, errors.fileno(), environment, detached=False) as process:
        try:
            yield _address(module, process, log)
        finally:
            end(process, gently=True)


@dataclass(frozen=True)
class Detached:
    """A server that goes on when the program that started it ends.

    Attributes:
        module: Python module that it runs.
        address: Its address, without a trailing slash.
        pid: Its process id; it leads its own session.
    """

    module: str
    address: str
    pid: int

    def runs(self) -> bool:
        """Return whether the process is there, and is what it was: ids are used again."""
        shown = subprocess.run(["ps", "-o", "args=", "-p", str(self.pid)], capture_output=True, check=False)
        return self.module in shown.stdout.decode(errors="replace")

    def end(self) -> None:
        """End it and everything that it started, if it still runs.

        Raises:
            ProcessError: If it does not end.
        """
        if not self.runs():
            return
        os.kill(self.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while self.runs():
            if time.monotonic() > deadline:
                raise ProcessError(f"{self.module} (process {self.pid}) does not end; kill it")
            time.sleep(_POLL)


def detached_server(module: str, log: Path, environment: Mapping[str, str]) -> Detached:
    """Start one of the sandbox's servers so that it goes on when this program ends.

    Args:
        module: Python module to run; it prints one JSON line with its `address` once it listens.
        log: File for what it writes to standard error.
        environment: All of its environment variables.

    Raises:
        ProcessError: If it does not start.
    """
    with log.open("ab") as errors:
        process = _started(module, errors.fileno(), environment, detached=True)
    try:
        return Detached(module, _address(module, process, log), process.pid)
    except BaseException:
        end(process, gently=False)
        raise
    finally:
        if process.stdout:
            process.stdout.close()


def end(process: subprocess.Popen[bytes], *, gently: bool) -> None:
    """End a process and everything that it started; it must lead its own session.

    Args:
        process: The process.
        gently: Give it time to stop by itself first.
    """
    if gently and process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    # The group outlives its leader where a grandchild does.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def tail(log: Path) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text(errors="replace").splitlines()[-_TAIL:])


def _started(module: str, errors: int, environment: Mapping[str, str], *, detached: bool) -> subprocess.Popen[bytes]:
    # Its own session: Ctrl-C reaches the sandbox only, which then ends everything in order. Its standard input ends
    # with the sandbox, even with a killed one.
    return subprocess.Popen(
        [sys.executable, "-m", module, *([] if detached else ["--exit-with-stdin"])],
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=errors,
        start_new_session=True,
    )


def _address(module: str, process: subprocess.Popen[bytes], log: Path) -> str:
    if process.stdout is None:
        raise ProcessError(f"{module} was started without a pipe for its output")
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        line = process.stdout.readline() if selector.select(START_SECONDS) else b""
    try:
        return str(json.loads(line)["address"]).rstrip("/")
    except (ValueError, KeyError):
        raise ProcessError(f"{module} did not start within {START_SECONDS:.0f} s; it wrote:\n{tail(log)}") from None
