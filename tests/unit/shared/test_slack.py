import socket
from collections.abc import Mapping

import pytest

from shared.slack import (
    Slack,
    SlackError,
    SlackRateLimitedError,
    SlackRefusedError,
    SlackUnavailableError,
)
from tests.unit.conftest import Reply, SlackApi

TOKEN = "xoxb-TokenThatNobodyMaySee"
MESSAGE = {"channel": "C0123ABCD", "text": "hello"}


@pytest.fixture
def slack(slack_api: SlackApi) -> Slack:
    return Slack(TOKEN, slack_api.url)


def fail(slack: Slack, method: str = "chat.postMessage", arguments: Mapping[str, str] = MESSAGE) -> SlackError:
    with pytest.raises(SlackError) as caught:
        slack.call(method, arguments)
    assert TOKEN not in str(caught.value)
    return caught.value


def test_a_call_carries_the_token_and_returns_slacks_answer(slack: Slack, slack_api: SlackApi) -> None:
    answer = slack.call("chat.postMessage", MESSAGE)

    assert answer["ok"] is True
    assert answer["ts"]
    assert slack_api.notes == [MESSAGE]
    assert slack_api.tokens == [TOKEN]


def test_a_reading_method_gets_its_arguments_as_slack_wants_them(slack: Slack, slack_api: SlackApi) -> None:
    slack.call("conversations.history", {"channel": "C0123ABCD", "limit": 5})

    assert slack_api.called("conversations.history") == [{"channel": "C0123ABCD", "limit": "5"}]


@pytest.mark.parametrize("code", ["not_in_channel", "invalid_auth", "a_code_of_the_future"])
def test_a_refusal_is_sure_and_has_slacks_code(slack: Slack, slack_api: SlackApi, code: str) -> None:
    slack_api.will("chat.postMessage", Reply(body={"ok": False, "error": code}))

    error = fail(slack)

    assert isinstance(error, SlackRefusedError)
    assert error.code == code
    assert str(error) == f"Slack refused chat.postMessage: {code}"


def test_a_scope_that_the_app_lacks_is_named(slack: Slack, slack_api: SlackApi) -> None:
    answer = {"ok": False, "error": "missing_scope", "needed": "usergroups:read", "provided": "chat:write"}
    slack_api.will("usergroups.users.list", Reply(body=answer))

    error = fail(slack, "usergroups.users.list", {"usergroup": "S0123ABCD"})

    assert isinstance(error, SlackRefusedError)
    assert error.scope == "usergroups:read"
    assert str(error) == "Slack refused usergroups.users.list: missing_scope usergroups:read"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "12"}, 12),
        ({"retry-after": "7"}, 7),
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": "soon"}, 30),
        ({}, 30),
    ],
)
def test_a_rate_limit_says_how_long_to_wait(
    slack: Slack, slack_api: SlackApi, headers: dict[str, str], seconds: int
) -> None:
    slack_api.will("chat.postMessage", Reply(429, {"ok": False, "error": "ratelimited"}, headers))

    error = fail(slack)

    assert isinstance(error, SlackRateLimitedError)
    assert error.retry_after == seconds


def test_a_rate_limit_without_a_json_body_is_one_too(slack: Slack, slack_api: SlackApi) -> None:
    slack_api.will("chat.postMessage", Reply(429, b"slow down", {"Retry-After": "3"}))

    error = fail(slack)

    assert isinstance(error, SlackRateLimitedError)
    assert error.retry_after == 3


@pytest.mark.parametrize(
    "reply",
    [
        Reply(drops=True),
        Reply(drops=True, takes_effect=True),
        Reply(500, b""),
        Reply(503, b"<html>maintenance</html>", {"Content-Type": "text/html"}),
        Reply(200, b"<html>proxy</html>", {"Content-Type": "text/html"}),
        Reply(200, b""),
        Reply(200, {"ok": False}),
        Reply(200, {"ok": False, "error": "internal_error"}),
        Reply(200, {"ok": False, "error": "fatal_error"}),
        Reply(500, {"ok": False, "error": "not_in_channel"}),
    ],
)
def test_an_answer_that_says_nothing_about_the_outcome_is_not_taken_for_a_refusal(
    slack: Slack, slack_api: SlackApi, reply: Reply
) -> None:
    slack_api.will("chat.postMessage", reply)

    assert isinstance(fail(slack), SlackUnavailableError)
    assert len(slack_api.calls) == 1, "the library must not repeat the call"


def test_the_api_url_may_end_without_a_slash(slack_api: SlackApi) -> None:
    assert Slack(TOKEN, slack_api.url.rstrip("/")).call("auth.test", {})["team_id"] == slack_api.team


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/api/"

        assert isinstance(fail(Slack(TOKEN, url)), SlackUnavailableError)


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api/"

        assert isinstance(fail(Slack(TOKEN, url, timeout=1)), SlackUnavailableError)
