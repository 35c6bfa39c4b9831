from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from sandbox.provider_bridge import durable_config
from sandbox.provider_bridge.errors import BridgeError
from sandbox.provider_bridge.wire import UNKNOWN, Message, attribute_path, load, store

LAMBDA = "aws_lambda_function"
DURABLE = [{"execution_timeout": 900, "retention_period": 14}]


def function(block: Any = None, **more: Any) -> dict[str, Any]:
    known = {
        "function_name": "f",
        "publish": False,
        "version": "1",
        "qualified_arn": "f:1",
        "qualified_invoke_arn": "i",
    }
    return {**known, **more} if block is None else {**known, **more, "durable_config": block}


def with_values(**values: Any) -> Message:
    """A request about the function; keyword `_2` is the value of its field 2, and so on."""
    message = Message().add(1, LAMBDA)
    for name, value in values.items():
        store(message, int(name[1:]), value)
    return message


class Provider:
    """Plays the real provider: remembers the request and answers with a prepared message."""

    def __init__(self, response: Message | None = None) -> None:
        self.response = response or Message()
        self.request = Message()

    async def forward(self, request: Message) -> Message:
        self.request = Message(bytes(request))
        return self.response

    def rewrite(self, method: str, request: Message) -> Message:
        assert durable_config.concerns(method, bytes(request))
        return Message(asyncio.run(durable_config.rewrite(method, bytes(request), self.forward)))


def plan(before: Any, after: Any, planned: Any = None) -> tuple[Message, Any, Provider]:
    """Plans a change; the real provider plans `planned`, by default what it was asked for."""
    response = Message()
    hidden = {k: v for k, v in after.items() if k != "durable_config"} if after else None
    store(response, 1, planned or hidden)
    provider = Provider(response)
    answer = provider.rewrite("PlanResourceChange", with_values(_2=before, _3=after, _4=after))
    return answer, load(answer, 1), provider


def schema(*nested: str, resource: str = LAMBDA) -> bytes:
    block = Message().add(2, Message().add(1, "function_name"))
    for name in nested:
        block.add(3, Message().add(1, name))
    entry = Message().add(1, resource).add(2, Message().add(1, 0).add(2, block))
    other = Message().add(1, "aws_s3_bucket").add(2, Message().add(1, 0))
    return bytes(Message().add(1, Message().add(1, 3)).add(2, other).add(2, entry).add(9, 1))


def test_the_schema_gets_the_block_and_keeps_everything_else() -> None:
    extended = Message(durable_config.extend_schema(schema("vpc_config")))
    before = Message(schema("vpc_config"))
    assert [f for f in extended.fields if f[0] != 2] == [f for f in before.fields if f[0] != 2]
    assert extended.all(2)[0] == before.all(2)[0]
    block = Message(extended.all(2)[1]).message(2).message(2)
    assert [Message(nested).text(1) for nested in block.all(3)] == ["vpc_config", "durable_config"]
    added = Message(block.all(3)[1])
    assert (added.number(3), added.number(5)) == (2, 1)  # a list of at most one
    attributes = {
        Message(raw).text(1): (Message(raw).text(2), Message(raw).number(4), Message(raw).number(5))
        for raw in added.message(2).all(2)
    }
    assert attributes == {"execution_timeout": ('"number"', 1, 0), "retention_period": ('"number"', 0, 1)}


def test_a_provider_that_has_the_block_is_refused() -> None:
    with pytest.raises(BridgeError, match="already has durable_config: use it without the bridge"):
        durable_config.extend_schema(schema("durable_config"))


def test_a_provider_without_lambda_functions_is_refused() -> None:
    with pytest.raises(BridgeError, match="is it hashicorp/aws"):
        durable_config.extend_schema(schema(resource="google_storage_bucket"))


@pytest.mark.parametrize(
    ("method", "resource"), [("PlanResourceChange", "aws_s3_bucket"), ("ReadDataSource", LAMBDA), ("Configure", LAMBDA)]
)
def test_requests_that_cannot_hold_the_block_are_none_of_its_business(method: str, resource: str) -> None:
    assert not durable_config.concerns(method, bytes(Message().add(1, resource)))


def test_the_provider_never_sees_the_block() -> None:
    hidden = function()
    requests = {
        "ValidateResourceTypeConfig": (with_values(_2=function(DURABLE)), [2]),
        "ReadResource": (with_values(_2=function(DURABLE)), [2]),
        "PlanResourceChange": (
            with_values(_2=function(DURABLE), _3=function(DURABLE), _4=function(DURABLE)),
            [2, 3, 4],
        ),
        "ApplyResourceChange": (
            with_values(_2=function(DURABLE), _3=function(DURABLE), _4=function(DURABLE)),
            [2, 3, 4],
        ),
    }
    for method, (request, numbers) in requests.items():
        provider = Provider()
        provider.rewrite(method, request)
        assert [load(provider.request, number) for number in numbers] == [hidden] * len(numbers), method


def test_a_new_function_is_planned_with_the_default_retention() -> None:
    _, planned, _ = plan(None, function([{"execution_timeout": 900, "retention_period": None}]))
    assert planned["durable_config"] == DURABLE


