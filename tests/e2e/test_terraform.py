"""What Terraform finds after it has deployed: nothing to do, from any checkout; and after a destroy, nothing at all."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.deployment import EXAMPLE, Sandbox
from sandbox.gates import Gates


@pytest.fixture
def maintenance(gates: Gates) -> Iterator[None]:
    gates.begin_maintenance()
    gates.wait_for_gate("closed")
    yield
    gates.end_maintenance()
    gates.wait_for_gate("open")


@pytest.mark.usefixtures("maintenance")
def test_a_second_plan_is_empty_even_during_maintenance(sandbox: Sandbox) -> None:
    assert sandbox.terraform.changes() == []


def test_an_apply_from_another_checkout_changes_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    first = sandbox.terraform
    made_by_terraform = shutil.ignore_patterns(".terraform*", "*.tfplan", "*.tfstate*", "*.tfvars.json")
    shutil.copytree(sandbox.directory / "checkout", tmp_path / "elsewhere", ignore=made_by_terraform)
    second = replace(first, directory=tmp_path / "elsewhere" / EXAMPLE)
    shutil.copy2(first.directory / "terraform.tfstate", second.directory)
    second.init(first.variables())
    assert second.changes() == []
    before = sandbox.client("lambda").get_function(FunctionName="orders-approval")["Configuration"]["LastModified"]
    second.apply()
    after = sandbox.client("lambda").get_function(FunctionName="orders-approval")["Configuration"]["LastModified"]
    assert after == before
    assert second.outputs() == sandbox.outputs


def test_destroy_leaves_nothing(sandbox: Sandbox) -> None:
    sandbox.terraform.destroy()
    left = {
        "alarms": sandbox.client("cloudwatch").describe_alarms()["MetricAlarms"],
        "apis": sandbox.client("apigatewayv2").get_apis()["Items"],
        "buckets": sandbox.client("s3").list_buckets()["Buckets"],
        "functions": sandbox.client("lambda").list_functions()["Functions"],
        "log groups": sandbox.client("logs").describe_log_groups()["logGroups"],
        "policies": sandbox.client("iam").list_policies(Scope="Local")["Policies"],
        "roles": sandbox.client("iam").list_roles()["Roles"],
        "rules": sandbox.client("events").list_rules()["Rules"],
        "schedules": sandbox.client("scheduler").list_schedules()["Schedules"],
        "state machines": sandbox.client("stepfunctions").list_state_machines()["stateMachines"],
    }
    assert {kind: found for kind, found in left.items() if found} == {}
