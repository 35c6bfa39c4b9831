"""`docs/ask.sh` with an AWS CLI that answers as told."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "docs" / "ask.sh"
ARN = "arn:aws:lambda:us-east-2:123456789012:function:orders-approval:1/durable-execution/deploy-42/1"
ALIAS = "arn:aws:lambda:us-east-2:123456789012:function:orders-approval:live"
REQUEST = {"title": "Deploy build 42?", "fields": {"Commit": "1a2b3c4", "Quote": 'it\'s "this"'}}
AWS = f"""#!{sys.executable}
import json, os, pathlib, sys
folder = pathlib.Path(__file__).parent
calls = folder / "calls.jsonl"
with calls.open("a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
told = json.loads((folder / "told.json").read_text())
options = dict(zip(sys.argv[3::2], sys.argv[4::2]))
if sys.argv[2] == "invoke":
    print({ARN!r})
elif options["--query"] == "Status":
    status = told["statuses"].pop(0)
    (folder / "told.json").write_text(json.dumps(told))
    if status == "cannot":
        sys.exit(253)
    print(status)
else:
    print(told[options["--query"]])
"""

Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    aws = tmp_path / "aws"
    aws.write_text(AWS)
    aws.chmod(0o755)

    def run(*arguments: str, **told: object) -> subprocess.CompletedProcess[str]:
        (tmp_path / "told.json").write_text(json.dumps(told))
        environment = {
            "APPROVAL_FUNCTION_ARN": ALIAS,
            "PATH": f"{tmp_path}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "POLL_SECONDS": "0",
        }
        command = [str(SCRIPT), *(arguments or ("deploy-42", json.dumps(REQUEST)))]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def calls(tmp_path: Path) -> Callable[[], list[list[str]]]:
    return lambda: [json.loads(line) for line in (tmp_path / "calls.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("decision", "code"),
    [("approved", 0), ("rejected", 1), ("timed_out", 2), ("cancelled", 2), ("undelivered", 2)],
)
def test_the_decision_is_printed_and_told_by_the_exit_code(ask: Ask, decision: str, code: int) -> None:
    result = json.dumps({"reason": 'they said "decision": "approved"', "decision": decision})
    done = ask(statuses=["SUCCEEDED"], Result=result)
    assert (done.returncode, done.stdout, done.stderr) == (code, f"{result}\n", "")


def test_it_asks_once_by_name_and_waits_as_long_as_it_takes(ask: Ask, calls: Callable[[], list[list[str]]]) -> None:
    done = ask(statuses=["RUNNING", "PAUSING", "PAUSED", "RUNNING", "SUCCEEDED"], Result='{"decision": "approved"}')
    assert done.returncode == 0
    first, *others = calls()
    options = dict(zip(first[2:-1:2], first[3:-1:2], strict=True))
    assert first[:2] == ["lambda", "invoke"]
    assert (options["--function-name"], options["--invocation-type"]) == (ALIAS, "Event")
    assert options["--durable-execution-name"] == "deploy-42"
    assert json.loads(options["--payload"]) == {"request": REQUEST}
    assert [call[1:4] for call in others] == [["get-durable-execution", "--durable-execution-arn", ARN]] * 6


@pytest.mark.parametrize("status", ["FAILED", "STOPPED", "TIMED_OUT"])
def test_an_end_without_a_decision_has_its_own_code_and_says_why(ask: Ask, status: str) -> None:
    done = ask(statuses=["RUNNING", status], Error='{"ErrorMessage": "request.title is missing"}')
    assert (done.returncode, done.stdout) == (3, "")
    assert f"{ARN}: {status}" in done.stderr
    assert "request.title is missing" in done.stderr


def test_a_failure_of_the_aws_cli_ends_it_with_the_clis_code(ask: Ask) -> None:
    assert ask(statuses=["RUNNING", "cannot"]).returncode == 253


def test_missing_arguments_are_named_before_anything_is_asked(ask: Ask, tmp_path: Path) -> None:
    assert "REQUEST is missing" in ask("deploy-42").stderr
    assert not (tmp_path / "calls.jsonl").exists()