@pytest.mark.parametrize("block", [UNKNOWN, [{"execution_timeout": UNKNOWN, "retention_period": UNKNOWN}]])
def test_unknown_values_stay_unknown_in_the_plan(block: Any) -> None:
    _, planned, _ = plan(None, function(block))
    assert planned["durable_config"] == block


def test_a_function_without_the_block_stays_without_it() -> None:
    answer, planned, _ = plan(function([]), function([]))
    assert planned["durable_config"] == []
    assert answer.all(2) == []


@pytest.mark.parametrize(("before", "after"), [([], DURABLE), (DURABLE, [])])
def test_adding_or_removing_the_block_replaces_the_function(before: Any, after: Any) -> None:
    answer, planned, _ = plan(function(before), function(after))
    assert answer.all(2) == [bytes(attribute_path("durable_config"))]
    assert planned["durable_config"] == after


def test_changed_values_are_an_update_in_place() -> None:
    longer = [{"execution_timeout": 3600, "retention_period": 14}]
    answer, planned, _ = plan(function(DURABLE), function(longer))
    assert answer.all(2) == []
    assert planned == function(longer)


def test_changed_values_publish_a_version_when_the_function_is_published() -> None:
    longer = [{"execution_timeout": 3600, "retention_period": 14}]
    _, planned, _ = plan(function(DURABLE, publish=True), function(longer, publish=True))
    assert {k for k, v in planned.items() if v == UNKNOWN} == {"version", "qualified_arn", "qualified_invoke_arn"}


def test_leaving_out_the_retention_is_no_change() -> None:
    _, planned, _ = plan(
        function(DURABLE, publish=True), function([{"execution_timeout": 900, "retention_period": None}], publish=True)
    )
    assert planned == function(DURABLE, publish=True)


def test_a_destroyed_function_is_planned_as_null() -> None:
    answer, planned, _ = plan(function(DURABLE), None)
    assert planned is None
    assert answer.all(2) == []


def test_the_new_state_holds_the_planned_block() -> None:
    response = Message()
    store(response, 1, function(version="2"))
    answer = Provider(response).rewrite(
        "ApplyResourceChange", with_values(_2=None, _3=function(DURABLE), _4=function(DURABLE))
    )
    assert load(answer, 1) == function(DURABLE, version="2")


def test_a_refresh_keeps_the_block_of_the_state() -> None:
    response = Message()
    store(response, 1, function(version="3"))
    answer = Provider(response).rewrite("ReadResource", with_values(_2=function(DURABLE)))
    assert load(answer, 1) == function(DURABLE, version="3")


def test_a_function_that_is_gone_is_refreshed_to_null() -> None:
    response = Message()
    store(response, 1, None)
    assert load(Provider(response).rewrite("ReadResource", with_values(_2=function(DURABLE))), 1) is None


def test_a_stored_state_passes_the_upgrade_with_its_block() -> None:
    response = Message()
    store(response, 1, function())
    provider = Provider(response)
    raw_state = Message().add(1, json.dumps(function(DURABLE)))
    answer = provider.rewrite("UpgradeResourceState", Message().add(1, LAMBDA).add(2, 0).add(3, raw_state))
    assert json.loads(provider.request.message(3).raw(1)) == function()
    assert load(answer, 1) == function(DURABLE)


def test_an_imported_function_has_no_block() -> None:
    imported = Message().add(1, LAMBDA)
    store(imported, 2, function())
    answer = Provider(Message().add(1, imported)).rewrite("ImportResourceState", Message().add(1, LAMBDA).add(2, "f"))
    assert load(Message(answer.all(1)[0]), 2) == function([])


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("execution_timeout", 0, "1 - 31622400"),
        ("execution_timeout", 31_622_401, "1 - 31622400"),
        ("execution_timeout", 1.5, "1 - 31622400"),
        ("retention_period", 0, "1 - 90"),
        ("retention_period", 91, "1 - 90"),
    ],
)
def test_a_value_out_of_range_is_an_error_that_names_value_range_and_place(
    name: str, value: float, allowed: str
) -> None:
    item = {"execution_timeout": 900, "retention_period": None, name: value}
    answer = Provider().rewrite("ValidateResourceTypeConfig", with_values(_2=function([item])))
    (diagnostic,) = map(Message, answer.all(1))
    assert diagnostic.number(1) == 1
    assert (
        diagnostic.text(2)
        == f"expected durable_config.0.{name} to be a whole number in the range ({allowed}), got {value}"
    )
    assert diagnostic.raw(4) == bytes(attribute_path("durable_config", 0, name))


@pytest.mark.parametrize("timeout", [1, 31_622_400, UNKNOWN])
def test_values_at_the_limits_and_unknown_values_are_valid(timeout: Any) -> None:
    item = {"execution_timeout": timeout, "retention_period": 90}
    answer = Provider().rewrite("ValidateResourceTypeConfig", with_values(_2=function([item])))
    assert answer.all(1) == []


def test_the_providers_own_errors_are_kept() -> None:
    own = Message().add(1, Message().add(1, 1).add(2, "no role"))
    item = {"execution_timeout": 0, "retention_period": None}
    answer = Provider(own).rewrite("ValidateResourceTypeConfig", with_values(_2=function([item])))
    assert len(answer.all(1)) == 2
    assert Message(answer.all(1)[0]).text(2) == "no role"
