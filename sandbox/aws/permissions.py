"""Whether a role may do what is done with its access key.

What a call needs is in ``accesses``, what policies say of it in ``policies``. The keys of people, Terraform and tests
are the account's administrator's and may do everything.
"""

import logging
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from moto.core.config import default_user_config
from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends
from werkzeug.wrappers import Request

from sandbox.aws import accesses, operations
from sandbox.aws.arns import ACCOUNT_ID
from sandbox.aws.credentials import AccessKeys, Session
from sandbox.aws.errors import AwsError
from sandbox.aws.policies import Access, PolicyError, refusal

_LOG = logging.getLogger(__name__)


class AccessDeniedError(AwsError):
    """AWS's refusal of what a role does not allow."""

    def __init__(self, session: Session, access: Access, reason: str) -> None:
        """Create the refusal; ``reason`` is in AWS's words."""
        named = f'"{access.resource}"' if access.action.startswith("s3:") else access.resource
        resource = f" on resource: {named}" if access.resource else ""
        message = f"User: {session.arn} is not authorized to perform: {access.action}{resource} {reason}"
        super().__init__("AccessDeniedException", message, 403)


class Permissions:
    """Checks calls against the policies that are attached to roles at that moment."""

    def __init__(self, keys: AccessKeys) -> None:
        """Create it over the access keys that were handed out."""
        self._keys = keys
        self._lock = threading.Lock()
        self._asked: dict[str, dict[str, set[str]]] = {}

    def asked(self) -> dict[str, dict[str, list[str]]]:
        """Return of each role, by its ARN, which actions were `allowed` and which were `refused`, in order of name."""
        with self._lock:
            return {
                role: {verdict: sorted(actions) for verdict, actions in found.items()}
                for role, found in self._asked.items()
            }

    def check(self, request: Request) -> None:
        """Let pass what its signer's role allows, and what no role has signed.

        Raises:
            AwsError: If it is not allowed, or names nothing that could be.
        """
        signed = operations.signature(request)
        session = self._keys.session(signed.key) if signed else None
        if signed is None or session is None:
            return
        call = operations.call(request, signed)
        self.require(session, accesses.needed(call) if call else [accesses.unknown(signed)])

    def allow(self, session: Session, wanted: Iterable[Access]) -> bool:
        """Whether a role allows all that is to be done."""
        try:
            self.require(session, wanted)
        except AccessDeniedError:
            return False
        return True

    def require(self, session: Session, wanted: Iterable[Access]) -> None:
        """Let pass what a role allows.

        Args:
            session: The role in use.
            wanted: Everything that is to be done.

        Raises:
            AccessDeniedError: If anything of it is not allowed.
        """
        general = {"aws:principalarn": (session.role,), "aws:securetransport": ("true",)}
        role = _role(session.role)
        policies = list(_policies(role)) if role else []
        boundary = _document(role.permissions_boundary_arn) if role and role.permissions_boundary_arn else None
        for access in wanted:
            try:
                reason = refusal(replace(access, context={**general, **access.context}), policies, boundary)
            except (PolicyError, KeyError, ValueError) as error:
                _LOG.error("a policy of %s, asked for %s: %s", session.role, access.action, error)
                reason = f"because a policy of the role cannot be evaluated: {error}"
            with self._lock:
                found = self._asked.setdefault(session.role, {"allowed": set(), "refused": set()})
                found["refused" if reason else "allowed"].add(access.action)
            if reason:
                raise AccessDeniedError(session, access, reason)


def apply() -> None:
    """AWS's own managed policies can be attached to roles; moto has them, but loads them only if it is told to."""
    default_user_config["iam"] = {"load_aws_managed_policies": True}


def _role(arn: str) -> Any:
    try:
        return iam_backends[ACCOUNT_ID]["aws"].get_role_by_arn(arn)
    except NotFoundException:
        return None  # deleted, and with it everything that it allowed


def _policies(role: Any) -> Iterator[str]:
    yield from role.policies.values()
    for arn in role.managed_policies:
        yield _document(arn)


def _document(arn: str) -> str:
    """Return the default version of a managed policy."""
    policy = iam_backends[ACCOUNT_ID]["aws"].managed_policies[arn]
    return next(version.document for version in policy.versions if version.version_id == policy.default_version_id)
