"""Callback ids of durable executions."""

import base64
import re

from aws_durable_execution_sdk_python_testing.exceptions import InvalidParameterValueException
from aws_durable_execution_sdk_python_testing.token import CallbackToken

# API model: CallbackId.
_CALLBACK_ID = re.compile(r"[A-Za-z0-9+/]{1,1024}={0,2}")


def execution_of(callback_id: str) -> str:
    """Return the ARN inside a callback id of the emulator.

    Raises:
        InvalidParameterValueException: If it is no such id. The message does not repeat it.
    """
    invalid = InvalidParameterValueException("The callback id is not valid.")
    if _CALLBACK_ID.fullmatch(callback_id) is None:
        raise invalid
    try:
        base64.b64decode(callback_id, validate=True)
        return CallbackToken.from_str(callback_id).execution_arn
    except (ValueError, KeyError, TypeError) as error:
        raise invalid from error
