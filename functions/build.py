"""Builds the functions' packages: zips that hold a function, the shared code and the pinned dependencies.

    PACKAGE_SPEC='{...}' python3 -B build.py OUT.zip      one package; Terraform runs this at apply
    python3 build.py --all DIRECTORY                      all packages of packages.json (`make packages`)

PACKAGE_SPEC is a JSON object:

    root          folder that the other paths are relative to
    files         first-party files to pack, exactly these
    requirements  pip requirements with hashes
    runtime       Lambda runtime, for example python3.13
    architecture  arm64 or x86_64
    services      botocore services to keep; boto3 can make clients for these only

Needs Python 3.9 or newer and pip (or uv), nothing else. The same inputs give the same bytes, whatever the path, the
platform or the line endings of the checkout. One thing may differ between machines: with an interpreter of the
runtime's version at hand, its bytecode is packed too, which halves the time of a cold import.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

OLDEST_PYTHON = (3, 9)
DEFAULT_RUNTIME = "python3.13"
DEFAULT_ARCHITECTURE = "arm64"
PLATFORMS = {"arm64": "aarch64", "x86_64": "x86_64"}
LIBC = "manylinux2014"
"""glibc 2.17: every Lambda runtime has a newer one."""

FIRST_PARTY = re.compile(r"[A-Za-z_].*\.(py|json)")
"""File names that count as sources; the same pattern as in modules/lambda_function."""

COMMON_DATA = frozenset({"_retry.json", "endpoints.json", "partitions.json", "sdk-default-configuration.json"})
"""What botocore reads whatever the service (botocore/data)."""

CODE_FOLDER = "/var/task"
"""Where Lambda unpacks the zip; tracebacks name files below it."""

ZIP_DATE = (1980, 1, 1, 0, 0, 0)
UNIX = 3
WAYS_OUT = (
    "Ways out: run Terraform where Python with pip and the package index are available, or build the packages "
    "elsewhere with `make packages`, upload them and pass them in the variable `packages` (`package` of a function of "
    "your own)."
)


class BuildError(Exception):
    """A package could not be built; the text says why and what to do."""


@dataclass(frozen=True)
class Spec:
    """What goes into one package; see the module's docstring."""

    root: Path
    files: tuple[str, ...]
    requirements: str
    runtime: str
    architecture: str
    services: frozenset[str]

    @classmethod
    def from_json(cls, text: str) -> Spec:
        """Reads and checks PACKAGE_SPEC.

        Raises:
            BuildError: a key is missing, unknown or has a value that cannot be built.
        """
        try:
            data = json.loads(text)
        except ValueError as error:
            raise BuildError(f"PACKAGE_SPEC is not JSON: {error}") from error
        known = set(cls.__dataclass_fields__)
        if not isinstance(data, dict) or set(data) != known:
            got = sorted(data) if isinstance(data, dict) else type(data).__name__
            raise BuildError(f"PACKAGE_SPEC must have exactly the keys {sorted(known)}, got {got}")
        spec = cls(
            root=Path(data["root"]),
            files=tuple(data["files"]),
            requirements=data["requirements"],
            runtime=data["runtime"],
            architecture=data["architecture"],
            services=frozenset(data["services"]),
        )
        spec.check()
        return spec

    def check(self) -> None:
        """Raises BuildError for a value that cannot be built."""
        if not re.fullmatch(r"python3\.\d+", self.runtime):
            raise BuildError(f"runtime {self.runtime!r} is none of Python's; give for example {DEFAULT_RUNTIME!r}")
        if self.architecture not in PLATFORMS:
            raise BuildError(f"architecture {self.architecture!r} is unknown; give one of {sorted(PLATFORMS)}")
        for name in (*self.files, self.requirements):
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise BuildError(f"file {name!r} must be relative to the root and stay below it")
            if not (self.root / name).is_file():
                raise BuildError(f"file {name!r} does not exist below {self.root}")

    @property
    def version(self) -> str:
        """The runtime's Python version, for example 3.13."""
        return self.runtime[len("python") :]


