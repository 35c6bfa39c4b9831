import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.errors import ConfigurationError
from slack_webhook import handler as entry
from slack_webhook.settings import Settings

FUNCTIONS = Path(entry.__file__).parents[1]
NEEDED = ["BUCKET", "ENVIRONMENT", "SLACK_BOT_TOKEN_ARN", "SLACK_SIGNING_SECRET_ARN"]


@pytest.mark.parametrize(
    ("event", "named"),
    [
        ({}, r"source None"),
        ({"source": "aws.tag", "detail-type": "Tag Change on Resource", "detail": {}}, "Tag Change on Resource"),
        ({"version": "1.0", "httpMethod": "POST"}, r"\['httpMethod', 'version'\]"),
        ({"Records": []}, "Records"),
        ([], "JSON list"),
        (None, "JSON NoneType"),
    ],
)
def test_any_other_event_is_an_error_that_names_what_came(event: Any, named: str) -> None:
    with pytest.raises(entry.UnknownEventError, match=named):
        entry.handler(event, None)


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize("name", NEEDED)
def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")
    with pytest.raises(ConfigurationError, match=f"{name} is not set"):
        Settings.from_environment()


@pytest.mark.usefixtures("channel")
@pytest.mark.parametrize("name", ["MAINTENANCE_APPROVERS", "MAINTENANCE_CHANNEL"])
def test_a_missing_setting_of_the_notices_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "")
    with pytest.raises(ConfigurationError, match=f"{name} is not set"):
        Settings.from_environment()


@pytest.mark.usefixtures("channel")
@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("MAINTENANCE_FUNCTION_ARN", "orders-maintenance", "function's alias"),
        ("MAINTENANCE_FUNCTION_ARN", "arn:aws:lambda:us-east-2:123456789012:function:orders", "function's alias"),
        ("MAINTENANCE_APPROVERS", '["U0123ABCD"]', "lists of Slack ids"),
        ("MAINTENANCE_APPROVERS", '{"users": [], "groups": []}', "at least one id"),
        ("MAINTENANCE_APPROVERS", '{"users": [1], "groups": []}', "lists of Slack ids"),
        ("MAINTENANCE_APPROVERS", "alice", "lists of Slack ids"),
    ],
)
def test_a_wrong_setting_of_the_notices_is_refused_with_the_fix(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, fix: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=rf"{name} is .*{fix}"):
        Settings.from_environment()


@pytest.mark.usefixtures("channel")
def test_notices_of_maintenance_need_no_approval_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("APPROVAL_FUNCTION_ARN", "BUCKET", "EVENT_BUS_NAME"):
        monkeypatch.delenv(name)
    settings = Settings.from_environment()
    assert settings.approval is None
    assert settings.maintenance
    assert settings.maintenance.approvers == ("U0ALICE001", "S0APPROVERS")
    event = {"source": "aws.lambda", "detail-type": "Durable Execution Status Change", "detail": {}}
    with pytest.raises(entry.UnknownEventError, match="Durable Execution Status Change"):
        entry.handler(event, None)


@pytest.mark.parametrize(
    "arn", ["orders-approval", "arn:aws:lambda:us-east-2:123456789012:function:orders-approval:live"]
)
@pytest.mark.usefixtures("aws")
def test_an_approval_function_that_is_not_an_unqualified_arn_is_refused(
    monkeypatch: pytest.MonkeyPatch, arn: str
) -> None:
    monkeypatch.setenv("APPROVAL_FUNCTION_ARN", arn)
    with pytest.raises(ConfigurationError, match="without version or alias"):
        Settings.from_environment()


def imported(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    code = "import json, slack_webhook.handler as h; print(json.dumps(h._endpoint.cache_info().currsize))"
    return subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(FUNCTIONS), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.usefixtures("aws")
def test_on_lambda_all_that_a_click_needs_is_made_at_initialisation() -> None:
    names = [*NEEDED, "APPROVAL_FUNCTION_ARN", "AWS_DEFAULT_REGION"]
    environment = {name: os.environ[name] for name in names} | {"AWS_LAMBDA_FUNCTION_NAME": "orders-slack-webhook"}
    result = imported(environment)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == 1


def test_on_lambda_a_wrong_setting_fails_the_initialisation() -> None:
    result = imported({"AWS_LAMBDA_FUNCTION_NAME": "orders-slack-webhook"})
    assert result.returncode != 0
    assert "neither environment variable APPROVAL_FUNCTION_ARN nor MAINTENANCE_FUNCTION_ARN is set" in result.stderr


def test_elsewhere_the_module_imports_without_any_setting() -> None:
    result = imported({})
    assert result.returncode == 0, result.stderr
