"""Which provider plans the modules: a real one that has `durable_config`, else the bridge."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandbox.provider_bridge import mirror
from sandbox.provider_bridge.errors import BridgeError

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT_DIRECTORY = mirror.REPOSITORY / ".sandbox" / "provider"
REQUIREMENT = mirror.REPOSITORY / "versions.tf"
"""The modules' own requirement decides which versions will do."""


@dataclass(frozen=True)
class Selection:
    """A provider and how to make Terraform use it.

    Attributes:
        description: What it is, to be shown with the results.
        environment: Environment variables for Terraform.
    """

    description: str
    environment: dict[str, str]

    def isolated(self) -> dict[str, str]:
        """Returns all environment variables for a Terraform that no setting or credential of the user reaches."""
        others = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
        nothing = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        alone = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_REGION": "us-east-2", "CHECKPOINT_DISABLE": "1"}
        return others | nothing | alone | self.environment


def select(directory: Path = DEFAULT_DIRECTORY) -> Selection:
    """Installs the newest provider that the modules accept, if `terraform init` can get one; else makes the bridge.

    Args:
        directory: where an installed provider is kept for the next time.

    Raises:
        BridgeError: there is no Terraform, or neither a provider nor the bridge can be had.
    """
    directory.mkdir(parents=True, exist_ok=True)
    versions = directory / "versions.tf"
    versions.write_bytes(REQUIREMENT.read_bytes())
    providers = directory / ".terraform" / "providers"
    initialised = _terraform(directory, "init", "-backend=false", "-input=false") is not None
    if not initialised or mirror.is_bridge(providers):
        shutil.rmtree(directory / ".terraform", ignore_errors=True)  # or the next look would find the bridge again
        (directory / ".terraform.lock.hcl").unlink(missing_ok=True)
        return Selection(mirror.NOTICE, mirror.environment())
    installed = json.loads(_terraform(directory, "version", "-json") or "{}")["provider_selections"]
    configuration = directory / "terraform.rc"
    mirror.write_configuration(configuration, providers)
    return Selection(
        f"real provider: hashicorp/aws {installed[str(mirror.ADDRESS)]}",
        {"TF_CLI_CONFIG_FILE": str(configuration), "TF_PLUGIN_CACHE_DIR": ""},
    )


def _terraform(directory: Path, *arguments: str) -> str | None:
    """Runs Terraform with the user's own configuration; None when it fails."""
    try:
        done = subprocess.run(
            ["terraform", f"-chdir={directory}", *arguments],
            env={**os.environ, "CHECKPOINT_DISABLE": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=mirror.DOWNLOAD_SECONDS,
            check=False,
        )
    except FileNotFoundError as error:
        raise BridgeError("terraform is not on PATH: install Terraform 1.9 or newer") from error
    except subprocess.TimeoutExpired:
        return None
    return done.stdout if done.returncode == 0 else None
