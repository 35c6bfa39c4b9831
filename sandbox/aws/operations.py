"""Which operation of AWS a request asks for: by its target header, or by its address and the service's API model."""

import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import botocore.session
from werkzeug.wrappers import Request

# Those that functions of the gates call.
_SERVICES = ("events", "lambda", "resourcegroupstaggingapi", "s3", "secretsmanager", "ssm", "stepfunctions")
# How services that take forms are asked.
FORM = "application/x-www-form-urlencoded"
# In the header, or in the address of a presigned request.
_CREDENTIAL = re.compile(r"Credential=(?P<key>[^/]+)/\d+/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request")


@dataclass(frozen=True)
class Signature:
    """With what a request is signed.

    Attributes:
        key: Id of the access key.
        region: Region.
        service: Service, by its signing name, such as `states`.
    """

    key: str
    region: str
    service: str


@dataclass(frozen=True)
class Call:
    """A request for an operation.

    Attributes:
        request: The request.
        signature: With what it is signed.
        operation: Name of the operation, such as `GetObject`.
        address: What stands in the path, by the names of the API model.
    """

    request: Request
    signature: Signature
    operation: str
    address: Mapping[str, str]

    @cached_property
    def body(self) -> Any:
        """The body: JSON, or the fields of a form."""
        data = self.request.get_data()
        self.request.environ["wsgi.input"] = io.BytesIO(data)  # whoever answers reads it again
        if self.request.mimetype == FORM:
            return {name: values[0] for name, values in parse_qs(data.decode()).items()}
        return json.loads(data or b"{}")


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
    """Return the name of the operation, such as ``GetObject``; ``None`` if it is not known."""
    signed = signature(request)
    found = call(request, signed) if signed else None
    return found.operation if found else None


def signature(request: Request) -> Signature | None:
    """Return with what a request is signed; None if it is not."""
    written = request.headers.get("Authorization") or f"Credential={request.args.get('X-Amz-Credential')}"
    match = _CREDENTIAL.search(written)
    return Signature(**match.groupdict()) if match else None


def call(request: Request, signed: Signature) -> Call | None:
    """Return what a request asks for; None if that is not known here."""
    if target := request.headers.get("X-Amz-Target"):
        return Call(request, signed, target.rpartition(".")[2], {})
    if not _addressed(signed.service):
        return _queried(request, signed)
    address = urlsplit(request.environ["RAW_URI"])  # the decoded path has lost the encoded slashes of ARNs
    parts = {name.lower() for name in (*parse_qs(address.query, keep_blank_values=True), *dict(request.headers))}
    found = [
        (one, match)
        for one in _operations(signed.service)
        if one.method == request.method and (match := one.path.fullmatch(address.path)) and one.parts <= parts
    ]
    if not found:
        return None
    one, match = max(found, key=lambda pair: len(pair[0].parts))
    return Call(request, signed, one.name, {name: unquote(text) for name, text in match.groupdict().items()})


def _queried(request: Request, signed: Signature) -> Call | None:
    """Return the call of a service that takes forms, with the operation among their fields."""
    if request.mimetype != FORM:
        return None
    asked = Call(request, signed, "", {})
    return Call(request, signed, asked.body["Action"], {}) if "Action" in asked.body else None


@cache
def known() -> frozenset[str]:
    """Return the names of all operations of the services that functions of the gates call."""
    session = botocore.session.get_session()
    return frozenset(name for service in _SERVICES for name in session.get_service_model(service).operation_names)


@cache
def _addressed(service: str) -> bool:
    """Whether operations of a service are told apart by method and path (botocore's name is the signing name then)."""
    session = botocore.session.get_session()
    known_service = service in session.get_available_services()
    return known_service and session.get_service_model(service).protocol.startswith("rest-")


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
    name = piece.strip("{+}")
    return f"(?P<{name}>.+)" if piece.endswith("+}") else f"(?P<{name}>[^/]+)"
