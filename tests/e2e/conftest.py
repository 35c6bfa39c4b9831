from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
import requests

from sandbox.deployment import Sandbox, running
from sandbox.gates import Gates
from sandbox.slack.client import SlackSandbox

HERE = Path(__file__).parent
# What looks at everything that the other tests left behind comes after them; destroying comes last of all.
LAST = ("test_secrecy", "test_least_privilege", "test_terraform")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mine = [item for item in items if item.path.is_relative_to(HERE)]
    for item in mine:
        item.add_marker(pytest.mark.e2e)
    mine.sort(key=lambda item: LAST.index(item.path.stem) if item.path.stem in LAST else -1)
    items[:] = [item for item in items if not item.path.is_relative_to(HERE)] + mine


@pytest.fixture(scope="session")
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    say = reporter.write_line if reporter else print
    with running(say) as deployed:
        # Slack waits 3 s for an answer: no test is to depend on a cold start that takes longer on a busy machine.
        assert requests.post(deployed.slack.app()["request_url"], timeout=60).status_code == HTTPStatus.UNAUTHORIZED
        yield deployed


@pytest.fixture(scope="session")
def gates(sandbox: Sandbox) -> Gates:
    return Gates(sandbox)


@pytest.fixture
def machine(gates: Gates) -> Iterator[Gates]:
    """A state machine of the test's own, which only checks in."""
    with gates.another() as own:
        yield own


@pytest.fixture
def slack(sandbox: Sandbox) -> Iterator[SlackSandbox]:
    yield sandbox.slack
    sandbox.slack.clear_faults()
