import logging

import pytest

from shared import logs


@pytest.mark.parametrize("name", ["boto3", "botocore", "s3transfer", "slack_sdk", "urllib3"])
def test_libraries_that_write_requests_at_debug_are_quiet(name: str) -> None:
    assert not logging.getLogger(f"{name}.anything").isEnabledFor(logging.INFO)


def test_a_modules_logger_follows_the_functions_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "level", logging.DEBUG)

    assert logs.logger("approval.made_up_for_this_test").isEnabledFor(logging.DEBUG)
