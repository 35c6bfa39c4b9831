"""Structured logs through the standard library and Lambda's own JSON log format.

Fields go into `extra`: Lambda's formatter writes each as a key of the log record.
"""

import logging

# At DEBUG these write request parameters and bodies: task tokens, callback ids, the bot token.
_TALKATIVE = ("boto3", "botocore", "s3transfer", "slack_sdk", "urllib3")

for _name in _TALKATIVE:
    logging.getLogger(_name).setLevel(logging.WARNING)


def logger(name: str) -> logging.Logger:
    """Return the logger of a module; its level is the function's `application_log_level`."""
    return logging.getLogger(name)
