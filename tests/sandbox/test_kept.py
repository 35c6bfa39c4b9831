"""What is kept of a sandbox, with local Slacks as its servers and without Terraform (tests/browser has both)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from sandbox import kept as module
from sandbox.deployment import Emulators, Sandbox
from sandbox.kept import kept, stop
from sandbox.terraform import TerraformError

pytestmark = [
    pytest.mark.usefixtures("deployments", "fingerprints"),
    # The processes are meant to outlive what started them.
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Deployments:
    """Stands for Terraform: keeps what was deployed where, and does what it is told."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.fails: BaseException | None = None

    def deploy(self, local: Emulators, _: Any) -> Sandbox:
        self.addresses.append(local.aws_url)
        if self.fails:
            raise self.fails
        return self.find(local, _)

    def find(self, local: Emulators, _: Any) -> Sandbox:
        terraform: Any = None
        return Sandbox(
            directory=local.directory, aws_url=local.aws_url, slack=local.slack, terraform=terraform, outputs={}
        )


@pytest.fixture
def fingerprints(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    found = {"sandbox/aws": "servers 1", "*.tf": "module 1"}
    monkeypatch.setattr(module, "fingerprint", lambda first, *_: found[first])
    return found


@pytest.fixture
def deployments(monkeypatch: pytest.MonkeyPatch) -> Deployments:
    stub = Deployments()
    monkeypatch.setattr(module, "deployed", stub.deploy)
    monkeypatch.setattr(module, "found", stub.find)
    monkeypatch.setattr(module, "_MODULES", ("sandbox.slack", "sandbox.slack"))
    monkeypatch.setattr("signal.signal", lambda *_: None)
    return stub


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Sandbox]]:
    directory = tmp_path / "kept"

    def run() -> Sandbox:
        with kept(lambda _: None, directory) as sandbox:
            return sandbox

    yield run
    stop(directory)


def answers(sandbox: Sandbox) -> bool:
    try:
        return requests.get(f"{sandbox.slack.url}/_sandbox/app", timeout=10).ok
    except requests.ConnectionError:
        return False


def test_the_next_start_finds_what_runs_and_deploys_nothing(
    start: Callable[[], Sandbox], deployments: Deployments
) -> None:
    first, second = start(), start()
    assert answers(first)
    assert (second.slack, second.aws_url) == (first.slack, first.aws_url)
    assert deployments.addresses == [first.aws_url]
    assert stop(first.directory)
    assert not answers(first)
    assert not stop(first.directory)


def test_a_change_of_the_module_is_deployed_into_what_runs(
    start: Callable[[], Sandbox], deployments: Deployments, fingerprints: dict[str, str]
) -> None:
    first = start()
    fingerprints["*.tf"] = "module 2"
    assert start().slack == first.slack
    assert deployments.addresses == [first.aws_url, first.aws_url]


def test_a_change_of_the_servers_starts_everything_anew(
    start: Callable[[], Sandbox], deployments: Deployments, fingerprints: dict[str, str]
) -> None:
    first = start()
    fingerprints["sandbox/aws"] = "servers 2"
    second = start()
    assert (answers(first), answers(second)) == (False, True)
    assert deployments.addresses == [first.aws_url, second.aws_url]


def test_what_terraform_could_not_finish_is_gone_on_with(
    start: Callable[[], Sandbox], deployments: Deployments
) -> None:
    deployments.fails = TerraformError("no")
    with pytest.raises(TerraformError):
        start()
    deployments.fails = None
    sandbox = start()
    assert deployments.addresses == [sandbox.aws_url] * 2


def test_a_start_that_is_interrupted_leaves_nothing(
    start: Callable[[], Sandbox], deployments: Deployments, tmp_path: Path
) -> None:
    deployments.fails = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        start()
    (address,) = deployments.addresses
    with pytest.raises(requests.ConnectionError):
        requests.get(address, timeout=10)
    assert not (tmp_path / "kept").exists()
