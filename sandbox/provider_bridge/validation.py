"""`terraform validate` for the root, every module and every example, in a scratch copy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.provider_bridge.mirror import REPOSITORY

if TYPE_CHECKING:
    from sandbox.provider_bridge.selection import Selection

TERRAFORM = ("examples", "functions", "modules")
"""Folders that the Terraform files need, besides the root's own."""


def folders(repository: Path = REPOSITORY) -> list[Path]:
    """Returns the root, the modules and the examples, relative to the repository."""
    found = [
        path.parent for pattern in ("modules", "examples") for path in sorted(repository.glob(f"{pattern}/*/*.tf"))
    ]
    return [Path(), *dict.fromkeys(path.relative_to(repository) for path in found)]


def copy(target: Path, repository: Path = REPOSITORY) -> None:
    """Copies what Terraform reads, so that no lock file and no `.terraform` ends up in the repository.

    Args:
        target: a folder that does not exist yet.
        repository: where to copy from.
    """
    target.mkdir(parents=True)
    for file in repository.glob("*.tf"):
        shutil.copy2(file, target)
    left_out = shutil.ignore_patterns(".terraform", ".terraform.lock.hcl", "*.tfstate*", "__pycache__")
    for folder in TERRAFORM:
        shutil.copytree(repository / folder, target / folder, ignore=left_out)


def validate(selection: Selection, repository: Path = REPOSITORY) -> list[str]:
    """Validates every folder.

    Args:
        selection: the provider to validate with.
        repository: whose folders.

    Returns:
        What is wrong, one text for each finding; warnings count.
    """
    with tempfile.TemporaryDirectory(prefix="validate-") as temporary, ThreadPoolExecutor(os.cpu_count()) as executor:
        scratch = Path(temporary, "repository")
        copy(scratch, repository)
        environment = selection.isolated()
        results = executor.map(lambda folder: _validate(scratch, folder, environment), folders(repository))
        return [finding for findings in results for finding in findings]


def _validate(scratch: Path, folder: Path, environment: dict[str, str]) -> list[str]:
    command = ["terraform", f"-chdir={scratch / folder}"]
    shown = folder.as_posix()
    done = subprocess.run(
        [*command, "init", "-backend=false", "-input=false", "-no-color"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return [f"{shown}: terraform init failed:\n{done.stderr.strip()}"]
    done = subprocess.run([*command, "validate", "-json"], env=environment, capture_output=True, text=True, check=False)
    return [_text(shown, diagnostic) for diagnostic in json.loads(done.stdout)["diagnostics"]]


def _text(folder: str, diagnostic: dict[str, dict[str, dict[str, int]]]) -> str:
    place = diagnostic.get("range", {})
    line = place.get("start", {}).get("line", "")
    return f"{folder}/{place.get('filename', '')}:{line}: {diagnostic['summary']}: {diagnostic.get('detail', '')}"
