"""Plans of the root, the modules and the examples, without AWS and without credentials.

At the first plan ARNs are unknown, and so is every policy that names one. `Planner.settled` therefore plans twice: the
second time against a state that says that what has an ARN (log groups, functions, aliases, rules, ...) exists, with
the ARN that AWS would give it. Nothing is applied; what the second plan shows is worked out by Terraform and the
provider.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tftest

from sandbox.provider_bridge import validation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sandbox.provider_bridge.selection import Selection

ACCOUNT = "123456789012"
REGION = "us-east-2"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
SLACK = {
    "bot_token_secret_arn": f"{SECRET}slack-token-AbCdEf",
    "channel": "C0123ABCD",
    "signing_secret_secret_arn": f"{SECRET}slack-signing-AbCdEf",
}
BOTH: dict[str, Any] = {
    "approval_gate": {"approvers": ["U0123ABCD"]},
    "maintenance_gate": {},
    "name": "orders",
    "slack": SLACK,
    "tags": {"team": "orders"},
}

OFFLINE = """
provider "aws" {
  access_key                  = "offline"
  secret_key                  = "offline"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
}
"""


def arn(service: str, resource: str) -> str:
    """An ARN of the account and region that the plans are for."""
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


def exists(type_name: str, values: dict[str, Any]) -> dict[str, Any] | None:
    """What AWS would add to a planned resource on creation; None for types whose attributes nothing depends on."""
    name = values.get("name", "")
    given: dict[str, Any] | None = None
    match type_name:
        case "aws_cloudwatch_log_group":
            given = {"arn": arn("logs", f"log-group:{name}"), "id": name}
        case "aws_s3_bucket":
            bucket = values.get("bucket") or f"{values['bucket_prefix']}20260101"
            given = {"arn": f"arn:aws:s3:::{bucket}", "bucket": bucket, "id": bucket}
        case "aws_iam_role":
            given = {"arn": f"arn:aws:iam::{ACCOUNT}:role{values['path']}{name}", "id": name}
        case "aws_lambda_function":
            function = arn("lambda", f"function:{values['function_name']}")
            given = {"arn": function, "id": values["function_name"], "qualified_arn": f"{function}:1", "version": "1"}
        case "aws_lambda_alias":
            alias = arn("lambda", f"function:{values['function_name']}:{name}")
            invoke = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{alias}/invocations"
            given = {"arn": alias, "function_version": "1", "id": alias, "invoke_arn": invoke}
        case "aws_cloudwatch_event_rule":
            given = {"arn": arn("events", f"rule/{name}"), "id": name}
        case "aws_scheduler_schedule_group":
            given = {"arn": arn("scheduler", f"schedule-group/{name}"), "id": name}
        case "aws_apigatewayv2_api":
            endpoint = f"https://a1b2c3d4e5.execute-api.{REGION}.amazonaws.com"
            given = {"api_endpoint": endpoint, "execution_arn": arn("execute-api", "a1b2c3d4e5"), "id": "a1b2c3d4e5"}
        case "aws_sfn_state_machine":
            given = {"arn": arn("states", f"stateMachine:{name}"), "id": arn("states", f"stateMachine:{name}")}
    return given


@dataclass(frozen=True)
class Plan:
    """A plan as Terraform's JSON: https://developer.hashicorp.com/terraform/internals/json-format."""

    raw: dict[str, Any]

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """All planned resources by address."""
        return {resource["address"]: resource for resource in self._walk(self.raw["planned_values"]["root_module"])}

    @property
    def outputs(self) -> dict[str, Any]:
        """The known outputs."""
        outputs = self.raw["planned_values"].get("outputs", {})
        return {name: output["value"] for name, output in outputs.items() if "value" in output}

    @property
    def null_outputs(self) -> set[str]:
        """The outputs that are known to be null."""
        changes = self.raw.get("output_changes", {}).items()
        return {name for name, change in changes if change.get("after") is None and not change["after_unknown"]}

    @property
    def counts(self) -> dict[str, int]:
        """How many resources of each type."""
        return dict(Counter(resource["type"] for resource in self.resources.values()))

    @property
    def actions(self) -> dict[str, list[str]]:
        """What happens to each resource, by address."""
        return {change["address"]: change["change"]["actions"] for change in self.raw.get("resource_changes", [])}

    def of(self, type_name: str) -> dict[str, dict[str, Any]]:
        """The known values of all resources of a type, by address."""
        return {a: r["values"] for a, r in self.resources.items() if r["type"] == type_name}

    def one(self, address: str) -> dict[str, Any]:
        """The known values of the resource whose address ends so."""
        (values,) = (r["values"] for a, r in self.resources.items() if a == address or a.endswith(f".{address}"))
        return dict(values)

    def references(self, resource: str, module: str = "") -> set[str]:
        """What a resource's configuration names; `module` is a path of module calls such as approval_gate.function."""
        configuration = self.raw["configuration"]["root_module"]
        for name in filter(None, module.split(".")):
            configuration = configuration["module_calls"][name]["module"]
        (found,) = (r for r in configuration["resources"] if r["address"] == resource)
        return {*found.get("depends_on", []), *re.findall(r'"([\w.]+)"', json.dumps(found["expressions"]))}

    def state(self) -> dict[str, Any]:
        """A state in which everything that gets an ARN exists as planned."""
        resources: dict[tuple[str, str, str], dict[str, Any]] = {}
        for address, resource in self.resources.items():
            given = exists(resource["type"], resource["values"])
            if given is None:
                continue
            module = address.rpartition(f"{resource['type']}.{resource['name']}")[0].rstrip(".")
            entry = resources.setdefault(
                (module, resource["type"], resource["name"]),
                {
                    **({"module": module} if module else {}),
                    "instances": [],
                    "mode": "managed",
                    "name": resource["name"],
                    "provider": 'provider["registry.terraform.io/hashicorp/aws"]',
                    "type": resource["type"],
                },
            )
            instance = {"attributes": resource["values"] | given, "schema_version": resource["schema_version"]}
            entry["instances"].append(instance | ({"index_key": resource["index"]} if "index" in resource else {}))
        return {"lineage": "planned", "resources": list(resources.values()), "serial": 1, "version": 4}

    def _walk(self, module: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield from ({"values": {}} | r for r in module.get("resources", []) if r["mode"] == "managed")
        for child in module.get("child_modules", []):
            yield from self._walk(child)


class Planner:
    """Plans folders of the repository in scratch copies; each is initialised once."""

    def __init__(self, directory: Path, provider: Selection) -> None:
        self._directory = directory
        self._environment = provider.isolated()
        self._ready: dict[str, tftest.TerraformTest] = {}

    def add(self, folder: str, text: str) -> None:
        """Makes a folder that the repository does not have, with `text` as its main.tf, to be planned."""
        if folder in self._ready:
            raise ValueError(f"{folder} is there already: add it once, in a fixture, or choose another name")
        self._ready[folder] = self._initialise(folder, text)

    def plan(self, folder: str, variables: dict[str, Any], state: dict[str, Any] | None = None) -> Plan:
        """Plans a folder.

        Args:
            folder: relative to the repository, "." for the root.
            variables: values of its variables.
            state: what exists already; None means nothing.
        """
        terraform = self._prepare(folder, variables, state)
        return Plan(dict(terraform.plan(output=True, refresh=False)))

    def settled(self, folder: str, variables: dict[str, Any]) -> Plan:
        """Plans a folder with the ARNs known; see the module's docstring."""
        return self.plan(folder, variables, self.plan(folder, variables).state())

    def refused(self, folder: str, variables: dict[str, Any]) -> str:
        """Plans a folder that must be refused, and returns the messages in one line."""
        terraform = self._prepare(folder, variables, None)
        with pytest.raises(tftest.TerraformTestError) as failure:
            terraform.plan(refresh=False)
        return re.sub(r"[│╷╵\s]+", " ", failure.value.cmd_error)

    def _prepare(self, folder: str, variables: dict[str, Any], state: dict[str, Any] | None) -> tftest.TerraformTest:
        if folder not in self._ready:
            self._ready[folder] = self._initialise(folder)
        terraform = self._ready[folder]
        scratch = Path(terraform.tfdir)
        (scratch / "test.auto.tfvars.json").write_text(json.dumps(variables))
        (scratch / "terraform.tfstate").write_text(json.dumps(state or {"version": 4}))
        return terraform

    def _initialise(self, folder: str, text: str | None = None) -> tftest.TerraformTest:
        scratch = self._directory / str(len(self._ready))
        validation.copy(scratch)
        if text is not None:
            (scratch / folder).mkdir(parents=True)
            (scratch / folder / "main.tf").write_text(text)
        has_provider = any('provider "aws"' in file.read_text("utf-8") for file in (scratch / folder).glob("*.tf"))
        offline = "offline_override.tf" if has_provider else "offline.tf"
        (scratch / folder / offline).write_text(OFFLINE)
        terraform = tftest.TerraformTest(str(scratch / folder))
        terraform.env = self._environment
        terraform.init()
        return terraform


def statements(policy: str) -> dict[str, dict[str, Any]]:
    """The statements of a policy document, by their ids."""
    return {statement.pop("Sid"): statement for statement in json.loads(policy)["Statement"]}


@pytest.fixture(scope="session")
def planner(provider: Selection, tmp_path_factory: pytest.TempPathFactory) -> Planner:
    """Plans folders of the repository."""
    return Planner(tmp_path_factory.mktemp("plan"), provider)