def build(spec: Spec, out: Path) -> None:
    """Builds one package.

    Args:
        spec: what goes into it.
        out: the zip to write; it appears whole or not at all.

    Raises:
        BuildError: the dependencies could not be installed, or a file is wrong.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="package-") as temporary:
        content = Path(temporary, "content")
        content.mkdir()
        install(spec, content)
        trim(content, spec.services)
        copy_sources(spec, content)
        interpreter = find_interpreter(spec.version)
        if interpreter:
            compile_bytecode(interpreter, content)
        part = out.with_name(f"{out.name}.{os.getpid()}.part")
        try:
            pack(content, part)
            part.replace(out)
        finally:
            part.unlink(missing_ok=True)
    bytecode = f"bytecode of {spec.runtime}" if interpreter else f"no bytecode, {spec.runtime} was not found here"
    print(f"built {out.name}: {out.stat().st_size / 1e6:.1f} MB, {bytecode}")


def install(spec: Spec, target: Path) -> None:
    """Installs the requirements for the runtime, from wheels with the pinned hashes only.

    Raises:
        BuildError: there is no installer, or it failed.
    """
    command = [*installer(spec), "--require-hashes", "--only-binary", ":all:", "--no-deps", "--quiet"]
    command += ["--python-version", spec.version, "--target", str(target), "-r", str(spec.root / spec.requirements)]
    done = subprocess.run(
        command,
        env={**os.environ, "PIP_USER": "0"},  # some development containers set it; it contradicts --target
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return
    reason = "see above; is the package index reachable (PIP_INDEX_URL, proxy)?"
    if "--require-hashes" in done.stdout:
        reason = (
            "every requirement must have a version and a hash; write the file with `uv pip compile --generate-hashes` "
            "or `pip-compile --generate-hashes`."
        )
    elif "hash" in done.stdout.lower():
        reason = (
            "the index offers a file that is not the pinned one, so nothing was installed. If the index is a mirror, "
            "it must serve PyPI's own files."
        )
    raise BuildError(f"{done.stdout.strip()}\n\ninstalling {spec.requirements} failed: {reason}\n{WAYS_OUT}")


def installer(spec: Spec) -> list[str]:
    """Returns the start of the command that installs packages for the runtime's platform: pip's, else uv's.

    Raises:
        BuildError: there is neither.
    """
    machine = PLATFORMS[spec.architecture]
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0:
        pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-compile"]
        # pip compares Requires-Python with its own Python, not with --python-version; the versions are pinned anyway.
        return [*pip, "--implementation", "cp", "--platform", f"{LIBC}_{machine}", "--ignore-requires-python"]
    uv = shutil.which("uv")
    if uv:
        return [uv, "pip", "install", "--python", sys.executable, "--python-platform", f"{machine}-{LIBC}"]
    raise BuildError(
        f"{sys.executable} has no pip, and there is no uv. Install one of them, for example with "
        f"`{sys.executable} -m ensurepip` or `apt-get install python3-pip`.\n{WAYS_OUT}"
    )


def trim(content: Path, services: frozenset[str]) -> None:
    """Removes what a function never reads: other services' descriptions, examples, metadata, scripts.

    Raises:
        BuildError: botocore does not know one of the services.
    """
    data = content / "botocore" / "data"
    if data.is_dir():
        unknown = sorted(service for service in services if not (data / service).is_dir())
        if unknown:
            raise BuildError(f"services {unknown} are not known to botocore; see the folders in botocore/data")
        for entry in data.iterdir():
            if entry.name not in services | COMMON_DATA:
                _remove(entry)
    boto3_data = content / "boto3" / "data"
    if boto3_data.is_dir():
        for entry in boto3_data.iterdir():
            if entry.name not in services:
                _remove(entry)
    junk = [content / "bin", content / "boto3" / "examples"]
    # METADATA stays: uuid6 reads its version from it at import. What installers add beside it differs from run to run.
    junk += [file for file in content.glob("*.dist-info/*") if file.name != "METADATA"]
    for pattern in ("__pycache__", "examples-1.json*", "*.pyi", "py.typed", ".*"):
        junk += content.rglob(pattern)
    for entry in junk:
        _remove(entry)


def copy_sources(spec: Spec, content: Path) -> None:
    """Copies the first-party files, with LF line endings.

    Raises:
        BuildError: a dependency has a file of the same name.
    """
    for name in spec.files:
        target = content / name
        if target.exists():
            raise BuildError(f"{name} would overwrite a file of a dependency; rename it")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((spec.root / name).read_bytes().replace(b"\r\n", b"\n"))


def find_interpreter(version: str) -> str | None:
    """Finds a CPython of exactly this version: this one, on PATH, pyenv's, uv's.

    Returns:
        A command that runs it; None when there is none.
    """
    name = f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates = [sys.executable, shutil.which(name), *sorted(map(str, pyenv.glob(f"versions/{version}.*/bin/{name}")))]
    uv = shutil.which("uv")
    if uv:
        found = _output([uv, "python", "find", "--no-python-downloads", version])
        candidates.append(found)
    tag = f"cpython-{version.replace('.', '')}"
    report = "import sys; print(sys.implementation.cache_tag)"
    return next((path for path in candidates if path and _output([path, "-I", "-c", report]) == tag), None)


def compile_bytecode(interpreter: str, content: Path) -> None:
    """Adds bytecode that Python uses without looking at the sources' dates, which a zip does not keep exactly.

    Raises:
        BuildError: a file is not valid Python.
    """
    options = ["-q", "-j", "1", "--invalidation-mode", "unchecked-hash", "-s", str(content), "-p", CODE_FOLDER]
    done = subprocess.run(
        [interpreter, "-I", "-m", "compileall", *options, str(content)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        raise BuildError(f"{done.stdout.strip()}\n\ncompiling with {interpreter} failed, see above")


def pack(content: Path, out: Path) -> None:
    """Zips a folder, reproducibly: sorted names, one date, one mode."""
    files = {path.relative_to(content).as_posix(): path for path in content.rglob("*") if path.is_file()}
    with zipfile.ZipFile(out, "w") as archive:
        for name, path in sorted(files.items()):
            entry = zipfile.ZipInfo(name, ZIP_DATE)
            entry.create_system = UNIX
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED, 9)


def definitions(root: Path, runtime: str, architecture: str) -> dict[str, Spec]:
    """Reads packages.json, from which Terraform takes the folders and services too.

    Returns:
        What to build, by name of the function's folder.
    """
    specs = {}
    for source, definition in json.loads((root / "packages.json").read_text("utf-8")).items():
        files = sorted(
            path.relative_to(root).as_posix()
            for folder in definition["folders"]
            for path in (root / folder).rglob("*")
            if path.is_file() and FIRST_PARTY.fullmatch(path.name)
        )
        services = frozenset(definition["services"])
        spec = Spec(root, tuple(files), f"{source}/requirements.txt", runtime, architecture, services)
        spec.check()
        specs[source] = spec
    return specs


def main() -> None:
    """Builds what the command line asks for.

    Raises:
        BuildError: see `build`.
    """
    if sys.version_info < OLDEST_PYTHON:
        raise BuildError(f"Python 3.9 or newer is needed, {sys.executable} is {sys.version.split()[0]}.\n{WAYS_OUT}")
    parser = argparse.ArgumentParser(description="Builds the functions' packages.")
    parser.add_argument("out", type=Path, help="the zip to build from $PACKAGE_SPEC; with --all, a folder")
    parser.add_argument("--all", action="store_true", help="build all packages of packages.json")
    parser.add_argument("--runtime", default=DEFAULT_RUNTIME, help="with --all; default %(default)s")
    parser.add_argument("--architecture", default=DEFAULT_ARCHITECTURE, help="with --all; default %(default)s")
    arguments = parser.parse_args()
    out = arguments.out.absolute()
    if arguments.all:
        for source, spec in definitions(Path(__file__).parent, arguments.runtime, arguments.architecture).items():
            build(spec, out / f"{source}.zip")
    elif "PACKAGE_SPEC" not in os.environ:
        parser.error("set PACKAGE_SPEC, or use --all")
    elif zipfile.is_zipfile(out):  # its name says what is in it, and it was written whole
        print(f"{out.name} is there already")
    else:
        build(Spec.from_json(os.environ["PACKAGE_SPEC"]), out)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _output(command: list[str]) -> str | None:
    """Runs a command that may be broken, for example a shim without a version behind it."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


if __name__ == "__main__":
    try:
        main()
    except BuildError as failure:
        sys.exit(f"\nPACKAGE BUILD FAILED\n{failure}\n")
