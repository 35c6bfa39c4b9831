"""What a click asks for: a reason, and the request's own inputs. Defined, shown and checked by one module.

The approval function reads the definition when the request comes, the webhook shows it and checks the answers.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, Self, cast

from slack_sdk.models.blocks import (
    CheckboxesElement,
    DatePickerElement,
    InputBlock,
    NumberInputElement,
    Option,
    PlainTextInputElement,
    PlainTextObject,
    StaticSelectElement,
)
from slack_sdk.models.blocks.block_elements import InputInteractiveElement

from shared.button import Choice
from shared.errors import WorkflowGatesError

Need = Literal["none", "optional", "required"]
Kind = Literal["text", "number", "select", "date", "checkbox"]
Answer = str | int | float | bool | None

# Block ids in the modal; each block's element has the id `ANSWER`.
REASON_BLOCK_ID = "reason"
INPUT_BLOCK_PREFIX = "input-"
ANSWER = "answer"

# https://docs.slack.dev/reference/block-kit/block-elements/plain-text-input-element
MAX_TEXT_LENGTH = 3000
# Shown on the message beside who decided.
MAX_REASON_LENGTH = 1000
_TICKED = "yes"
# Decimal places and digits as far as JSON numbers are read alike everywhere.
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class FormInvalidError(WorkflowGatesError):
    """A request defines a form that cannot be asked. The text names the field, its value and what it should be."""


class _UnfitError(ValueError):
    """An answer, or a default, that does not fit its input; the text is for whoever gave it."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """One input of a form.

    Attributes:
        name: Its name in the decision.
        label: What people read.
        kind: What can be answered.
        required: Whether it has to be answered; a checkbox: ticked.
        default: What the modal shows at first.
        options: What can be chosen, for `select`.
        minimum: Least number, or earliest date (`YYYY-MM-DD`).
        maximum: Greatest number, or latest date (`YYYY-MM-DD`).
        max_length: Characters that a text may have.
        hint: A line of help.
    """

    name: str
    label: str
    kind: Kind
    required: bool
    default: Answer
    options: tuple[str, ...]
    minimum: int | float | str | None
    maximum: int | float | str | None
    max_length: int
    hint: str

    @property
    def block_id(self) -> str:
        """Id of its block in the modal."""
        return INPUT_BLOCK_PREFIX + self.name

    def block(self) -> InputBlock:
        """Return its block."""
        return InputBlock(
            block_id=self.block_id,
            label=PlainTextObject(text=self.label),
            element=_ELEMENTS[self.kind](self),
            hint=PlainTextObject(text=self.hint) if self.hint else None,
            optional=not self.required,
        )

    def answer(self, state: Mapping[str, Any]) -> Answer:
        """Return what was answered; None where nothing was.

        Args:
            state: The element's state as Slack sends it.

        Raises:
            _UnfitError: If it does not fit.
        """
        if self.kind == "checkbox":
            ticked = bool(state.get("selected_options"))
            if self.required and not ticked:
                raise _UnfitError("Please tick this box.")
            return ticked
        given = _given(state)
        if given is None:
            if self.required:
                raise _UnfitError("Please fill this in.")
            return None
        return self.fitting(given)

    def fitting(self, given: str) -> Answer:
        """Return a text as an answer of this input's kind.

        Raises:
            _UnfitError: If it does not fit.
        """
        if self.kind == "number":
            if not _NUMBER.fullmatch(given):
                raise _UnfitError("Please enter a number, such as 3 or 2.5.")
            number = float(given) if "." in given else int(given)
            self._check_bounds(number)
            return number
        if self.kind == "date":
            if not _is_date(given):
                raise _UnfitError("Please choose a date.")
            self._check_bounds(given)
        elif self.kind == "select" and given not in self.options:
            raise _UnfitError("Please choose one of the options.")
        elif self.kind == "text" and len(given) > self.max_length:
            raise _UnfitError(f"Please use {self.max_length} characters at most ({len(given)} now).")
        return given

    def _check_bounds(self, given: Any) -> None:
        if self.minimum is not None and given < self.minimum:
            raise _UnfitError(f"Please use {self.minimum} or {'later' if self.kind == 'date' else 'more'}.")
        if self.maximum is not None and given > self.maximum:
            raise _UnfitError(f"Please use {self.maximum} or {'earlier' if self.kind == 'date' else 'less'}.")


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the person who clicked has filled in.

    Attributes:
        reason: Why.
        inputs: By the inputs' names; None where one was left out.
    """

    reason: str | None
    inputs: Mapping[str, Answer]


