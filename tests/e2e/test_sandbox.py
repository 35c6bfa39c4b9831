"""`make sandbox`: what it says to open, what is to be seen there, and that nothing of it stays."""

import os
import re
import signal
import subprocess
import sys
from uuid import uuid4

import pytest
import requests

from sandbox.__main__ import tell
from sandbox.deployment import Sandbox
from sandbox.processes import ROOT
from sandbox.slack.client import SlackSandbox
from sandbox.web.pages import PREFIX
from tests.e2e.processes import FOLDER, MARK, processes

PAGE = re.compile(rf"http://127\.0\.0\.1:\d+{PREFIX}/")
QUESTION = "Ship release 1.4 to production?"


def opened(told: str) -> list[str]:
    """Return the pages that are said to be opened: each answers, and leads to all of them."""
    urls = PAGE.findall(told)
    for url in urls:
        page = requests.get(url, timeout=20)
        page.raise_for_status()
        assert all(f'href="{other}"' in page.text for other in urls)
    return urls


def questions(slack: SlackSandbox) -> int:
    return sum(QUESTION in str(message.blocks) for message in slack.messages())


def told_until_ready(started: subprocess.Popen[bytes]) -> bytes:
    told = b""
    for line in started.stdout or ():
        told += line
        if b"Ready." in line:
            return told
    pytest.fail(f"it ended:\n{told.decode()}")


def test_it_tells_what_to_open_asks_once_and_leaves_nothing_behind() -> None:
    mark = str(uuid4())
    with subprocess.Popen(
        [sys.executable, "-m", "sandbox"],
        cwd=ROOT,
        env={**os.environ, MARK: mark},
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as started:
        try:
            told = told_until_ready(started)
            slack_page, aws_page = opened(told.decode())
            assert questions(SlackSandbox(slack_page.removesuffix(f"{PREFIX}/"))) == 1
            assert "Ask for an approval" in requests.get(aws_page, timeout=20).text
        finally:
            started.send_signal(signal.SIGINT)
            last, _ = started.communicate(timeout=60)
    assert (started.returncode, last) == (0, b"\nEverything is stopped and removed.\n")
    assert processes(mark) == []
    folder = FOLDER.search(told)
    assert folder
    assert not (ROOT / folder[1].decode()).exists()


def test_what_is_kept_is_told_of_again_and_nothing_is_asked(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(sandbox)
    before = questions(sandbox.slack)
    capsys.readouterr()
    tell(sandbox)
    told = capsys.readouterr().out
    assert opened(told) == [f"{sandbox.slack.url}{PREFIX}/", f"{sandbox.aws_url}{PREFIX}/"]
    assert "as you left it" in told
    assert questions(sandbox.slack) == before
