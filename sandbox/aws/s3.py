"""Corrections of moto's S3."""

import json
import threading
from typing import Any

from moto.iam.access_control import IAMPolicy, PermissionResult
from moto.s3 import models, responses

from sandbox.aws.corrections import replace


def apply() -> None:
    """Apply every correction of this module."""
    _conditional_writes_are_atomic()
    _conditional_denials_are_not_denials()


def _conditional_writes_are_atomic() -> None:
    """On S3 one of several racing conditional writes wins; moto compares first and writes later, without a lock.

    Every write takes the lock: an unconditional one must not slip between another's comparison and its write either.
    """
    lock = threading.RLock()  # copying an object may put one

    def locked(name: str) -> None:
        def write(self: Any, *args: Any, **kwargs: Any) -> Any:
            with lock:
                return original(self, *args, **kwargs)

        original = replace(responses.S3Response, name, write)

    # The last two complete a multipart upload and delete several objects.
    for name in ("put_object", "copy_object", "delete_object", "_key_response_post", "_bucket_response_delete_keys"):
        locked(name)


def _conditional_denials_are_not_denials() -> None:
    """S3 applies a bucket policy's Deny only where its Condition holds; moto denies without looking at the condition.

    The usual one refuses requests without TLS. The local AWS has no TLS and counts every request as one with it, so a
    Deny with a condition is left out. (Conditions of Allow statements stay unevaluated too.)
    """

    def permission(self: Any, action: str, resource: str) -> Any:
        if self.policy is None:
            return PermissionResult.NEUTRAL
        document = json.loads(self.policy)
        statements = document["Statement"]
        if isinstance(statements, dict):
            statements = [statements]
        document["Statement"] = [s for s in statements if not (s["Effect"] == "Deny" and s.get("Condition"))]
        return IAMPolicy(json.dumps(document)).is_action_permitted(action, resource)

    replace(models.FakeBucket, "get_permission", permission)
