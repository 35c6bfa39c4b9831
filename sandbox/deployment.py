"""The sandbox: a local AWS, a local Slack, and `examples/complete` deployed into them by Terraform."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import boto3
import urllib3
from botocore.config import Config

from sandbox.processes import ROOT, ProcessError, server, tail
from sandbox.provider_bridge import mirror
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE, APPROVALS, BOB, OPERATIONS
from sandbox.terraform import Json, Say, Terraform, durable_functions, environment
from sandbox.web.pages import PREFIX

REGION = "us-east-2"
NAME = "orders"
STATE_MACHINE = "Order"
WINDOW = "upgrade"
EXAMPLE = Path("examples") / "complete"
SCRATCH = ROOT / ".sandbox"
# Output of a stack, as of the module.
REQUEST_URL = "slack_request_url"

# It comes only when somebody fires it.
_WINDOW = {
    "duration_minutes": 60,
    "reason": "Upgrade of the database",
    "schedule": "at(2099-12-31T22:00:00)",
    "state_machine_names": [STATE_MACHINE],
}
_AWS_LOG = "aws.log"
_CHECKOUT = "checkout"
_POLL = 0.1
# New files count before they are added, as they do for Terraform in the repository itself.
_LIST_FILES = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
_OK = 200
# Seconds that the first answer of a function may take on a busy machine.
_COLD_START = 60.0
# What Terraform knows of a deployment. The state comes last: a copy without it is one that was never deployed.
_KEPT_BY_TERRAFORM = (".terraform", ".terraform.lock.hcl", "*.auto.tfvars.json", "terraform.tfstate*")
_API_URL = re.compile(r"https://(?P<api>[a-z0-9]+)\.execute-api\.[a-z0-9-]+\.amazonaws\.com(?P<path>/.*)")
_Value = TypeVar("_Value")


class SandboxError(Exception):
    """The sandbox could not do what was asked of it."""


@dataclass(frozen=True, kw_only=True)
class Emulators:
    """A running local AWS and a running local Slack.

    Attributes:
        directory: Scratch folder of this run, with the logs and the copies that Terraform works on.
        aws_url: Address of the local AWS.
        slack: The local Slack.
    """

    directory: Path
    aws_url: str
    slack: SlackSandbox

    @property
    def pages(self) -> dict[str, str]:
        """Addresses of the pages, by what they show."""
        return {"Slack": f"{self.slack.url}{PREFIX}/", "AWS": f"{self.aws_url}{PREFIX}/"}

    def link_pages(self) -> None:
        """Let each page lead to the other."""
        with urllib3.PoolManager(retries=False) as pool:
            for url in self.pages.values():
                pool.request("POST", f"{url}links", json=self.pages)

    def client(self, service: str) -> Any:
        """Return a boto3 client of the local AWS."""
        return _client(self.aws_url, service)

    def control(self, method: str, path: str, body: Json | None = None) -> Any:
        """Call a control endpoint of the local AWS.

        Args:
            method: HTTP method.
            path: Path below `/_sandbox/`.
            body: JSON to send.

        Raises:
            SandboxError: If it refuses.
        """
        return _control(self.aws_url, method, path, body)

    def names(self) -> dict[str, str]:
        """Return the shown name of each person in the local Slack."""
        return {user["id"]: user["real_name"] for user in self.slack.app()["users"]}

    def slack_settings(self, name: str) -> Json:
        """Put the local Slack app's token and signing secret into two secrets, and return the module's input `slack`.

        Args:
            name: Beginning of the secrets' names.
        """
        app = self.slack.app()
        secrets = self.client("secretsmanager")
        token = secrets.create_secret(Name=f"{name}/slack-bot-token", SecretString=app["bot_token"])
        signing = secrets.create_secret(Name=f"{name}/slack-signing-secret", SecretString=app["signing_secret"])
        return {
            "api_url": self.slack.api_url,
            "bot_token_secret_arn": token["ARN"],
            "channel": APPROVALS.id,
            "signing_secret_secret_arn": signing["ARN"],
        }


@dataclass(frozen=True, kw_only=True)
class Sandbox(Emulators):
    """A running sandbox with something deployed in it.

    Attributes:
        terraform: Terraform in the copy of the deployed folder.
        outputs: Terraform's outputs.
    """

    terraform: Terraform
    outputs: Mapping[str, Any]


@contextmanager
def running(say: Say) -> Iterator[Sandbox]:
    """Start everything and deploy `examples/complete`; see `emulators`.

    Args:
        say: Takes lines for people.

    Yields:
        The sandbox.

    Raises:
        SandboxError: If something cannot be started.
        TerraformError: If Terraform fails.
    """
    with emulators(say) as local:
        yield deployed(local, say)


@contextmanager
def emulators(say: Say) -> Iterator[Emulators]:
    """Start a local AWS and a local Slack; on the way out, whatever the reason, end every process and remove all files.

    While they run, SIGTERM ends this process in the same orderly way as Ctrl-C does.

    Args:
        say: Takes lines for people.

    Yields:
        Both, with nothing deployed.

    Raises:
        SandboxError: If something cannot be started.
    """
    with ExitStack() as stack:
        stack.enter_context(_signals_restored())
        SCRATCH.mkdir(exist_ok=True)
        directory = Path(tempfile.mkdtemp(prefix="run-", dir=SCRATCH))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        try:
            signal.signal(signal.SIGTERM, leave)
            yield _servers(stack, directory, say)
        except Exception as error:
            if (directory / _AWS_LOG).exists():
                error.add_note(f"The local AWS's last words:\n{tail(directory / _AWS_LOG)}")
            raise
        finally:
            # Ending takes seconds: let no second Ctrl-C leave a process behind.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)


def until(condition: Callable[[], _Value | None], what: str, timeout: float = 30.0) -> _Value:
    """Return what a condition gives as soon as it gives something true.

    Args:
        condition: Asks the local AWS.
        what: What is waited for, for the error message.
        timeout: Seconds to wait.

    Raises:
        SandboxError: If it does not come in time.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise SandboxError(f"{what}: not within {timeout:.0f} s")
        time.sleep(_POLL)


