"""`make demo`: its steps in the deployed sandbox, and how it ends when it is interrupted."""

import os
import signal
import subprocess
import sys
from uuid import uuid4

import pytest

from sandbox.demo import Teller, show_approval, show_maintenance
from sandbox.deployment import Sandbox
from sandbox.processes import ROOT
from tests.e2e.processes import FOLDER, MARK, processes


def test_every_step_of_the_demo_happens(sandbox: Sandbox, capsys: pytest.CaptureFixture[str]) -> None:
    show_approval(sandbox, Teller())
    show_maintenance(sandbox, Teller())
    told = capsys.readouterr().out
    for line in (
        "[ Approve ]  [ Reject ]",
        "Only Sam Stranger sees",
        "[ End maintenance ]",
        "3 resumed",
        '"decision": "approved"',
        "s3://",
        "SUCCEEDED",
    ):
        assert line in told


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_demo_leaves_no_process_and_no_file(sent: signal.Signals, code: int) -> None:
    mark = str(uuid4())
    with subprocess.Popen(
        [sys.executable, "-m", "sandbox.demo"],
        cwd=ROOT,
        env={**os.environ, MARK: mark},
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as demo:
        assert demo.stdout
        scratch = next(ROOT / found[1].decode() for line in demo.stdout if (found := FOLDER.search(line)))
        assert scratch.is_dir()
        # Both servers are running, Terraform's provider was, and the apply begins.
        next(line for line in demo.stdout if b"resources to create" in line)
        demo.send_signal(sent)
        demo.communicate(timeout=60)
    assert demo.returncode == code
    assert processes(mark) == []
    assert not scratch.exists()