@dataclass(frozen=True, kw_only=True)
class Form:
    """What clicks on a request's buttons ask for.

    Attributes:
        reasons: Whether a reason is asked, by what the button says.
        inputs: What Approve asks for.
    """

    reasons: Mapping[Choice, Need]
    inputs: tuple[Input, ...]

    @classmethod
    def read(cls, request: Mapping[str, Any]) -> Self:
        """Read the form of a request.

        Args:
            request: A request that fits `request.schema.json`.

        Raises:
            FormInvalidError: If its inputs contradict themselves, in ways that a JSON schema cannot tell.
        """
        reason: Mapping[str, Need] = request.get("reason") or {}
        inputs = tuple(_input(f"request.inputs[{n}]", data) for n, data in enumerate(request.get("inputs") or ()))
        names = [found.name for found in inputs]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise FormInvalidError(f"request.inputs has the name {twice} twice; give each input its own name")
        return cls(
            reasons={"approve": reason.get("on_approve", "none"), "reject": reason.get("on_reject", "none")},
            inputs=inputs,
        )

    def asks(self, choice: Choice) -> bool:
        """Return whether a click on this button has to open a modal."""
        return self._reason(choice) != "none" or bool(self._inputs(choice))

    def blocks(self, choice: Choice) -> list[dict[str, Any]]:
        """Return the modal's input blocks for a button: the request's inputs first, the reason last."""
        blocks = [found.block() for found in self._inputs(choice)]
        need = self._reason(choice)
        if need != "none":
            blocks.append(_reason_block(required=need == "required"))
        return [block.to_dict() for block in blocks]

    def answers(self, choice: Choice, state: Mapping[str, Any]) -> tuple[Answers, dict[str, str]]:
        """Read what was filled in.

        Args:
            choice: What the button says.
            state: `view.state.values` of Slack's `view_submission`.

        Returns:
            The answers, and what is wrong with them by block id, as Slack shows it; nothing may be done with the
            answers unless that is empty.
        """
        errors: dict[str, str] = {}
        inputs: dict[str, Answer] = {}
        for found in self._inputs(choice):
            try:
                inputs[found.name] = found.answer(_element_state(state, found.block_id))
            except _UnfitError as error:
                errors[found.block_id] = str(error)
        reason = None
        if (need := self._reason(choice)) != "none":
            reason = _given(_element_state(state, REASON_BLOCK_ID))
            if need == "required" and reason is None:
                errors[REASON_BLOCK_ID] = "Please say why."
            elif reason and len(reason) > MAX_REASON_LENGTH:
                errors[REASON_BLOCK_ID] = f"Please use {MAX_REASON_LENGTH} characters at most ({len(reason)} now)."
        return Answers(reason=reason, inputs=inputs), errors

    def _reason(self, choice: Choice) -> Need:
        return self.reasons.get(choice, "none")

    def _inputs(self, choice: Choice) -> Sequence[Input]:
        return self.inputs if choice == "approve" else ()


def _element_state(state: Mapping[str, Any], block_id: str) -> Mapping[str, Any]:
    block = state.get(block_id)
    element = block.get(ANSWER) if isinstance(block, Mapping) else None
    return element if isinstance(element, Mapping) else {}


def _given(state: Mapping[str, Any]) -> str | None:
    """Return what an element other than a checkbox holds; None where that is nothing, or nothing but spaces."""
    option = state.get("selected_option")
    if isinstance(option, Mapping):
        value = option.get("value")
        return value if isinstance(value, str) else None
    value = state.get("value") or state.get("selected_date")
    return value.strip() or None if isinstance(value, str) else None


# --- reading the definition


def _input(where: str, data: Mapping[str, Any]) -> Input:
    kind = cast("Kind", data["type"])
    _check_fields(where, kind, data)
    found = Input(
        name=data["name"],
        label=data["label"],
        kind=kind,
        required=data.get("required", False),
        default=data.get("default"),
        options=tuple(data.get("options", ())),
        minimum=data.get("min"),
        maximum=data.get("max"),
        max_length=data.get("max_length", MAX_TEXT_LENGTH),
        hint=data.get("hint", ""),
    )
    if kind == "select" and (not found.options or len(set(found.options)) < len(found.options)):
        raise FormInvalidError(f"{where}.options of {found.name} is empty or has a text twice; list each option once")
    _check_limits(where, found)
    _check_default(where, found)
    return found