def copy_of(repository: Path, target: Path) -> Path:
    """Copy a working tree without what git ignores, so that Terraform leaves nothing in it.

    Args:
        repository: Top folder of a git checkout.
        target: Folder to make.

    Returns:
        The folder.

    Raises:
        SandboxError: If it is no git checkout.
    """
    for name in _files(repository):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(repository / name, target / name)
    return target


def fingerprint(*folders: str) -> str:
    """Return a hash of what folders of the working tree hold, without what git ignores.

    Args:
        folders: Names of folders or files in the repository.

    Raises:
        SandboxError: If this is no git checkout.
    """
    digest = hashlib.sha256()
    for name in sorted(_files(ROOT, *folders)):
        digest.update(f"{name}\0{hashlib.sha256((ROOT / name).read_bytes()).hexdigest()}\0".encode())
    return digest.hexdigest()


def _files(repository: Path, *folders: str) -> list[str]:
    listed = subprocess.run([*_LIST_FILES, "--", *folders], cwd=repository, capture_output=True, check=False)
    if listed.returncode:
        raise SandboxError(f"{repository} is no git checkout: {listed.stderr.decode().strip()}; clone it with git")
    return [name for name in listed.stdout.decode().split("\0") if name and (repository / name).is_file()]


def _servers(stack: ExitStack, directory: Path, say: Say) -> Emulators:
    try:
        slack_url = stack.enter_context(server("sandbox.slack", directory / "slack.log", environment({})))
        aws_url = stack.enter_context(server("sandbox.aws", directory / _AWS_LOG, environment({})))
    except ProcessError as error:
        raise SandboxError(str(error)) from error
    say(f"Local AWS at {aws_url}, local Slack at {slack_url}, all files in {os.path.relpath(directory)}")
    return Emulators(directory=directory, aws_url=aws_url, slack=SlackSandbox(slack_url))


def deployed(local: Emulators, say: Say) -> Sandbox:
    """Deploy `examples/complete`, or bring what is deployed up to date with the working tree.

    Args:
        local: Where to; Terraform's state stays in its folder.
        say: Takes lines for people.

    Raises:
        SandboxError: If something is missing.
        TerraformError: If Terraform fails.
    """
    terraform = Terraform(_checkout(local.directory) / EXAMPLE, environment_of(local.aws_url), say)
    say(f"Terraform deploys {EXAMPLE} (with {mirror.REAL_VERSION} of the AWS provider behind the provider bridge)")
    return applied(local, terraform, terraform.variables() if terraform.has_variables() else _variables(local))


