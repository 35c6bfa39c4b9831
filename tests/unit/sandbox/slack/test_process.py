import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.slack.client import SlackSandbox

ROOT = Path(__file__).parents[4]


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_the_process_prints_its_address_and_stops_on_a_signal(sent: signal.Signals) -> None:
    command = [sys.executable, "-m", "sandbox.slack", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout
        slack = SlackSandbox(json.loads(process.stdout.readline())["url"])
        assert slack.app()["team"] == "T0SANDBOX"
        process.send_signal(sent)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, b"", b"")
