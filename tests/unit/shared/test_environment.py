import pytest

from shared import environment
from shared.errors import ConfigurationError


def test_a_required_variable_is_returned_without_surrounding_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUCKET", " orders-gates\n")

    assert environment.required("BUCKET", "a bucket") == "orders-gates"


@pytest.mark.parametrize("value", [None, "", "  "])
def test_a_missing_variable_is_named_with_what_it_is_for(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("BUCKET", raising=False)
    if value is not None:
        monkeypatch.setenv("BUCKET", value)

    with pytest.raises(ConfigurationError, match="environment variable BUCKET is not set; set it to a bucket"):
        environment.required("BUCKET", "a bucket")
    assert environment.optional("BUCKET", "none") == "none"


def test_a_number_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDS", "900")

    assert environment.required_integer("SECONDS", "seconds") == 900


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "ten", "²", "٣"])
def test_anything_else_than_a_number_above_zero_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SECONDS", value)

    with pytest.raises(ConfigurationError, match=f"SECONDS is '{value}'; set it to seconds, a whole number"):
        environment.required_integer("SECONDS", "seconds")


def test_an_optional_variable_wins_over_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_API_URL", "https://slack-gov.com/api/")

    assert environment.optional("SLACK_API_URL", "other") == "https://slack-gov.com/api/"