def applied(local: Emulators, terraform: Terraform, variables: Json) -> Sandbox:
    """Deploy what Terraform finds in its folder, and let the local Slack app send clicks to the gate in it.

    Args:
        local: Where to.
        terraform: Terraform in a copy of the folder.
        variables: Values of the variables.

    Raises:
        SandboxError: If the gate does not answer.
        TerraformError: If Terraform fails.
    """
    local.link_pages()
    terraform.init(variables)
    plan = terraform.plan()
    changed = [c for c in plan["resource_changes"] if c["change"]["actions"] not in (["no-op"], ["read"])]
    durable = durable_functions(plan)
    if changed:
        terraform.say(
            f"{len(changed)} resources to create or change; durable by Terraform's plan: {', '.join(durable)}"
        )
        local.control("POST", "durable-functions", durable)
        terraform.apply()
    outputs = terraform.outputs()
    if outputs.get(REQUEST_URL):
        request_url = local_url(outputs[REQUEST_URL], local.aws_url)
        local.slack.configure(request_url=request_url)
        _warm(request_url)
    return _deployment(local, terraform, outputs)


def found(local: Emulators, say: Say) -> Sandbox:
    """Return a sandbox that was deployed before, as it is.

    Args:
        local: Where it was deployed.
        say: Takes lines for people.

    Raises:
        TerraformError: If Terraform cannot tell its outputs.
    """
    terraform = Terraform(local.directory / _CHECKOUT / EXAMPLE, environment_of(local.aws_url), say)
    return _deployment(local, terraform, terraform.outputs())


def _deployment(local: Emulators, terraform: Terraform, outputs: Json) -> Sandbox:
    return Sandbox(
        directory=local.directory, aws_url=local.aws_url, slack=local.slack, terraform=terraform, outputs=outputs
    )


def _checkout(directory: Path) -> Path:
    """Copy the working tree; what Terraform keeps beside the example goes over from the copy made before."""
    old, new = directory / _CHECKOUT, directory / f"{_CHECKOUT}.new"
    shutil.rmtree(new, ignore_errors=True)
    copy_of(ROOT, new)
    for pattern in _KEPT_BY_TERRAFORM:
        for found in (old / EXAMPLE).glob(pattern):
            found.rename(new / EXAMPLE / found.name)
    shutil.rmtree(old, ignore_errors=True)
    return new.rename(old)


def _warm(request_url: str) -> None:
    """Let the webhook start, so that the first click is not the one that is too late for Slack's three seconds."""
    with urllib3.PoolManager(retries=False) as pool:
        status = pool.request("POST", request_url, timeout=_COLD_START).status
    if status != HTTPStatus.UNAUTHORIZED:
        raise SandboxError(f"{request_url} answers {status} to a request that is not signed, not 401")


def _variables(local: Emulators) -> Json:
    return {
        "approvers": [ALICE.id, BOB.id],
        "environment": "sandbox",
        "execution_timeout": 86400,
        "force_destroy": True,
        "maintenance_channel": OPERATIONS.id,
        "maintenance_windows": {WINDOW: _WINDOW},
        "name": NAME,
        "region": REGION,
        "slack": local.slack_settings(NAME),
        "state_machine_name": STATE_MACHINE,
    }


def local_url(url: str, aws_url: str) -> str:
    """Return where the local AWS serves an HTTP API.

    Args:
        url: Address of the API as AWS names it.
        aws_url: Address of the local AWS.

    Raises:
        SandboxError: If it is not an API's address.
    """
    match = _API_URL.fullmatch(url)
    if not match:
        raise SandboxError(
            f"{url!r} is not the address of an HTTP API (https://ID.execute-api.REGION.amazonaws.com/...)"
        )
    return f"{aws_url}/_api/{match['api']}{match['path']}"


def environment_of(aws_url: str) -> dict[str, str]:
    """Return all environment variables of a program that is to see the local AWS instead of AWS.

    Args:
        aws_url: Address of the local AWS.
    """
    return environment(
        {
            **mirror.environment(),
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL": aws_url,
            "AWS_REGION": REGION,
        }
    )


def _client(aws_url: str, service: str) -> Any:
    session = boto3.Session(aws_access_key_id="sandbox", aws_secret_access_key="sandbox", region_name=REGION)
    config = Config(retries={"total_max_attempts": 1}, proxies={})
    return session.client(service, endpoint_url=aws_url, config=config)  # type: ignore[call-overload]


def _control(aws_url: str, method: str, path: str, body: Json | None) -> Any:
    with urllib3.PoolManager(retries=False) as pool:
        sent = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"}
        answer = pool.request(method, f"{aws_url}/_sandbox/{path}", body=sent, headers=headers)
    if answer.status != _OK:
        raise SandboxError(f"the local AWS answers {answer.status} to {method} {path}: {answer.data.decode()}")
    return json.loads(answer.data)


def leave(number: int, _frame: FrameType | None) -> None:
    """Handle a signal like Ctrl-C: end this process in order, with the shell's exit code for it."""
    raise SystemExit(128 + number)


@contextmanager
def _signals_restored() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
