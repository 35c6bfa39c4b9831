"""Block Kit as Slack checks it: what is wrong with blocks, and what Slack adds to them.

The limits are those of https://docs.slack.dev/reference/block-kit. Block and element types that the sandbox does not
know are refused, by name. The text of each problem follows Slack's own (`[ERROR] ... [json-pointer:...]`).
"""

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from sandbox.slack.workspace import Json

MAX_MESSAGE_BLOCKS = 50
MAX_VIEW_BLOCKS = 100
_INTERACTIVE = ("button", "checkboxes", "datepicker", "number_input", "plain_text_input", "static_select")

Check = Callable[[Any, str], Iterator[str]]


def message_problems(blocks: Any) -> list[str]:
    """Return what Slack would say is wrong with the blocks of a message; nothing if they are fine."""
    return [*_items(_typed(_BLOCKS), MAX_MESSAGE_BLOCKS)(blocks, "/blocks"), *_duplicate_ids(blocks)]


def view_problems(view: Any) -> list[str]:
    """Return what Slack would say is wrong with a modal; nothing if it is fine."""
    found = list(_VIEW(view, "/view"))
    if not found and "submit" not in view and any(block["type"] == "input" for block in view["blocks"]):
        found.append(_error("missing required field: submit, since there are inputs", "/view"))
    return found or list(_duplicate_ids(view["blocks"]))


def as_stored(blocks: Sequence[Json]) -> tuple[Json, ...]:
    """Return blocks as Slack keeps and returns them: with ids, and with the defaults of texts filled in."""
    return tuple(_completed({"block_id": secrets.token_hex(3), **block}) for block in blocks)


def _completed(value: Any) -> Any:
    if isinstance(value, list):
        return [_completed(item) for item in value]
    if not isinstance(value, dict):
        return value
    defaults: Json = {}
    if value.get("type") == "plain_text":
        defaults = {"emoji": True}
    elif value.get("type") == "mrkdwn":
        defaults = {"verbatim": False}
    elif value.get("type") in _INTERACTIVE:
        defaults = {"action_id": secrets.token_hex(3)}
    elif value.get("type") == "input":
        defaults = {"optional": False, "dispatch_action": False}
    if value.get("type") == "plain_text_input":
        defaults["dispatch_action_config"] = {"trigger_actions_on": ["on_enter_pressed"]}
    return {**defaults, **{key: _completed(item) for key, item in value.items()}}


def _duplicate_ids(blocks: Any) -> Iterator[str]:
    seen: set[str] = set()
    for position, block in enumerate(_objects(blocks)):
        block_id = block.get("block_id")
        if block_id and block_id in seen:
            yield _error(f"block_id must be unique: {block_id}", f"/blocks/{position}/block_id")
        seen.add(str(block_id))
        in_block: set[str] = set()
        for number, element in enumerate(_objects(block.get("elements"))):
            action_id = element.get("action_id")
            if action_id and action_id in in_block:
                pointer = f"/blocks/{position}/elements/{number}/action_id"
                yield _error(f"action_id must be unique in its block: {action_id}", pointer)
            in_block.add(str(action_id))


def _objects(value: Any) -> list[Json]:
    """Return the items of a list; what is no object, which has been told already, as an empty one."""
    return [item if isinstance(item, dict) else {} for item in value] if isinstance(value, list) else []


def _error(text: str, pointer: str) -> str:
    return f"[ERROR] {text} [json-pointer:{pointer}]"


# --- checks, from the small to the large


