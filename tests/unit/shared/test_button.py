import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.button import MAX_VALUE_LENGTH, Button, ButtonTooLongError, ButtonUnreadableError

FUNCTION = "arn:aws:lambda:us-east-2:123456789012:function:orders-approval:2"
EXECUTION = f"{FUNCTION}/durable-execution/order-123/9f7d84c9-ea3d-3ffc-b3e5-5ec51c34ffc9"
CALLBACK_ID = "Y2FsbGJhY2s" * 19
BUTTON = Button(
    choice="approve",
    execution_arn=EXECUTION,
    callback_ids=(CALLBACK_ID,),
    approvers=("U0123ABCD", "U0777"),
    requester="U0456EFGH",
    allow_self_approval=False,
    team="T0WORKSPC",
)
IDS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=", min_size=1, max_size=24)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(
    st.builds(
        Button,
        choice=st.sampled_from(["approve", "reject", "cancel"]),
        execution_arn=IDS,
        callback_ids=st.lists(IDS, min_size=1, max_size=5).map(tuple),
        approvers=st.lists(IDS, max_size=5).map(tuple),
        requester=st.none() | IDS,
        allow_self_approval=st.booleans(),
        team=IDS,
        votes_needed=st.integers(1, 20),
        voted=st.lists(IDS, max_size=5).map(tuple),
        opens_modal=st.booleans(),
    )
)
def test_a_button_reads_back_what_it_was(button: Button) -> None:
    assert Button.decode(button.encode()) == button


def test_the_value_is_what_the_interface_says() -> None:
    assert json.loads(BUTTON.encode()) == {
        "v": 1,
        "d": "approve",
        "x": EXECUTION,
        "c": [CALLBACK_ID],
        "a": ["U0123ABCD", "U0777"],
        "r": "U0456EFGH",
        "self": 0,
        "t": "T0WORKSPC",
        "n": 1,
        "seen": [],
        "m": 0,
    }


@given(st.text() | JSON.map(json.dumps))
def test_anything_else_is_unreadable(value: str) -> None:
    with pytest.raises(ButtonUnreadableError):
        Button.decode(value)


@settings(max_examples=50)
@given(field=st.sampled_from(["v", "d", "x", "c", "a", "r", "self", "t", "n", "seen", "m"]), value=JSON)
def test_a_changed_field_is_unreadable_or_still_a_button(field: str, value: Any) -> None:
    changed = json.loads(BUTTON.encode()) | {field: value}
    try:
        button = Button.decode(json.dumps(changed))
    except ButtonUnreadableError:
        return
    assert Button.decode(button.encode()) == button


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("v", 2),
        ("d", "maybe"),
        ("c", []),
        ("c", "text"),
        ("c", [1]),
        ("a", "U0123ABCD"),
        ("r", 1),
        ("t", None),
        ("n", "2"),
        ("x", None),
        ("m", "1"),
    ],
)
def test_a_field_of_another_kind_is_unreadable(field: str, value: Any) -> None:
    changed = json.loads(BUTTON.encode()) | {field: value}

    with pytest.raises(ButtonUnreadableError):
        Button.decode(json.dumps(changed))


def test_deep_nesting_is_unreadable() -> None:
    with pytest.raises(ButtonUnreadableError):
        Button.decode("[" * 100_000)


def test_an_error_does_not_repeat_the_value() -> None:
    value = json.dumps(json.loads(BUTTON.encode()) | {"t": None})

    with pytest.raises(ButtonUnreadableError) as caught:
        Button.decode(value)

    assert CALLBACK_ID not in str(caught.value)


def test_more_approvers_than_fit_are_refused_with_their_number() -> None:
    users = tuple(f"U{number:010}" for number in range(200))
    button = replace(BUTTON, approvers=users)

    with pytest.raises(
        ButtonTooLongError, match=r"200 approvers do not fit into a Slack button \(\d+ of 2000 characters"
    ):
        button.encode()


def test_as_many_as_fit_are_taken() -> None:
    room = MAX_VALUE_LENGTH - len(replace(BUTTON, team="").encode())

    assert len(replace(BUTTON, team="T" * room).encode()) == MAX_VALUE_LENGTH


@pytest.mark.parametrize(("length", "fitting"), [(212, 8), (700, 2), (1024, 1)])
def test_as_many_callbacks_as_fit_are_kept_the_first_ones_first(length: int, fitting: int) -> None:
    ids = tuple(f"{number:x}" * length for number in range(12))

    button = replace(BUTTON, callback_ids=ids).fitting()

    assert button.callback_ids == ids[:fitting]
    assert len(button.encode()) <= MAX_VALUE_LENGTH
    if fitting > 1:
        with pytest.raises(ButtonTooLongError):
            replace(BUTTON, callback_ids=ids[: fitting + 1]).encode()


@given(st.lists(st.text("abc+/=", min_size=1, max_size=700), min_size=1, max_size=20))
def test_no_more_callbacks_would_have_fitted(ids: list[str]) -> None:
    kept = replace(BUTTON, callback_ids=tuple(ids)).fitting().callback_ids

    assert kept == tuple(ids[: len(kept)])
    assert len(replace(BUTTON, callback_ids=kept).encode()) <= MAX_VALUE_LENGTH
    if len(kept) < len(ids):
        with pytest.raises(ButtonTooLongError):
            replace(BUTTON, callback_ids=tuple(ids[: len(kept) + 1])).encode()


def test_where_not_even_one_callback_fits_the_button_is_refused() -> None:
    with pytest.raises(ButtonTooLongError):
        replace(BUTTON, callback_ids=("x" * 1900, "y")).fitting()
