"""What all tests share: the header says which provider the Terraform tests ran on."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

from sandbox.provider_bridge import mirror, selection
from sandbox.provider_bridge.errors import BridgeError

SELECTED = pytest.StashKey[selection.Selection]()
HERE = Path(__file__).parent

# A busy machine is no reason to fail.
hypothesis.settings.register_profile("project", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("project")


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """Says so after the collection: before it, nobody knows whether a provider is needed at all."""
    lines = []
    if any(item.path.is_relative_to(HERE / "plan") for item in items):
        try:
            config.stash[SELECTED] = selection.select()
        except BridgeError as error:
            raise pytest.UsageError(str(error)) from error
        lines.append(f"tests/plan: {config.stash[SELECTED].description}")
    deploying = ("e2e", "browser")
    lines += [
        f"tests/{folder}: {mirror.NOTICE}"
        for folder in deploying
        if any(item.path.is_relative_to(HERE / folder) for item in items)
    ]
    return lines


@pytest.fixture(scope="session")
def provider(pytestconfig: pytest.Config) -> selection.Selection:
    """The provider that plans: a real one that has `durable_config`, else the bridge."""
    return pytestconfig.stash[SELECTED]
