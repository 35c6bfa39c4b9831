"""The error with which the local AWS answers a call."""

import json
import uuid
from xml.sax.saxutils import escape

from werkzeug.wrappers import Request, Response

from sandbox.aws import operations


class AwsError(Exception):
    """An error answer of AWS.

    Attributes:
        code: Error type, as botocore reports it in ``response["Error"]["Code"]``.
        message: Message for the caller. Never holds callback ids or task tokens.
        status: HTTP status.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status

    def response(self) -> Response:
        """Return the answer of a REST-JSON service. botocore reads the type from the header, not from the body."""
        return Response(
            json.dumps({"Type": "User", "Message": self.message, "message": self.message}),
            status=self.status,
            content_type="application/json",
            headers={"x-amzn-ErrorType": self.code, "x-amzn-RequestId": str(uuid.uuid4())},
        )


def answer(request: Request, error: AwsError) -> Response:
    """Return an error in the form of the protocol of the service that a request is for."""
    if "X-Amz-Target" in request.headers:
        body = {"__type": error.code, "Message": error.message, "message": error.message}
        return Response(json.dumps(body), status=400, content_type=request.content_type)
    # Services that answer in XML leave out this end of a name.
    code, message = escape(error.code.removesuffix("Exception")), escape(error.message)
    request_id = f"<RequestId>{uuid.uuid4()}</RequestId>"
    signed = operations.signature(request)
    if signed and signed.service == "s3":
        xml = f"<Error><Code>{code}</Code><Message>{message}</Message>{request_id}</Error>"
    elif request.mimetype == operations.FORM:
        inner = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
        xml = f"<ErrorResponse>{inner}{request_id}</ErrorResponse>"
    else:
        return error.response()
    return Response(xml, status=error.status, content_type="application/xml")


def resource_not_found(message: str) -> AwsError:
    """Return Lambda's ``ResourceNotFoundException``."""
    return AwsError("ResourceNotFoundException", message, 404)


def invalid_parameter(message: str) -> AwsError:
    """Return Lambda's ``InvalidParameterValueException``."""
    return AwsError("InvalidParameterValueException", message)
