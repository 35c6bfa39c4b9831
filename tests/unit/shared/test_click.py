import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.click import Click, ClickUnreadableError

CLICK = Click(
    choice="reject",
    user_id="U0123ABCD",
    user_team="T0WORKSPC",
    user_name="ann",
    at=datetime(2026, 11, 24, 13, 0, tzinfo=timezone(timedelta(hours=1))),
    channel="C0123ABCD",
    ts="1795615200.000100",
    reason="too late",
    inputs={"size": 3},
)


@given(
    st.builds(
        Click,
        choice=st.sampled_from(["approve", "reject", "cancel"]),
        user_id=st.text(),
        user_team=st.text(),
        user_name=st.text(),
        at=st.datetimes(timezones=st.just(UTC)),
        channel=st.text(),
        ts=st.text(),
        reason=st.none() | st.text(),
        inputs=st.dictionaries(st.text(), st.text() | st.integers() | st.booleans()),
    )
)
def test_a_click_reads_back_what_it_was(click: Click) -> None:
    assert Click.decode(click.encode()) == click


def test_the_result_is_what_the_interface_says() -> None:
    assert json.loads(CLICK.encode()) == {
        "v": 1,
        "decision": "reject",
        "user": {"id": "U0123ABCD", "team": "T0WORKSPC", "name": "ann"},
        "at": "2026-11-24T12:00:00+00:00",
        "reason": "too late",
        "inputs": {"size": 3},
        "message": {"channel": "C0123ABCD", "ts": "1795615200.000100"},
    }


@given(st.none() | st.text())
def test_anything_else_is_unreadable(result: str | None) -> None:
    with pytest.raises(ClickUnreadableError):
        Click.decode(result)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("v", 2),
        ("decision", "maybe"),
        ("user", "U0123ABCD"),
        ("user", {"id": 1, "team": "T0", "name": "ann"}),
        ("at", "yesterday"),
        ("at", "2026-11-24T12:00:00"),
        ("reason", 5),
        ("inputs", []),
        ("message", None),
    ],
)
def test_a_field_of_another_kind_is_unreadable_and_not_shown(field: str, value: Any) -> None:
    changed = json.loads(CLICK.encode()) | {field: value}

    with pytest.raises(ClickUnreadableError) as caught:
        Click.decode(json.dumps(changed))

    assert "U0123ABCD" not in str(caught.value)
