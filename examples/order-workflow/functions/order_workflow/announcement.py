"""What the results channel is told."""

import os
from collections.abc import Mapping
from typing import Any

import boto3
from slack_sdk import WebClient

from order_workflow.order import Order


def processed(order: Order, decision: Mapping[str, Any]) -> str:
    """Return the text for an order that was approved and processed."""
    return f":white_check_mark: Order {order.order_id} was processed, approved by {_people(decision)}."


def not_approved(order: Order, decision: Mapping[str, Any]) -> str:
    """Return the text for an order that was not approved, for whatever reason."""
    match decision["decision"]:
        case "rejected":
            why = f"rejected by {_people(decision)}"
        case "undelivered":
            why = f"nobody could be asked, because Slack says {decision['error']['code']}"
        case other:
            why = {"timed_out": "nobody decided in time", "cancelled": "the request was cancelled"}[other]
    return f":no_entry: Order {order.order_id} was not processed: {why}."


def failed(order: Order, error_type: str) -> str:
    """Return the text for an order whose workflow failed."""
    return f":warning: Order {order.order_id} failed ({error_type}); see its durable execution."


def post(text: str) -> None:
    """Post to the results channel with the gate's Slack app.

    Raises:
        slack_sdk.errors.SlackClientError: If Slack does not take it.
        botocore.exceptions.ClientError: If the bot token cannot be read.
    """
    secrets = boto3.client("secretsmanager")
    token = secrets.get_secret_value(SecretId=os.environ["SLACK_BOT_TOKEN_ARN"])["SecretString"].strip()
    slack = WebClient(token=token, base_url=os.environ["SLACK_API_URL"], timeout=10)
    slack.chat_postMessage(channel=os.environ["RESULTS_CHANNEL"], text=text)


def _people(decision: Mapping[str, Any]) -> str:
    # Nobody, where the request says what its timeout means.
    return ", ".join(f"<@{person['id']}>" for person in decision["decided_by"]) or "default"
