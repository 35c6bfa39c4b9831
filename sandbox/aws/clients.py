"""boto3 clients with which parts of the local AWS call each other over the one endpoint, as everybody else does."""

import threading
from typing import Any

import boto3
from botocore.config import Config

from sandbox.aws.arns import DEFAULT_REGION


class Clients:
    """Clients of the local AWS, one for each service and region."""

    def __init__(self, endpoint: str) -> None:
        """Create the factory; ``endpoint`` is the local AWS's own address."""
        self._endpoint = endpoint
        session = boto3.Session(aws_access_key_id="sandbox", aws_secret_access_key="sandbox")
        self._create: Any = session.client  # its stubs know literal service names only
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}

    def get(self, service: str, region: str = DEFAULT_REGION) -> Any:
        """Return the client of a service. Never retries: a second try would hide an error of the local AWS."""
        with self._lock:  # creating clients is not thread-safe, using them is
            if (service, region) not in self._clients:
                self._clients[service, region] = self._create(
                    service,
                    region_name=region,
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
            return self._clients[service, region]
