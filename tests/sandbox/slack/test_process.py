import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.slack.client import SlackSandbox

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_the_process_prints_its_address_and_stops_on_a_signal(sent: signal.Signals) -> None:
    command = [sys.executable, "-m", "sandbox.slack", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout
        slack = SlackSandbox(json.loads(process.stdout.readline())["address"])
        assert slack.app()["team"] == "T0SANDBOX"
        process.send_signal(sent)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, b"", b"")


def test_the_process_stops_with_its_parent() -> None:
    command = [sys.executable, "-m", "sandbox.slack", "--exit-with-stdin"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        process.stdin.close()
        assert process.wait(timeout=20) == 0
