import json
import time
from typing import Any

import pytest
import requests
from slack_sdk import WebClient
from slack_sdk.signature import SignatureVerifier

from sandbox.slack.client import NotSeenError, SlackSandbox, SlackSandboxError
from sandbox.slack.server import SlackServer
from sandbox.slack.workspace import (
    ALICE,
    APPROVALS,
    OUTSIDER,
    STRANGER,
    Content,
    Message,
    SlackRefusal,
    Workspace,
)

Blocks = list[dict[str, Any]]


@pytest.fixture
def message(bot: WebClient, slack: SlackSandbox, app_server: Any, approval_blocks: Blocks) -> Message:
    slack.configure(request_url=app_server.url)
    metadata = {"event_type": "approval_request", "event_payload": {"execution": "abc"}}
    bot.chat_postMessage(channel=APPROVALS.id, text="Deploy v1?", blocks=approval_blocks, metadata=metadata)
    return slack.messages()[0]


def payload_of(received: Any) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(received.form["payload"][0])
    return payload


def test_a_click_is_signed_as_slack_signs_it(
    slack: SlackSandbox, server: SlackServer, message: Message, app_server: Any
) -> None:
    click = slack.click(message, "approve", ALICE.id)
    (received,) = app_server.received
    assert (click.outcome, click.status) == ("accepted", 200)
    assert SignatureVerifier(server.workspace.app.signing_secret).is_valid_request(received.body, received.headers)
    assert received.headers["content-type"] == "application/x-www-form-urlencoded"
    assert received.headers["user-agent"] == "Slackbot 1.0 (+https://api.slack.com/robots)"


def test_a_click_carries_the_documented_fields(slack: SlackSandbox, message: Message, app_server: Any) -> None:
    slack.click(message, "approve", ALICE.id)
    payload = payload_of(app_server.received[0])
    (action,) = payload.pop("actions")
    trigger_id, response_url = payload.pop("trigger_id"), payload.pop("response_url")
    shown = payload.pop("message")
    assert payload == {
        "type": "block_actions",
        "user": {"id": ALICE.id, "username": "alice", "name": "alice", "team_id": "T0SANDBOX"},
        "api_app_id": "A0GATES01",
        "token": "deprecated-verification-token",
        "container": {
            "type": "message",
            "message_ts": message.ts,
            "channel_id": APPROVALS.id,
            "is_ephemeral": False,
        },
        "team": {"id": "T0SANDBOX", "domain": "sandbox"},
        "enterprise": None,
        "is_enterprise_install": False,
        "channel": {"id": APPROVALS.id, "name": "approvals"},
        "state": {"values": {}},
    }
    assert (action["type"], action["action_id"], action["block_id"]) == ("button", "approve", "approval")
    assert action["value"] == '{"v":1,"d":"approve"}'
    assert float(action["action_ts"]) == pytest.approx(time.time(), abs=60)
    assert (shown["ts"], shown["blocks"]) == (message.ts, list(message.blocks))
    assert trigger_id
    assert response_url.startswith(f"{slack.url}/actions/")


def test_a_click_from_another_workspace_names_it(slack: SlackSandbox, message: Message, app_server: Any) -> None:
    slack.click(message, "approve", OUTSIDER.id)
    payload = payload_of(app_server.received[0])
    assert (payload["user"]["team_id"], payload["team"]["id"]) == ("T0PARTNER", "T0SANDBOX")


@pytest.mark.parametrize("how", [{"forged": True}, {"age": 301}])
def test_a_forged_or_old_click_does_not_pass_slacks_own_verifier(
    slack: SlackSandbox, server: SlackServer, message: Message, app_server: Any, how: dict[str, Any]
) -> None:
    slack.click(message, "approve", ALICE.id, **how)
    (received,) = app_server.received
    verifier = SignatureVerifier(server.workspace.app.signing_secret)
    assert not verifier.is_valid_request(received.body, received.headers)


def test_the_signing_secret_can_be_rotated(slack: SlackSandbox, message: Message, app_server: Any) -> None:
    slack.configure(signing_secret="rotated")
    slack.click(message, "approve", ALICE.id)
    (received,) = app_server.received
    assert SignatureVerifier("rotated").is_valid_request(received.body, received.headers)


def test_the_body_of_the_answer_to_a_button_is_ignored(slack: SlackSandbox, message: Message, app_server: Any) -> None:
    app_server.body = json.dumps({"replace_original": True, "text": "replaced"}).encode()
    click = slack.click(message, "approve", ALICE.id)
    assert json.loads(click.body)["text"] == "replaced"
    assert slack.messages() == (message,)


def test_an_answer_after_three_seconds_is_shown_as_timed_out(
    slack: SlackSandbox, message: Message, app_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.slack.interactivity.ANSWER_WITHIN", 0.05)
    app_server.answer.clear()
    click = slack.click(message, "approve", ALICE.id)
    assert (click.outcome, click.status) == ("timed out", None)
    assert len(app_server.received) == 1  # the app got it all the same


def test_an_error_answer_and_a_dead_app_are_shown_as_such(
    slack: SlackSandbox, message: Message, app_server: Any
) -> None:
    app_server.status = 401
    assert slack.click(message, "approve", ALICE.id).outcome == "refused"
    slack.configure(request_url="http://127.0.0.1:1/nobody")
    assert slack.click(message, "approve", ALICE.id).outcome == "unreachable"


def test_a_button_that_is_gone_can_only_be_clicked_on_a_stale_copy(
    slack: SlackSandbox, bot: WebClient, message: Message, app_server: Any
) -> None:
    bot.chat_update(channel=message.channel, ts=message.ts, text="Decided", blocks=[])
    with pytest.raises(SlackSandboxError, match=r"has no button 'approve', only \[\]"):
        slack.click(message, "approve", ALICE.id)
    slack.click(message, "approve", ALICE.id, revision=0)
    assert [a["action_id"] for a in payload_of(app_server.received[0])["actions"]] == ["approve"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"user": "U0NOBODY"}, "user_not_found"),
        ({"user": ALICE.id, "revision": 7}, "has no revision 7"),
        ({"user": ALICE.id, "colour": "red"}, "colour"),
    ],
)
def test_a_click_that_nobody_could_make_is_refused(
    slack: SlackSandbox, message: Message, change: dict[str, Any], problem: str
) -> None:
    with pytest.raises(SlackSandboxError, match=problem):
        slack.click(message, "approve", **change)


