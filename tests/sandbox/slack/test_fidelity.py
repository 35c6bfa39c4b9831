"""What the local Slack sends has the form of what Slack sends: tests/fixtures/slack."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from slack_sdk import WebClient

from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE, APPROVALS, OUTSIDER, User

FIXTURES = Path(__file__).parents[2] / "fixtures" / "slack"


def fixture(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((FIXTURES / f"{name}.json").read_text())
    return data


def form(value: Any) -> Any:
    """Return the names of all fields and the types of all values."""
    if isinstance(value, dict):
        return {name: form(item) for name, item in value.items()}
    return [form(item) for item in value] if isinstance(value, list) else type(value).__name__


def without(blocks: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    """Return blocks as an app sends them: without what Slack adds."""
    removed = [{k: v for k, v in block.items() if k not in names} for block in blocks]
    return [{k: without([v], *names)[0] if isinstance(v, dict) else v for k, v in block.items()} for block in removed]


def sent(app_server: Any) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(app_server.received[-1].form["payload"][0])
    return payload


@pytest.mark.parametrize(
    ("name", "person"), [("block_actions_approve", ALICE), ("block_actions_shared_channel", OUTSIDER)]
)
def test_a_click_has_the_form_of_slacks(
    bot: WebClient, slack: SlackSandbox, app_server: Any, name: str, person: User
) -> None:
    slack.configure(request_url=app_server.url)
    real = fixture(name)
    blocks = without(real["message"]["blocks"], "emoji", "verbatim")
    bot.chat_postMessage(channel=APPROVALS.id, text=real["message"]["text"], blocks=blocks)
    slack.click(slack.messages()[0], "approve", person.id)
    payload = sent(app_server)
    assert form(payload) == form(real)
    assert [b["block_id"] for b in payload["message"]["blocks"]] == [b["block_id"] for b in real["message"]["blocks"]]
    for address in (payload["response_url"], real["response_url"]):
        assert re.fullmatch(r"https?://[^/]+/actions/T\w+/\d+/[\w-]+", address)
    for trigger in (payload["trigger_id"], real["trigger_id"]):
        assert re.fullmatch(r"\d+\.\d+\.[0-9a-f]{32}", trigger)
    assert (payload["user"]["team_id"] == payload["team"]["id"]) == (real["user"]["team_id"] == real["team"]["id"])


def test_a_submission_has_the_form_of_slacks(
    bot: WebClient, slack: SlackSandbox, app_server: Any, approval_blocks: list[dict[str, Any]]
) -> None:
    slack.configure(request_url=app_server.url)
    real = fixture("view_submission")
    bot.chat_postMessage(channel=APPROVALS.id, text="Deploy v1?", blocks=approval_blocks)
    slack.click(slack.messages()[0], "reject", ALICE.id)
    sendable = ("type", "title", "submit", "close", "callback_id", "private_metadata")
    view = {name: real["view"][name] for name in sendable}
    view["blocks"] = without(real["view"]["blocks"], "emoji", "optional", "dispatch_action", "dispatch_action_config")
    opened = bot.views_open(trigger_id=sent(app_server)["trigger_id"], view=view)
    slack.submit(slack.view(opened["view"]["id"]), {"reason": "because"})
    assert form(sent(app_server)) == form(real)
    assert sent(app_server)["view"]["state"] == real["view"]["state"]
