from typing import Any

import pytest

from sandbox.aws.corrections import replace
from sandbox.aws.durable import DurableSettings
from sandbox.aws.faults import Faults


def test_an_unknown_endpoint_names_those_that_there_are(aws: Any) -> None:
    answer = aws.control("nothing")
    assert answer["status"] == 404
    assert "POST /_sandbox/durable-functions" in answer["error"]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"f": {"execution_timeout": 0}}, "f.execution_timeout: 0 is not a whole number from 1 to 31622400"),
        ({"f": {}}, "f.execution_timeout: None"),
        ({"f": {"execution_timeout": True}}, "f.execution_timeout: True"),
        ({"f": {"execution_timeout": 60, "retention_period": 0}}, "f.retention_period: 0 is not"),
        (
            {"f": {"execution_timeout": 60, "retention_period": 91}},
            "f.retention_period: 91 is not a whole number from 1",
        ),
        ({"f": {"execution_timeout": 60, "other": 1}}, "f: expected an object with execution_timeout"),
        ({"f": 60}, "f: expected an object"),
    ],
)
def test_wrong_durable_settings_are_refused_by_name_and_range(aws: Any, settings: Any, problem: str) -> None:
    answer = aws.control("durable-functions", settings)
    assert answer["status"] == 400
    assert problem in answer["error"]
    assert "f" not in aws.control("durable-functions")


def test_durable_settings_have_the_providers_default() -> None:
    assert DurableSettings.parse("f", {"execution_timeout": 60}) == DurableSettings(60, 14)
    assert DurableSettings.parse("f", {"execution_timeout": 60, "retention_period": None}) == DurableSettings(60, 14)


def test_faults_are_switched_all_or_none() -> None:
    faults = Faults()
    with pytest.raises(ValueError, match="'nothing' is no fault; there are drop_tag_events"):
        faults.set({"drop_tag_events": True, "nothing": True})
    with pytest.raises(ValueError, match="drop_tag_events: 1 is neither"):
        faults.set({"drop_tag_events": 1})
    assert faults == Faults()


def test_a_correction_of_something_that_is_gone_stops_the_server() -> None:
    class Emulator:
        def answer(self) -> int:
            return 1

    original = replace(Emulator, "answer", lambda _: 2)
    assert (Emulator().answer(), original(Emulator())) == (2, 1)
    with pytest.raises(AttributeError, match="Emulator has no 'gone'"):
        replace(Emulator, "gone", None)
