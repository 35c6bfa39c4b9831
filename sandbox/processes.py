"""Servers as child processes that never outlive the sandbox."""

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# The local AWS imports all of moto first: seconds, on a busy machine more.
START_SECONDS = 120.0
STOP_SECONDS = 20.0
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
    with log.open("ab") as errors, _started(module, errors.fileno(), environment) as process:
        try:
            yield _address(module, process, log)
        finally:
            end(process, gently=True)


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


def _started(module: str, errors: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # Its own session: Ctrl-C reaches the sandbox only, which then ends everything in order. Its standard input ends
    # with the sandbox, even with a killed one.
    return subprocess.Popen(
        [sys.executable, "-m", module, "--exit-with-stdin"],
        cwd=ROOT,
        env=dict(environment),
        stdin=subprocess.PIPE,
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
