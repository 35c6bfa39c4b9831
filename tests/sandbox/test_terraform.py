import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.terraform import Progress, Terraform, TerraformError, durable_functions, environment


def event(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


def waiting(kind: str, elapsed: float, name: str = "this") -> str:
    hook = {
        "resource": {"addr": f"{kind}.{name}", "resource_type": kind},
        "action": "create",
        "elapsed_seconds": elapsed,
    }
    return event("apply_progress", hook=hook)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def progress(told: list[str]) -> Progress:
    return Progress(told.append)


def test_what_takes_long_is_told_with_the_reason(progress: Progress, told: list[str]) -> None:
    progress.take(event("apply_complete"))
    progress.take(waiting("aws_s3_bucket_lifecycle_configuration", 40))
    (line,) = told
    assert line.startswith(
        "1 done; aws_s3_bucket_lifecycle_configuration: still creating [40s]: the provider waits for S3"
    )


def test_resources_of_one_kind_are_told_once_a_round(progress: Progress, told: list[str]) -> None:
    for elapsed in (10, 20):
        for name in ("approval", "maintenance"):
            progress.take(waiting("aws_iam_role", elapsed, name))
    assert told == ["0 done; aws_iam_role: still creating [10s]", "0 done; aws_iam_role: still creating [20s]"]


def test_the_summary_is_told_and_errors_are_kept(progress: Progress, told: list[str]) -> None:
    progress.take(event("change_summary", changes={"operation": "plan"}, **{"@message": "Plan: 1 to add"}))
    progress.take(event("change_summary", changes={"operation": "apply"}, **{"@message": "Apply complete!"}))
    progress.take(event("diagnostic", diagnostic={"severity": "warning", "summary": "Odd", "detail": ""}))
    progress.take(event("diagnostic", diagnostic={"severity": "error", "summary": "No bucket", "detail": "at all"}))
    progress.take("panic: not JSON\n")
    assert told == ["Apply complete!"]
    assert progress.errors == ["No bucket\nat all", "panic: not JSON"]


def test_nothing_of_the_host_leads_terraform_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "AWS_PROFILE",
        "AWS_CA_BUNDLE",
        "AWS_SESSION_TOKEN",
        "TF_CLI_CONFIG_FILE",
        "TF_VAR_name",
        "TF_WORKSPACE",
    ):
        monkeypatch.setenv(name, "the host's")
    monkeypatch.setenv("NO_PROXY", "intranet")
    monkeypatch.setenv("PIP_INDEX_URL", "kept")
    found = environment({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    assert {name for name in found if name.startswith(("AWS_", "TF_"))} == {"AWS_ENDPOINT_URL", "TF_IN_AUTOMATION"}
    assert (found["NO_PROXY"], found["PIP_INDEX_URL"]) == ("127.0.0.1,localhost", "kept")
    assert found["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)


def test_durable_functions_are_found_in_every_module_of_a_plan() -> None:
    def function(name: str, durable: list[dict[str, int]]) -> dict[str, Any]:
        return {"type": "aws_lambda_function", "values": {"function_name": name, "durable_config": durable}}

    config = {"execution_timeout": 900, "retention_period": 1}
    deep = {"resources": [function("durable", [config]), function("plain", [])]}
    plan = {"planned_values": {"root_module": {"child_modules": [{"child_modules": [deep]}]}}}
    assert durable_functions(plan) == {"durable": config}


@pytest.fixture
def terraform(tmp_path: Path, told: list[str]) -> Terraform:
    return Terraform(tmp_path, environment({}), told.append)


def test_a_plan_without_a_provider_is_made_applied_and_then_empty(terraform: Terraform, told: list[str]) -> None:
    (terraform.directory / "main.tf").write_text(
        'variable "name" {}\n'
        'resource "terraform_data" "this" { input = var.name }\n'
        'output "name" { value = var.name }\n'
    )
    terraform.init({"name": "orders"})
    assert terraform.changes() == ["create terraform_data.this", "output name"]
    terraform.apply()
    assert (terraform.outputs(), terraform.changes()) == ({"name": "orders"}, [])
    terraform.destroy()
    assert told == [
        "Apply complete! Resources: 1 added, 0 changed, 0 destroyed.",
        "Destroy complete! Resources: 1 destroyed.",
    ]


def test_what_terraform_says_of_a_failure_is_in_the_error(terraform: Terraform) -> None:
    (terraform.directory / "main.tf").write_text('resource "terraform_data" "this" { colour = "red" }\n')
    terraform.init({})
    with pytest.raises(TerraformError, match="colour"):
        terraform.plan()
