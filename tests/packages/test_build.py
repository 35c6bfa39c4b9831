"""The builder, as Terraform runs it, with a function that has one small dependency."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import venv
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import build

FUNCTIONS = Path(__file__).resolve().parents[2] / "functions"


def pinned(name: str) -> str:
    """The lines of a requirement in the functions' own lock file."""
    lines = (FUNCTIONS / "maintenance" / "requirements.txt").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{name}=="))
    end = next((i for i in range(start + 1, len(lines)) if not lines[i].startswith(" ")), len(lines))
    return "\n".join(lines[start:end]) + "\n"


@dataclass
class Project:
    """A small function, and the builder's way to run as Terraform runs it."""

    root: Path
    python: Path = Path(sys.executable)
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    def spec(self, **changes: Any) -> str:
        default = {
            "root": str(self.root),
            "files": ["app/__init__.py", "app/handler.py", "shared/data.json"],
            "requirements": "app/requirements.txt",
            "runtime": "python3.13",
            "architecture": "arm64",
            "services": [],
        }
        return json.dumps({**default, **changes})

    def run(self, out: Path, spec: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.python, "-B", FUNCTIONS / "build.py", out],
            env={**self.environment, "PACKAGE_SPEC": self.spec() if spec is None else spec},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "functions"
    (root / "app").mkdir(parents=True)
    (root / "shared").mkdir()
    (root / "app" / "__init__.py").touch()
    (root / "app" / "handler.py").write_text("import six\n\n\ndef handler(event, context):\n    return six.PY3\n")
    (root / "shared" / "data.json").write_text("{}\n")
    (root / "app" / "requirements.txt").write_text(pinned("six"))
    return Project(root)


@pytest.fixture
def without_pip(project: Project, tmp_path: Path) -> Project:
    """The same project, on a machine whose Python has no pip and that has no uv."""
    venv.create(tmp_path / "bare", with_pip=False)
    project.python = tmp_path / "bare" / "bin" / "python"
    project.environment["PATH"] = "/nonexistent"
    return project


def names(package: Path) -> list[str]:
    with zipfile.ZipFile(package) as archive:
        return [name for name in archive.namelist() if not name.endswith(".pyc")]


