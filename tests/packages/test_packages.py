"""The three packages as they are uploaded: complete, reproducible, and nothing foreign in them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import build

REPOSITORY = Path(__file__).resolve().parents[2]
FUNCTIONS = REPOSITORY / "functions"
SOURCES = ("approval", "maintenance", "slack_webhook")
LARGEST = 6_000_000
"""Bytes. Lambda takes 50 MB; the bound is there to notice that the trimming has stopped to work (botocore: 17 MB)."""

SECRET = "arn:aws:secretsmanager:us-east-2:123456789012:secret:slack-AbCdEf"
ENVIRONMENT = {
    "APPROVAL_FUNCTION_ARN": "arn:aws:lambda:us-east-2:123456789012:function:orders-approval",
    "APPROVERS": "[]",
    "AWS_DEFAULT_REGION": "us-east-2",
    "AWS_REGION": "us-east-2",
    "BUCKET": "orders",
    "Bucket": "orders",
    "DEFAULT_TIMEOUT_SECONDS": "3600",
    "ENVIRONMENT": "test",
    "EXECUTION_TIMEOUT_SECONDS": "7200",
    "SLACK_API_URL": "https://slack.com/api/",
    "SLACK_BOT_TOKEN_ARN": SECRET,
    "SLACK_CHANNEL": "C0123ABCD",
    "SLACK_SIGNING_SECRET_ARN": SECRET,
}

IMPORT = """
import importlib, json, os, sys
folder, name = sys.argv[1:]
sys.path.insert(0, folder)
sys.dont_write_bytecode = True
handler = importlib.import_module(f"{name}.handler").handler
files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
standard = os.path.dirname(os.__file__)
print(json.dumps({
    "callable": callable(handler),
    "foreign": [f for f in files if f and not f.startswith((folder, standard))],
}))
"""
CLIENTS = """
import json, sys
sys.path.insert(0, sys.argv[1])
sys.dont_write_bytecode = True
import boto3, botocore.exceptions
session = boto3.Session(region_name="us-east-2", aws_access_key_id="x", aws_secret_access_key="y")
for service in sys.argv[2:]:
    assert session.client(service).meta.endpoint_url.startswith("https://"), service
try:
    session.client("dynamodb")
except botocore.exceptions.UnknownServiceError:
    print(json.dumps(session.get_available_services()))
"""


def run_build(root: Path, out: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-B", root / "build.py", "--all", out], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, which nobody edits while the tests run."""
    folder = tmp_path_factory.mktemp("checkout") / "functions"
    shutil.copytree(FUNCTIONS, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="session")
