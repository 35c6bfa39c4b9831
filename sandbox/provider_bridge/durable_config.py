"""Adds the block `durable_config` of `aws_lambda_function` to a provider that does not know it.

Towards Terraform the block exists as in hashicorp/aws 6.25 and later: an optional list block with at most one item,
whose appearing or disappearing replaces the function and whose values change in place
(internal/service/lambda/function.go in hashicorp/terraform-provider-aws). From the real provider the block is hidden:
request values lose it, response values get it back. **Nothing of it ever reaches the AWS API.**

Requests and responses are those of tfplugin5.proto; the numbers below are its field numbers.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgpack

from sandbox.provider_bridge.errors import BridgeError
from sandbox.provider_bridge.wire import UNKNOWN, Message, attribute_path, load, store

RESOURCE_TYPE = "aws_lambda_function"
BLOCK = "durable_config"
CHANGED_BY_PUBLISH = ("qualified_arn", "qualified_invoke_arn", "version")
"""Unknown until apply when the block changes in place while `publish` is true."""

LIST_NESTING = 2
SEVERITY_ERROR = 1

Forward = Callable[[Message], Awaitable[Message]]
"""Sends a request to the real provider and returns its response."""


@dataclass(frozen=True)
class Number:
    """One attribute of the block; all are whole numbers."""

    minimum: int
    maximum: int
    default: int | None = None
    """None: the attribute is required."""


ATTRIBUTES = {
    "execution_timeout": Number(1, 31_622_400),  # seconds, 366 days
    "retention_period": Number(1, 90, default=14),  # days
}


def extend_schema(response: bytes) -> bytes:
    """Adds the block to a `GetProviderSchema.Response`.

    Raises:
        BridgeError: the provider has no `aws_lambda_function`, or has the block already.
    """
    schema = Message(response)
    for index, (number, value) in enumerate(schema.fields):
        if number != 2 or not isinstance(value, bytes):  # noqa: PLR2004 - resource_schemas: map<string, Schema>
            continue
        entry = Message(value)
        if entry.text(1) == RESOURCE_TYPE:
            schema.fields[index] = (number, bytes(entry.set(2, _with_block(entry.message(2)))))
            return bytes(schema)
    raise BridgeError(f"the real provider has no resource type {RESOURCE_TYPE}: is it hashicorp/aws?")


def _with_block(schema: Message) -> Message:
    body = schema.message(2)
    if any(Message(nested).text(1) == BLOCK for nested in body.all(3)):
        raise BridgeError(f"the real provider already has {BLOCK}: use it without the bridge")
    block = Message()
    for name, attribute in ATTRIBUTES.items():
        required = attribute.default is None
        block.add(2, Message().add(1, name).add(2, '"number"').add(4 if required else 5, 1))
    nested = Message().add(1, BLOCK).add(2, block).add(3, LIST_NESTING).add(5, 1)  # 5: max_items
    return schema.set(2, body.add(3, nested))


def concerns(method: str, request: bytes) -> bool:
    """Tells whether a request must go through `rewrite`: it is about the resource type that has the block."""
    return method in REWRITERS and Message(request).text(1) == RESOURCE_TYPE


async def rewrite(method: str, request: bytes, forward: Forward) -> bytes:
    """Answers a request for which `concerns` is true.

    Args:
        method: the name of the RPC, for example `PlanResourceChange`.
        request: its message.
        forward: sends a message to the same RPC of the real provider.

    Returns:
        The response for Terraform.
    """
    return bytes(await REWRITERS[method](Message(request), forward))


async def _validate(request: Message, forward: Forward) -> Message:
    block = _take(request, 2)
    response = await forward(request)
    for diagnostic in _range_errors(block):
        response.add(1, diagnostic)
    return response


async def _upgrade(request: Message, forward: Forward) -> Message:
    raw_state = request.message(3)  # RawState, whose field 1 is JSON
    state = json.loads(raw_state.raw(1) or b"{}")
    block = state.pop(BLOCK, None) or []
    request.set(3, raw_state.set(1, json.dumps(state)))
    response = await forward(request)
    _put(response, 1, block)
    return response


async def _read(request: Message, forward: Forward) -> Message:
    block = _take(request, 2)
    response = await forward(request)
    _put(response, 1, block)  # the state's own value: drift cannot be seen
    return response


async def _plan(request: Message, forward: Forward) -> Message:
    before = _take(request, 2)  # None: the function does not exist yet
    after = _with_defaults(_take(request, 3))  # None: the function is destroyed
    _take(request, 4)
    response = await forward(request)
    unknown: dict[str, Any] = {}
    if before is not None and after is not None and before != after:
        if isinstance(after, list) and bool(before) != bool(after):
            response.add(2, attribute_path(BLOCK))  # requires_replace; Terraform plans again, as a create
        elif (load(response, 1) or {}).get("publish") is True:
            unknown = dict.fromkeys(CHANGED_BY_PUBLISH, UNKNOWN)
    _put(response, 1, after, **unknown)
    return response


async def _apply(request: Message, forward: Forward) -> Message:
    _take(request, 2)
    block = _take(request, 3)
    _take(request, 4)
    response = await forward(request)
    _put(response, 1, block)
    return response


async def _import(request: Message, forward: Forward) -> Message:
    response = await forward(request)
    for index, (number, value) in enumerate(response.fields):
        if number == 1 and isinstance(value, bytes):
            imported = Message(value)
            if imported.text(1) == RESOURCE_TYPE:
                _put(imported, 2, [])  # it cannot be read back, so it is imported as absent
                response.fields[index] = (number, bytes(imported))
    return response


REWRITERS: dict[str, Callable[[Message, Forward], Awaitable[Message]]] = {
    "ApplyResourceChange": _apply,
    "ImportResourceState": _import,
    "PlanResourceChange": _plan,
    "ReadResource": _read,
    "UpgradeResourceState": _upgrade,
    "ValidateResourceTypeConfig": _validate,
}


def _take(message: Message, number: int) -> Any:
    """Removes the block from the function in a field.

    Returns:
        The block's items, an `ExtType` when they are unknown as a whole; None when there is no function.
    """
    function = load(message, number)
    if not isinstance(function, dict):
        return None
    block = function.pop(BLOCK, None)
    store(message, number, function)
    return [] if block is None else block


def _put(message: Message, number: int, block: Any, **more: Any) -> None:
    """Sets the block, and `more` attributes, of the function in a field, if there is a function."""
    function = load(message, number)
    if isinstance(function, dict):
        store(message, number, {**function, BLOCK: block, **more})


def _with_defaults(block: Any) -> Any:
    if not isinstance(block, list):  # no function, or unknown as a whole
        return block
    return [
        {name: ATTRIBUTES[name].default if value is None else value for name, value in item.items()}
        if isinstance(item, dict)
        else item
        for item in block
    ]


def _range_errors(block: Any) -> Iterator[Message]:
    for index, item in enumerate(block if isinstance(block, list) else []):
        for name, allowed in ATTRIBUTES.items():
            value = item.get(name) if isinstance(item, dict) else None
            if value is None or isinstance(value, msgpack.ExtType):
                continue
            if isinstance(value, int) and allowed.minimum <= value <= allowed.maximum:
                continue
            text = (
                f"expected {BLOCK}.{index}.{name} to be a whole number in the range "
                f"({allowed.minimum} - {allowed.maximum}), got {value}"
            )
            path = attribute_path(BLOCK, index, name)
            yield Message().add(1, SEVERITY_ERROR).add(2, text).add(4, path)
