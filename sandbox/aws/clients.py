"""boto3 clients with which parts of the local AWS call each other over the one endpoint, as everybody else does."""

import threading
from typing import Any

import boto3
from botocore.config import Config

from sandbox.aws.arns import DEFAULT_REGION
from sandbox.aws.credentials import AccessKeys, Session

# Name of the sessions in which services use roles; AWS makes one up each time.
_SESSION = "sandbox"


class Clients:
    """Clients of the local AWS, one for each service, region and role."""

    def __init__(self, endpoint: str, keys: AccessKeys) -> None:
        """Create the factory.

        Args:
            endpoint: The local AWS's own address.
            keys: Access keys of roles.
        """
        self._endpoint = endpoint
        self._keys = keys
        self._create: Any = boto3.Session().client  # its stubs know literal service names only
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str, str | None], Any] = {}

    def get(self, service: str, region: str = DEFAULT_REGION, *, role: str | None) -> Any:
        """Return the client of a service. Never retries: a second try would hide an error of the local AWS.

        Args:
            service: Service.
            region: Region.
            role: ARN of the role whose permissions count; None for what AWS does by itself.
        """
        with self._lock:  # creating clients is not thread-safe, using them is
            if (service, region, role) not in self._clients:
                self._clients[service, region, role] = self._create(
                    service,
                    region_name=region,
                    aws_access_key_id=self._keys.of(Session(role, _SESSION)) if role else _SESSION,
                    aws_secret_access_key=_SESSION,
                    endpoint_url=self._endpoint,
                    config=Config(
                        parameter_validation=False,  # Step Functions passes on what a state machine says
                        retries={"total_max_attempts": 1},
                        # An invocation may take 15 minutes, and each one holds a connection.
                        read_timeout=16 * 60,
                        max_pool_connections=256,
                        proxies={},
                    ),
                )
            return self._clients[service, region, role]
