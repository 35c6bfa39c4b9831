import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import requests
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from sandbox.slack.client import SlackSandbox
from sandbox.slack.workspace import ALICE, APPROVALS, BOB, NOT_JOINED, OPERATIONS, Channel, User
from tests.sandbox.reader import Element, read

Blocks = list[dict[str, Any]]

MODAL: dict[str, Any] = {
    "type": "modal",
    "title": {"type": "plain_text", "text": "Reject"},
    "submit": {"type": "plain_text", "text": "Send"},
    "blocks": [
        {
            "type": "input",
            "block_id": "reason",
            "label": {"type": "plain_text", "text": "Reason"},
            "element": {"type": "plain_text_input", "action_id": "answer", "multiline": True},
        },
        {
            "type": "input",
            "block_id": "checks",
            "optional": True,
            "label": {"type": "plain_text", "text": "Checks"},
            "element": {
                "type": "checkboxes",
                "action_id": "answer",
                "options": [
                    {"text": {"type": "mrkdwn", "text": f"*{name}*"}, "value": name} for name in ("one", "two", "three")
                ],
            },
        },
    ],
}


@dataclass(frozen=True)
class Window:
    """The page in the browser of one person."""

    url: str
    user: User

    def address(self, channel: Channel | str = APPROVALS) -> str:
        channel_id = channel if isinstance(channel, str) else channel.id
        return f"{self.url}/_page/?as={self.user.id}&in={channel_id}"

    def show(self, channel: Channel | str = APPROVALS) -> Element:
        answer = requests.get(self.address(channel), timeout=30)
        assert answer.status_code == 200, answer.text
        return read(answer.text)

    def press(self, page: Element, ts: str, action: str, **fields: Any) -> requests.Response:
        """Press a button of a message, as the page shows it."""
        assert button(page, ts, action).all("button", name="action_id")
        (form,) = message(page, ts).all("form", action="/_page/click")
        return self.send(form, action_id=action, **fields)

    def send(self, form: Element, **fields: Any) -> requests.Response:
        return requests.post(
            f"{self.url}{form.attributes['action']}",
            data={**form.fields(), **fields},
            timeout=30,
            allow_redirects=False,
        )


@pytest.fixture
def alice(slack: SlackSandbox) -> Window:
    return Window(slack.url, ALICE)


@pytest.fixture
def bob(slack: SlackSandbox) -> Window:
    return Window(slack.url, BOB)


@pytest.fixture
def ts(bot: WebClient, slack: SlackSandbox, app_server: Any, approval_blocks: Blocks) -> str:
    slack.configure(request_url=app_server.url)
    return str(bot.chat_postMessage(channel=APPROVALS.id, text="Deploy v1?", blocks=approval_blocks)["ts"])


