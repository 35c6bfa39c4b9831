"""An order, and what people are asked about it."""

import re
from dataclasses import dataclass
from typing import Any, Self

_ORDER_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class InvalidOrderError(Exception):
    """The workflow was started with something that is no order."""


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order.

    Attributes:
        order_id: 1 to 64 letters, digits and hyphens.
        requester: Slack user id of who asks; None where no person does.
    """

    order_id: str
    requester: str | None = None

    @classmethod
    def read(cls, event: Any) -> Self:
        """Read the workflow's input; your own workflow would look the order up here.

        Raises:
            InvalidOrderError: If it is no order.
        """
        order_id = event.get("order_id") if isinstance(event, dict) else None
        if not isinstance(order_id, str) or not _ORDER_ID.fullmatch(order_id):
            raise InvalidOrderError(
                f'order_id is {order_id!r}: start with {{"order_id": "123"}}, 1 to 64 letters, digits and hyphens'
            )
        return cls(order_id=order_id, requester=event.get("requester"))

    def approval_request(self) -> dict[str, Any]:
        """Return the request; approvers, channel and timeout are the gate's defaults."""
        request: dict[str, Any] = {
            "title": f"Process order {self.order_id}?",
            "fields": {"Order": self.order_id},
        }
        return request | ({"requester": self.requester} if self.requester else {})
