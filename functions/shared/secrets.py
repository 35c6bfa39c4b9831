"""Secrets by ARN: read when first needed, kept for a few minutes, never written anywhere."""

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from shared.errors import ConfigurationError, WorkflowGatesError

if TYPE_CHECKING:
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_ssm import SSMClient

# arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME or arn:PARTITION:ssm:REGION:ACCOUNT:parameter/NAME
_ARN = re.compile(r"arn:[\w-]+:(?:(?P<manager>secretsmanager):[\w-]+:\d{12}:secret:|ssm:[\w-]+:\d{12}:parameter/).+")

# Slack waits 3 s for the answer to a click, so a secret that does not come within 1 s is tried once more only.
_CONFIG = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 2, "mode": "standard"})


class SecretError(WorkflowGatesError):
    """A secret could not be read."""


class Secret:
    """One secret: a Secrets Manager secret string, or an SSM parameter.

    Args:
        arn: ARN of the secret or parameter.
        lifetime: Seconds for which a value is kept; after a rotation the old one is used for so long at most.
        clock: Monotonic seconds.

    Raises:
        ConfigurationError: If the ARN is neither a secret's nor a parameter's.
    """

    def __init__(self, arn: str, lifetime: float = 300.0, clock: Callable[[], float] = time.monotonic) -> None:
        match = _ARN.fullmatch(arn)
        if not match:
            # Whoever pastes the secret itself must not find it in the logs.
            shown = repr(arn) if arn.startswith("arn:") else "a value that does not start with arn:"
            raise ConfigurationError(
                f"{shown} is not the ARN of a Secrets Manager secret (arn:aws:secretsmanager:...:secret:...) "
                "or of an SSM parameter (arn:aws:ssm:...:parameter/...); pass one of these"
            )
        self.arn = arn
        self._lifetime = lifetime
        self._clock = clock
        self._value: str | None = None
        self._fetched_at = 0.0
        # The client is made here, at initialisation, where Lambda gives full CPU; the call comes later.
        self._fetch = self._secrets_manager() if match["manager"] else self._parameter_store()

    def value(self) -> str:
        """Return the secret, from memory while that is younger than `lifetime`.

        Raises:
            SecretError: If it cannot be read or is empty.
        """
        if self._value is None or self._clock() - self._fetched_at > self._lifetime:
            return self.refresh()
        return self._value

    def refresh(self) -> str:
        """Read the secret anew, for example because a signature did not match (it may have been rotated).

        Raises:
            SecretError: If it cannot be read or is empty.
        """
        try:
            value = self._fetch().strip()
        except Exception as error:
            # The cause's text names the call and the ARN, never the value.
            raise SecretError(
                f"cannot read {self.arn}: {error}; check that it exists, has a value, and that "
                "the function's role may read it"
            ) from error
        if not value:
            raise SecretError(f"{self.arn} is empty; put the value into it")
        self._value, self._fetched_at = value, self._clock()
        return value

    def _secrets_manager(self) -> Callable[[], str]:
        client: SecretsManagerClient = boto3.client("secretsmanager", config=_CONFIG)

        def fetch() -> str:
            answer = client.get_secret_value(SecretId=self.arn)
            if "SecretString" not in answer:
                raise SecretError("it holds binary data; store the value as a secret string")
            return answer["SecretString"]

        return fetch

    def _parameter_store(self) -> Callable[[], str]:
        client: SSMClient = boto3.client("ssm", config=_CONFIG)
        return lambda: client.get_parameter(Name=self.arn, WithDecryption=True)["Parameter"]["Value"]
