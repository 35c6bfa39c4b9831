"""The parts of protobuf and of Terraform's value encoding that the bridge needs.

Terraform's plugin protocol 5 uses only two of protobuf's wire types: variable length integers (0) and
length-delimited bytes (2). Keeping messages as lists of fields, without generated classes, has a second
advantage: every field that the bridge does not know passes through unchanged.

Wire format: https://protobuf.dev/programming-guides/encoding/. Field numbers: docs/plugin-protocol/tfplugin5.proto
in hashicorp/terraform.
"""

from __future__ import annotations

from typing import Any, Self

import msgpack

from sandbox.provider_bridge.errors import BridgeError

VARINT, BYTES = 0, 2
CONTINUES = 0x80
"""The bit of a varint's byte that says that another byte follows."""
MSGPACK_FIELD = 1
"""`DynamicValue.msgpack`; Terraform and the provider never send its other field, `json`."""
UNKNOWN = msgpack.ExtType(0, b"\x00")
"""A value that is "known after apply", as cty's msgpack package writes it."""


def write_varint(number: int) -> bytes:
    """Encodes an unsigned integer.

    Args:
        number: the integer, 0 or more.

    Returns:
        Seven bits per byte, lowest first; the top bit marks that another byte follows.
    """
    out = bytearray()
    while number >= CONTINUES:
        out.append(number & 0x7F | CONTINUES)
        number >>= 7
    out.append(number)
    return bytes(out)


def read_varint(buffer: bytes, position: int) -> tuple[int, int]:
    """Decodes an unsigned integer.

    Args:
        buffer: the bytes to read.
        position: where the integer starts.

    Returns:
        The integer and the position behind it.

    Raises:
        BridgeError: the buffer ends inside the integer.
    """
    number = shift = 0
    while position < len(buffer):
        byte = buffer[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < CONTINUES:
            return number, position
        shift += 7
    raise BridgeError(f"protobuf message of {len(buffer)} bytes ends inside a number")


class Message:
    """A protobuf message as an ordered list of fields; an integer is a varint, bytes are anything else."""

    def __init__(self, raw: bytes = b"") -> None:
        self.fields: list[tuple[int, int | bytes]] = []
        position = 0
        while position < len(raw):
            key, position = read_varint(raw, position)
            number, wire_type = key >> 3, key & 7
            if wire_type not in (VARINT, BYTES):
                raise BridgeError(f"protobuf field {number} has wire type {wire_type}, only 0 and 2 are known")
            value, position = read_varint(raw, position)
            if wire_type == VARINT:
                self.fields.append((number, value))
                continue
            end = position + value
            if end > len(raw):
                raise BridgeError(f"protobuf field {number} ends {end - len(raw)} bytes behind its message")
            self.fields.append((number, raw[position:end]))
            position = end

    def __bytes__(self) -> bytes:
        out = bytearray()
        for number, value in self.fields:
            if isinstance(value, int):
                out += write_varint(number << 3 | VARINT) + write_varint(value)
            else:
                out += write_varint(number << 3 | BYTES) + write_varint(len(value)) + value
        return bytes(out)

    def all(self, number: int) -> list[bytes]:
        """Returns the values of a repeated field of bytes, strings or messages."""
        return [value for n, value in self.fields if n == number and isinstance(value, bytes)]

    def raw(self, number: int) -> bytes:
        """Returns the value of a singular field of bytes or of a message, empty when absent."""
        return next(reversed(self.all(number)), b"")

    def text(self, number: int) -> str:
        """Returns the value of a string field, empty when absent."""
        return self.raw(number).decode()

    def number(self, number: int) -> int:
        """Returns the value of an integer, boolean or enum field, 0 when absent."""
        return next((v for n, v in reversed(self.fields) if n == number and isinstance(v, int)), 0)

    def message(self, number: int) -> Message:
        """Returns a copy of a singular sub-message, empty when absent."""
        return Message(self.raw(number))

    def add(self, number: int, value: int | str | bytes | Message) -> Self:
        """Appends a value to a repeated field."""
        if isinstance(value, str):
            value = value.encode()
        self.fields.append((number, bytes(value) if isinstance(value, Message) else value))
        return self

    def set(self, number: int, value: int | str | bytes | Message) -> Self:
        """Replaces the value of a singular field."""
        self.fields = [field for field in self.fields if field[0] != number]
        return self.add(number, value)


def load(message: Message, number: int) -> Any:
    """Decodes a DynamicValue field.

    Returns:
        The value with cty objects as dicts and unknown values as `msgpack.ExtType`; None when absent or null.
    """
    raw = message.message(number).raw(MSGPACK_FIELD)
    return msgpack.unpackb(raw, strict_map_key=False) if raw else None


def store(message: Message, number: int, value: Any) -> None:
    """Encodes `value` into a DynamicValue field."""
    message.set(number, Message().add(MSGPACK_FIELD, msgpack.packb(value)))


def attribute_path(*steps: str | int) -> Message:
    """Builds an `AttributePath`: names of attributes and indexes of list elements."""
    path = Message()
    for step in steps:
        path.add(1, Message().add(1 if isinstance(step, str) else 3, step))
    return path
