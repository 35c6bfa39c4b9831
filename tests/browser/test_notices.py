"""The notice of a maintenance in the local Slack's page: its button asks before it ends anything."""

from typing import Any
from uuid import uuid4

from playwright.sync_api import expect

from sandbox.gates import Gates
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE, BOB, OPERATIONS


def test_a_maintenance_is_ended_by_its_button_once_that_is_confirmed(
    gates: Gates, slack: SlackSandbox, as_person: Any
) -> None:
    reason = f"Upgrade {uuid4()}"
    alice, bob = as_person(ALICE, OPERATIONS), as_person(BOB, OPERATIONS)
    gates.act("begin", reason=reason, by="operations")
    execution = gates.start()
    gates.wait_for_parked(1)
    end = alice.get_by_role("article").filter(has_text=reason).get_by_role("button", name="End maintenance")
    asks = alice.get_by_role("dialog", name="End this maintenance?")

    seen = slack.changes().version
    end.click()
    expect(asks).to_contain_text("Executions of Order go on at once")
    alice.keyboard.press("Escape")
    expect(asks).to_be_hidden()
    expect(end).to_be_focused()
    end.click()
    asks.get_by_role("button", name="Back").click()
    expect(asks).to_be_hidden()
    end.click()
    asks.get_by_role("button", name="End maintenance").click()

    for page in (alice, bob):
        notice = page.get_by_role("article").filter(has_text=reason)
        expect(notice).to_contain_text("1 resumed")
        expect(notice.get_by_role("button")).to_have_count(0)
    assert [click.user for click in slack.changes(seen).clicks] == [ALICE.id]
    assert gates.ended(execution).status == "SUCCEEDED"
