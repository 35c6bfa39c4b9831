"""What people see, compared with tests/fixtures/slack/messages; `UPDATE_SNAPSHOTS=1 make test` writes them anew."""

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.button import Button, ButtonTooLongError
from shared.message import (
    RequestMessage,
    decision_text,
    escaped,
    localized,
    locked,
    outcome_text,
    truncated,
)

SNAPSHOTS = Path(__file__).parents[2] / "fixtures" / "slack" / "messages"
AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FUNCTION = "arn:aws:lambda:us-east-2:123456789012:function:orders-approval:2"
EXECUTION = f"{FUNCTION}/durable-execution/order-123/9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"
APPROVE = Button(
    choice="approve",
    execution_arn=EXECUTION,
    callback_ids=("Y2FsbGJhY2s",),
    approvers=("U0123ABCD",),
    requester="U0456EFGH",
    allow_self_approval=False,
    team="T0WORKSPC",
)
REJECT = replace(APPROVE, choice="reject")
PLAIN = RequestMessage(
    title="Deploy v1?",
    environment="prod",
    account="123456789012",
    region="us-east-2",
    requester=None,
    expires_at=None,
)
FULL = replace(
    PLAIN,
    title="Deploy <v1> & more?",
    description="Two lines,\nwith *stars* and <!channel>.",
    fields={"Order": "123", "Amount <€>": "5 & more"},
    environment="prod & <eu>",
    requester="U0456EFGH",
    expires_at=AT,
)


def assert_snapshot(name: str, blocks: list[dict[str, Any]]) -> None:
    path = SNAPSHOTS / f"{name}.json"
    text = json.dumps({"blocks": blocks}, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    if "UPDATE_SNAPSHOTS" in os.environ:
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8")


@pytest.mark.parametrize(("name", "message"), [("open_plain", PLAIN), ("open_full", FULL)])
def test_an_open_message_looks_like_its_snapshot(name: str, message: RequestMessage) -> None:
    assert_snapshot(name, message.open_blocks(APPROVE, REJECT))


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("locked_approved", outcome_text("approved", ["U0123ABCD"], AT)),
        ("locked_rejected", outcome_text("rejected", ["U0123ABCD"], AT)),
        ("locked_timed_out", outcome_text("timed_out", at=AT)),
        ("locked_cancelled", outcome_text("cancelled", ["U0456EFGH"], AT)),
        ("locked_failed", outcome_text("failed")),
        ("locked_closed", outcome_text("closed")),
    ],
)
def test_a_locked_message_looks_like_its_snapshot(name: str, outcome: str) -> None:
    assert_snapshot(name, FULL.locked_blocks(outcome))


def test_a_message_is_locked_the_same_way_from_what_slack_sends_with_a_click() -> None:
    outcome = outcome_text("approved", ["U0123ABCD"], AT)

    assert locked(FULL.open_blocks(APPROVE, REJECT), outcome) == FULL.locked_blocks(outcome)


def test_a_reason_is_shown_as_plain_text_and_cut() -> None:
    outcome, reason = FULL.locked_blocks("*Rejected*", "<!channel> " + "x" * 3000)[-1]["elements"]

    assert outcome["text"] == "*Rejected*"
    assert reason["type"] == "plain_text"
    assert reason["text"].startswith("<!channel> xxx")
    assert len(reason["text"]) == 2000


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (
            {"decision": "approved", "decided_by": [{"id": "U1"}, {"id": "U2"}]},
            outcome_text("approved", ["U1", "U2"], AT),
        ),
        ({"decision": "rejected", "decided_by": [{"id": "U1"}]}, outcome_text("rejected", ["U1"], AT)),
        ({"decision": "timed_out", "decided_by": []}, outcome_text("timed_out", at=AT)),
        ({"decision": "undelivered", "decided_by": []}, outcome_text("undelivered", at=AT)),
        (
            {"decision": "approved", "decided_by": [], "timed_out": True},
            f"*✅ Approved* because the time ran out {localized(AT)}",
        ),
    ],
)
def test_a_decision_reads_the_same_wherever_it_is_told(decision: dict[str, Any], expected: str) -> None:
    assert decision_text({**decision, "decided_at": "2026-11-24T12:00:00.000Z"}) == expected


def test_all_who_decided_are_named() -> None:
    assert "by <@U1>, <@U2>" in outcome_text("approved", ["U1", "U2"], AT)


def test_locking_again_replaces_the_outcome() -> None:
    once = FULL.locked_blocks(outcome_text("closed"))

    assert locked(once, outcome_text("failed")) == FULL.locked_blocks(outcome_text("failed"))


def test_the_longest_texts_meet_slacks_limits_with_a_visible_mark() -> None:
    message = replace(
        PLAIN, title="t" * 200, description="d" * 5000, fields={f"{n}" * 99: "v" * 3000 for n in range(10)}
    )

    header, description, fields, *_ = message.open_blocks(APPROVE, REJECT)

    assert len(header["text"]["text"]) == 150
    assert len(description["text"]["text"]) == 3000
    assert [len(field["text"]) for field in fields["fields"]] == [2000] * 10
    for text in (header["text"], description["text"], *fields["fields"]):
        assert text["text"].endswith("… (truncated)")


def test_the_notification_is_the_escaped_title_cut_between_characters() -> None:
    assert FULL.text() == "Approval requested: Deploy &lt;v1&gt; &amp; more?"
    assert replace(PLAIN, title="<" * 3000).text() == f"Approval requested: {'&lt;' * 137}… (truncated)"


def test_a_button_that_does_not_fit_makes_no_message() -> None:
    with pytest.raises(ButtonTooLongError):
        PLAIN.open_blocks(replace(APPROVE, callback_ids=("x" * 2000,)), REJECT)


@given(st.text())
def test_escaped_text_has_no_markup_left_and_reads_the_same(text: str) -> None:
    shown = escaped(text)

    assert "<" not in shown
    assert ">" not in shown
    assert shown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&") == text


@given(st.text(max_size=300), st.integers(20, 200))
def test_truncated_text_is_never_too_long_and_otherwise_untouched(text: str, limit: int) -> None:
    shown = truncated(text, limit)

    assert len(shown) <= limit
    assert shown == text or (len(text) > limit and shown.endswith("… (truncated)"))


def test_a_date_is_shown_in_the_readers_time_zone_with_utc_as_fallback() -> None:
    assert localized(AT) == "<!date^1795521600^{date_short_pretty} {time}|2026-11-24 12:00 UTC>"
