from typing import Any

import pytest
import requests
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from sandbox.slack.client import SlackSandbox
from sandbox.slack.server import SlackServer
from sandbox.slack.workspace import ALICE, APPROVALS, APPROVERS_GROUP, BOB, NOT_JOINED, OUTSIDER

Blocks = list[dict[str, Any]]


def code_of(error: pytest.ExceptionInfo[SlackApiError]) -> str:
    return str(error.value.response["error"])


def test_the_token_says_who_the_bot_is(bot: WebClient) -> None:
    answer = bot.auth_test()
    assert (answer["team_id"], answer["user_id"], answer["bot_id"]) == ("T0SANDBOX", "U0GATESBOT", "B0GATESBOT")


@pytest.mark.parametrize(("token", "code"), [("", "not_authed"), ("xoxb-wrong", "invalid_auth")])
def test_a_missing_and_a_wrong_token_are_refused(server: SlackServer, token: str, code: str) -> None:
    client = WebClient(token=token or None, base_url=f"{server.url}/api/", retry_handlers=[])
    with pytest.raises(SlackApiError) as error:
        client.chat_postMessage(channel=APPROVALS.id, text="hello")
    assert code_of(error) == code
    assert server.workspace.messages(APPROVALS.id) == []


def test_a_posted_message_is_kept_with_the_ids_that_slack_adds(
    bot: WebClient, slack: SlackSandbox, approval_blocks: Blocks
) -> None:
    answer = bot.chat_postMessage(channel=APPROVALS.id, text="Deploy?", blocks=approval_blocks)
    (message,) = slack.messages()
    assert (message.channel, message.ts, message.text) == (APPROVALS.id, answer["ts"], "Deploy?")
    assert message.actions() == ["approve", "reject"]
    assert all(block["block_id"] for block in message.blocks)
    assert message.blocks[0]["text"] == {"type": "plain_text", "text": "Deploy v1?", "emoji": True}
    assert message.blocks[1]["text"]["verbatim"] is False
    assert answer["message"]["blocks"] == list(message.blocks)


def test_timestamps_are_unique_and_grow(bot: WebClient) -> None:
    stamps = [bot.chat_postMessage(channel=APPROVALS.id, text=str(n))["ts"] for n in range(20)]
    assert stamps == sorted(set(stamps), key=float)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"channel": "C0NOWHERE", "text": "x"}, "channel_not_found"),
        ({"channel": NOT_JOINED.id, "text": "x"}, "not_in_channel"),
        ({"channel": APPROVALS.id}, "no_text"),
        ({"text": "x"}, "invalid_arguments"),
        ({"channel": APPROVALS.id, "text": "x", "metadata": {"event_type": "a"}}, "invalid_metadata_format"),
        ({"channel": APPROVALS.id, "text": "x", "blocks": [{"type": "header"}]}, "invalid_blocks"),
    ],
)
def test_what_slack_refuses_is_refused_with_slacks_code(bot: WebClient, arguments: dict[str, Any], code: str) -> None:
    with pytest.raises(SlackApiError) as error:
        bot.api_call("chat.postMessage", json=arguments)
    assert code_of(error) == code


@pytest.mark.parametrize("body", ["{", "[]"])
def test_a_body_that_is_no_json_object_is_named(server: SlackServer, body: str) -> None:
    headers = {"Authorization": f"Bearer {server.workspace.app.bot_token}", "Content-Type": "application/json"}
    answer = requests.post(f"{server.url}/api/chat.postMessage", data=body, headers=headers, timeout=10)
    assert answer.json() == {"ok": False, "error": "invalid_json"}


def test_an_unknown_method_is_named(bot: WebClient) -> None:
    with pytest.raises(SlackApiError) as error:
        bot.api_call("chat.burn")
    assert (code_of(error), error.value.response["req_method"]) == ("unknown_method", "chat.burn")


def test_a_scope_that_the_token_lacks_is_named(bot: WebClient, slack: SlackSandbox) -> None:
    slack.configure(scopes=["chat:write"])
    with pytest.raises(SlackApiError) as error:
        bot.users_info(user=ALICE.id)
    assert code_of(error) == "missing_scope"
    assert (error.value.response["needed"], error.value.response["provided"]) == ("users:read", "chat:write")


def test_an_update_replaces_text_and_blocks_and_keeps_the_metadata(
    bot: WebClient, slack: SlackSandbox, approval_blocks: Blocks
) -> None:
    metadata = {"event_type": "approval_request", "event_payload": {"execution": "abc"}}
    ts = bot.chat_postMessage(channel=APPROVALS.id, text="Open", blocks=approval_blocks, metadata=metadata)["ts"]
    bot.chat_update(channel=APPROVALS.id, ts=ts, text="Closed", blocks=approval_blocks[:2])
    (message,) = slack.messages()
    assert (message.text, message.actions()) == ("Closed", [])
    assert message.content.metadata == metadata
    assert message.actions(revision=0) == ["approve", "reject"]


def test_an_update_with_text_alone_removes_the_blocks(
    bot: WebClient, slack: SlackSandbox, approval_blocks: Blocks
) -> None:
    ts = bot.chat_postMessage(channel=APPROVALS.id, text="Open", blocks=approval_blocks)["ts"]
    bot.chat_update(channel=APPROVALS.id, ts=ts, text="Closed")
    (message,) = slack.messages()
    assert (message.blocks, message.edited) == ((), True)


