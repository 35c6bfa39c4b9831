"""What people fill in: the state of inputs as Slack sends it, and what Slack itself checks before it sends anything.

State: https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload#view_submission_example.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.slack.workspace import Json

_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")


class AnswersInvalidError(ValueError):
    """Answers to inputs that are not there."""


def inputs_of(blocks: Iterable[Json]) -> dict[str, Json]:
    """Return the input blocks, by block id."""
    return {block["block_id"]: block for block in blocks if block["type"] == "input"}


def filled_in(inputs: Mapping[str, Json], answers: Mapping[str, Any]) -> Json:
    """Return the answer to every input: what it shows at first where nobody answered.

    Args:
        inputs: Input blocks, by block id.
        answers: By block id: a text, number, option's value or date; whether a single checkbox is ticked, or the values
            of ticked ones; None for nothing.

    Raises:
        AnswersInvalidError: If there is an answer without its input.
    """
    unknown = sorted(set(answers) - set(inputs))
    if unknown:
        raise AnswersInvalidError(f"there are no inputs {unknown}, only {sorted(inputs)}")
    return {block_id: _initial(block["element"]) for block_id, block in inputs.items()} | dict(answers)


def problems(inputs: Mapping[str, Json], answers: Mapping[str, Any]) -> dict[str, str]:
    """Return what Slack's own checks say about the answer to each input that does not pass, by block id."""
    found = {block_id: _problem(block, answers[block_id]) for block_id, block in inputs.items()}
    return {block_id: problem for block_id, problem in found.items() if problem}


def values(inputs: Mapping[str, Json], answers: Mapping[str, Any]) -> Json:
    """Return the `values` of a payload's `state`."""
    return {
        block_id: {
            block["element"]["action_id"]: {
                "type": block["element"]["type"],
                **_element_state(block["element"], answers[block_id]),
            }
        }
        for block_id, block in inputs.items()
    }


def _initial(element: Json) -> Any:
    """Return what an element shows at first, in the form of an answer."""
    match element["type"]:
        case "static_select":
            return (element.get("initial_option") or {}).get("value")
        case "checkboxes":
            return [option["value"] for option in element.get("initial_options", [])]
        case "datepicker":
            return element.get("initial_date")
    return element.get("initial_value")


def _element_state(element: Json, value: Any) -> Json:
    match element["type"]:
        case "static_select":
            chosen = [option for option in element["options"] if option["value"] == value]
            return {"selected_option": chosen[0] if chosen else {"value": value} if value else None}
        case "checkboxes":
            return {"selected_options": [o for o in element["options"] if o["value"] in _ticked(element, value)]}
        case "datepicker":
            return {"selected_date": value}
    return {"value": None if value in (None, "") else str(value)}


def _ticked(element: Json, value: Any) -> list[str]:
    if isinstance(value, list):
        return value
    return [element["options"][0]["value"]] if value else []


def _problem(block: Json, value: Any) -> str | None:
    """Return what Slack's own checks say about an answer, before the app is asked."""
    element = block["element"]
    kind = element["type"]
    nothing = not _ticked(element, value) if kind == "checkboxes" else value in (None, "")
    if nothing:
        return None if block.get("optional") else "has to be filled in"
    return _PROBLEMS[kind](element, str(value)) if kind in _PROBLEMS else None


def _text_problem(element: Json, text: str) -> str | None:
    least, most = element.get("min_length", 0), element.get("max_length", 3000)
    if len(text) < least:
        return f"is shorter than {least} characters"
    return f"is longer than {most} characters" if len(text) > most else None


def _select_problem(element: Json, text: str) -> str | None:
    return None if text in [option["value"] for option in element["options"]] else "is none of the options"


def _date_problem(_: Json, text: str) -> str | None:
    return None if _DATE.fullmatch(text) else "is not a date"


def _number_problem(element: Json, text: str) -> str | None:
    if not _NUMBER.fullmatch(text):
        return "is not a number"
    if "." in text and not element["is_decimal_allowed"]:
        return "is not a whole number"
    least, most = float(element.get("min_value", "-inf")), float(element.get("max_value", "inf"))
    return None if least <= float(text) <= most else "is out of range"


_PROBLEMS = {
    "datepicker": _date_problem,
    "number_input": _number_problem,
    "plain_text_input": _text_problem,
    "static_select": _select_problem,
}
