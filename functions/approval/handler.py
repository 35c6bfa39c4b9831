"""Entry point of the approval function: asks people in Slack, waits, and hands the decision back."""

import contextlib
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, durable_execution

from approval.deployment import deployment
from approval.flow import Flow
from approval.request import InvalidRequestError
from shared.errors import ConfigurationError

# At initialisation, where Lambda gives full CPU; what is wrong with the environment is reported by the invocation.
with contextlib.suppress(ConfigurationError):
    deployment()


@durable_execution
def handler(event: Any, context: DurableContext) -> dict[str, Any]:
    """Handle one request.

    Args:
        event: `{"request": {...}, "task_token": "..."}`, see `approval.request.read`.
        context: The durable execution.

    Returns:
        The decision (`decision.schema.json`), or, where another execution handles the same task,
        `{"status": "duplicate", "claimed_by": "<execution ARN>"}`.

    Raises:
        InvalidRequestError: If the request is wrong; its Step Functions task has failed by then.
        WorkflowGatesError: If the deployment does not work; the execution's status event fails the task.
    """
    flow = Flow.begin(deployment(), context, event)
    try:
        return flow.run(event)
    except InvalidRequestError as error:
        flow.refuse(error)
        raise
