from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.form import MAX_REASON_LENGTH, MAX_TEXT_LENGTH, Answers, Form, FormInvalidError

SIZE = {"name": "size", "label": "Size", "type": "select", "options": ["S", "M "], "required": True}
COUNT = {"name": "count", "label": "Count", "type": "number", "min": 1, "max": 2.5}
DAY = {"name": "day", "label": "Day", "type": "date", "min": "2026-01-01", "max": "2026-12-31"}
READ = {"name": "read", "label": "Read", "type": "checkbox"}
NOTE = {"name": "note", "label": "Note", "type": "text", "max_length": 5}
NOTHING: dict[str, Any] = {}


def text(value: str | None, kind: str = "plain_text_input") -> dict[str, Any]:
    return {"type": kind, "value": value}


def chosen(value: str | None) -> dict[str, Any]:
    option = {"text": {"type": "plain_text", "text": value}, "value": value} if value else None
    return {"type": "static_select", "selected_option": option}


def day(value: str | None) -> dict[str, Any]:
    return {"type": "datepicker", "selected_date": value}


def ticked(*, yes: bool) -> dict[str, Any]:
    return {"type": "checkboxes", "selected_options": [{"value": "yes"}] if yes else []}


def answered(definition: dict[str, Any], element: dict[str, Any]) -> Any:
    """Return the answer to a single input, or what is wrong with it."""
    form = Form.read({"inputs": [definition]})
    block = f"input-{definition['name']}"
    answers, errors = form.answers("approve", {block: {"answer": element}})
    assert set(errors) <= {block}
    return errors.get(block) or answers.inputs[definition["name"]]


@pytest.mark.parametrize(
    ("request_", "approve", "reject"),
    [
        ({}, False, False),
        ({"reason": {}}, False, False),
        ({"reason": {"on_reject": "required"}}, False, True),
        ({"reason": {"on_approve": "optional", "on_reject": "none"}}, True, False),
        ({"inputs": [NOTE]}, True, False),
        ({"inputs": [NOTE], "reason": {"on_reject": "optional"}}, True, True),
    ],
)
def test_a_button_opens_a_modal_only_where_there_is_something_to_ask(
    request_: dict[str, Any], approve: bool, reject: bool
) -> None:
    form = Form.read(request_)
    assert (form.asks("approve"), form.asks("reject"), form.asks("cancel")) == (approve, reject, False)
    assert bool(form.blocks("approve")) == approve
    assert form.blocks("cancel") == []


@pytest.mark.parametrize(
    ("definition", "element", "expected"),
    [
        (NOTE, text(" abc "), "abc"),
        (NOTE, text("  "), None),
        (NOTE, text(None), None),
        (NOTE, NOTHING, None),
        (NOTE, text("abcdef"), "Please use 5 characters at most (6 now)."),
        (NOTE | {"required": True}, text(" "), "Please fill this in."),
        (COUNT, text("2", "number_input"), 2),
        (COUNT, text("2.5", "number_input"), 2.5),
        (COUNT, text(None, "number_input"), None),
        (COUNT, text("0.5", "number_input"), "Please use 1 or more."),
        (COUNT, text("3", "number_input"), "Please use 2.5 or less."),
        (COUNT, text("two", "number_input"), "Please enter a number, such as 3 or 2.5."),
        (COUNT, text("1e3", "number_input"), "Please enter a number, such as 3 or 2.5."),
        (COUNT, text("٣", "number_input"), "Please enter a number, such as 3 or 2.5."),
        (COUNT, text("9" * 5000, "number_input"), "Please enter a number, such as 3 or 2.5."),
        (COUNT, text("NaN", "number_input"), "Please enter a number, such as 3 or 2.5."),
        (SIZE, chosen("S"), "S"),
        (SIZE, chosen("M "), "M "),
        (SIZE, chosen(None), "Please fill this in."),
        (SIZE, chosen("XL"), "Please choose one of the options."),
        (SIZE | {"required": False}, chosen(None), None),
        (DAY, day("2026-06-30"), "2026-06-30"),
        (DAY, day(None), None),
        (DAY, day("2025-12-31"), "Please use 2026-01-01 or later."),
        (DAY, day("2027-01-01"), "Please use 2026-12-31 or earlier."),
        (DAY, day("2026-02-30"), "Please choose a date."),
        (DAY, day("20260630"), "Please choose a date."),
        (READ, ticked(yes=True), True),
        (READ, ticked(yes=False), False),
        (READ, NOTHING, False),
        (READ | {"required": True}, ticked(yes=False), "Please tick this box."),
    ],
)
def test_answers_are_typed_and_checked(definition: dict[str, Any], element: dict[str, Any], expected: Any) -> None:
    found = answered(definition, element)
    assert found == expected
    assert type(found) is type(expected)


