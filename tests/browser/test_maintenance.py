"""The local AWS's page: begin and end maintenance, watch executions hold and go on, ask, and read what was done."""

import re
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from sandbox.deployment import STATE_MACHINE, Sandbox
from sandbox.gates import Gates
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE
from sandbox.web.pages import PREFIX

EXECUTIONS = 3


@pytest.fixture
def page(sandbox: Sandbox, open_page: Any) -> Page:
    opened: Page = open_page(f"{sandbox.aws_url}{PREFIX}/")
    return opened


def gate(page: Page) -> Locator:
    return page.get_by_role("article", name=f"Gate of {STATE_MACHINE}")


def everything(page: Page) -> Locator:
    return page.get_by_role("article", name="All state machines")


def start(page: Page, number: int = EXECUTIONS) -> None:
    form = page.get_by_role("region", name=f"Start executions of {STATE_MACHINE}")
    form.get_by_label("How many").fill(str(number))
    form.get_by_role("button", name="Start").click()


def runs(page: Page) -> Locator:
    return page.get_by_role("table", name="Executions of state machines").get_by_role("row")


def test_executions_started_during_maintenance_are_parked_and_finish_when_it_ends(page: Page) -> None:
    gate(page).get_by_label("Reason").fill("New <disks>")
    gate(page).get_by_role("button", name="Begin maintenance").click()
    expect(gate(page)).to_contain_text("closed")
    expect(gate(page)).to_contain_text("by the AWS page: “New <disks>”")
    expect(gate(page).get_by_role("switch")).to_be_checked()
    start(page)
    parked = page.get_by_role("list", name=f"Parked tasks of {STATE_MACHINE}").get_by_role("listitem")
    expect(parked).to_have_count(EXECUTIONS)
    names = [link.inner_text() for link in parked.get_by_role("link").all()]
    for name in names:
        expect(runs(page).filter(has_text=name)).to_contain_text("RUNNING")
    gate(page).get_by_role("button", name="End maintenance").click()
    for name in names:
        expect(runs(page).filter(has_text=name)).to_contain_text("SUCCEEDED")
    expect(gate(page)).to_contain_text("Check-ins proceed at once.")
    expect(parked).to_have_count(0)
    runs(page).get_by_role("link", name=names[0]).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(names[0])
    expect(page.get_by_role("list", name="States")).to_contain_text("MaintenanceCheck")
    page.get_by_text("Output", exact=True).first.click()
    expect(page.get_by_text('"status": "resumed"').first).to_be_visible()


def test_the_tag_is_a_switch_that_works_by_keyboard(page: Page, gates: Gates) -> None:
    switch = gate(page).get_by_role("switch", name=f"Tag Maintenance of {STATE_MACHINE}")
    expect(switch).not_to_be_checked()
    switch.focus()
    page.keyboard.press("Space")
    expect(switch).to_be_checked()
    expect(gate(page)).to_contain_text("closed")
    assert gates.wait_for_gate("closed")
    expect(switch).to_be_focused()
    page.keyboard.press("Space")
    expect(switch).not_to_be_checked()
    expect(gate(page)).to_contain_text("Check-ins proceed at once.")
    assert gates.wait_for_gate("open")


def test_maintenance_of_all_holds_whatever_the_tags_say(page: Page) -> None:
    everything(page).get_by_role("button", name="Begin maintenance of all").click()
    expect(everything(page)).to_contain_text("closed")
    expect(gate(page)).to_contain_text("It is one of all that are in maintenance.")
    expect(gate(page).get_by_role("switch")).not_to_be_checked()
    everything(page).get_by_role("button", name="End maintenance of all").click()
    expect(everything(page).get_by_role("button", name="Begin maintenance of all")).to_be_visible()
    expect(gate(page)).to_contain_text("Check-ins proceed at once.")


def test_an_approval_asked_for_by_a_button_is_decided_in_slack_and_read_here(
    page: Page, slack: SlackSandbox, gates: Gates
) -> None:
    title = f"Ship <{uuid4()}>?"
    form = page.get_by_role("region", name="Ask for an approval")
    form.get_by_label("Question").fill(title)
    form.get_by_role("button", name="Ask").click()
    row = page.get_by_role("table", name="Durable executions").get_by_role("row").filter(has_text=title)
    expect(row).to_contain_text("RUNNING")
    row.get_by_role("link").click()
    operations = page.get_by_role("table", name="Operations")
    expect(operations).to_contain_text("waits for an answer from outside")
    message = page.get_by_role("link", name="its message in Slack")
    question = gates.question_titled(title)
    slack_page = re.compile(rf"{re.escape(slack.url)}{PREFIX}/\?in={question.channel}#m-{re.escape(question.ts)}")
    expect(message).to_have_attribute("href", slack_page)
    slack.click(question, "approve", ALICE.id)
    expect(page.get_by_role("heading", level=1)).to_contain_text("SUCCEEDED")
    expect(page.get_by_text('"decision": "approved"').first).to_be_visible()


def test_an_approval_that_a_workflow_asks_for_leads_back_to_it(page: Page, slack: SlackSandbox, gates: Gates) -> None:
    title = f"Refund {uuid4()}?"
    form = page.get_by_role("region", name=f"Start executions of {STATE_MACHINE}")
    form.get_by_label("Question for approval").fill(title)
    form.get_by_label("How many").fill("1")
    form.get_by_role("button", name="Start").click()
    question = gates.question_titled(title)
    runs(page).filter(has_text=title).get_by_role("link").click()
    expect(page.get_by_text("It asks for approval")).to_be_visible()
    slack.click(question, "approve", ALICE.id)
    expect(page.get_by_role("heading", level=1)).to_contain_text("SUCCEEDED")
    page.get_by_text("It asks for approval").get_by_role("link").click()
    expect(page.get_by_text("Asked by the execution")).to_be_visible()
    page.get_by_role("link", name="its function's log").click()
    expect(page.get_by_role("log", name="Log")).to_contain_text("request")


def test_what_cannot_be_started_is_said(page: Page) -> None:
    form = page.get_by_role("region", name=f"Start executions of {STATE_MACHINE}")
    form.get_by_label("How many").evaluate("input => { input.type = 'text'; input.value = 'many' }")
    form.get_by_role("button", name="Start").click()
    expect(page.get_by_role("alert")).to_have_text("'many' executions: give a whole number from 1 to 50")