def packages(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `make packages` fills."""
    out = tmp_path_factory.mktemp("packages")
    run_build(checkout, out)
    return out


@pytest.fixture(scope="session")
def interpreter() -> str:
    """A Python of the functions' runtime; where there is none, the one that runs the tests."""
    return build.find_interpreter(build.DEFAULT_RUNTIME.removeprefix("python")) or sys.executable


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def unpacked(packages: Path, source: str, tmp_path: Path) -> Path:
    folder = tmp_path / "task"
    with zipfile.ZipFile(packages / f"{source}.zip") as archive:
        archive.extractall(folder)
    return folder


def run_in(interpreter: str, script: str, *arguments: object) -> dict[str, object] | list[str]:
    """Runs a script that prints JSON, with nothing but the standard library on the path."""
    done = subprocess.run(
        [interpreter, "-I", "-S", "-c", script, *map(str, arguments)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, object] | list[str] = json.loads(done.stdout)
    return result


def test_there_is_a_package_for_every_function() -> None:
    folders = {path.parent.name for path in FUNCTIONS.glob("*/requirements.txt")}
    definitions = json.loads((FUNCTIONS / "packages.json").read_text())
    assert {name: definition["folders"] for name, definition in definitions.items()} == {
        name: [name, "shared"] for name in SOURCES
    }
    assert set(build.definitions(FUNCTIONS, build.DEFAULT_RUNTIME, build.DEFAULT_ARCHITECTURE)) == folders == {*SOURCES}


def test_the_handler_imports_with_nothing_but_its_package_on_the_path(
    interpreter: str, unpacked: Path, source: str
) -> None:
    assert run_in(interpreter, IMPORT, unpacked, source) == {"callable": True, "foreign": []}


def test_boto3_makes_clients_for_the_listed_services_only(interpreter: str, unpacked: Path, source: str) -> None:
    services = json.loads((FUNCTIONS / "packages.json").read_text())[source]["services"]
    assert run_in(interpreter, CLIENTS, unpacked, *services) == sorted(services)


def test_the_package_has_every_first_party_file_of_the_function_and_of_no_other(
    checkout: Path, packages: Path, source: str
) -> None:
    expected = {
        path.relative_to(checkout).as_posix()
        for folder in (source, "shared")
        for path in (checkout / folder).rglob("*")
        if path.suffix in {".py", ".json"}
    }
    with zipfile.ZipFile(packages / f"{source}.zip") as archive:
        packed = {name for name in archive.namelist() if name.split("/")[0] in {*SOURCES, "shared"}}
        assert {name for name in packed if not name.endswith(".pyc")} == expected
        for name in expected:
            assert archive.read(name) == (checkout / name).read_bytes().replace(b"\r\n", b"\n")


def test_nothing_foreign_is_in_the_package(packages: Path, source: str) -> None:
    with zipfile.ZipFile(packages / f"{source}.zip") as archive:
        names = archive.namelist()
    tag = f"cpython-{build.DEFAULT_RUNTIME.removeprefix('python').replace('.', '')}"
    assert [n for n in names if n.endswith(".pyc") and f".{tag}." not in n] == []
    foreign = re.compile(r"(^|/)(tests?|bin|.*\.(dist|egg)-info)/|\.(so|pyi|exe|toml|lock|in|txt|md|rst)$|(^|/)\.")
    assert [n for n in names if foreign.search(n) and not n.endswith(".dist-info/METADATA")] == []
    assert "build.py" not in names
    assert "packages.json" not in names


def test_bytecode_is_packed_where_an_interpreter_of_the_runtime_is_found(packages: Path, source: str) -> None:
    with zipfile.ZipFile(packages / f"{source}.zip") as archive:
        names = archive.namelist()
        compiled = [name for name in names if name.endswith(".pyc")]
        found = build.find_interpreter(build.DEFAULT_RUNTIME.removeprefix("python"))
        assert len(compiled) == (sum(name.endswith(".py") for name in names) if found else 0)
        assert {archive.read(name)[4:8] for name in compiled} <= {b"\x01\x00\x00\x00"}  # hash-based, not checked


def test_the_package_stays_small(packages: Path, source: str) -> None:
    assert (packages / f"{source}.zip").stat().st_size < LARGEST


def test_entries_have_one_date_one_mode_and_sorted_names(packages: Path, source: str) -> None:
    with zipfile.ZipFile(packages / f"{source}.zip") as archive:
        entries = archive.infolist()
    assert [e.filename for e in entries] == sorted(e.filename for e in entries)
    assert {(e.date_time, e.external_attr >> 16, e.create_system) for e in entries} == {
        ((1980, 1, 1, 0, 0, 0), 0o100644, 3)
    }


@pytest.fixture(scope="session")
def packages_of_another_checkout(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a checkout at another path, with CRLF line endings, editor leftovers and other modes."""
    other = tmp_path_factory.mktemp("another checkout") / "deeper" / "functions"
    shutil.copytree(checkout, other)
    for path in other.rglob("*"):
        if path.suffix in {".py", ".json", ".txt"} and path.name != "packages.json":
            path.write_bytes(path.read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
            path.chmod(0o600)
            os.utime(path, (1, 1))
    for folder in (other / name for name in (*SOURCES, "shared")):
        (folder / ".handler.py.swp").touch()
        (folder / "handler.py~").touch()
        (folder / "#handler.py#").touch()
        (folder / ".#handler.py").symlink_to("somebody@somewhere")
        (folder / "__pycache__").mkdir()
        (folder / "__pycache__" / "handler.cpython-39.pyc").touch()
    out = tmp_path_factory.mktemp("out")
    run_build(other, out)
    return out


def test_another_checkout_gives_the_same_bytes(packages: Path, packages_of_another_checkout: Path, source: str) -> None:
    name = f"{source}.zip"
    assert (packages_of_another_checkout / name).read_bytes() == (packages / name).read_bytes()