# Fields that only some kinds know, so that one that would have no effect is refused.
_OWN_FIELDS: Mapping[str, tuple[Kind, ...]] = {
    "options": ("select",),
    "max_length": ("text",),
    "min": ("number", "date"),
    "max": ("number", "date"),
}


def _check_fields(where: str, kind: Kind, data: Mapping[str, Any]) -> None:
    for name, kinds in _OWN_FIELDS.items():
        if name in data and kind not in kinds:
            raise FormInvalidError(
                f"{where}.{name} is given, but {where}.type is {kind}; only {' and '.join(kinds)} inputs have {name}"
            )


def _check_limits(where: str, found: Input) -> None:
    limits = {"min": found.minimum, "max": found.maximum}
    for name, limit in limits.items():
        if limit is not None and not _is_limit(found.kind, limit):
            wanted = "a date such as 2026-12-31" if found.kind == "date" else "a number"
            raise FormInvalidError(f"{where}.{name} is {limit!r}; a {found.kind} input needs {wanted}")
    if found.minimum is not None and found.maximum is not None and cast("Any", found.minimum) > found.maximum:
        raise FormInvalidError(f"{where}.min is {found.minimum!r}, more than max, {found.maximum!r}; swap them")


def _is_limit(kind: Kind, limit: object) -> bool:
    if kind == "number":
        return _is_number(limit)
    return isinstance(limit, str) and _is_date(limit)


def _check_default(where: str, found: Input) -> None:
    default = found.default
    if default is None:
        return
    try:
        if found.kind == "checkbox":
            fits = isinstance(default, bool)
        elif found.kind == "number":
            fits = _is_number(default) and found.fitting(str(default)) == default
        else:
            fits = isinstance(default, str) and found.fitting(default) == default
    except _UnfitError as error:
        raise FormInvalidError(f"{where}.default is {default!r}; the input would say: {error}") from None
    if not fits:
        raise FormInvalidError(f"{where}.default is {default!r}, which a {found.kind} input cannot hold")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(_NUMBER.fullmatch(str(value)))


def _is_date(text: str) -> bool:
    if not _DATE.fullmatch(text):  # what else is ISO 8601 would not compare as text
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


# --- Block Kit


def _reason_block(*, required: bool) -> InputBlock:
    return InputBlock(
        block_id=REASON_BLOCK_ID,
        label=PlainTextObject(text="Reason"),
        element=PlainTextInputElement(action_id=ANSWER, multiline=True, max_length=MAX_REASON_LENGTH),
        optional=not required,
    )


def _option(text: str, value: str) -> Option:
    return Option(text=PlainTextObject(text=text), value=value)


def _text_element(found: Input) -> InputInteractiveElement:
    initial = cast("str | None", found.default)
    return PlainTextInputElement(action_id=ANSWER, initial_value=initial, max_length=found.max_length)


def _number_element(found: Input) -> InputInteractiveElement:
    def text(value: Any) -> str | None:
        return None if value is None else str(value)

    return NumberInputElement(
        action_id=ANSWER,
        is_decimal_allowed=True,
        initial_value=text(found.default),
        min_value=text(found.minimum),
        max_value=text(found.maximum),
    )


def _select_element(found: Input) -> InputInteractiveElement:
    options = [_option(text, text) for text in found.options]
    initial = [option for option in options if option.value == found.default]
    return StaticSelectElement(action_id=ANSWER, options=options, initial_option=initial[0] if initial else None)


def _date_element(found: Input) -> InputInteractiveElement:
    return DatePickerElement(action_id=ANSWER, initial_date=cast("str | None", found.default))


def _checkbox_element(found: Input) -> InputInteractiveElement:
    option = _option("Yes", _TICKED)
    return CheckboxesElement(action_id=ANSWER, options=[option], initial_options=[option] if found.default else None)


_ELEMENTS: Mapping[Kind, Callable[[Input], InputInteractiveElement]] = {
    "text": _text_element,
    "number": _number_element,
    "select": _select_element,
    "date": _date_element,
    "checkbox": _checkbox_element,
}
