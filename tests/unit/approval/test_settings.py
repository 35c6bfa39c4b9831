import json
import subprocess
import sys
from pathlib import Path

import pytest

from approval.settings import Settings
from shared.errors import ConfigurationError

FUNCTIONS = Path(__file__).parents[3] / "functions"
COMPLETE = {
    "SLACK_BOT_TOKEN_ARN": "arn:aws:secretsmanager:us-east-2:123456789012:secret:slack",
    "SLACK_CHANNEL": "C0123ABCD",
    "BUCKET": "orders-gates",
    "ENVIRONMENT": "staging",
    "EXECUTION_TIMEOUT_SECONDS": "900",
    "DEFAULT_TIMEOUT_SECONDS": "600",
}


@pytest.fixture(autouse=True)
def complete(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLACK_API_URL", "APPROVERS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)


def test_what_is_not_set_has_a_default() -> None:
    settings = Settings.from_environment()

    assert settings.api_url == "https://slack.com/api/"
    assert settings.approvers == ()
    assert (settings.execution_timeout, settings.default_timeout) == (900, 600)


def test_the_approvers_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPROVERS", json.dumps(["U0123ABCD", "U0777"]))

    assert Settings.from_environment().approvers == ("U0123ABCD", "U0777")


@pytest.mark.parametrize("name", COMPLETE)
def test_a_missing_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv(name)

    with pytest.raises(ConfigurationError, match=f"environment variable {name} is not set; set it to "):
        Settings.from_environment()


@pytest.mark.parametrize("value", ["U0123ABCD", '"U0123ABCD"', "[1]", "{}"])
def test_approvers_that_are_no_list_of_texts_are_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("APPROVERS", value)

    with pytest.raises(ConfigurationError, match=r"APPROVERS is .* set it to a JSON list of Slack user ids"):
        Settings.from_environment()


def test_the_handler_can_be_imported_before_anything_is_configured() -> None:
    command = [sys.executable, "-c", "from approval.handler import handler; print(callable(handler))"]

    done = subprocess.run(
        command, env={"PYTHONPATH": str(FUNCTIONS)}, capture_output=True, text=True, check=False, timeout=60
    )

    assert (done.stdout, done.stderr) == ("True\n", "")