@pytest.fixture
def modal(bot: WebClient, alice: Window, app_server: Any, ts: str) -> str:
    alice.press(alice.show(), ts, "reject")
    trigger_id = payloads(app_server)[-1]["trigger_id"]
    app_server.received.clear()
    return str(bot.views_open(trigger_id=trigger_id, view=MODAL)["view"]["id"])


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slack waits for half a second only."""
    monkeypatch.setattr("sandbox.slack.interactivity.ANSWER_WITHIN", 0.5)


def payloads(app_server: Any) -> list[dict[str, Any]]:
    return [json.loads(received.form["payload"][0]) for received in app_server.received]


def message(page: Element, ts: str) -> Element:
    (found,) = page.all("article", id=f"m-{ts}")
    return found


def button(page: Element, ts: str, action: str) -> Element:
    """A button of a message, with what is marked at it."""
    controls = message(page, ts).all("div", **{"class": "control"})
    (found,) = [control for control in controls if control.all("button", value=action)]
    return found


def dialog(page: Element, modal: str) -> Element:
    (found,) = page.all("dialog", id=f"view-{modal}")
    assert "data-modal" in found.attributes
    return found


def test_the_root_leads_to_the_page(slack: SlackSandbox) -> None:
    answer = requests.get(slack.url, timeout=30)
    assert (answer.status_code, answer.url) == (200, f"{slack.url}/_page/")


def test_everybody_sees_the_channels_and_only_the_own_direct_messages(
    bot: WebClient, alice: Window, bob: Window
) -> None:
    direct = str(bot.chat_postMessage(channel=ALICE.id, text="for Alice only")["channel"])
    assert "for Alice only" in alice.show(direct).text
    for channel in (direct, "C0UNKNOWN"):
        page = bob.show(channel)
        assert "for Alice only" not in page.text
        assert page.all("h1")[0].text == "# approvals"
    links = [link.attributes["href"] for link in bob.show().all("a") if "in=" in link.attributes.get("href", "")]
    assert not any(direct in link for link in links)
    assert {c.id for c in (APPROVALS, OPERATIONS, NOT_JOINED)} <= {link.rpartition("=")[2] for link in links}


def test_a_channel_without_the_app_says_what_posting_there_leads_to(alice: Window) -> None:
    assert "refused with not_in_channel" in alice.show(NOT_JOINED).text
    assert "refused with not_in_channel" not in alice.show(OPERATIONS).text


def test_all_kinds_of_blocks_are_shown(bot: WebClient, alice: Window) -> None:
    confirm = {
        "title": {"type": "plain_text", "text": "Sure?"},
        "text": {"type": "mrkdwn", "text": "It *cannot* be undone."},
        "confirm": {"type": "plain_text", "text": "Do it"},
        "deny": {"type": "plain_text", "text": "Leave it"},
        "style": "danger",
    }
    end = {
        "type": "button",
        "action_id": "end",
        "style": "danger",
        "text": {"type": "plain_text", "text": "End"},
        "confirm": confirm,
        "accessibility_label": "End the maintenance",
    }
    blocks: Blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Ship <it>?"}},
        {"type": "section", "text": {"type": "mrkdwn", "text": f"by <@{ALICE.id}>"}},
        {"type": "section", "fields": [{"type": "plain_text", "text": "Order\n<b>1</b>"}]},
        {"type": "divider"},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "until <!date^0^{date}|1970>"}]},
        {"type": "actions", "elements": [end]},
    ]
    ts = str(bot.chat_postMessage(channel=APPROVALS.id, text="x", blocks=blocks)["ts"])
    shown = message(alice.show(), ts)
    assert [h.text for h in shown.all("h3")] == ["Ship <it>?"]
    assert [m.text for m in shown.all("span", **{"class": "mention me"})] == ["@Alice Approver"]
    assert "Order <b>1</b>" in shown.text
    assert shown.all("b") == []
    assert len(shown.all("hr")) == 1
    times = [(t.attributes["datetime"], t.text) for t in shown.all("time")]
    assert ("1970-01-01T00:00:00+00:00", "1970") in times
    (pressed,) = button(alice.show(), ts, "end").all("button", **{"class": "danger"})
    assert (pressed.text, pressed.attributes["aria-label"]) == ("End", "End the maintenance")
    (asks,) = shown.all("dialog", id=pressed.attributes["data-confirm"])
    assert "It cannot be undone." in asks.text
    assert [(b.text, b.attributes["value"]) for b in asks.all("button")] == [("Do it", "confirm"), ("Leave it", "")]


def test_replies_are_shown_in_the_thread_of_what_they_answer(bot: WebClient, alice: Window, ts: str) -> None:
    reply = str(bot.chat_postMessage(channel=APPROVALS.id, text="still waiting", thread_ts=ts)["ts"])
    (thread,) = message(alice.show(), ts).all("details")
    assert thread.all("summary")[0].text == "1 reply"
    assert [article.attributes["id"] for article in thread.all("article")] == [f"m-{reply}"]
    assert len(alice.show().all("article", id=f"m-{reply}")) == 1


def test_an_update_is_shown_in_the_place_of_what_it_replaces(bot: WebClient, alice: Window, ts: str) -> None:
    bot.chat_update(channel=APPROVALS.id, ts=ts, text="Decided *now*")
    shown = message(alice.show(), ts)
    assert "Decided now" in shown.text
    assert "Deploy v1?" not in shown.text
    assert "(edited)" in shown.text
    assert shown.all("form") == []


def test_only_the_last_hundred_messages_are_shown(bot: WebClient, alice: Window) -> None:
    sent = [str(bot.chat_postMessage(channel=APPROVALS.id, text=f"number {n}")["ts"]) for n in range(102)]
    page = alice.show()
    assert [a.attributes["id"] for a in page.all("article")] == [f"m-{ts}" for ts in sent[2:]]
    assert "2 older ones are not shown." in page.text


def test_a_click_goes_to_the_app_with_the_copy_that_the_window_shows(
    bot: WebClient, alice: Window, ts: str, app_server: Any, approval_blocks: Blocks
) -> None:
    stale = alice.show()
    bot.chat_update(channel=APPROVALS.id, ts=ts, text="Decided", blocks=approval_blocks[:2])
    assert alice.press(stale, ts, "approve").status_code == 204
    (payload,) = payloads(app_server)
    assert (payload["user"]["id"], payload["actions"][0]["action_id"]) == (ALICE.id, "approve")
    assert [block["type"] for block in payload["message"]["blocks"]] == ["header", "section", "actions"]


def test_a_click_on_a_message_that_is_gone_is_refused_with_the_reason(alice: Window, ts: str, app_server: Any) -> None:
    page = alice.show()
    alice.press(page, ts, "approve")
    requests.post(payloads(app_server)[0]["response_url"], json={"delete_original": True}, timeout=30)
    assert alice.show().all("article") == []
    answer = alice.press(page, ts, "approve")
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert "message_not_found" in answer.text


LATE = "Operation timed out. Apps need to respond within 3 seconds."


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    ("fault", "shown"),
    [
        ({"drop": "before"}, "This app could not be reached."),
        ({"drop": "after"}, LATE),
        ({"delay": 1.0}, LATE),
    ],
    ids=["dropped before", "dropped after", "late"],
)
def test_a_click_that_fails_on_the_way_is_marked_at_its_button(
    slack: SlackSandbox, alice: Window, ts: str, fault: dict[str, Any], shown: str
) -> None:
    slack.add_fault("request_url", **fault)
    alice.press(alice.show(), ts, "approve")
    assert marks(button(alice.show(), ts, "approve")) == [f"⚠ {shown}"]
    assert marks(button(alice.show(), ts, "reject")) == []


def test_a_click_that_the_app_answers_with_an_error_is_marked_for_who_clicked_until_one_succeeds(
    alice: Window, bob: Window, ts: str, app_server: Any
) -> None:
    app_server.status = 500
    alice.press(alice.show(), ts, "approve")
    assert marks(message(alice.show(), ts)) == ["⚠ This app responded with Status Code 500."]
    assert marks(message(bob.show(), ts)) == []
    app_server.status = 200
    alice.press(alice.show(), ts, "approve")
    assert marks(message(alice.show(), ts)) == []


def test_inputs_of_a_message_are_shown_and_what_they_hold_goes_with_a_click(
    bot: WebClient, alice: Window, slack: SlackSandbox, app_server: Any, approval_blocks: Blocks
) -> None:
    slack.configure(request_url=app_server.url)
    blocks = [*MODAL["blocks"], *approval_blocks]
    ts = str(bot.chat_postMessage(channel=APPROVALS.id, text="x", blocks=blocks)["ts"])
    shown = message(alice.show(), ts)
    assert [label.text for label in shown.all("label")] == ["Reason", "one", "two", "three"]
    alice.press(alice.show(), ts, "approve", **{"answer:reason": "because", "answer:checks": ["two"]})
    (payload,) = payloads(app_server)
    state = payload["state"]["values"]
    assert state["reason"] == {"answer": {"type": "plain_text_input", "value": "because"}}
    assert [option["value"] for option in state["checks"]["answer"]["selected_options"]] == ["two"]


def test_a_private_note_is_shown_to_its_reader_only_and_cannot_be_clicked(
    alice: Window, bob: Window, bot: WebClient, approval_blocks: Blocks
) -> None:
    bot.chat_postEphemeral(channel=APPROVALS.id, user=ALICE.id, text="x", blocks=approval_blocks)
    (note,) = alice.show().all("article", **{"aria-label": "Private note"})
    assert "Only visible to you" in note.text
    assert note.all("form") == []
    assert all("disabled" in b.attributes for b in note.all("button"))
    assert bob.show().all("article", **{"aria-label": "Private note"}) == []


def test_a_modal_is_shown_to_who_opened_it(alice: Window, bob: Window, modal: str) -> None:
    shown = dialog(alice.show(), modal)
    assert shown.all("h1")[0].text == "Reject"
    assert [b.text for b in shown.all("button")] == ["Send", "Cancel"]
    assert [label.text for label in shown.all("label")] == ["Reason", "one", "two", "three"]
    assert bob.show().all("dialog") == []


def test_what_is_filled_in_reaches_the_app(alice: Window, modal: str, app_server: Any) -> None:
    (form,) = dialog(alice.show(), modal).all("form")
    answers = {"answer:reason": "one line\r\nand another", "answer:checks": ["one", "three"]}
    assert alice.send(form, **answers).status_code == 204
    (payload,) = payloads(app_server)
    values = payload["view"]["state"]["values"]
    assert values["reason"]["answer"]["value"] == "one line\nand another"
    assert [o["value"] for o in values["checks"]["answer"]["selected_options"]] == ["one", "three"]
    assert alice.show().all("dialog") == []


def test_what_slack_checks_itself_is_shown_at_the_input_and_not_sent(
    slack: SlackSandbox, alice: Window, modal: str, app_server: Any
) -> None:
    slack.add_fault("request_url", drop="before")
    (form,) = dialog(alice.show(), modal).all("form")
    alice.send(form)
    shown = dialog(alice.show(), modal)
    assert [a.text for a in shown.all("p", role="alert")] == ["This has to be filled in."]
    assert shown.all("textarea", **{"aria-invalid": "true"})
    assert app_server.received == []
    # Nothing was sent, so the fault still waits for the first submission.
    alice.send(form, **{"answer:reason": "because"})
    shown = dialog(alice.show(), modal)
    assert [a.text for a in shown.all("p", role="alert")] == ["We had some trouble connecting. Try again?"]
    assert shown.all("textarea", **{"aria-invalid": "true"}) == []


def test_errors_of_the_app_are_shown_at_their_inputs(alice: Window, modal: str, app_server: Any) -> None:
    app_server.body = json.dumps({"response_action": "errors", "errors": {"reason": "Say <more>."}}).encode()
    (form,) = dialog(alice.show(), modal).all("form")
    alice.send(form, **{"answer:reason": "because"})
    assert [a.text for a in dialog(alice.show(), modal).all("p", role="alert")] == ["Say <more>."]


def test_a_closed_modal_is_gone_and_cannot_be_sent(alice: Window, modal: str, app_server: Any) -> None:
    (form,) = dialog(alice.show(), modal).all("form")
    requests.post(f"{alice.url}/_page/close", data=form.fields(), timeout=30)
    assert alice.show().all("dialog") == []
    answer = alice.send(form, **{"answer:reason": "because"})
    assert (answer.status_code, app_server.received) == (400, [])
    assert "not there any more" in answer.text


def test_a_fault_of_the_panel_meets_the_next_call_and_can_be_forgotten(bot: WebClient, alice: Window) -> None:
    (panel,) = alice.show().all("form", action="/_page/faults")
    alice.send(panel, effect="429", method="chat.postMessage")
    alice.send(panel, effect="500", method="chat.postMessage")
    (waiting,) = alice.show().all("ul", **{"aria-label": "Faults to come"})
    assert [item.text for item in waiting.all("li")] == ["chat.postMessage: status 429", "chat.postMessage: status 500"]
    with pytest.raises(SlackApiError) as error:
        bot.chat_postMessage(channel=APPROVALS.id, text="hello")
    assert error.value.response.headers["Retry-After"] == "3"
    (forget,) = alice.show().all("form", action="/_page/forget")
    alice.send(forget)
    assert alice.show().all("ul", **{"aria-label": "Faults to come"}) == []
    assert bot.chat_postMessage(channel=APPROVALS.id, text="hello")["ok"]
    assert calls(alice.show()) == ["chat.postMessage ok", "chat.postMessage 429 ratelimited"]


def test_a_fault_that_means_nothing_is_refused_with_the_reason(alice: Window) -> None:
    (panel,) = alice.show().all("form", action="/_page/faults")
    answer = alice.send(panel, effect="500", method="request_url")
    assert (answer.status_code, answer.text) == (
        400,
        "a fault of request_url is drop or delay: the status is the app's",
    )


def test_what_slack_refuses_is_shown_with_its_reason(bot: WebClient, slack: SlackSandbox, alice: Window) -> None:
    for channel, blocks in ((NOT_JOINED, None), (APPROVALS, [{"type": "section"}])):
        with pytest.raises(SlackApiError):
            bot.chat_postMessage(channel=channel.id, text="hello", blocks=blocks)
    slack.configure(scopes=[])
    with pytest.raises(SlackApiError):
        bot.chat_postMessage(channel=APPROVALS.id, text="hello")
    assert calls(alice.show()) == [
        "chat.postMessage missing_scope needed: chat:write",
        "chat.postMessage invalid_blocks [ERROR] missing required field: text or fields [json-pointer:/blocks/0]",
        "chat.postMessage not_in_channel",
    ]


def test_an_open_page_gets_what_is_new_as_soon_as_it_is_there(bot: WebClient, alice: Window, ts: str) -> None:
    seen = alice.show().all("body")[0].attributes["data-version"]
    with ThreadPoolExecutor(1) as browser:
        waiting = browser.submit(requests.get, alice.address(), headers={"X-Seen": seen}, timeout=30)
        bot.chat_update(channel=APPROVALS.id, ts=ts, text="Decided")
        answer = waiting.result()
    assert answer.status_code == 200
    assert "Decided" in message(read(answer.text), ts).text


def marks(place: Element) -> list[str]:
    """What is marked with a warning sign."""
    return [mark.text for mark in place.all("span", role="alert")]


def calls(page: Element) -> list[str]:
    (shown,) = page.all("ol", **{"aria-labelledby": "calls"})
    return [item.text for item in shown.all("li")]