@pytest.mark.parametrize(
    ("change", "code"), [({"ts": "1.000000"}, "message_not_found"), ({"text": "x" * 4001}, "msg_too_long")]
)
def test_an_update_that_slack_refuses_changes_nothing(
    bot: WebClient, slack: SlackSandbox, change: dict[str, str], code: str
) -> None:
    ts = bot.chat_postMessage(channel=APPROVALS.id, text="Open")["ts"]
    with pytest.raises(SlackApiError) as error:
        bot.api_call("chat.update", json={"channel": APPROVALS.id, "ts": ts, "text": "Closed", **change})
    assert code_of(error) == code
    assert [m.text for m in slack.messages()] == ["Open"]


def test_history_is_paged_newest_first_without_replies(bot: WebClient) -> None:
    stamps = [bot.chat_postMessage(channel=APPROVALS.id, text=f"m{n}")["ts"] for n in range(5)]
    bot.chat_postMessage(channel=APPROVALS.id, text="reply", thread_ts=stamps[0])
    pages = [[m["text"] for m in page["messages"]] for page in bot.conversations_history(channel=APPROVALS.id, limit=2)]
    assert pages == [["m4", "m3"], ["m2", "m1"], ["m0"]]
    recent = bot.conversations_history(channel=APPROVALS.id, oldest=stamps[3])
    assert [m["text"] for m in recent["messages"]] == ["m4"]
    with_oldest = bot.conversations_history(channel=APPROVALS.id, oldest=stamps[3], inclusive=True)
    assert [m["text"] for m in with_oldest["messages"]] == ["m4", "m3"]


def test_history_shows_whole_metadata_only_when_asked(bot: WebClient) -> None:
    metadata = {"event_type": "approval_request", "event_payload": {"execution": "abc"}}
    bot.chat_postMessage(channel=APPROVALS.id, text="Open", metadata=metadata)
    (short,) = bot.conversations_history(channel=APPROVALS.id)["messages"]
    (whole,) = bot.conversations_history(channel=APPROVALS.id, include_all_metadata=True)["messages"]
    assert (short["metadata"], whole["metadata"]) == ({"event_type": "approval_request"}, metadata)


def test_methods_that_read_ignore_a_json_body(bot: WebClient) -> None:
    with pytest.raises(SlackApiError) as error:
        bot.api_call("conversations.history", json={"channel": APPROVALS.id})
    assert code_of(error) == "invalid_arguments"
    assert error.value.response["response_metadata"]["messages"] == ["[ERROR] missing required field: channel"]


def test_replies_start_with_the_message_they_answer(bot: WebClient) -> None:
    ts = bot.chat_postMessage(channel=APPROVALS.id, text="parent")["ts"]
    bot.chat_postMessage(channel=APPROVALS.id, text="other")
    bot.chat_postMessage(channel=APPROVALS.id, text="child", thread_ts=ts)
    thread = bot.conversations_replies(channel=APPROVALS.id, ts=ts)["messages"]
    assert [m["text"] for m in thread] == ["parent", "child"]


def test_a_direct_conversation_is_the_same_however_it_is_opened(bot: WebClient) -> None:
    opened = bot.conversations_open(users=ALICE.id)["channel"]["id"]
    posted = bot.chat_postMessage(channel=ALICE.id, text="psst")["channel"]
    assert opened == posted
    assert opened.startswith("D")


def test_people_and_groups_can_be_looked_up(bot: WebClient) -> None:
    assert bot.users_info(user=OUTSIDER.id)["user"]["team_id"] == "T0PARTNER"
    assert bot.usergroups_users_list(usergroup=APPROVERS_GROUP)["users"] == [ALICE.id, BOB.id]
    with pytest.raises(SlackApiError, match="no_such_subteam"):
        bot.usergroups_users_list(usergroup="S0NOBODY")


def test_a_private_note_is_seen_by_one_person_and_is_no_message(bot: WebClient, slack: SlackSandbox) -> None:
    bot.chat_postEphemeral(channel=APPROVALS.id, user=ALICE.id, text="only you")
    note = slack.wait_for_note(lambda n: n.user == ALICE.id)
    assert note.text == "only you"
    assert slack.messages() == ()


def test_a_permalink_points_to_the_message(bot: WebClient) -> None:
    ts = bot.chat_postMessage(channel=APPROVALS.id, text="here")["ts"]
    link = bot.chat_getPermalink(channel=APPROVALS.id, message_ts=ts)["permalink"]
    assert link == f"https://sandbox.slack.com/archives/{APPROVALS.id}/p{ts.replace('.', '')}"


def test_every_call_is_recorded_without_its_token(bot: WebClient, slack: SlackSandbox, server: SlackServer) -> None:
    bot.chat_postMessage(channel=APPROVALS.id, text="hello")
    bot.users_info(user=ALICE.id)
    with pytest.raises(SlackApiError):
        bot.chat_postMessage(channel="C0NOWHERE", text="hello")
    assert [(c.method, c.status, c.answer["ok"]) for c in slack.calls()] == [
        ("chat.postMessage", 200, True),
        ("users.info", 200, True),
        ("chat.postMessage", 200, False),
    ]
    assert server.workspace.app.bot_token not in str(slack.calls())
