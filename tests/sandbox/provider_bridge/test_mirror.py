from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sandbox.provider_bridge import __main__, mirror
from sandbox.provider_bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAME = f"terraform-provider-aws_v{mirror.REAL_VERSION}_x5"


@pytest.fixture
def installed(tmp_path: Path) -> Callable[[str], Path]:
    """Puts a program where Terraform keeps the real provider, below a folder of the given name."""

    def install(folder: str) -> Path:
        binary = tmp_path / folder / mirror.ADDRESS / mirror.REAL_VERSION / mirror.target() / NAME
        binary.parent.mkdir(parents=True)
        binary.write_text("#!/bin/sh\n")
        binary.chmod(0o755)
        return binary

    return install


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without provider, Terraform or registry."""
    for name in ("TF_PLUGIN_MIRROR", "TF_PLUGIN_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(mirror, "SYSTEM_MIRRORS", tmp_path / "opt")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def test_the_provider_is_found_where_the_machine_keeps_it(
    installed: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cached = installed("plugin-cache")
    monkeypatch.setenv("TF_PLUGIN_CACHE_DIR", str(tmp_path / "plugin-cache"))
    assert mirror.find_provider() == cached
    system = installed("opt/plugins")
    assert mirror.find_provider() == system
    named = installed("named")
    monkeypatch.setenv("TF_PLUGIN_MIRROR", str(tmp_path / "named"))
    assert mirror.find_provider() == named


def test_terraform_installs_a_provider_that_is_nowhere_once(installed: Callable[[str], Path], tmp_path: Path) -> None:
    source = installed("registry")
    terraform = tmp_path / "bin" / "terraform"
    terraform.parent.mkdir()
    terraform.write_text(
        "#!/bin/sh\nPATH=/bin:/usr/bin\n"
        f'echo "$@" >>"{tmp_path}/runs"\ncd "${{1#-chdir=}}" && grep -q \'"{mirror.REAL_VERSION}"\' main.tf || exit 1\n'
        f'mkdir -p .terraform/providers && cp -R "{tmp_path}/registry/." .terraform/providers\n'
    )
    terraform.chmod(0o755)
    found = {mirror.find_provider() for _ in range(2)}
    (binary,) = found
    assert binary.is_relative_to(tmp_path / "cache" / "terraform-aws-workflow-gates")
    assert binary.read_text() == source.read_text()
    assert len((tmp_path / "runs").read_text().splitlines()) == 1


def test_a_provider_that_cannot_be_had_is_an_error_that_names_the_ways_out() -> None:
    with pytest.raises(BridgeError) as failure:
        mirror.find_provider()
    text = str(failure.value)
    assert f"hashicorp/aws {mirror.REAL_VERSION} for {mirror.target()} was not found" in text
    assert "registry.terraform.io" in text
    assert "set TF_PLUGIN_MIRROR to a folder that holds" in text


@pytest.mark.usefixtures("named_provider")
def test_the_command_prints_the_environment_for_a_shell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = mirror.environment
    monkeypatch.setattr(mirror, "environment", lambda: environment(tmp_path / "a mirror"))
    monkeypatch.setattr(sys, "argv", ["provider_bridge"])
    __main__.main()
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        f"export TF_CLI_CONFIG_FILE='{mirror.create(tmp_path / 'a mirror')}'",
        "export TF_PLUGIN_CACHE_DIR=''",
    ]
    assert shown.err == f"{mirror.NOTICE}\n"


def test_the_command_shows_an_error_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["provider_bridge"])
    with pytest.raises(SystemExit, match=r"^provider bridge: hashicorp/aws 5\.100\.0 for .* was not found"):
        __main__.main()


@pytest.mark.usefixtures("named_provider")
def test_a_mirror_is_for_its_owner_only_and_stays_the_same_when_made_again(tmp_path: Path) -> None:
    directory = tmp_path / "a mirror"
    configuration = mirror.create(directory)
    first = {file: file.read_bytes() for file in directory.rglob("*") if file.is_file()}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert configuration in first
    assert f'path    = "{configuration.parent}"' in configuration.read_text()
    assert mirror.create(directory) == configuration
    assert {file: file.read_bytes() for file in directory.rglob("*") if file.is_file()} == first


@pytest.mark.usefixtures("named_provider")
def test_another_python_does_not_change_the_mirror_that_a_folder_was_initialised_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = mirror.create(tmp_path / "mirror")
    before = {file: file.read_bytes() for file in first.parent.rglob("*") if file.is_file()}
    monkeypatch.setattr(sys, "executable", "/usr/bin/another-python")
    assert mirror.create(tmp_path / "mirror") != first
    assert {file: file.read_bytes() for file in first.parent.rglob("*") if file.is_file()} == before


@pytest.mark.usefixtures("named_provider")
def test_the_mirror_has_an_executable_where_terraform_looks_for_6_25_0(tmp_path: Path) -> None:
    directory = tmp_path / "mirror"
    shown = mirror.SHOWN_VERSION
    wrapper = (
        mirror.create(directory).parent
        / mirror.ADDRESS
        / shown
        / mirror.target()
        / f"terraform-provider-aws_v{shown}_x5"
    )
    assert shown == "6.25.0"
    assert os.access(wrapper, os.X_OK)
    done = subprocess.run(["/bin/sh", wrapper], capture_output=True, text=True, check=False)
    assert "this is a Terraform provider plugin" in done.stderr


@pytest.mark.usefixtures("named_provider")
def test_the_environment_keeps_the_bridge_out_of_the_users_plugin_cache(tmp_path: Path) -> None:
    variables = mirror.environment(tmp_path / "mirror")
    configuration = mirror.create(tmp_path / "mirror")
    assert variables == {"TF_CLI_CONFIG_FILE": str(configuration), "TF_PLUGIN_CACHE_DIR": ""}


@pytest.fixture
def named_provider(installed: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    installed("named")
    monkeypatch.setenv("TF_PLUGIN_MIRROR", str(tmp_path / "named"))


def test_each_mirror_has_its_own_certificate_for_localhost() -> None:
    first, second = mirror._identity(), mirror._identity()
    assert first != second
    certificate, begin, _ = first.partition("-----BEGIN PRIVATE KEY-----")
    assert begin
    body = "".join(certificate.splitlines()[1:-1])
    assert b"localhost" in base64.b64decode(body)
