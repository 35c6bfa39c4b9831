"""Corrections of moto's Lambda control plane: what Terraform writes must read back the same."""

import copy
import fnmatch
import json
from collections.abc import Callable
from typing import Any, cast
from urllib.parse import unquote

from moto.awslambda import models, policy, responses
from moto.awslambda.exceptions import LambdaClientError, UnknownEventConfig, UnknownPolicyException
from moto.core.responses import ActionResult

from sandbox.aws.arns import ACCOUNT_ID, parse_function
from sandbox.aws.corrections import replace

# Parts of a function's configuration that moto accepts and forgets.
_KEPT = ("DeadLetterConfig", "DurableConfig", "FileSystemConfigs", "LoggingConfig")


def apply(on_delete: Callable[[str], None]) -> None:
    """Apply every correction of this module.

    Args:
        on_delete: Called with the name of each deleted function.
    """
    _keep_configuration()
    _copy_functions_only()
    _permissions_per_qualifier()
    _event_invoke_configuration_per_qualifier()
    _tell_of_deletion(on_delete)


def extra(function: Any) -> dict[str, Any]:
    """Return the kept configuration of a moto function version."""
    kept: dict[str, Any] = getattr(function, "sandbox_extra", {})
    return kept


def event_invoke_config(function: Any, qualifier: str | None) -> dict[str, Any]:
    """Return the ``EventInvokeConfig`` of a function's qualifier; empty when there is none."""
    configurations: dict[str, Any] = function.sandbox_event_invoke
    found = configurations.get(qualifier or "$LATEST")
    return dict(found.config) if found else {}


def may_invoke(function: Any, qualifier: str | None, service: str, source_arn: str) -> bool:
    """Whether the resource policy of a function lets a service invoke it.

    Args:
        function: moto's function.
        qualifier: Qualifier through which it is invoked; AWS keeps one policy for each.
        service: Service principal, such as ``events.amazonaws.com``.
        source_arn: ARN of the rule or the API route.
    """
    resource = _qualified(function, qualifier)
    for statement in function.policy.statements:
        if statement.get("Resource") != resource or statement.get("Effect") != "Allow":
            continue
        if statement.get("Action") not in {"lambda:InvokeFunction", "lambda:*"}:
            continue
        if statement.get("Principal") not in ({"Service": service}, "*"):
            continue
        condition = statement.get("Condition", {})
        pattern = condition.get("ArnLike", {}).get("AWS:SourceArn", "*")
        account = condition.get("StringEquals", {}).get("AWS:SourceAccount", ACCOUNT_ID)
        if fnmatch.fnmatchcase(source_arn, pattern) and account == ACCOUNT_ID:
            return True
    return False


def _keep_configuration() -> None:
    """AWS returns every setting it was given; moto drops some, so that each plan shows a difference."""
    function = models.LambdaFunction
    original_init = function.__init__
    original_configuration = function.get_configuration
    original_update = function.update_configuration

    def init(self: Any, account_id: str, spec: dict[str, Any], region: str, version: str | int = 1) -> None:
        self.sandbox_extra = {name: spec[name] for name in _KEPT if spec.get(name)}
        self.sandbox_event_invoke = {}
        original_init(self, account_id, spec, region, version)

    def configuration(self: Any, on_create: bool = False) -> dict[str, Any]:
        shown = original_configuration(self, on_create)
        shown.update(copy.deepcopy(self.sandbox_extra))
        logging = shown.setdefault("LoggingConfig", {})
        logging.setdefault("LogFormat", "Text")
        logging.setdefault("LogGroup", self.logs_group_name)
        return shown

    def update(self: Any, changes: dict[str, Any]) -> dict[str, Any]:
        # A new dictionary: published versions share the old one and must keep it.
        self.sandbox_extra = {**self.sandbox_extra, **{name: changes[name] for name in _KEPT if name in changes}}
        if "TracingConfig" in changes:
            self.tracing_config = changes["TracingConfig"]
        if "EphemeralStorage" in changes:
            self.ephemeral_storage = changes["EphemeralStorage"]["Size"]
        original_update(self, changes)
        return configuration(self)

    replace(function, "__init__", init)
    replace(function, "get_configuration", configuration)
    replace(function, "update_configuration", update)


def _copy_functions_only() -> None:
    """A function refers to all of CloudWatch Logs, which moto copies for the answer to CreateFunction.

    While somebody logs, that copy fails: the function exists, and the client is told that it could not be created.
    """

    def copied(self: Any, _memo: dict[int, Any]) -> Any:
        return copy.copy(self)

    cast("Any", models.LambdaFunction).__deepcopy__ = copied


