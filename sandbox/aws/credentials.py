"""Access keys of roles: with which one a call is signed says whose permissions count."""

import base64
import hashlib
from dataclasses import dataclass

from sandbox.aws.arns import ACCOUNT_ID


@dataclass(frozen=True)
class Session:
    """A role in use.

    Attributes:
        role: ARN of the role.
        name: Name of the session: for Lambda the function's.
    """

    role: str
    name: str

    @property
    def arn(self) -> str:
        """ARN of the session, as AWS names it in refusals."""
        return f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{self.role.rpartition('/')[2]}/{self.name}"


class AccessKeys:
    """Hands out an access key for each session, and knows it again. Nobody else's key is known."""

    def __init__(self) -> None:
        """Create it without any key."""
        self._sessions: dict[str, Session] = {}

    def of(self, session: Session) -> str:
        """Return the id of a session's access key; it is the same every time."""
        digest = hashlib.sha256(f"{session.role} {session.name}".encode()).digest()
        key = "ASIA" + base64.b32encode(digest).decode()[:16]
        self._sessions[key] = session
        return key

    def session(self, key: str) -> Session | None:
        """Return whose key it is; None for the keys of people, Terraform and tests."""
        return self._sessions.get(key)
