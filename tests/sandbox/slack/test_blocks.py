from typing import Any

import pytest

from sandbox.slack import blocks


def text(length: int, kind: str = "plain_text") -> dict[str, Any]:
    return {"type": kind, "text": "x" * length}


def button(**changes: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": "go", "text": text(4), **changes}


def actions(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements)}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "header", "text": text(150)},
        {"type": "section", "text": text(3000, "mrkdwn")},
        {"type": "section", "fields": [text(2000)] * 10},
        {"type": "section", "text": text(1), "accessory": button()},
        {"type": "context", "elements": [text(3000, "mrkdwn")] * 10},
        {"type": "divider"},
        actions(*[button(action_id=f"go-{n}", value="x" * 2000, style="danger") for n in range(25)]),
        {"type": "input", "label": text(10), "element": {"type": "plain_text_input", "multiline": True}},
    ],
)
def test_what_is_within_the_documented_limits_is_accepted(block: dict[str, Any]) -> None:
    assert blocks.message_problems([block]) == []


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ({"type": "header", "text": text(151)}, "must be less than 151 characters [json-pointer:/blocks/0/text/text]"),
        ({"type": "header", "text": text(3, "mrkdwn")}, "unsupported type: mrkdwn"),
        ({"type": "section", "text": text(3001)}, "must be less than 3001 characters"),
        ({"type": "section", "text": text(0)}, "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
        ({"type": "section"}, "missing required field: text or fields [json-pointer:/blocks/0]"),
        (
            {"type": "section", "fields": [text(1)] * 11},
            "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
        ),
        ({"type": "section", "fields": [text(2001)]}, "must be less than 2001 characters"),
        ({"type": "context", "elements": [text(1)] * 11}, "no more than 10 items allowed"),
        ({"type": "divider", "color": "red"}, "invalid additional property: color"),
        ({"type": "carousel"}, "unsupported type: carousel"),
        ({"type": "divider", "block_id": "x" * 256}, "must be less than 256 characters"),
        (actions(), "no less than 1 items allowed"),
        (actions(*[button(action_id=f"go-{n}") for n in range(26)]), "no more than 25 items allowed"),
        (
            actions(button(), button(action_id="stop"), button()),
            "action_id must be unique in its block: go [json-pointer:/blocks/0/elements/2/action_id]",
        ),
        (
            actions(button(value="x" * 2001)),
            "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]",
        ),
        (actions(button(text=text(76))), "must be less than 76 characters"),
        (actions(button(style="green")), "must be one of: primary, danger"),
        ("text", "unsupported type"),
    ],
)
def test_what_breaks_a_limit_is_named_with_its_place(block: Any, problem: str) -> None:
    assert problem in " ".join(blocks.message_problems([block]))


def test_a_message_holds_fifty_blocks() -> None:
    assert blocks.message_problems([{"type": "divider"}] * 50) == []
    assert "no more than 50 items" in blocks.message_problems([{"type": "divider"}] * 51)[0]


def test_two_blocks_with_one_id_are_refused() -> None:
    twice = [{"type": "divider", "block_id": "same"}] * 2
    assert blocks.message_problems(twice) == ["[ERROR] block_id must be unique: same [json-pointer:/blocks/1/block_id]"]


def test_a_modal_has_its_own_limits() -> None:
    view: dict[str, Any] = {"type": "modal", "title": text(24), "blocks": [{"type": "divider"}] * 100}
    assert blocks.view_problems(view) == []
    assert "must be less than 25 characters" in blocks.view_problems({**view, "title": text(25)})[0]
    assert "unsupported type" in blocks.view_problems(None)[0]