def _string(maximum: int, minimum: int = 1) -> Check:
    def check(value: Any, pointer: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield _error("must be a string", pointer)
        elif len(value) < minimum:
            yield _error(f"must be more than {minimum - 1} characters", pointer)
        elif len(value) > maximum:
            yield _error(f"must be less than {maximum + 1} characters", pointer)

    return check


def _one_of(*allowed: str) -> Check:
    def check(value: Any, pointer: str) -> Iterator[str]:
        if value not in allowed:
            yield _error(f"must be one of: {', '.join(allowed)}", pointer)

    return check


def _boolean(value: Any, pointer: str) -> Iterator[str]:
    if not isinstance(value, bool):
        yield _error("must be a boolean", pointer)


def _matching(pattern: str, what: str) -> Check:
    def check(value: Any, pointer: str) -> Iterator[str]:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            yield _error(f"must be {what}", pointer)

    return check


def _integer(minimum: int, maximum: int) -> Check:
    def check(value: Any, pointer: str) -> Iterator[str]:
        if not isinstance(value, int) or not minimum <= value <= maximum:
            yield _error(f"must be a number from {minimum} to {maximum}", pointer)

    return check


def _initial_among_options(name: str, check_all: Check) -> Check:
    """Return a check that what is chosen at first is one of the options, field by field, as Slack compares it."""

    def check(value: Any, pointer: str) -> Iterator[str]:
        yield from check_all(value, pointer)
        if isinstance(value, dict) and name in value:
            chosen = value[name] if isinstance(value[name], list) else [value[name]]
            if not all(option in value.get("options", []) for option in chosen):
                yield _error(f"{name} must be one of the provided options", f"{pointer}/{name}")

    return check


def _fields(required: Mapping[str, Check], optional: Mapping[str, Check]) -> Check:
    def check(value: Any, pointer: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield _error("must be an object", pointer)
            return
        for name in required:
            if name not in value:
                yield _error(f"missing required field: {name}", pointer)
        for name, item in value.items():
            known = required.get(name) or optional.get(name)
            if known:
                yield from known(item, f"{pointer}/{name}")
            elif name != "type":
                yield _error(f"invalid additional property: {name}", pointer)

    return check


def _items(check_item: Check, maximum: int, minimum: int = 0) -> Check:
    def check(value: Any, pointer: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield _error("must be an array", pointer)
            return
        if len(value) < minimum:
            yield _error(f"no less than {minimum} items allowed", pointer)
        if len(value) > maximum:
            yield _error(f"no more than {maximum} items allowed", pointer)
        for position, item in enumerate(value):
            yield from check_item(item, f"{pointer}/{position}")

    return check


def _typed(known: Mapping[str, Check]) -> Check:
    def check(value: Any, pointer: str) -> Iterator[str]:
        kind = str(value.get("type")) if isinstance(value, dict) else "missing"
        if kind in known:
            yield from known[kind](value, pointer)
        else:
            yield _error(f"unsupported type: {kind} (the sandbox knows {', '.join(known)})", f"{pointer}/type")

    return check


def _any_of(names: Iterable[str], check_all: Check) -> Check:
    alternatives = tuple(names)

    def check(value: Any, pointer: str) -> Iterator[str]:
        if isinstance(value, dict) and not any(value.get(name) for name in alternatives):
            yield _error(f"missing required field: {' or '.join(alternatives)}", pointer)
        yield from check_all(value, pointer)

    return check


def _plain(maximum: int) -> Check:
    return _typed({"plain_text": _fields({"text": _string(maximum)}, {"emoji": _boolean})})


def _text(maximum: int) -> Check:
    return _typed(
        {
            "plain_text": _fields({"text": _string(maximum)}, {"emoji": _boolean}),
            "mrkdwn": _fields({"text": _string(maximum)}, {"verbatim": _boolean}),
        }
    )


_ID = _string(255)
_CONFIRM = _fields(
    {"title": _plain(100), "text": _text(300), "confirm": _plain(30), "deny": _plain(30)},
    {"style": _one_of("primary", "danger")},
)
_OPTION = _fields({"text": _text(75), "value": _string(150)}, {"description": _text(75)})
_IMAGE = _fields({"image_url": _string(3000), "alt_text": _string(2000)}, {})
_BUTTON = _fields(
    {"text": _plain(75)},
    {
        "action_id": _ID,
        "url": _string(3000),
        "value": _string(2000, minimum=0),
        "style": _one_of("primary", "danger"),
        "confirm": _CONFIRM,
        "accessibility_label": _string(75),
    },
)
_SELECT = _initial_among_options(
    "initial_option",
    _fields(
        {"options": _items(_OPTION, 100, minimum=1)},
        {
            "action_id": _ID,
            "placeholder": _plain(150),
            "initial_option": _OPTION,
            "confirm": _CONFIRM,
            "focus_on_load": _boolean,
        },
    ),
)
_CHECKBOXES = _initial_among_options(
    "initial_options",
    _fields(
        {"options": _items(_OPTION, 10, minimum=1)},
        {
            "action_id": _ID,
            "initial_options": _items(_OPTION, 10, minimum=1),
            "confirm": _CONFIRM,
            "focus_on_load": _boolean,
        },
    ),
)
_DECIMAL = _matching(r"-?\d+(\.\d+)?", "a decimal number as a string")
_NUMBER_INPUT = _fields(
    {"is_decimal_allowed": _boolean},
    {
        "action_id": _ID,
        "initial_value": _DECIMAL,
        "min_value": _DECIMAL,
        "max_value": _DECIMAL,
        "placeholder": _plain(150),
        "focus_on_load": _boolean,
    },
)
_DATE_PICKER = _fields(
    {},
    {
        "action_id": _ID,
        "initial_date": _matching(r"\d{4}-\d\d-\d\d", "a date as YYYY-MM-DD"),
        "placeholder": _plain(150),
        "confirm": _CONFIRM,
        "focus_on_load": _boolean,
    },
)
_TEXT_INPUT = _fields(
    {},
    {
        "action_id": _ID,
        "initial_value": _string(3000, minimum=0),
        "multiline": _boolean,
        "min_length": _integer(0, 3000),
        "max_length": _integer(1, 3000),
        "dispatch_action_config": _fields(
            {"trigger_actions_on": _items(_one_of("on_enter_pressed", "on_character_entered"), 2, minimum=1)}, {}
        ),
        "placeholder": _plain(150),
        "focus_on_load": _boolean,
    },
)

_ACTIONS = _typed({"button": _BUTTON, "checkboxes": _CHECKBOXES, "datepicker": _DATE_PICKER, "static_select": _SELECT})
_CONTEXT_ELEMENT = _typed(
    {
        "plain_text": _fields({"text": _string(3000)}, {"emoji": _boolean}),
        "mrkdwn": _fields({"text": _string(3000)}, {"verbatim": _boolean}),
        "image": _IMAGE,
    }
)
_INPUTS = _typed(
    {
        "checkboxes": _CHECKBOXES,
        "datepicker": _DATE_PICKER,
        "number_input": _NUMBER_INPUT,
        "plain_text_input": _TEXT_INPUT,
        "static_select": _SELECT,
    }
)

_BLOCKS: Mapping[str, Check] = {
    "actions": _fields({"elements": _items(_ACTIONS, 25, minimum=1)}, {"block_id": _ID}),
    "context": _fields({"elements": _items(_CONTEXT_ELEMENT, 10, minimum=1)}, {"block_id": _ID}),
    "divider": _fields({}, {"block_id": _ID}),
    "header": _fields({"text": _plain(150)}, {"block_id": _ID}),
    "input": _fields(
        {"label": _plain(2000), "element": _INPUTS},
        {"block_id": _ID, "hint": _plain(2000), "optional": _boolean, "dispatch_action": _boolean},
    ),
    "section": _any_of(
        ("text", "fields"),
        _fields(
            {},
            {
                "text": _text(3000),
                "fields": _items(_text(2000), 10),
                "accessory": _typed({"button": _BUTTON, "static_select": _SELECT, "image": _IMAGE}),
                "block_id": _ID,
                "expand": _boolean,
            },
        ),
    ),
}

_VIEW = _typed(
    {
        "modal": _fields(
            {"title": _plain(24), "blocks": _items(_typed(_BLOCKS), MAX_VIEW_BLOCKS)},
            {
                "submit": _plain(24),
                "close": _plain(24),
                "private_metadata": _string(3000, minimum=0),
                "callback_id": _ID,
                "clear_on_close": _boolean,
                "notify_on_close": _boolean,
                "external_id": _ID,
            },
        )
    }
)