def test_every_input_is_in_the_answers_and_every_mistake_is_told_at_once() -> None:
    form = Form.read({"inputs": [SIZE, COUNT, DAY, READ, NOTE], "reason": {"on_approve": "required"}})
    assert form.answers("approve", {})[1] == {"input-size": "Please fill this in.", "reason": "Please say why."}

    state = {"input-size": {"answer": chosen("S")}, "reason": {"answer": text(" because ")}}
    answers, errors = form.answers("approve", state)
    assert errors == {}
    assert answers == Answers(
        reason="because", inputs={"size": "S", "count": None, "day": None, "read": False, "note": None}
    )


def test_reject_asks_for_the_reason_alone() -> None:
    form = Form.read({"inputs": [SIZE], "reason": {"on_reject": "optional"}})
    assert [block["block_id"] for block in form.blocks("reject")] == ["reason"]
    assert form.blocks("reject")[0]["optional"] is True
    assert form.answers("reject", {}) == (Answers(reason=None, inputs={}), {})
    too_long = {"reason": {"answer": text("x" * (MAX_REASON_LENGTH + 1))}}
    assert "1000 characters at most" in form.answers("reject", too_long)[1]["reason"]


def test_defaults_hints_and_limits_are_shown() -> None:
    definitions = [
        SIZE | {"default": "M ", "hint": "Choose well"},
        COUNT | {"default": 2},
        DAY | {"default": "2026-01-01"},
        READ | {"default": True},
        NOTE | {"default": "abc"},
    ]
    size, count, date, read, note = Form.read({"inputs": definitions}).blocks("approve")
    assert size["label"] == {"type": "plain_text", "text": "Size"}
    assert (size["optional"], size["hint"]["text"]) == (False, "Choose well")
    assert size["element"]["initial_option"]["value"] == "M "
    assert [option["value"] for option in size["element"]["options"]] == ["S", "M "]
    element = count["element"]
    assert (element["initial_value"], element["min_value"], element["max_value"]) == ("2", "1", "2.5")
    assert date["element"]["initial_date"] == "2026-01-01"
    assert read["element"]["initial_options"] == read["element"]["options"]
    assert (note["element"]["initial_value"], note["element"]["max_length"]) == ("abc", 5)
    assert note["optional"] is True
    assert "hint" not in note


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (SIZE | {"options": []}, r"inputs\[0\].options of size is empty"),
        (SIZE | {"options": ["S", "S"]}, "text twice"),
        (SIZE | {"max_length": 3}, r"inputs\[0\].max_length is given, but request.inputs\[0\].type is select"),
        (NOTE | {"options": ["a"]}, "only select inputs have options"),
        (NOTE | {"min": 1}, "only number and date inputs have min"),
        (COUNT | {"min": 3}, "min is 3, more than max, 2.5"),
        (COUNT | {"min": "1"}, "min is '1'; a number input needs a number"),
        (COUNT | {"max": 1e300}, "needs a number"),
        (COUNT | {"max": True}, "needs a number"),
        (DAY | {"min": 1}, "needs a date such as"),
        (DAY | {"max": "2026-13-01"}, "needs a date such as"),
        (SIZE | {"default": "XL"}, "default is 'XL'; the input would say: Please choose one of the options"),
        (COUNT | {"default": 9}, "default is 9; the input would say"),
        (COUNT | {"default": "2"}, "default is '2', which a number input cannot hold"),
        (COUNT | {"default": True}, "cannot hold"),
        (DAY | {"default": "tomorrow"}, "default is 'tomorrow'"),
        (READ | {"default": "yes"}, "which a checkbox input cannot hold"),
        (NOTE | {"default": "abcdef"}, "5 characters at most"),
        (NOTE | {"default": 5}, "which a text input cannot hold"),
    ],
)
def test_a_definition_that_contradicts_itself_is_refused_by_its_field(changed: dict[str, Any], named: str) -> None:
    with pytest.raises(FormInvalidError, match=named):
        Form.read({"inputs": [changed]})


def test_a_name_that_is_given_twice_is_refused() -> None:
    with pytest.raises(FormInvalidError, match="the name note twice"):
        Form.read({"inputs": [NOTE, SIZE, NOTE]})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["answer", "value", "selected_option", "selected_date", "selected_options"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["input-size", "input-count", "input-day", "input-read", "reason"]), JSON))
def test_no_state_makes_reading_the_answers_raise(state: dict[str, Any]) -> None:
    form = Form.read({"inputs": [SIZE, COUNT, DAY, READ], "reason": {"on_approve": "required"}})
    answers, errors = form.answers("approve", state)
    assert {f"input-{name}" for name in answers.inputs} | set(errors) >= {"input-size", "input-count", "input-day"}


@given(st.text(max_size=MAX_TEXT_LENGTH + 5))
def test_any_text_is_kept_as_it_is_but_for_the_spaces_around_it(value: str) -> None:
    plain = {"name": "note", "label": "Note", "type": "text"}
    if len(value.strip()) <= MAX_TEXT_LENGTH:
        assert answered(plain, text(value)) == (value.strip() or None)
