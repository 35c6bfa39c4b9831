"""Terraform on a scratch copy of the repository, saying what it is waiting for."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.processes import end

Json = dict[str, Any]
Say = Callable[[str], None]

_VARIABLES_FILE = "sandbox.auto.tfvars.json"
_PLAN_FILE = "sandbox.tfplan"

# Where the provider waits although nothing is wrong: it asks again and again until AWS surely shows the new state.
_WAITS = {
    "aws_s3_bucket_lifecycle_configuration": "the provider waits for S3 to settle, about a minute",
    "aws_lambda_function": "the provider waits until the function is active",
    "terraform_data": "pip is putting a function's package together",
}


class TerraformError(Exception):
    """Terraform failed; the text is what it said."""


@dataclass(frozen=True)
class Terraform:
    """Terraform in one folder.

    Attributes:
        directory: Folder of the root module.
        environment: All environment variables of Terraform and its provider.
        say: Takes a line for people.
    """

    directory: Path
    environment: Mapping[str, str]
    say: Say

    def init(self, variables: Json) -> None:
        """Install the provider and set the variables.

        Raises:
            TerraformError: If it fails.
        """
        (self.directory / _VARIABLES_FILE).write_text(json.dumps(variables, indent=2))
        self._run("init", "-input=false", "-no-color")

    def has_variables(self) -> bool:
        """Return whether the variables were set before."""
        return (self.directory / _VARIABLES_FILE).exists()

    def variables(self) -> Json:
        """Return the variables that were set."""
        found: Json = json.loads((self.directory / _VARIABLES_FILE).read_text())
        return found

    def plan(self) -> Json:
        """Plan, keep the plan for `apply`, and return it as Terraform's JSON.

        Raises:
            TerraformError: If it fails.
        """
        self._run("plan", "-input=false", "-no-color", f"-out={_PLAN_FILE}")
        plan: Json = json.loads(self._run("show", "-json", _PLAN_FILE))
        return plan

    def changes(self) -> list[str]:
        """Plan anew and return what an apply would change, as `action address`; nothing where it is up to date.

        Raises:
            TerraformError: If it fails.
        """
        plan = self.plan()
        found = [
            f"{'/'.join(change['change']['actions'])} {change['address']}"
            for change in plan.get("resource_changes", [])
            if change["change"]["actions"] != ["no-op"]
        ]
        outputs = plan.get("output_changes", {})
        return found + [f"output {name}" for name, change in outputs.items() if change["actions"] != ["no-op"]]

    def apply(self) -> None:
        """Apply the plan made last.

        Raises:
            TerraformError: If it fails.
        """
        self._run_told("apply", "-json", "-input=false", _PLAN_FILE)

    def destroy(self) -> None:
        """Destroy everything.

        Raises:
            TerraformError: If it fails.
        """
        self._run_told("destroy", "-json", "-input=false", "-auto-approve")

    def outputs(self) -> dict[str, Any]:
        """Return the outputs.

        Raises:
            TerraformError: If it fails.
        """
        return {name: output["value"] for name, output in json.loads(self._run("output", "-json")).items()}

    def _run(self, *arguments: str) -> str:
        with self._started(*arguments, stderr=subprocess.PIPE) as process:
            try:
                out, err = process.communicate()
            finally:
                end(process, gently=False)
        if process.returncode:
            raise TerraformError(f"terraform {arguments[0]} failed:\n{err.decode(errors='replace')}")
        return out.decode()

    def _run_told(self, *arguments: str) -> None:
        progress = Progress(self.say)
        with self._started(*arguments, stderr=subprocess.STDOUT) as process:
            try:
                for line in process.stdout or ():
                    progress.take(line.decode(errors="replace"))
                process.wait()
            finally:
                end(process, gently=False)
        if process.returncode:
            raise TerraformError("\n".join([f"terraform {arguments[0]} failed:", *progress.errors]))

    def _started(self, *arguments: str, stderr: int) -> subprocess.Popen[bytes]:
        # Its own session, so that it and its provider end together, and only when the sandbox says so.
        return subprocess.Popen(
            ["terraform", *arguments],
            cwd=self.directory,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )


class Progress:
    """Makes a few lines for people of the events of `terraform apply -json`.

    Attributes:
        errors: What went wrong.

    Args:
        say: Takes a line.
    """

    def __init__(self, say: Say) -> None:
        self.errors: list[str] = []
        self._say = say
        self._done = 0
        self._told: dict[str, float] = {}

    def take(self, line: str) -> None:
        """Take one line of Terraform's output."""
        try:
            event = json.loads(line)
        except ValueError:
            self.errors.append(line.rstrip())
            return
        kind = event.get("type")
        if kind == "apply_complete":
            self._done += 1
        elif kind == "apply_progress":
            self._waiting(event["hook"])
        elif kind == "change_summary" and event["changes"]["operation"] != "plan":
            self._say(event["@message"])
        elif kind == "diagnostic" and event["diagnostic"]["severity"] == "error":
            self.errors.append("{summary}\n{detail}".format(**event["diagnostic"]).rstrip())

    def _waiting(self, hook: Json) -> None:
        """Say what takes long: each kind of resource once in each round of ten seconds."""
        elapsed, kind = hook["elapsed_seconds"], hook["resource"]["resource_type"]
        if self._told.get(kind, 0) >= elapsed:
            return
        self._told[kind] = elapsed
        verb = {"create": "creating", "delete": "destroying"}.get(hook["action"], "changing")
        reason = f": {_WAITS[kind]}" if kind in _WAITS else ""
        self._say(f"{self._done} done; {kind}: still {verb} [{elapsed:.0f}s]{reason}")


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment without what would lead Terraform away from the sandbox.

    Args:
        extra: Variables to add.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
    # A proxy stays for pip, but nothing on this machine is to be looked for behind it.
    direct = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
    # build.py runs on the Python that runs the sandbox: it has pip.
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return {**kept, **direct, "PATH": path, "TF_IN_AUTOMATION": "1", **extra}


def durable_functions(plan: Json) -> dict[str, Json]:
    """Return the durable functions of a plan, with their `durable_config`: what the provider bridge never sends.

    Args:
        plan: A plan as Terraform's JSON.
    """
    return {
        resource["values"]["function_name"]: resource["values"]["durable_config"][0]
        for resource in _resources(plan["planned_values"]["root_module"])
        if resource["type"] == "aws_lambda_function" and resource["values"].get("durable_config")
    }


def _resources(module: Json) -> Iterator[Json]:
    yield from module.get("resources", [])
    for child in module.get("child_modules", []):
        yield from _resources(child)
