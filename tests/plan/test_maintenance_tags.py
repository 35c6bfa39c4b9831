"""A stack that manages the tags of its state machine, applied in the middle of a maintenance.

The maintenance is in the state, as a refresh would have found it: the gate, the console or the CLI set the tags.
"""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from maintenance.source import NO_END, TAG, UNTIL
from tests.plan.conftest import ACCOUNT, arn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.plan.conftest import Plan, Planner

FOLDER = "stacks/tags"
DEFINITION = '{"StartAt":"Wait","States":{"Wait":{"Type":"Succeed"}}}'  # as jsonencode() writes it
ROLE = f"arn:aws:iam::{ACCOUNT}:role/order"
# `guarded` is what the README and the examples say.
STACK = """
variable "default_tags" {
  type = map(string)
}

variable "states" {
  type = string
}

variable "team" {
  type = string
}

provider "aws" {
  region = "us-east-2"

  endpoints {
    sfn = var.states
  }

  default_tags {
    tags = var.default_tags
  }
}

locals {
  definition = jsonencode({ StartAt = "Wait", States = { Wait = { Type = "Succeed" } } })
}

resource "aws_sfn_state_machine" "bare" {
  name       = "Bare"
  role_arn   = "ROLE"
  definition = local.definition
  tags       = { team = var.team }
}

resource "aws_sfn_state_machine" "guarded" {
  name       = "Guarded"
  role_arn   = "ROLE"
  definition = local.definition
  tags       = { team = var.team }

  lifecycle {
    ignore_changes = [
      tags["Maintenance"], tags["MaintenanceUntil"], tags_all["Maintenance"], tags_all["MaintenanceUntil"],
    ]
  }
}

resource "aws_sfn_state_machine" "untagged" {
  name       = "Untagged"
  role_arn   = "ROLE"
  definition = local.definition

  lifecycle {
    ignore_changes = [
      tags["Maintenance"], tags["MaintenanceUntil"], tags_all["Maintenance"], tags_all["MaintenanceUntil"],
    ]
  }
}
""".replace("ROLE", ROLE)
MAINTENANCE = {TAG: "true", UNTIL: NO_END}  # as the action begin writes them
DEFAULTS = pytest.mark.parametrize("defaults", [{}, {"owner": "platform"}], ids=["no default tags", "default tags"])


class _States(BaseHTTPRequestHandler):
    """Step Functions as far as a plan asks it: the provider has every known definition validated."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["X-Amz-Target"] == "AWSStepFunctions.ValidateStateMachineDefinition"
        answer = json.dumps({"diagnostics": [], "result": "OK"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def states(planner: Planner) -> Iterator[str]:
    """The address of a Step Functions for plans of the stack."""
    planner.add(FOLDER, STACK)
    with ThreadingHTTPServer(("127.0.0.1", 0), _States) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def in_maintenance(planner: Planner, states: str, defaults: dict[str, str], team: str = "orders") -> Plan:
    """Plans the stack while all of its state machines are in maintenance."""
    machines = {"bare": {"team": "orders"}, "guarded": {"team": "orders"}, "untagged": {}}
    resources = [machine(name, own | MAINTENANCE, defaults) for name, own in machines.items()]
    state = {"lineage": "maintenance", "resources": resources, "serial": 1, "version": 4}
    return planner.plan(FOLDER, {"default_tags": defaults, "states": states, "team": team}, state)


def machine(name: str, tags: dict[str, str], defaults: dict[str, str]) -> dict[str, Any]:
    """A state machine in a state, as the provider reads it: default tags are in `tags_all` only."""
    machine_arn = arn("states", f"stateMachine:{name.title()}")
    attributes = {
        "arn": machine_arn,
        "definition": DEFINITION,
        "id": machine_arn,
        "name": name.title(),
        "publish": False,
        "role_arn": ROLE,
        "tags": tags,
        "tags_all": defaults | tags,
        "type": "STANDARD",
    }
    return {
        "instances": [{"attributes": attributes, "schema_version": 0}],
        "mode": "managed",
        "name": name,
        "provider": 'provider["registry.terraform.io/hashicorp/aws"]',
        "type": "aws_sfn_state_machine",
    }


def change(plan: Plan, name: str) -> tuple[list[str], dict[str, str] | None, dict[str, str]]:
    """What happens to a state machine, and its tags after that."""
    (found,) = (c["change"] for c in plan.raw["resource_changes"] if c["address"] == f"aws_sfn_state_machine.{name}")
    return found["actions"], found["after"]["tags"], found["after"]["tags_all"]


@DEFAULTS
def test_an_apply_in_the_middle_of_a_maintenance_ends_it_unless_the_tags_are_ignored(
    planner: Planner, states: str, defaults: dict[str, str]
) -> None:
    plan = in_maintenance(planner, states, defaults)

    own = {"team": "orders"}
    assert change(plan, "bare") == (["update"], own, defaults | own)
    assert change(plan, "guarded") == (["no-op"], own | MAINTENANCE, defaults | own | MAINTENANCE)
    assert change(plan, "untagged") == (["no-op"], MAINTENANCE, defaults | MAINTENANCE)


@DEFAULTS
def test_other_tags_still_change_during_a_maintenance(planner: Planner, states: str, defaults: dict[str, str]) -> None:
    plan = in_maintenance(planner, states, defaults, team="billing")

    own = {"team": "billing"} | MAINTENANCE
    assert change(plan, "guarded") == (["update"], own, defaults | own)
