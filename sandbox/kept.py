"""A sandbox that stays when the program that started it ends, so that the next start is quick.

The emulators keep everything in memory, so what is kept is the two processes themselves, with Terraform's state beside
them. The next start brings the deployment up to date with the working tree.
"""

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Self

from sandbox.deployment import SCRATCH, Emulators, Sandbox, SandboxError, deployed, fingerprint, found, leave
from sandbox.processes import ROOT, Detached, ProcessError, detached_server
from sandbox.slack.client import SlackSandbox
from sandbox.terraform import Say, TerraformError, environment

_DIRECTORY = SCRATCH / "kept"
_SERVERS = "servers.json"
_STATE = "state.json"
_SERVERS_CODE = ("sandbox/aws", "sandbox/slack", "sandbox/web", "requirements-dev.txt")
_DEPLOYED_CODE = ("*.tf", "modules", "functions", "examples")
_MODULES = ("sandbox.slack", "sandbox.aws")


@contextmanager
def kept(say: Say, directory: Path = _DIRECTORY) -> Iterator[Sandbox]:
    """Find the sandbox that was kept, or start one; leave it running.

    Args:
        say: Takes lines for people.
        directory: Where what is needed to find it again is kept.

    Yields:
        The sandbox.

    Raises:
        SandboxError: If something cannot be started.
        TerraformError: If Terraform fails.
    """
    signal.signal(signal.SIGTERM, leave)
    running = _running(directory, say)
    if not running:
        stop(directory)
    slack_url, aws_url = (server.address for server in running or _started(directory))
    local = Emulators(directory=directory, aws_url=aws_url, slack=SlackSandbox(slack_url))
    say(f"Local AWS at {aws_url}, local Slack at {slack_url}, all files in {os.path.relpath(directory, ROOT)}")
    now = _State.now()
    if now == _State.read(directory):
        sandbox = found(local, say)
        say("What is deployed is up to date")
    else:
        # Terraform that is interrupted leaves things that its state does not know.
        (directory / _STATE).unlink(missing_ok=True)
        try:
            sandbox = deployed(local, say)
        except TerraformError:
            # It ended by itself, so its state is true: the next start goes on from there.
            replace(now, deployed="").write(directory)
            raise
        except BaseException:
            stop(directory)
            raise
        now.write(directory)
    yield sandbox


def stop(directory: Path = _DIRECTORY) -> bool:
    """End the kept sandbox and remove its files.

    Args:
        directory: Where what is needed to find it is kept.

    Returns:
        Whether any of it was running.

    Raises:
        SandboxError: If one of its processes does not end.
    """
    running = [server for server in _servers(directory) if server.runs()]
    try:
        for server in running:
            server.end()
    except ProcessError as error:
        raise SandboxError(str(error)) from error
    shutil.rmtree(directory, ignore_errors=True)
    return bool(running)


@dataclass(frozen=True)
class _State:
    """What the working tree looked like when all of it was running and deployed.

    Attributes:
        servers: Fingerprint of the servers' code.
        deployed: Fingerprint of what Terraform deploys.
    """

    servers: str
    deployed: str

    @classmethod
    def now(cls) -> Self:
        return cls(servers=fingerprint(*_SERVERS_CODE), deployed=fingerprint(*_DEPLOYED_CODE))

    @classmethod
    def read(cls, directory: Path) -> Self | None:
        file = directory / _STATE
        return cls(**json.loads(file.read_text())) if file.exists() else None

    def write(self, directory: Path) -> None:
        (directory / _STATE).write_text(json.dumps(asdict(self)))


def _running(directory: Path, say: Say) -> list[Detached]:
    """Return the kept servers if they can be used."""
    servers, state = _servers(directory), _State.read(directory)
    if not servers:
        return []
    if state is None or not all(server.runs() for server in servers):
        say("The kept sandbox is not complete any more: all starts anew")
        return []
    if state.servers != _State.now().servers:
        say("The code of the sandbox has changed: all starts anew")
        return []
    say(f"Found the kept sandbox (processes {', '.join(str(server.pid) for server in servers)})")
    return servers


def _started(directory: Path) -> list[Detached]:
    directory.mkdir(parents=True)
    servers: list[Detached] = []
    try:
        for module in _MODULES:
            servers.append(detached_server(module, directory / f"{module.rpartition('.')[2]}.log", environment({})))
            # At once: what is not written down here cannot be ended later.
            (directory / _SERVERS).write_text(json.dumps([asdict(server) for server in servers]))
    except ProcessError as error:
        stop(directory)
        raise SandboxError(str(error)) from error
    return servers


def _servers(directory: Path) -> list[Detached]:
    if not (directory / _SERVERS).exists():
        return []
    return [Detached(**server) for server in json.loads((directory / _SERVERS).read_text())]
