"""Which operation of AWS a request asks for: by its target header, or by its address and the service's API model."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from urllib.parse import parse_qs, urlsplit

import botocore.session
from werkzeug.wrappers import Request

# Those that functions of the gates call; the first two have addresses, the others a target header.
_SERVICES = ("lambda", "s3", "events", "resourcegroupstaggingapi", "secretsmanager", "ssm", "stepfunctions")
_ADDRESSED = frozenset(_SERVICES[:2])
_SERVICE = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request")


@dataclass(frozen=True)
class _Operation:
    """How an operation is addressed.

    Attributes:
        name: Name of the operation.
        method: HTTP method.
        path: Matches the path, slashes in ARNs encoded.
        parts: Query parameters and headers, in lower case, without which it is another operation.
    """

    name: str
    method: str
    path: re.Pattern[str]
    parts: frozenset[str]


def operation(request: Request) -> str | None:
    """Return the name of the operation, such as ``GetObject``; ``None`` for services that no function calls."""
    if target := request.headers.get("X-Amz-Target"):
        return target.rpartition(".")[2]
    service = _SERVICE.search(request.headers.get("Authorization", ""))
    if service is None or service[1] not in _ADDRESSED:
        return None
    address = urlsplit(request.environ["RAW_URI"])  # the decoded path has lost the encoded slashes of ARNs
    parts = {name.lower() for name in (*parse_qs(address.query, keep_blank_values=True), *dict(request.headers))}
    found = [
        one
        for one in _operations(service[1])
        if one.method == request.method and one.path.fullmatch(address.path) and one.parts <= parts
    ]
    return max(found, key=lambda one: len(one.parts)).name if found else None


@cache
def known() -> frozenset[str]:
    """Return the names of all operations of the services that functions of the gates call."""
    session = botocore.session.get_session()
    return frozenset(name for service in _SERVICES for name in session.get_service_model(service).operation_names)


@cache
def _operations(service: str) -> tuple[_Operation, ...]:
    return tuple(_modelled(service))


def _modelled(service: str) -> Iterator[_Operation]:
    model = botocore.session.get_session().get_service_model(service)
    for name in model.operation_names:
        described = model.operation_model(name)
        path, _, query = described.http["requestUri"].partition("?")
        members = described.input_shape.members if described.input_shape else {}
        required = described.input_shape.required_members if described.input_shape else []
        written = [members[member].serialization for member in required]
        needed = [one["name"] for one in written if one.get("location") in ("header", "querystring")]
        yield _Operation(
            name,
            described.http["method"],
            re.compile("".join(_pattern(piece) for piece in re.split(r"(\{\w+\+?\})", path))),
            frozenset(name.lower() for name in (*parse_qs(query, keep_blank_values=True), *needed)),
        )


def _pattern(piece: str) -> str:
    if not piece.startswith("{"):
        return re.escape(piece)
    return ".+" if piece.endswith("+}") else "[^/]+"