def test_the_package_holds_the_listed_files_and_the_dependencies(project: Project, tmp_path: Path) -> None:
    out = tmp_path / "new folder" / "app.zip"
    done = project.run(out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("built app.zip: 0.0 MB, ")
    metadata = next(name for name in names(out) if ".dist-info/" in name)
    assert names(out) == ["app/__init__.py", "app/handler.py", "shared/data.json", metadata, "six.py"]
    assert metadata.startswith("six-")
    assert [path.name for path in out.parent.iterdir()] == ["app.zip"]


def test_a_package_that_is_there_is_not_built_again(project: Project, tmp_path: Path) -> None:
    out = tmp_path / "app.zip"
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("there", "")
    assert "app.zip is there already" in project.run(out).stdout
    assert names(out) == ["there"]


def test_a_broken_file_in_the_place_of_the_package_is_replaced(project: Project, tmp_path: Path) -> None:
    out = tmp_path / "app.zip"
    out.write_bytes(b"PK\x03\x04 half a file")
    assert project.run(out).returncode == 0
    assert "app/handler.py" in names(out)


def test_uv_installs_where_there_is_no_pip_and_gives_the_same_package(
    project: Project, without_pip: Project, tmp_path: Path
) -> None:
    without_pip.environment["PATH"] = str(Path(sys.executable).parent)
    done = without_pip.run(tmp_path / "uv.zip")
    assert done.returncode == 0, done.stderr
    project.python, project.environment = Path(sys.executable), dict(os.environ)
    assert project.run(tmp_path / "pip.zip").returncode == 0
    assert (tmp_path / "uv.zip").read_bytes() == (tmp_path / "pip.zip").read_bytes()


def test_without_an_installer_the_message_names_the_interpreter_and_the_ways_out(
    without_pip: Project, tmp_path: Path
) -> None:
    done = without_pip.run(tmp_path / "app.zip")
    assert done.returncode == 1
    assert f"PACKAGE BUILD FAILED\n{without_pip.python} has no pip, and there is no uv." in done.stderr
    assert "`make packages`" in done.stderr
    assert "variable `packages`" in done.stderr


def test_a_file_that_is_not_the_pinned_one_is_refused(project: Project, tmp_path: Path) -> None:
    wrong = "six==1.17.0 --hash=sha256:" + "0" * 64 + "\n"
    (project.root / "app" / "requirements.txt").write_text(wrong)
    done = project.run(tmp_path / "app.zip")
    assert done.returncode == 1
    assert "installing app/requirements.txt failed: the index offers a file that is not the pinned one" in done.stderr
    assert "0" * 64 in done.stderr
    assert not (tmp_path / "app.zip").exists()


def test_requirements_without_hashes_are_refused_with_the_way_to_get_them(project: Project, tmp_path: Path) -> None:
    (project.root / "app" / "requirements.txt").write_text("six==1.17.0\n")
    done = project.run(tmp_path / "app.zip")
    assert done.returncode == 1
    assert "every requirement must have a version and a hash; write the file with `uv pip compile" in done.stderr
    assert not (tmp_path / "app.zip").exists()


def test_an_index_that_cannot_be_reached_is_an_error_with_the_ways_out(project: Project, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    project.environment |= {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": str(tmp_path / "empty"),
        "PIP_NO_INDEX": "1",
    }
    done = project.run(tmp_path / "app.zip")
    assert done.returncode == 1
    assert "six" in done.stderr
    assert "is the package index reachable (PIP_INDEX_URL, proxy)?" in done.stderr
    assert "variable `packages`" in done.stderr


def test_a_function_that_is_not_python_is_named(project: Project, tmp_path: Path) -> None:
    (project.root / "app" / "handler.py").write_text("def handler(:\n")
    runtime = f"python3.{sys.version_info.minor}"  # whose interpreter is certain to be found
    done = project.run(tmp_path / "app.zip", project.spec(runtime=runtime))
    assert done.returncode == 1
    assert "app/handler.py" in done.stderr
    assert "compiling with" in done.stderr


def test_a_first_party_file_never_hides_a_dependency(project: Project, tmp_path: Path) -> None:
    (project.root / "six.py").touch()
    done = project.run(tmp_path / "app.zip", project.spec(files=["six.py"]))
    assert "six.py would overwrite a file of a dependency; rename it" in done.stderr


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{", "PACKAGE_SPEC is not JSON"),
        ("[]", "must have exactly the keys ['architecture', 'files',"),
        ('{"root": "."}', "got ['root']"),
    ],
)
def test_a_malformed_spec_is_refused(project: Project, tmp_path: Path, spec: str, message: str) -> None:
    done = project.run(tmp_path / "app.zip", spec)
    assert done.returncode == 1
    assert message in done.stderr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"runtime": "nodejs22.x"}, "runtime 'nodejs22.x' is none of Python's; give for example 'python3.13'"),
        ({"architecture": "arm"}, "architecture 'arm' is unknown; give one of ['arm64', 'x86_64']"),
        ({"files": ["app/nothing.py"]}, "file 'app/nothing.py' does not exist below"),
        ({"files": ["../secret"]}, "file '../secret' must be relative to the root and stay below it"),
        ({"requirements": "/etc/passwd"}, "file '/etc/passwd' must be relative"),
        ({"extra": 1}, "must have exactly the keys"),
    ],
)
def test_a_spec_that_cannot_be_built_is_refused_with_the_value(
    project: Project, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    done = project.run(tmp_path / "app.zip", project.spec(**changes))
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_service_that_botocore_does_not_know_is_refused(tmp_path: Path) -> None:
    (tmp_path / "botocore" / "data" / "s3").mkdir(parents=True)
    with pytest.raises(build.BuildError, match=r"services \['s4'\] are not known to botocore"):
        build.trim(tmp_path, frozenset({"s3", "s4"}))


def test_an_interpreter_of_another_version_or_a_broken_shim_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = tmp_path / "python3.99"
    shim.write_text("#!/bin/sh\necho 'pyenv: python3.99: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert build.find_interpreter("3.99") is None
    shim.write_text("#!/bin/sh\necho cpython-399\n")
    assert build.find_interpreter("3.99") == str(shim)


def test_the_builder_is_python_3_9() -> None:
    ast.parse((FUNCTIONS / "build.py").read_text(), feature_version=(3, 9))


def test_an_older_python_is_told_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 8, 18))
    with pytest.raises(build.BuildError, match=r"Python 3\.9 or newer is needed"):
        build.main()


def test_the_command_without_a_spec_says_what_is_missing() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PACKAGE_SPEC"}
    command = [sys.executable, "-B", str(FUNCTIONS / "build.py"), "out.zip"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "set PACKAGE_SPEC, or use --all" in done.stderr
