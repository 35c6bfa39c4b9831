"""The provider bridge under Terraform: these tests always run on the bridge, whatever plans the modules."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.provider_bridge import mirror, selection, validation
from tests.plan.conftest import Planner

if TYPE_CHECKING:
    from pathlib import Path

    from tests.plan.conftest import Plan

FOLDER = "stacks/bridge"
STACK = """
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.25"
    }
  }
}

variable "durable" {
  type = list(object({ execution_timeout = number, retention_period = optional(number) }))
}

variable "publish" {
  type    = bool
  default = false
}

resource "aws_lambda_function" "this" {
  function_name = "deploy"
  handler       = "deploy.handler"
  publish       = var.publish
  role          = "arn:aws:iam::123456789012:role/deploy"
  runtime       = "python3.13"
  s3_bucket     = "releases"
  s3_key        = "deploy.zip"

  dynamic "durable_config" {
    for_each = var.durable
    content {
      execution_timeout = durable_config.value.execution_timeout
      retention_period  = durable_config.value.retention_period
    }
  }
}
"""
SHORT = [{"execution_timeout": 900}]
LONG = [{"execution_timeout": 3600, "retention_period": 1}]


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Planner:
    selected = selection.Selection(mirror.NOTICE, mirror.environment())
    planner = Planner(tmp_path_factory.mktemp("bridge"), selected)
    planner.add(FOLDER, STACK)
    return planner


@pytest.fixture(scope="module")
def new(bridge: Planner) -> Plan:
    return bridge.plan(FOLDER, {"durable": SHORT})


def deployed(new: Plan, **attributes: Any) -> dict[str, Any]:
    """The state after the function has been deployed, with some attributes changed."""
    state = new.state()
    (function,) = state["resources"]
    function["instances"][0]["attributes"] |= attributes
    return state


def change(bridge: Planner, state: dict[str, Any], durable: list[dict[str, int]], **more: Any) -> dict[str, Any]:
    plan = bridge.plan(FOLDER, {"durable": durable, **more}, state)
    (found,) = (c for c in plan.raw["resource_changes"] if c["type"] == "aws_lambda_function")
    return dict(found["change"])


def test_a_new_function_is_planned_with_the_block_and_its_default(new: Plan) -> None:
    planned = new.one("aws_lambda_function.this")
    assert planned["durable_config"] == [{"execution_timeout": 900, "retention_period": 14}]
    assert planned["memory_size"] == 128  # the real provider's own default


def test_changed_values_are_planned_in_place(bridge: Planner, new: Plan) -> None:
    changed = change(bridge, deployed(new), LONG)
    assert changed["actions"] == ["update"]
    assert changed["before"]["durable_config"] == [{"execution_timeout": 900, "retention_period": 14}]
    assert changed["after"]["durable_config"] == LONG


def test_a_changed_value_of_a_published_function_makes_a_version(bridge: Planner, new: Plan) -> None:
    changed = change(bridge, deployed(new, publish=True), LONG, publish=True)
    assert changed["actions"] == ["update"]
    assert changed["after_unknown"]["version"] is True


def test_the_block_removed_replaces_the_function(bridge: Planner, new: Plan) -> None:
    changed = change(bridge, deployed(new), [])
    assert changed["actions"] == ["delete", "create"]
    assert changed["replace_paths"] == [["durable_config"]]


def test_the_block_added_replaces_the_function(bridge: Planner, new: Plan) -> None:
    changed = change(bridge, deployed(new, durable_config=[]), SHORT)
    assert changed["actions"] == ["delete", "create"]
    assert changed["replace_paths"] == [["durable_config"]]


def test_errors_point_at_the_value(bridge: Planner) -> None:
    text = bridge.refused(FOLDER, {"durable": [{"execution_timeout": 0, "retention_period": 91}]})
    assert "expected durable_config.0.execution_timeout to be a whole number in the range (1 - 31622400), got 0" in text
    assert "expected durable_config.0.retention_period to be a whole number in the range (1 - 90), got 91" in text
    assert "on main.tf line" in text


def test_validation_names_folder_file_and_line_of_what_is_wrong(provider: selection.Selection, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    for folder in validation.TERRAFORM:
        (repository / folder).mkdir(parents=True)
    module = repository / "modules" / "broken"
    module.mkdir()
    shutil.copy(mirror.REPOSITORY / "versions.tf", module)
    (module / "main.tf").write_text('resource "aws_s3_bucket" "this" {\n  buckett = "x"\n}\n')
    (finding,) = validation.validate(provider, repository)
    assert finding.startswith('modules/broken/main.tf:2: Unsupported argument: An argument named "buckett"')