def _permissions_per_qualifier() -> None:
    """AWS keeps one policy for each qualifier and refuses a second statement with one id.

    moto keeps one list for all, accepts an id twice (``terraform destroy`` then waits five minutes for the second to
    go) and writes a version's number before an alias into the resource.
    """

    def add(self: Any, raw: str, qualifier: str | None = None) -> tuple[Any, str]:
        if not isinstance(self.parent, models.LambdaFunction):  # a layer's policy
            return cast("tuple[Any, str]", original_add(self, raw, qualifier))
        resource = _qualified(self.parent, qualifier)
        sid = json.loads(raw).get("StatementId")
        if any(known["Sid"] == sid and known["Resource"] == resource for known in self.statements):
            conflict = LambdaClientError(
                "ResourceConflictException",
                f"The statement id ({sid}) provided already exists. "
                "Please provide a new statement id, or remove the existing statement.",
            )
            conflict.code = 409
            raise conflict
        statement, revision = original_add(self, raw, None)
        statement["Resource"] = resource
        return statement, revision

    def get(self: Any) -> Any:
        function, qualifier = _addressed(self)
        wanted = _qualified(function, qualifier)
        scoped = policy.Policy(function)
        scoped.revision = function.policy.revision
        scoped.statements = [known for known in function.policy.statements if known["Resource"] == wanted]
        return scoped.wire_format()

    def remove(self: Any) -> tuple[int, dict[str, int], str]:
        function, qualifier = _addressed(self)
        sid = unquote(self.path.split("/")[-1].split("?")[0])
        wanted = _qualified(function, qualifier)
        for known in function.policy.statements:
            if known["Sid"] == sid and known["Resource"] == wanted:
                function.policy.statements.remove(known)
                return 204, {"status": 204}, ""
        raise UnknownPolicyException

    original_add = replace(policy.Policy, "add_statement", add)
    replace(responses.LambdaResponse, "get_policy", get)
    replace(responses.LambdaResponse, "remove_permission", remove)


def _event_invoke_configuration_per_qualifier() -> None:
    """AWS keeps one event invoke configuration for each qualifier; moto keeps the first one of the function."""

    def put(self: Any) -> ActionResult:
        function, qualifier = _addressed(self)
        config = models.EventInvokeConfig(_qualified(function, qualifier), function.last_modified, self.json_body)
        function.sandbox_event_invoke[qualifier or "$LATEST"] = config
        return ActionResult(config.response())

    def update(self: Any) -> ActionResult:
        function, qualifier = _addressed(self)
        changed = {**event_invoke_config(function, qualifier), **self.json_body}
        config = models.EventInvokeConfig(_qualified(function, qualifier), function.last_modified, changed)
        function.sandbox_event_invoke[qualifier or "$LATEST"] = config
        return ActionResult(config.response())

    def get(self: Any) -> ActionResult:
        function, qualifier = _addressed(self)
        found = function.sandbox_event_invoke.get(qualifier or "$LATEST")
        if found is None:
            raise UnknownEventConfig(_qualified(function, qualifier))
        return ActionResult(found.response())

    def delete(self: Any) -> tuple[int, dict[str, int], str]:
        function, qualifier = _addressed(self)
        if function.sandbox_event_invoke.pop(qualifier or "$LATEST", None) is None:
            raise UnknownEventConfig(_qualified(function, qualifier))
        return 204, {"status": 204}, ""

    def listed(self: Any) -> ActionResult:
        function, _ = _addressed(self)
        configs = [config.response() for config in function.sandbox_event_invoke.values()]
        return ActionResult({"FunctionEventInvokeConfigs": configs})

    response = responses.LambdaResponse
    replace(response, "put_function_event_invoke_config", put)
    replace(response, "update_function_event_invoke_config", update)
    replace(response, "get_function_event_invoke_config", get)
    replace(response, "delete_function_event_invoke_config", delete)
    replace(response, "list_function_event_invoke_configs", listed)


def _tell_of_deletion(on_delete: Callable[[str], None]) -> None:
    """AWS ends a deleted function's environments and durable executions; moto knows of neither."""

    def delete(self: Any, function_name: str, qualifier: str | None = None) -> None:
        original(self, function_name, qualifier)
        if qualifier is None:
            on_delete(parse_function(function_name).name)

    original = replace(models.LambdaBackend, "delete_function", delete)


def _addressed(response: Any) -> tuple[Any, str | None]:
    """Return the function and the qualifier that a control-plane request is about."""
    name = unquote(response.path.split("/functions/", 1)[1].split("/", 1)[0])
    qualifier = response.querystring.get("Qualifier", [None])[0]
    reference = parse_function(name, qualifier)
    return response.backend.get_function(reference.name, reference.qualifier), reference.qualifier


def _qualified(function: Any, qualifier: str | None) -> str:
    """Return a function's ARN with a qualifier; the ARN of a version object already ends with its own."""
    arn = ":".join(str(function.function_arn).split(":")[:7])
    return f"{arn}:{qualifier}" if qualifier and qualifier != "$LATEST" else arn
