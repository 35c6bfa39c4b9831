"""How long Slack still waits."""

import time
from dataclasses import dataclass
from typing import Self

# Slack waits 3 s for the answer to a click; the rest is for the network and API Gateway.
# https://docs.slack.dev/interactivity/handling-user-interaction#acknowledgment_response
ANSWER_WITHIN = 2.5


@dataclass(frozen=True)
class Deadline:
    """A moment by which the answer has to be on its way.

    Attributes:
        at: Monotonic seconds.
    """

    at: float

    @classmethod
    def after(cls, seconds: float) -> Self:
        """Return the deadline so many seconds from now."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Return the seconds left; negative once it has passed."""
        return self.at - time.monotonic()
