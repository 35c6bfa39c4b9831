import boto3
import pytest

from shared.secrets import Secret
from shared.slack import SlackRefusedError
from shared.workspace import Identity, Workspace
from tests.unit.conftest import Reply, SlackApi

BOT_TOKEN = "xoxb-TokenThatNobodyMaySee"
REFUSED = Reply(body={"ok": False, "error": "token_revoked"})


@pytest.fixture
def workspace(aws: None, slack_api: SlackApi) -> Workspace:  # noqa: ARG001
    arn = boto3.client("secretsmanager").create_secret(Name="slack-bot-token", SecretString=BOT_TOKEN)["ARN"]
    return Workspace(Secret(arn), slack_api.url)


def rotate() -> None:
    boto3.client("secretsmanager").put_secret_value(SecretId="slack-bot-token", SecretString="xoxb-new")


def test_slack_is_asked_once_where_the_bot_is(workspace: Workspace, slack_api: SlackApi) -> None:
    assert workspace.identity() == workspace.identity() == Identity(slack_api.team, "https://acme.slack.com/")
    assert len(slack_api.calls) == 1


def test_a_rotated_token_is_used_as_soon_as_slack_refuses_the_old_one(
    workspace: Workspace, slack_api: SlackApi
) -> None:
    workspace.identity()
    rotate()
    slack_api.will("chat.postMessage", REFUSED)

    workspace.call("chat.postMessage", {"channel": "C0123ABCD", "text": "hello"})

    assert slack_api.tokens == [BOT_TOKEN, BOT_TOKEN, "xoxb-new"]
    workspace.identity()
    assert len(slack_api.called("auth.test")) == 2, "the new token may be another workspace's"


def test_a_token_that_was_not_rotated_is_refused_at_once(workspace: Workspace, slack_api: SlackApi) -> None:
    slack_api.will("auth.test", REFUSED)

    with pytest.raises(SlackRefusedError, match="token_revoked"):
        workspace.identity()

    assert len(slack_api.calls) == 1


def test_another_refusal_does_not_read_the_token_again(workspace: Workspace, slack_api: SlackApi) -> None:
    workspace.identity()
    rotate()
    slack_api.will("chat.postMessage", Reply(body={"ok": False, "error": "not_in_channel"}))

    with pytest.raises(SlackRefusedError, match="not_in_channel"):
        workspace.call("chat.postMessage", {"channel": "C0123ABCD", "text": "hello"})

    assert set(slack_api.tokens) == {BOT_TOKEN}
