"""Corrections of the tags of moto's state machines.

On AWS a changed tag is an EventBridge event, and only what exists can be tagged. moto tells nobody, takes any ARN, and
lets the Resource Groups Tagging API write to a second, empty Step Functions backend.
"""

from collections.abc import Callable
from typing import Any

from moto.resourcegroupstaggingapi.models import ResourceGroupsTaggingAPIBackend
from moto.stepfunctions import models, responses
from moto.stepfunctions.exceptions import ResourceNotFound
from moto.stepfunctions.parser.models import StepFunctionsParserBackend

from sandbox.aws.corrections import replace
from sandbox.aws.events import EventBus
from sandbox.aws.faults import Faults


def apply(bus: EventBus, faults: Faults) -> None:
    """Apply every correction of this module.

    Args:
        bus: Where tag changes are told.
        faults: Switches; ``drop_tag_events`` loses the events.
    """
    _tell_of_changes(bus, faults)
    _refuse_to_list_what_is_not_there()
    _tag_the_backend_that_is_used()
    _report_failures("tag_resources", "resource_arns")
    _report_failures("untag_resources", "resource_arn_list")


def _tell_of_changes(bus: EventBus, faults: Faults) -> None:
    """Tag and untag only what exists, and tell EventBridge.

    The event's shape is the one of https://docs.aws.amazon.com/tag-editor/latest/userguide/monitor-tag-changes.html.
    Tags that a machine is created with are told by nobody here.
    """
    versions: dict[str, int] = {}

    def change(backend: Any, arn: str, write: Callable[[], None]) -> None:
        _require(backend, arn)
        before = dict(backend.tagger.get_tag_dict_for_resource(arn))
        write()
        after = dict(backend.tagger.get_tag_dict_for_resource(arn))
        keys = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
        if not keys or faults.drop_tag_events:
            return
        versions[arn] = versions.get(arn, 0) + 1
        detail = {
            "changed-tag-keys": keys,
            "service": "states",
            "resource-type": arn.split(":")[5],
            "version": versions[arn],
            "tags": after,
        }
        bus.emit("aws.tag", "Tag Change on Resource", detail, resources=[arn], region=backend.region_name)

    def tag(self: Any, arn: str, tags: dict[str, str]) -> None:
        change(self, arn, lambda: original_tag(self, arn, tags))

    def untag(self: Any, arn: str, tag_keys: list[str]) -> None:
        change(self, arn, lambda: original_untag(self, arn, tag_keys))

    original_tag = replace(models.StepFunctionBackend, "tag_resource", tag)
    original_untag = replace(models.StepFunctionBackend, "untag_resource", untag)


def _refuse_to_list_what_is_not_there() -> None:
    """AWS answers ``ResourceNotFound`` for the tags of an unknown ARN; moto answers with an empty list."""

    def list_tags(self: Any) -> Any:
        _require(self.stepfunction_backend, self._get_param("resourceArn"))
        return original(self)

    original = replace(responses.StepFunctionResponse, "list_tags_for_resource", list_tags)


def _tag_the_backend_that_is_used() -> None:
    """The Tagging API finds the first backend that owns an ARN: moto's one without interpreter, which holds nothing."""

    def owns(self: Any, arn: str) -> bool:
        return isinstance(self, StepFunctionsParserBackend) and bool(original(self, arn))

    original = replace(models.StepFunctionBackend, "owns_arn", owns)


def _report_failures(name: str, parameter: str) -> None:
    """The Tagging API answers with a map of the ARNs that failed; with the above, moto would fail the whole call."""

    def call(self: Any, **arguments: Any) -> dict[str, dict[str, Any]]:
        failed: dict[str, dict[str, Any]] = {}
        for arn in arguments[parameter]:
            try:
                failed.update(original(self, **{**arguments, parameter: [arn]}))
            except ResourceNotFound as error:
                code = "InvalidParameterException"
                failed[arn] = {"StatusCode": 400, "ErrorCode": code, "ErrorMessage": str(error)}
        return failed

    original = replace(ResourceGroupsTaggingAPIBackend, name, call)


def _require(backend: Any, arn: str) -> None:
    if arn not in backend.activities and all(machine.arn != arn for machine in backend.state_machines):
        raise ResourceNotFound(arn)
