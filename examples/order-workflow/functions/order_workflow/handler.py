"""The order workflow, a durable function: validate, ask people, process with retries, announce the result.

Waiting for people costs nothing: between the operations below the function is not running.
"""

import functools
import os
from dataclasses import asdict
from typing import Any

from aws_durable_execution_sdk_python import DurableContext, InvokeError, StepError, durable_execution
from aws_durable_execution_sdk_python.config import StepConfig
from aws_durable_execution_sdk_python.retries import RetryPresets

from order_workflow import announcement, fulfilment
from order_workflow.order import Order

# Each waits some seconds longer than the one before it.
_THREE_ATTEMPTS = StepConfig(RetryPresets.transient())
_ONE_ATTEMPT = StepConfig(RetryPresets.none())


@durable_execution
def handler(event: Any, context: DurableContext) -> dict[str, Any]:
    """Handle one order.

    Args:
        event: `{"order_id": "123", "requester": "U0456EFGH"}`, see `Order.read`.
        context: The durable execution.

    Returns:
        `order_id`; `status`, which is `processed` or, unless approved, the gate's decision; the `decision` as the gate
        returned it; and the `receipt` of a processed order.

    Raises:
        StepError: If the order is not valid, or could not be processed.
        InvokeError: If the approval ended without a decision, for example because it was stopped.
    """
    order = Order(**context.step(lambda _: asdict(Order.read(event)), "validate-order", _ONE_ATTEMPT))
    announce = functools.partial(_announce, context, order)
    try:
        question = {"request": order.approval_request()}
        decision: dict[str, Any] = context.invoke(os.environ["APPROVAL_FUNCTION_ARN"], question, "ask")
        if decision["decision"] != "approved":
            announce(announcement.not_approved(order, decision))
            return {"order_id": order.order_id, "status": decision["decision"], "decision": decision, "receipt": None}
        receipt = context.step(lambda _: fulfilment.process(order), "process-order", _THREE_ATTEMPTS)
    except (InvokeError, StepError) as error:
        announce(announcement.failed(order, error.error_type))
        raise
    announce(announcement.processed(order, decision))
    return {"order_id": order.order_id, "status": "processed", "decision": decision, "receipt": receipt}


def _announce(context: DurableContext, order: Order, text: str) -> None:
    """Tell the results channel; the order is what it is, whether people hear of it or not."""
    try:
        context.step(lambda _: announcement.post(text), "notify-result", _THREE_ATTEMPTS)
    except StepError as error:
        context.logger.warning("result not announced", extra={"order": order.order_id, "reason": error.message})
