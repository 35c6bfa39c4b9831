"""Approvers in the local Slack's page."""

import re
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Locator, Page, expect

from sandbox.gates import Gates
from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE, BOB, OUTSIDER, STRANGER, Message

# Far more than there are buttons and links on a page.
TABS = 200


def asked(gates: Gates, **changes: Any) -> tuple[str, Message]:
    execution = gates.ask({"title": f"Deploy {uuid4()}?", **changes})
    return execution, gates.question(execution)


def of(page: Page, message: Message) -> Locator:
    """Return a message where the page shows it."""
    return page.get_by_role("article").filter(has=page.get_by_role("heading", name=message.blocks[0]["text"]["text"]))


def buttons(message: Locator) -> Locator:
    return message.get_by_role("button", name=re.compile("Approve|Reject"))


def script_fault(page: Page, effect: str, of_what: str) -> None:
    """Choose a fault in the page's panel."""
    page.get_by_label("What goes wrong").select_option(label=effect)
    page.get_by_label("With the next").select_option(label=of_what)
    page.get_by_role("button", name="Add fault").click()
    expect(page.get_by_role("list", name="Faults to come").get_by_role("listitem")).to_have_count(1)


def test_a_click_approves_and_everybody_sees_who_did(gates: Gates, as_person: Any) -> None:
    execution, question = asked(gates)
    alice, bob = as_person(ALICE), as_person(BOB)
    of(alice, question).get_by_role("button", name="Approve").click()
    for page in (alice, bob):
        expect(of(page, question)).to_contain_text("Approved by @Alice Approver")
        expect(buttons(of(page, question))).to_have_count(0)
    assert gates.decision(execution).output["decision"] == "approved"


def test_a_rejection_asks_for_its_reason_and_shows_what_is_missing(gates: Gates, as_person: Any) -> None:
    execution, question = asked(gates, reason={"on_reject": "required"})
    page = as_person(ALICE)
    of(page, question).get_by_role("button", name="Reject").click()
    modal = page.get_by_role("dialog")
    reason = modal.get_by_role("textbox")
    expect(reason).to_be_focused()
    # What Slack checks itself, and what only the app can know.
    for answer, problem in (("", "has to be filled in"), ("   ", "Please say why.")):
        reason.fill(answer)
        modal.get_by_role("button", name="Reject").click()
        expect(modal.get_by_role("alert")).to_contain_text([problem])
        expect(reason).to_be_focused()
        expect(reason).to_have_value(answer)
    reason.fill("Not on <Fridays>")
    modal.get_by_role("button", name="Reject").click()
    expect(modal).to_have_count(0)
    expect(of(page, question)).to_contain_text("Rejected by @Alice Approver")
    expect(of(page, question)).to_contain_text("Not on <Fridays>")
    assert gates.decision(execution).output["reason"] == "Not on <Fridays>"


def test_what_slack_checks_in_a_modal_is_shown_at_each_input(gates: Gates, as_person: Any) -> None:
    execution, question = asked(
        gates,
        inputs=[
            {"name": "hosts", "label": "Hosts", "type": "number", "required": True, "min": 1, "max": 8},
            {"name": "size", "label": "Size", "type": "select", "options": ["S", "M"], "required": True},
            {"name": "day", "label": "Day", "type": "date", "min": "2026-01-01"},
            {"name": "read", "label": "I have read it", "type": "checkbox", "required": True},
        ],
    )
    page = as_person(ALICE)
    of(page, question).get_by_role("button", name="Approve").click()
    modal = page.get_by_role("dialog")
    modal.get_by_label("Hosts").fill("9")
    modal.get_by_role("button", name="Approve").click()
    expect(modal.get_by_role("alert")).to_have_count(3)
    expect(modal.get_by_label("Hosts")).to_have_accessible_description(re.compile("out of range"))
    modal.get_by_label("Hosts").fill("3")
    modal.get_by_label("Size").select_option("M")
    modal.get_by_label("Day").fill("2025-12-31")
    modal.get_by_role("checkbox").check()
    modal.get_by_role("button", name="Approve").click()
    expect(modal.get_by_role("alert")).to_have_text(["Please use 2026-01-01 or later."])
    modal.get_by_label("Day").fill("2026-12-24")
    modal.get_by_role("button", name="Approve").click()
    expect(modal).to_have_count(0)
    inputs = gates.decision(execution).output["inputs"]
    assert inputs == {"hosts": 3, "size": "M", "day": "2026-12-24", "read": True}


def test_two_people_make_a_quorum_each_in_an_own_window(gates: Gates, as_person: Any) -> None:
    execution, question = asked(gates, quorum=2)
    alice, bob = as_person(ALICE), as_person(BOB)
    of(alice, question).get_by_role("button", name="Approve").click()
    for page in (alice, bob):
        expect(of(page, question)).to_contain_text("1 of 2")
    of(bob, question).get_by_role("button", name="Approve").click()
    for page in (alice, bob):
        expect(buttons(of(page, question))).to_have_count(0)
    assert {by["id"] for by in gates.decision(execution).output["decided_by"]} == {ALICE.id, BOB.id}