def test_clicking_before_the_request_url_is_set_says_so(
    slack: SlackSandbox, bot: WebClient, approval_blocks: Blocks
) -> None:
    bot.chat_postMessage(channel=APPROVALS.id, text="x", blocks=approval_blocks)
    with pytest.raises(SlackSandboxError, match="no request URL"):
        slack.click(slack.messages()[0], "approve", ALICE.id)


@pytest.fixture
def response_url(slack: SlackSandbox, message: Message, app_server: Any) -> str:
    slack.click(message, "approve", STRANGER.id)
    return str(payload_of(app_server.received[0])["response_url"])


def test_a_response_url_shows_a_note_to_who_clicked(slack: SlackSandbox, message: Message, response_url: str) -> None:
    note = {"response_type": "ephemeral", "replace_original": False, "text": "You may not decide this."}
    assert requests.post(response_url, json=note, timeout=10).status_code == 200
    seen = slack.wait_for_note(lambda n: n.user == STRANGER.id)
    assert (seen.text, seen.channel) == ("You may not decide this.", APPROVALS.id)
    assert slack.messages() == (message,)


def test_a_response_url_replaces_the_message_and_keeps_its_metadata(
    slack: SlackSandbox, message: Message, response_url: str, approval_blocks: Blocks
) -> None:
    locked = {"replace_original": True, "text": "Decided", "blocks": approval_blocks[:2]}
    assert requests.post(response_url, json=locked, timeout=10).ok
    replaced = slack.wait_for_message(lambda m: m.text == "Decided")
    assert (replaced.ts, replaced.actions()) == (message.ts, [])
    assert replaced.content.metadata == message.content.metadata


def test_a_response_url_deletes_the_message(slack: SlackSandbox, message: Message, response_url: str) -> None:
    assert requests.post(response_url, json={"delete_original": True}, timeout=10).ok
    assert slack.wait_for_message(lambda m: m.deleted).ts == message.ts


def test_a_response_url_posts_to_the_channel(slack: SlackSandbox, message: Message, response_url: str) -> None:
    assert requests.post(response_url, json={"response_type": "in_channel", "text": "Decided"}, timeout=10).ok
    assert slack.wait_for_message(lambda m: m.text == "Decided").ts > message.ts


def test_a_response_url_works_five_times(slack: SlackSandbox, response_url: str) -> None:
    answers = [requests.post(response_url, json={"text": str(n)}, timeout=10) for n in range(6)]
    assert [a.status_code for a in answers] == [200] * 5 + [404]
    assert answers[-1].json()["error"] == "used_url"
    assert [n.text for n in slack.changes().notes] == ["0", "1", "2", "3", "4"]


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


def test_a_response_url_works_for_half_an_hour() -> None:
    clock = Clock()
    workspace = Workspace(clock=clock)
    key = workspace.issue_response_url(ALICE, workspace.post(APPROVALS, Content(text="x")))
    clock.now += 30 * 60
    workspace.use_response_url(key)
    clock.now += 1
    with pytest.raises(SlackRefusal, match="expired_url"):
        workspace.use_response_url(key)


def test_a_trigger_opens_one_modal_within_three_seconds() -> None:
    clock = Clock()
    workspace = Workspace(clock=clock)
    trigger = workspace.issue_trigger(ALICE)
    assert workspace.open_view(trigger, {"type": "modal"}).user == ALICE.id
    with pytest.raises(SlackRefusal, match="exchanged_trigger_id"):
        workspace.open_view(trigger, {"type": "modal"})
    late = workspace.issue_trigger(ALICE)
    clock.now += 3.1
    with pytest.raises(SlackRefusal, match="expired_trigger_id"):
        workspace.open_view(late, {"type": "modal"})


def test_a_modal_is_opened_over_http(slack: SlackSandbox, bot: WebClient, message: Message, app_server: Any) -> None:
    slack.click(message, "approve", ALICE.id)
    view = {"type": "modal", "title": {"type": "plain_text", "text": "Why?"}, "blocks": [{"type": "divider"}]}
    bot.views_open(trigger_id=payload_of(app_server.received[0])["trigger_id"], view=view)
    (opened,) = slack.changes().views
    assert (opened.user, opened.view["title"]["text"]) == (ALICE.id, "Why?")


def test_waiting_ends_when_a_message_is_updated_to_match(slack: SlackSandbox, bot: WebClient, message: Message) -> None:
    version = slack.changes().version
    bot.chat_update(channel=message.channel, ts=message.ts, text="Decided")
    assert slack.changes(version, wait=10).messages[0].text == "Decided"
    with pytest.raises(NotSeenError, match="no such message"):
        slack.wait_for_message(lambda m: m.text == "never", timeout=0.1)
