from __future__ import annotations

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.provider_bridge.errors import BridgeError
from sandbox.provider_bridge.wire import UNKNOWN, Message, attribute_path, load, read_varint, store, write_varint

numbers = st.integers(min_value=0, max_value=2**64 - 1)
fields = st.tuples(st.integers(min_value=1, max_value=2**29 - 1), numbers | st.binary(max_size=300))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(numbers, st.binary())
def test_a_number_is_read_as_it_was_written_and_reading_stops_behind_it(number: int, rest: bytes) -> None:
    encoded = write_varint(number)
    assert read_varint(encoded + rest, 0) == (number, len(encoded))


def test_numbers_are_encoded_as_in_the_protobuf_documentation() -> None:
    assert write_varint(150) == b"\x96\x01"
    assert bytes(Message().add(1, 150)) == b"\x08\x96\x01"
    assert bytes(Message().add(2, "testing")) == b"\x12\x07testing"


@given(st.lists(fields))
def test_a_message_is_read_as_it_was_written_with_every_unknown_field_in_its_place(
    content: list[tuple[int, int | bytes]],
) -> None:
    message = Message()
    for number, value in content:
        message.add(number, value)
    raw = bytes(message)
    assert Message(raw).fields == content
    assert bytes(Message(raw)) == raw


@given(st.lists(fields, min_size=1), st.data())
def test_a_message_that_was_cut_off_is_refused_or_is_a_shorter_message(
    content: list[tuple[int, int | bytes]], data: st.DataObject
) -> None:
    message = Message()
    for number, value in content:
        message.add(number, value)
    raw = bytes(message)
    cut = data.draw(st.integers(min_value=0, max_value=len(raw) - 1))
    try:
        shorter = Message(raw[:cut])
    except BridgeError:
        return
    assert shorter.fields == content[: len(shorter.fields)]


def test_a_wire_type_that_terraform_does_not_use_is_refused_by_name() -> None:
    with pytest.raises(BridgeError, match="field 1 has wire type 5"):
        Message(b"\x0d\x00\x00\x00\x00")


def test_setting_a_field_replaces_all_its_values_and_leaves_the_others() -> None:
    message = Message().add(1, "a").add(2, 7).add(1, "b").set(1, "c")
    assert (message.all(1), message.text(1), message.number(2)) == ([b"c"], "c", 7)


def test_an_absent_field_has_the_default_of_its_type() -> None:
    message = Message()
    assert (message.raw(1), message.text(1), message.number(1), message.all(1)) == (b"", "", 0, [])
    assert message.message(1).fields == []


@given(json_values.filter(lambda value: value is not None))
def test_a_value_is_loaded_as_it_was_stored(value: object) -> None:
    message = Message()
    store(message, 3, value)
    assert load(Message(bytes(message)), 3) == value


def test_unknown_values_survive_being_decoded_and_encoded() -> None:
    refined = msgpack.ExtType(12, b"\x81\x01\xc2")  # cty's "unknown, but certainly not null"
    message = Message()
    store(message, 1, {"arn": UNKNOWN, "name": refined})
    raw = bytes(message)
    store(message, 1, load(message, 1))
    assert bytes(message) == raw


def test_an_absent_value_is_null() -> None:
    assert load(Message(), 1) is None


def test_a_path_has_names_for_attributes_and_numbers_for_list_elements() -> None:
    steps = [Message(step) for step in attribute_path("durable_config", 0).all(1)]
    assert steps[0].text(1) == "durable_config"
    assert steps[1].fields == [(3, 0)]
