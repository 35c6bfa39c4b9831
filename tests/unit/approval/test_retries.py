from datetime import UTC, datetime, timedelta

import pytest

from approval.retries import any_of, retried
from shared.secrets import SecretError
from shared.slack import SlackRateLimitedError, SlackUnavailableError


def in_(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize(("attempt", "shortest", "longest"), [(1, 1, 1), (3, 2, 4), (7, 30, 60), (500, 30, 60)])
def test_the_delay_doubles_up_to_a_minute(attempt: int, shortest: int, longest: int) -> None:
    decision = retried(SlackUnavailableError, until=in_(3600))(SlackUnavailableError(), attempt)

    assert decision.should_retry
    assert shortest <= decision.delay_seconds <= longest


def test_a_rate_limit_waits_as_long_as_slack_asks() -> None:
    strategy = retried(SlackRateLimitedError, until=in_(3600))

    assert strategy(SlackRateLimitedError("chat.update", 77), 1).delay_seconds == 77


def test_an_unlisted_error_is_not_tried_again() -> None:
    assert not retried(SecretError, until=in_(3600))(ValueError(), 1).should_retry


def test_attempts_end() -> None:
    strategy = retried(SecretError, until=in_(3600), attempts=3)

    assert strategy(SecretError(), 2).should_retry
    assert not strategy(SecretError(), 3).should_retry


def test_no_attempt_starts_after_the_end() -> None:
    strategy = retried(SlackRateLimitedError, SlackUnavailableError, until=in_(30.5))

    assert strategy(SlackRateLimitedError("chat.update", 30), 1).should_retry
    assert not strategy(SlackRateLimitedError("chat.update", 31), 1).should_retry
    assert not retried(SlackUnavailableError, until=in_(0.5))(SlackUnavailableError(), 1).should_retry


def test_the_last_attempt_comes_at_the_end_however_long_the_delay_would_be() -> None:
    strategy = retried(SlackUnavailableError, until=in_(100.5), longest=900)

    assert strategy(SlackUnavailableError(), 12).delay_seconds == 100


def test_a_delay_does_not_skip_a_given_moment() -> None:
    strategy = retried(SlackRateLimitedError, until=in_(3600), not_past=in_(9.5))

    assert strategy(SlackRateLimitedError("chat.update", 600), 1).delay_seconds == 11


def test_after_a_moment_not_to_skip_a_second_is_enough() -> None:
    strategy = retried(SlackUnavailableError, until=in_(3600), not_past=in_(-5))

    assert strategy(SlackUnavailableError(), 9).delay_seconds == 1


def test_one_strategy_of_several_is_enough() -> None:
    strategy = any_of(
        retried(SlackUnavailableError, until=in_(3600)), retried(SecretError, until=in_(3600), attempts=2)
    )

    assert strategy(SlackUnavailableError(), 100).should_retry
    assert strategy(SecretError(), 1).should_retry
    assert not strategy(SecretError(), 2).should_retry
