"""The error with which the local AWS answers a call."""

import json

from werkzeug.wrappers import Response


class AwsError(Exception):
    """An error answer in the shape of AWS's REST-JSON services.

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
        """Return the HTTP answer. botocore reads the type from the header, not from the body."""
        return Response(
            json.dumps({"Type": "User", "Message": self.message, "message": self.message}),
            status=self.status,
            content_type="application/json",
            headers={"x-amzn-ErrorType": self.code},
        )


def resource_not_found(message: str) -> AwsError:
    """Return Lambda's ``ResourceNotFoundException``."""
    return AwsError("ResourceNotFoundException", message, 404)


def invalid_parameter(message: str) -> AwsError:
    """Return Lambda's ``InvalidParameterValueException``."""
    return AwsError("InvalidParameterValueException", message)
