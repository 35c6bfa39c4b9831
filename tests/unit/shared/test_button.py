import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.button import MAX_VALUE_LENGTH, Button, ButtonTooLongError, ButtonUnreadableError

CALLBACK_ID = "Y2FsbGJhY2s" * 19
BUTTON = Button(
    choice="approve",
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
        choice=st.sampled_from(["approve", "reject"]),
        callback_ids=st.lists(IDS, min_size=1, max_size=5).map(tuple),
        approvers=st.lists(IDS, max_size=5).map(tuple),
        requester=st.none() | IDS,
        allow_self_approval=st.booleans(),
        team=IDS,
        votes_needed=st.integers(1, 20),
        voted=st.lists(IDS, max_size=5).map(tuple),
    )
)
def test_a_button_reads_back_what_it_was(button: Button) -> None:
    assert Button.decode(button.encode()) == button


def test_the_value_is_what_the_interface_says() -> None:
    assert json.loads(BUTTON.encode()) == {
        "v": 1,
        "d": "approve",
        "c": [CALLBACK_ID],
        "a": ["U0123ABCD", "U0777"],
        "r": "U0456EFGH",
        "self": 0,
        "t": "T0WORKSPC",
        "n": 1,
        "seen": [],
    }


@given(st.text() | JSON.map(json.dumps))
def test_anything_else_is_unreadable(value: str) -> None:
    with pytest.raises(ButtonUnreadableError):
        Button.decode(value)


@settings(max_examples=50)
@given(field=st.sampled_from(["v", "d", "c", "a", "r", "self", "t", "n", "seen"]), value=JSON)
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
