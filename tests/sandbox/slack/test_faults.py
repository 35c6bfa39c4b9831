import pytest
import requests
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from sandbox.slack.client import SlackSandbox, SlackSandboxError
from sandbox.slack.workspace import APPROVALS


def test_a_rate_limit_comes_with_retry_after_and_has_no_effect(bot: WebClient, slack: SlackSandbox) -> None:
    slack.add_fault("chat.postMessage", status=429, retry_after=7)
    with pytest.raises(SlackApiError) as error:
        bot.chat_postMessage(channel=APPROVALS.id, text="hello")
    response = error.value.response
    assert (response.status_code, response.headers["Retry-After"], response["error"]) == (429, "7", "ratelimited")
    assert slack.messages() == ()
    assert bot.chat_postMessage(channel=APPROVALS.id, text="hello")["ok"]


def test_a_server_error_and_an_error_code_are_answered_as_often_as_told(bot: WebClient, slack: SlackSandbox) -> None:
    slack.add_fault("chat.postMessage", status=500, times=2)
    slack.add_fault("chat.postMessage", error="is_archived")
    seen = []
    for _ in range(3):
        with pytest.raises(SlackApiError) as error:
            bot.chat_postMessage(channel=APPROVALS.id, text="hello")
        seen.append((error.value.response.status_code, error.value.response["error"]))
    assert seen == [(500, "internal_error")] * 2 + [(200, "is_archived")]
    assert bot.chat_postMessage(channel=APPROVALS.id, text="hello")["ok"]


@pytest.mark.parametrize(("drop", "posted"), [("before", 0), ("after", 1)])
def test_a_connection_is_dropped_before_or_after_the_message_was_accepted(
    slack: SlackSandbox, drop: str, posted: int
) -> None:
    slack.add_fault("chat.postMessage", drop=drop)
    with pytest.raises(requests.ConnectionError):
        requests.post(
            f"{slack.api_url}chat.postMessage",
            json={"channel": APPROVALS.id, "text": "hello"},
            headers={"Authorization": f"Bearer {slack.app()['bot_token']}"},
            timeout=10,
        )
    assert len(slack.messages()) == posted
    assert [call.status for call in slack.calls()] == [None]


def test_faults_meet_their_own_method_and_can_be_forgotten(bot: WebClient, slack: SlackSandbox) -> None:
    slack.add_fault("chat.update", status=500)
    assert bot.auth_test()["ok"]
    slack.clear_faults()
    ts = bot.chat_postMessage(channel=APPROVALS.id, text="hello")["ts"]
    assert bot.chat_update(channel=APPROVALS.id, ts=ts, text="again")["ok"]


@pytest.mark.parametrize(
    ("fault", "problem"),
    [({}, "does nothing"), ({"drop": "sometimes"}, "give 'before' or 'after'"), ({"colour": "red"}, "colour")],
)
def test_a_fault_that_cannot_be_played_is_refused(slack: SlackSandbox, fault: dict[str, str], problem: str) -> None:
    with pytest.raises(SlackSandboxError, match=problem):
        slack.add_fault("chat.update", **fault)


def test_unknown_settings_are_refused_by_name(slack: SlackSandbox) -> None:
    with pytest.raises(SlackSandboxError, match="colour"):
        slack.configure(colour="red")
