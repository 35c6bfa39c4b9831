"""README's screenshots show what happens; `make screenshots` writes them anew."""

from typing import Any

from playwright.sync_api import expect

from sandbox.deployment import STATE_MACHINE, Sandbox
from sandbox.gates import Gates
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE, BOB, REQUESTER
from sandbox.web.pages import PREFIX


def test_the_local_slack_with_a_decided_and_a_waiting_request(
    gates: Gates, slack: SlackSandbox, as_person: Any, picture: Any
) -> None:
    decided = gates.ask(
        {
            "title": "Refund order 4711?",
            "fields": {"Amount": "1,250.00 EUR", "Customer since": "2019"},
            "requester": REQUESTER.id,
            "reason": {"on_reject": "optional"},
        }
    )
    slack.click(gates.question(decided), "approve", BOB.id)
    gates.locked(gates.question(decided))
    waiting = gates.ask(
        {
            "title": "Ship release 1.4 to production?",
            "description": "Contains the new price calculation. Roll-back takes two minutes.",
            "fields": {"Change": "CHG-1042", "Tests": "passed"},
            "requester": REQUESTER.id,
            "quorum": 2,
            "reminders": [3],
        }
    )
    question = gates.question(waiting)
    slack.click(question, "approve", BOB.id)
    gates.replies(question, 1)
    page = as_person(ALICE, viewport={"width": 1160, "height": 700})
    expect(page.get_by_text("1 of 2")).to_be_visible()
    picture(page, "slack")


def test_the_local_aws_with_executions_that_maintenance_holds(
    gates: Gates, sandbox: Sandbox, open_page: Any, picture: Any
) -> None:
    gates.ended(gates.start())
    gates.act("begin", reason="Upgrade of the database", by="operations")
    held = [gates.start() for _ in range(3)]
    gates.wait_for_parked(3)
    page = open_page(f"{sandbox.aws_url}{PREFIX}/", viewport={"width": 1160, "height": 740})
    parked = page.get_by_role("list", name=f"Parked tasks of {STATE_MACHINE}").get_by_role("listitem")
    expect(parked).to_have_count(len(held))
    picture(page, "aws")
    gates.act("end")
    assert {gates.ended(execution).status for execution in held} == {"SUCCEEDED"}
