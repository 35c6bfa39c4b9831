"""What people see, compared with tests/fixtures/slack/messages; `UPDATE_SNAPSHOTS=1 make test` writes them anew."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sandbox.slack.blocks import message_problems
from shared.button import Button, ButtonTooLongError
from shared.message import (
    MAX_BLOCKS_LENGTH,
    RequestMessage,
    decision_text,
    escaped,
    localized,
    locked,
    mentions,
    outcome_text,
    truncated,
    votes_text,
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

    header, description, fields, *_ = blocks = message.open_blocks(APPROVE, REJECT)

    assert len(header["text"]["text"]) == 150
    for text in (header["text"], description["text"], *fields["fields"]):
        assert text["text"].endswith("… (truncated)")
    # As much as fits is shown.
    assert 0.7 * MAX_BLOCKS_LENGTH < len(json.dumps(blocks, ensure_ascii=False)) <= MAX_BLOCKS_LENGTH


def test_a_text_is_cut_only_where_it_has_to_be() -> None:
    message = replace(PLAIN, description="d" * 3000, fields={"Long": "v" * 1990, "Short": "v"})

    _, description, fields, *_ = message.open_blocks(APPROVE, REJECT)

    assert description["text"]["text"] == message.description
    assert [field["text"] for field in fields["fields"]] == ["Long\n" + "v" * 1990, "Short\nv"]


def test_texts_of_nothing_but_spaces_which_slack_refuses_are_not_sent() -> None:
    message = replace(PLAIN, description=" \n", fields={"": " "})

    _, fields, *_ = blocks = message.open_blocks(APPROVE, REJECT)

    assert fields["fields"][0]["text"] == "-"
    assert message_problems(blocks) == []


def test_the_votes_so_far_are_shown_while_the_message_is_open() -> None:
    votes = votes_text(["U1", "U2"], 3, [], 1)
    assert votes == "*2 of 3* approved by <@U1>, <@U2> · *0 of 1* rejected"

    *_, shown, buttons = blocks = FULL.open_blocks(APPROVE, REJECT, votes=votes)

    assert shown["elements"][0]["text"] == votes
    assert buttons["block_id"] == "approval"
    assert locked(blocks, outcome_text("closed")) == FULL.locked_blocks(outcome_text("closed"))


def test_people_and_user_groups_are_mentioned_each_in_their_way() -> None:
    assert mentions(["U1", "W2", "S3"]) == "<@U1>, <@W2>, <!subteam^S3>"


def mrkdwn(value: Any) -> Iterator[str]:
    """Return every text in which Slack sees mentions and links."""
    if isinstance(value, dict):
        if value.get("type") == "mrkdwn":
            yield value["text"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from mrkdwn(item)


TEXTS = st.text(max_size=60) | st.sampled_from(
    ["<!channel>", "<@U0123ABCD>", "<https://evil.example|click>", "&lt;!here&gt;", "*bold*", "`", "\U0001f4a3", '"\\']
)
LONG_TEXTS = st.builds(lambda text, times: text * times, TEXTS, st.integers(0, 4000))
CONTENTS = st.builds(
    RequestMessage,
    title=LONG_TEXTS.filter(str.strip),
    description=LONG_TEXTS,
    fields=st.dictionaries(LONG_TEXTS, LONG_TEXTS, max_size=10),
    environment=LONG_TEXTS.filter(str.strip),
    account=st.just("123456789012"),
    region=st.just("us-east-2"),
    requester=st.none() | st.just("U0456EFGH"),
    expires_at=st.none() | st.just(AT),
)
CROWDED = replace(
    APPROVE, approvers=tuple(f"U{n:010}" for n in range(60)), voted=tuple(f"U{n:010}" for n in range(38))
).fitting()


@given(CONTENTS, st.sampled_from([APPROVE, CROWDED]), LONG_TEXTS)
@example(replace(FULL, fields={"Order": "123"}), CROWDED, "\x07" * 2000)
@example(replace(FULL, fields={"Order": "123"}), CROWDED, "\\" * 2000)
def test_any_request_meets_slacks_limits_and_only_our_own_mentions_survive(
    message: RequestMessage, button: Button, reason: str
) -> None:
    votes = votes_text(button.voted, 20, (), 20)
    outcome = outcome_text("approved", button.voted, AT)
    for blocks in (
        message.open_blocks(button, replace(button, choice="reject"), replace(button, choice="cancel"), votes=votes),
        message.locked_blocks(outcome, reason),
        message.notice_blocks(outcome, "https://acme.slack.com/archives/C1/p1"),
    ):
        assert message_problems(blocks) == []
        assert len(json.dumps(blocks, ensure_ascii=False)) <= MAX_BLOCKS_LENGTH
        own = (*map(mentions, zip(button.voted, strict=True)), "<@U0456EFGH>", localized(AT))
        for text in mrkdwn(blocks):
            rest = text
            for mention in own:
                rest = rest.replace(mention, "")
            rest = rest.replace("<https://acme.slack.com/archives/C1/p1|Show the request>", "")
            assert not set("<>") & set(rest)
    shown = json.dumps(message.open_blocks(button), ensure_ascii=False)
    assert "account 123456789012 · us-east-2" in shown
    assert not set("<>") & set(message.text())


def test_the_longest_environment_leaves_room_for_account_and_region() -> None:
    *_, context, _ = replace(PLAIN, environment="<e>" * 100).open_blocks(APPROVE, REJECT)

    text = context["elements"][0]["text"]
    assert text.startswith("*&lt;e&gt;")
    assert text.endswith("… (truncated)* · account 123456789012 · us-east-2")


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