@pytest.mark.parametrize("person", [STRANGER, OUTSIDER], ids=lambda person: person.role)
def test_who_may_not_decide_is_told_so_and_nobody_else_sees_it(gates: Gates, as_person: Any, person: Any) -> None:
    execution, question = asked(gates)
    alice, stranger = as_person(ALICE), as_person(person)
    of(stranger, question).get_by_role("button", name="Approve").click()
    note = stranger.get_by_role("article", name="Private note").last
    expect(note).to_contain_text("Only visible to you")
    refusal = "You cannot decide this request"
    expect(note).to_contain_text(refusal)
    expect(buttons(of(stranger, question))).to_have_count(2)
    of(alice, question).get_by_role("button", name="Approve").click()
    expect(buttons(of(alice, question))).to_have_count(0)
    expect(alice.get_by_text(refusal)).to_have_count(0)
    assert [by["id"] for by in gates.decision(execution).output["decided_by"]] == [ALICE.id]


def test_a_request_can_be_approved_by_keyboard_alone(gates: Gates, as_person: Any) -> None:
    execution, question = asked(gates, reason={"on_approve": "required"})
    page = as_person(ALICE)
    tab_to(page, of(page, question).get_by_role("button", name="Approve"))
    page.keyboard.press("Enter")
    modal = page.get_by_role("dialog")
    expect(modal.get_by_role("textbox")).to_be_focused()
    page.keyboard.press("Escape")
    expect(modal).to_have_count(0)
    # Whoever thinks better of it is where they were.
    expect(of(page, question).get_by_role("button", name="Approve")).to_be_focused()
    page.keyboard.press("Space")
    expect(modal.get_by_role("textbox")).to_be_focused()
    page.keyboard.type("All checked")
    tab_to(page, modal.get_by_role("button", name="Approve"))
    page.keyboard.press("Enter")
    expect(modal).to_have_count(0)
    expect(of(page, question)).to_be_focused()
    assert gates.decision(execution).output["reason"] == "All checked"


def test_a_modal_keeps_the_keyboard_to_itself(gates: Gates, as_person: Any) -> None:
    _, question = asked(gates, reason={"on_reject": "required"})
    page = as_person(ALICE)
    of(page, question).get_by_role("button", name="Reject").click()
    expect(page.get_by_role("dialog").get_by_role("textbox")).to_be_focused()
    for _ in range(6):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")


def test_a_message_that_slack_failed_to_take_comes_once(gates: Gates, as_person: Any) -> None:
    page = as_person(ALICE)
    script_fault(page, "HTTP 500", "chat.postMessage")
    _, question = asked(gates)
    expect(page.get_by_role("list", name="What the app called")).to_contain_text("500 internal_error")
    expect(of(page, question)).to_have_count(1)
    expect(page.get_by_role("list", name="Faults to come")).to_have_count(0)


def test_a_click_that_never_arrives_is_shown_at_its_button_and_can_be_repeated(gates: Gates, as_person: Any) -> None:
    execution, question = asked(gates)
    page = as_person(ALICE)
    script_fault(page, "Connection dropped before it is accepted", "click or submission")
    approve = of(page, question).get_by_role("button", name="Approve")
    approve.click()
    expect(of(page, question).get_by_role("alert")).to_contain_text("could not be reached")
    assert gates.status(execution) == "RUNNING"
    approve.click()
    expect(of(page, question)).to_contain_text("Approved by @Alice Approver")
    expect(of(page, question).get_by_role("alert")).to_have_count(0)


def test_an_answer_that_comes_too_late_is_shown_as_slack_shows_it(gates: Gates, as_person: Any) -> None:
    _, question = asked(gates)
    page = as_person(STRANGER)
    script_fault(page, "5 seconds late", "click or submission")
    of(page, question).get_by_role("button", name="Approve").click()
    expect(of(page, question).get_by_role("alert")).to_contain_text(
        "Operation timed out. Apps need to respond within 3 seconds."
    )


def test_a_modal_whose_submission_is_not_answered_stays_with_what_was_written(
    gates: Gates, slack: SlackSandbox, as_person: Any
) -> None:
    execution, question = asked(gates, reason={"on_reject": "required"})
    page = as_person(ALICE)
    of(page, question).get_by_role("button", name="Reject").click()
    modal = page.get_by_role("dialog")
    modal.get_by_role("textbox").fill("Not today")
    slack.add_fault("request_url", drop="before")
    modal.get_by_role("button", name="Reject").click()
    expect(modal.get_by_role("alert")).to_contain_text("We had some trouble connecting. Try again?")
    modal.get_by_role("button", name="Reject").click()
    expect(modal).to_have_count(0)
    assert gates.decision(execution).output["reason"] == "Not today"


def tab_to(page: Page, target: Locator) -> None:
    for _ in range(TABS):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    pytest.fail(f"Tab never comes to {target}")
