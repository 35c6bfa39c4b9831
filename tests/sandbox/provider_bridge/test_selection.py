from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from sandbox.provider_bridge import mirror, selection
from sandbox.provider_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def terraform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """A Terraform whose `init` runs a line of shell in the folder; its `version` reports hashicorp/aws 6.62.0."""
    monkeypatch.setattr(mirror, "environment", lambda: {"TF_CLI_CONFIG_FILE": "bridge.rc"})
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}/bin:/usr/bin")

    def install(init: str) -> None:
        version = json.dumps({"provider_selections": {str(mirror.ADDRESS): "6.62.0"}})
        script = tmp_path / "bin" / "terraform"
        script.write_text(
            f'#!/bin/sh\ncd "${{1#-chdir=}}" || exit 1\n[ "$2" = version ] && echo \'{version}\' && exit\n{init}\n'
        )
        script.chmod(0o755)

    return install


def provide(size: int) -> str:
    """Shell that installs a provider of so many bytes."""
    folder = f".terraform/providers/{mirror.ADDRESS}/6.62.0/{mirror.target()}"
    return f"mkdir -p {folder} && head -c {size} /dev/zero >{folder}/terraform-provider-aws_v6.62.0_x5"


def test_a_provider_that_can_be_installed_is_used_alone(terraform: Callable[[str], None], tmp_path: Path) -> None:
    terraform(f"grep -q 'hashicorp/aws' versions.tf && {provide(100_000)}")
    selected = selection.select(tmp_path / "provider")
    assert selected.description == "real provider: hashicorp/aws 6.62.0"
    assert selected.environment["TF_PLUGIN_CACHE_DIR"] == ""
    configuration = selected.environment["TF_CLI_CONFIG_FILE"]
    assert f'path    = "{tmp_path / "provider" / ".terraform" / "providers"}"' in (tmp_path / configuration).read_text()


def test_without_a_provider_the_bridge_is_used_and_says_so(terraform: Callable[[str], None], tmp_path: Path) -> None:
    terraform("exit 1")
    selected = selection.select(tmp_path / "provider")
    assert selected == selection.Selection(mirror.NOTICE, {"TF_CLI_CONFIG_FILE": "bridge.rc"})
    assert "emulated durable_config" in selected.description


def test_the_bridge_is_never_taken_for_a_real_provider(terraform: Callable[[str], None], tmp_path: Path) -> None:
    terraform(provide(300))  # the user's Terraform is set up to use the bridge
    assert selection.select(tmp_path / "provider").description == mirror.NOTICE
    assert not (tmp_path / "provider" / ".terraform").exists()


def test_nothing_of_the_user_reaches_an_isolated_terraform(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "AWS_PROFILE",
        "AWS_SECRET_ACCESS_KEY",
        "TF_CLI_ARGS_plan",
        "TF_DATA_DIR",
        "TF_VAR_name",
        "TF_WORKSPACE",
    ):
        monkeypatch.setenv(name, "of the user")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", "of the user")
    isolated = selection.Selection("", {"TF_CLI_CONFIG_FILE": "bridge.rc"}).isolated()
    assert "of the user" not in isolated.values()
    assert isolated["TF_CLI_CONFIG_FILE"] == "bridge.rc"
    assert isolated["PATH"] == os.environ["PATH"]


@pytest.mark.usefixtures("terraform")
def test_a_machine_without_terraform_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BridgeError, match="terraform is not on PATH"):
        selection.select(tmp_path / "provider")


def test_a_registry_that_does_not_answer_is_no_provider(
    terraform: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def give_up(*arguments: object, **_: object) -> None:
        raise subprocess.TimeoutExpired(str(arguments), mirror.DOWNLOAD_SECONDS)

    terraform("exit 1")
    monkeypatch.setattr(subprocess, "run", give_up)
    assert selection.select(tmp_path / "provider").description == mirror.NOTICE
