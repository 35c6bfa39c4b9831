"""The sandbox in tests of one's own workflows.

A `conftest.py` that has the line `from sandbox.testing import workflow_sandbox` offers the fixture to its tests.
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sandbox.deployment import Emulators, Sandbox, SandboxError, applied, copy_of, emulators, environment_of
from sandbox.processes import ROOT
from sandbox.terraform import Json, Say, Terraform

_LOCK_FILE = ".terraform.lock.hcl"
_OVERRIDE = "sandbox_override.tf.json"


@dataclass(frozen=True, kw_only=True)
class WorkflowSandbox(Emulators):
    """A local AWS and a local Slack, into which tests deploy stacks of their own.

    Attributes:
        say: Takes lines for people.
    """

    say: Say

    def deploy(self, folder: Path, variables: Json, *, module: str | None = None) -> Sandbox:
        """Deploy a folder of Terraform as it is in its working tree, from a copy; it lasts as long as the sandbox.

        In the copy a local backend takes the place of any other one, and the locked version of the AWS provider is
        that of the provider bridge. If the stack has an output `slack_request_url`, clicks go there from now on.

        Args:
            folder: Folder of the root module, in a git checkout.
            variables: Values of its variables.
            module: Name of a module call in it that is to take this checkout instead of its own `source`.

        Returns:
            The sandbox with what is deployed in it: `sandbox.gates.Gates` works with it.

        Raises:
            SandboxError: If the folder is in no git checkout, or if the gate does not answer.
            TerraformError: If Terraform fails.
        """
        folder = folder.resolve()
        repository = _top_of(folder)
        scratch = Path(tempfile.mkdtemp(prefix="stack-", dir=self.directory))
        root = copy_of(repository, scratch / "checkout") / folder.relative_to(repository)
        (root / _LOCK_FILE).unlink(missing_ok=True)
        override: Json = {"terraform": {"backend": {"local": {}}}}
        if module:
            override["module"] = {module: {"source": os.path.relpath(ROOT, root)}}
        (root / _OVERRIDE).write_text(json.dumps(override))
        self.say(f"Terraform deploys {folder}")
        return applied(self, Terraform(root, environment_of(self.aws_url), self.say), variables)


@pytest.fixture(scope="session")
def workflow_sandbox(request: pytest.FixtureRequest) -> Iterator[WorkflowSandbox]:
    """A local AWS and a local Slack for as long as the tests run, with nothing deployed yet."""
    reporter: Any = request.config.pluginmanager.get_plugin("terminalreporter")
    say = reporter.write_line if reporter else print
    with emulators(say) as local:
        yield WorkflowSandbox(directory=local.directory, aws_url=local.aws_url, slack=local.slack, say=say)


def _top_of(folder: Path) -> Path:
    asked = subprocess.run(
        ["git", "rev-parse", "--show-toplevel"], cwd=folder, capture_output=True, text=True, check=False
    )
    if asked.returncode:
        raise SandboxError(f"{folder} is in no git checkout: {asked.stderr.strip()}; run git init there")
    return Path(asked.stdout.rstrip("\n"))
