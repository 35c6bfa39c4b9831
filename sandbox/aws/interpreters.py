"""The Python interpreters on which functions run, and AWS's runtime client for each of them."""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

_REQUIREMENTS = Path(__file__).with_name("runtime-requirements.txt")
_RUNTIME = re.compile(r"python(3\.\d+)")
# Printed by an interpreter to say which one it is; a pyenv shim exists for versions that it then refuses to run.
_WHO_ARE_YOU = "import sys; print('%d.%d' % sys.version_info[:2])"


class Interpreters:
    """Finds an interpreter for a Lambda runtime and keeps the runtime client for it below a folder.

    The runtime client (``awslambdaric``) is installed once per Python version, from hashed requirements, into a folder
    of its own that the function's process gets as ``PYTHONPATH``, as ``/var/runtime`` on AWS. The interpreter's own
    site-packages stay invisible, so a package that a function forgot to bring is missing here too.
    """

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        """Create the finder.

        Args:
            directory: Where the runtime clients are kept between runs.
            environment: Environment for pip, with the user's index and proxy settings.
        """
        self._directory = directory
        self._environment = dict(environment)
        self._lock = threading.Lock()
        self._pythons: dict[str, Path] = {}
        self._clients: dict[str, Path] = {}

    def python(self, runtime: str) -> Path:
        """Return the interpreter for a Lambda runtime such as ``python3.13``.

        Falls back to the running interpreter, with a printed note, where that version is not installed.

        Raises:
            ValueError: If the runtime is not a Python runtime.
        """
        match = _RUNTIME.fullmatch(runtime)
        if match is None:
            raise ValueError(f"runtime {runtime!r}: the sandbox runs Python functions only")
        with self._lock:
            if runtime not in self._pythons:
                self._pythons[runtime] = self._find(match[1], runtime)
            return self._pythons[runtime]

    def client(self, python: Path) -> Path:
        """Return the folder with AWS's runtime client for an interpreter; install it on first use.

        Raises:
            RuntimeError: If pip cannot install it; the message ends with pip's own words.
        """
        with self._lock:
            version = _version_of(python)
            if version is None:
                raise RuntimeError(f"{python} does not run any more")
            if version not in self._clients:
                self._clients[version] = self._install(python, version)
            return self._clients[version]

    def _find(self, version: str, runtime: str) -> Path:
        for candidate in _candidates(version, runtime):
            if _version_of(candidate) == version:
                return candidate
        running = "{}.{}".format(*sys.version_info[:2])
        sys.stderr.write(f"note: no {runtime} on this machine; its functions run on Python {running}\n")
        return Path(sys.executable)

    def _install(self, python: Path, version: str) -> Path:
        digest = hashlib.sha256(_REQUIREMENTS.read_bytes()).hexdigest()[:12]
        target = self._directory / f"python{version}-{digest}"
        if target.is_dir():
            return target
        self._directory.mkdir(parents=True, exist_ok=True)
        # Built beside its place and renamed, so that an interrupted installation is never taken for a finished one.
        with tempfile.TemporaryDirectory(dir=self._directory, ignore_cleanup_errors=True) as scratch:
            result = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "pip",
                    "--python",
                    str(python),
                    "--disable-pip-version-check",
                    "--quiet",
                    "install",
                    "--require-hashes",
                    "--target",
                    f"{scratch}/client",
                    "-r",
                    str(_REQUIREMENTS),
                ],
                env=self._environment,
                capture_output=True,
                text=True,
                check=False,
            )
            if result.returncode:
                raise RuntimeError(
                    f"pip could not install the Lambda runtime client for {python}:\n{result.stderr[-2000:]}"
                )
            built = Path(scratch, "client")
            try:
                built.rename(target)
            except OSError:  # another server was faster; its folder holds the same files
                if not target.is_dir():
                    raise
        return target


def _candidates(version: str, runtime: str) -> Iterator[Path]:
    yield Path(sys.executable)
    yield from sorted(Path.home().glob(f".pyenv/versions/{version}*/bin/{runtime}"), reverse=True)
    on_path = shutil.which(runtime)
    if on_path:
        yield Path(on_path)


def _version_of(python: Path) -> str | None:
    if python == Path(sys.executable):
        return "{}.{}".format(*sys.version_info[:2])
    try:
        result = subprocess.run(
            [str(python), "-c", _WHO_ARE_YOU], capture_output=True, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None
