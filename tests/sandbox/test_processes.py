import os
from pathlib import Path

import pytest
import requests

from sandbox.processes import ProcessError, server


def test_a_server_runs_while_the_context_is_open(tmp_path: Path) -> None:
    with server("sandbox.slack", tmp_path / "slack.log", os.environ) as address:
        assert requests.get(f"{address}/_sandbox/app", timeout=10).json()["team"] == "T0SANDBOX"
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{address}/_sandbox/app", timeout=10)


def test_a_server_that_does_not_start_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    with (
        pytest.raises(ProcessError, match=r"No module named sandbox\.nothing"),
        server("sandbox.nothing", tmp_path / "log", os.environ),
    ):
        pytest.fail("it did not start")
