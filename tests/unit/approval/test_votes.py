from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approval.votes import Tally
from shared.button import Choice
from tests.unit.approval.conftest import clicked

MESSAGE = {"channel": "C0123ABCD", "ts": "1.0"}


def tally(quorum: int, rejections: int, *votes: tuple[str, Choice]) -> Tally:
    counted = Tally(quorum=quorum, rejections=rejections)
    for user, choice in votes:
        counted = counted.with_click(clicked(MESSAGE, choice, user))
    return counted


@pytest.mark.parametrize(
    ("quorum", "rejections", "votes", "verdict", "deciding"),
    [
        (1, 1, [], None, []),
        (1, 1, [("U1", "approve")], "approved", ["U1"]),
        (1, 1, [("U1", "reject")], "rejected", ["U1"]),
        (2, 1, [("U1", "approve")], None, []),
        (2, 1, [("U1", "approve"), ("U2", "approve")], "approved", ["U1", "U2"]),
        (2, 1, [("U1", "approve"), ("U2", "reject")], "rejected", ["U2"]),
        (2, 2, [("U1", "approve"), ("U2", "reject"), ("U3", "approve")], "approved", ["U1", "U3"]),
        (2, 2, [("U1", "reject"), ("U2", "reject")], "rejected", ["U1", "U2"]),
        (2, 1, [("U1", "approve"), ("U1", "approve")], None, []),
        (1, 2, [("U1", "reject"), ("U1", "approve")], None, []),
        (2, 2, [("U1", "approve"), ("U1", "cancel")], "cancelled", ["U1"]),
    ],
)
def test_distinct_people_decide(
    quorum: int, rejections: int, votes: list[tuple[str, Choice]], verdict: str | None, deciding: list[str]
) -> None:
    counted = tally(quorum, rejections, *votes)

    assert counted.verdict == verdict
    assert [click.user_id for click in counted.deciding] == deciding


def test_nothing_counts_after_the_decision() -> None:
    decided = tally(1, 2, ("U1", "reject"), ("U2", "approve"))

    assert decided.with_click(clicked(MESSAGE, "reject", "U3")) == decided


@given(
    st.integers(1, 4),
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from("ABCDEFGH"), st.sampled_from(["approve", "reject"]))),
)
def test_people_count_once_and_the_longest_way_to_a_decision_is_never_exceeded(
    quorum: int, rejections: int, votes: list[tuple[str, Choice]]
) -> None:
    counted = Tally(quorum=quorum, rejections=rejections)
    for user, choice in votes:
        before = counted
        counted = counted.with_click(clicked(MESSAGE, choice, user))
        if counted != before and not counted.verdict:
            assert counted.longest == before.longest - 1 > 0

    assert len(set(counted.voted)) == len(counted.voted)
    firsts = dict(reversed([(user, choice) for user, choice in votes]))
    said = [firsts[user] for user in dict.fromkeys(user for user, _ in votes)]
    decided = said.count("approve") >= quorum or said.count("reject") >= rejections
    assert (counted.verdict is not None) == decided
    assert replace(counted, counted=()).longest == quorum + rejections - 1
