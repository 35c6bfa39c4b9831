"""Stacks of users in the sandbox: `sandbox.testing`."""

import subprocess
from pathlib import Path

import pytest

from sandbox.deployment import Sandbox, SandboxError
from sandbox.gates import Gates
from sandbox.testing import WorkflowSandbox

# A backend and a lock file that work where the stack belongs, and a source that this machine need not reach.
STACK = """
terraform {
  backend "s3" {
    bucket = "states"
    key    = "orders"
    region = "eu-central-1"
  }
}

provider "aws" {
  region = var.region
}

variable "region" {
  type = string
}

module "workflow_gates" {
  source = "git::https://git.example.com/platform/terraform-aws-workflow-gates.git?ref=v0.1.0"

  name = "orders"
}

resource "aws_sqs_queue" "orders" {
  name = "orders-of-a-user"
}

output "queue_url" {
  value = aws_sqs_queue.orders.url
}

output "bucket_name" {
  value = module.workflow_gates.bucket_name
}
"""
LOCK = """
provider "registry.terraform.io/hashicorp/aws" {
  version = "6.99.0"
  hashes  = ["h1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="]
}
"""


@pytest.fixture
def workflow_sandbox(sandbox: Sandbox) -> WorkflowSandbox:
    return WorkflowSandbox(directory=sandbox.directory, aws_url=sandbox.aws_url, slack=sandbox.slack, say=print)


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    folder = tmp_path / "shop" / "infrastructure"
    folder.mkdir(parents=True)
    subprocess.run(["git", "init", "-q"], cwd=folder.parent, check=True)
    (folder / "main.tf").write_text(STACK)
    (folder / ".terraform.lock.hcl").write_text(LOCK)
    return folder


def test_a_stack_of_ones_own_is_deployed_from_a_copy(workflow_sandbox: WorkflowSandbox, stack: Path) -> None:
    deployed = workflow_sandbox.deploy(stack, {"region": "us-east-2"}, module="workflow_gates")
    try:
        queue = deployed.client("sqs").get_queue_url(QueueName="orders-of-a-user")
        assert deployed.outputs["queue_url"].rpartition("/")[2] == queue["QueueUrl"].rpartition("/")[2]
        assert {file.name for file in stack.iterdir()} == {"main.tf", ".terraform.lock.hcl"}
        assert (stack / ".terraform.lock.hcl").read_text() == LOCK
    finally:
        deployed.terraform.destroy()


def test_what_a_stack_does_not_tell_is_named(workflow_sandbox: WorkflowSandbox, stack: Path) -> None:
    deployed = workflow_sandbox.deploy(stack, {"region": "us-east-2"}, module="workflow_gates")
    try:
        with pytest.raises(SandboxError, match=r"no output approval_function_arn: it has .*queue_url"):
            Gates(deployed).ask({"title": "Ship?"})
    finally:
        deployed.terraform.destroy()


def test_a_folder_outside_of_any_checkout_is_named(
    workflow_sandbox: WorkflowSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(SandboxError, match=r"is in no git checkout: .*; run git init there"):
        workflow_sandbox.deploy(tmp_path, {})
