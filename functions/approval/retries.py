"""When a step is tried again: the SDK suspends the function meanwhile, so that waiting costs nothing."""

from collections.abc import Callable
from datetime import UTC, datetime

from aws_durable_execution_sdk_python.config import Duration, JitterStrategy
from aws_durable_execution_sdk_python.retries import RetryDecision

from shared.slack import SlackRateLimitedError

Strategy = Callable[[Exception, int], RetryDecision]

_UNLIMITED = 1_000_000


def retried(
    *errors: type[Exception],
    until: datetime,
    attempts: int = _UNLIMITED,
    longest: int = 60,
    not_past: datetime | None = None,
) -> Strategy:
    """Return a strategy that doubles the delay from 1 s on, or waits as long as Slack asks.

    Args:
        errors: What is tried again; anything else fails the step.
        until: No attempt starts later; the last own delay ends then (aware).
        attempts: Number of attempts, the first included.
        longest: Seconds of the longest own delay.
        not_past: A moment that no delay skips: one attempt starts a second or two after it (aware).
    """

    def strategy(error: Exception, attempt: int) -> RetryDecision:
        left = _seconds_until(until)
        if not isinstance(error, errors) or attempt >= attempts or left < 1:
            return RetryDecision.no_retry()
        if isinstance(error, SlackRateLimitedError):
            delay = error.retry_after
        else:
            delay = min(left, JitterStrategy.HALF.finalize_delay(min(2.0 ** min(attempt - 1, 20), longest)))
        if not_past:
            delay = min(delay, max(1, _seconds_until(not_past) + 2))
        return RetryDecision.retry(Duration.from_seconds(delay)) if delay <= left else RetryDecision.no_retry()

    return strategy


def _seconds_until(moment: datetime) -> int:
    return int((moment - datetime.now(UTC)).total_seconds())


def any_of(*strategies: Strategy) -> Strategy:
    """Return a strategy that tries again where one of the given ones does."""

    def strategy(error: Exception, attempt: int) -> RetryDecision:
        decisions = (each(error, attempt) for each in strategies)
        return next((each for each in decisions if each.should_retry), RetryDecision.no_retry())

    return strategy
