"""A button that asks before it is sent, in the local Slack's page."""

from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect
from slack_sdk import WebClient

from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE, OPERATIONS
from sandbox.web.pages import PREFIX

TITLE = "Are you sure?"
CONFIRM = {
    "title": {"type": "plain_text", "text": TITLE},
    "text": {"type": "plain_text", "text": "It cannot be undone."},
    "confirm": {"type": "plain_text", "text": "Do it"},
    "deny": {"type": "plain_text", "text": "Back"},
    "style": "danger",
}


@pytest.fixture
def label(slack: SlackSandbox) -> str:
    """The text of a button that asks first."""
    text = f"Remove {uuid4().hex[:8]}"
    button = {
        "type": "button",
        "action_id": "remove",
        "text": {"type": "plain_text", "text": text},
        "style": "danger",
        "confirm": CONFIRM,
    }
    bot = WebClient(token=slack.app()["bot_token"], base_url=slack.api_url)
    bot.chat_postMessage(channel=OPERATIONS.id, text=text, blocks=[{"type": "actions", "elements": [button]}])
    return text


@pytest.mark.parametrize("leave", ["Escape", "Back"])
def test_a_button_that_asks_first_is_sent_only_once_that_is_confirmed(
    slack: SlackSandbox, as_person: Any, label: str, leave: str
) -> None:
    page: Page = as_person(ALICE, OPERATIONS)
    seen = slack.changes().version
    button = page.get_by_role("button", name=label)
    asks = page.get_by_role("dialog", name=TITLE)

    button.click()
    expect(asks).to_contain_text("It cannot be undone.")
    if leave == "Escape":
        page.keyboard.press("Escape")
    else:
        asks.get_by_role("button", name=leave).click()
    expect(asks).to_be_hidden()
    expect(button).to_be_focused()

    button.click()
    with page.expect_response(f"{slack.url}{PREFIX}/click"):
        asks.get_by_role("button", name="Do it").click()
    expect(asks).to_be_hidden()
    assert [(click.user, click.action_id) for click in slack.changes(seen).clicks] == [(ALICE.id, "remove")]
