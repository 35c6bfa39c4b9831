"""Counting votes: distinct people, the first vote of each stands."""

from dataclasses import dataclass, replace
from typing import Literal, Self

from shared.button import Choice
from shared.click import Click

Verdict = Literal["approved", "rejected", "cancelled"]


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The votes so far.

    Attributes:
        quorum: How many distinct people have to approve.
        rejections: How many distinct people have to reject.
        counted: The clicks that count, in order.
    """

    quorum: int
    rejections: int
    counted: tuple[Click, ...] = ()

    def with_click(self, click: Click) -> Self:
        """Return the tally after one more click, which is ignored where its person voted, or all is decided already."""
        voted_already = click.choice != "cancel" and click.user_id in self.voted
        return self if voted_already or self.verdict else replace(self, counted=(*self.counted, click))

    def of(self, choice: Choice) -> tuple[Click, ...]:
        """Return the clicks that say so."""
        return tuple(click for click in self.counted if click.choice == choice)

    @property
    def voted(self) -> tuple[str, ...]:
        """Slack user ids of those whose vote counts."""
        return tuple(click.user_id for click in self.counted if click.choice != "cancel")

    @property
    def verdict(self) -> Verdict | None:
        """What has been decided, if anything has."""
        if self.of("cancel"):
            return "cancelled"
        if len(self.of("approve")) >= self.quorum:
            return "approved"
        return "rejected" if len(self.of("reject")) >= self.rejections else None

    @property
    def deciding(self) -> tuple[Click, ...]:
        """The clicks that made the verdict."""
        return self.of(self.counted[-1].choice) if self.verdict else ()

    @property
    def longest(self) -> int:
        """How many more votes of distinct people there can be until one of them decides, that one included."""
        return self.quorum - len(self.of("approve")) + self.rejections - len(self.of("reject")) - 1
