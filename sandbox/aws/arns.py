"""The local account, and the ARN forms that the local AWS reads and writes."""

import re
from dataclasses import dataclass

# moto's default account; Terraform, boto3 and the functions all see this one.
ACCOUNT_ID = "123456789012"
DEFAULT_REGION = "us-east-2"

# The forms that Lambda's Invoke accepts: name, name:qualifier, partial ARN, ARN (API model, NamespacedFunctionName).
_FUNCTION = re.compile(
    r"(?:arn:aws[a-z-]*:lambda:(?P<region>[a-z0-9-]+):)?(?:\d{12}:)?(?:function:)?"
    r"(?P<name>[A-Za-z0-9_-]+)(?::(?P<qualifier>\$LATEST|[A-Za-z0-9_-]+))?"
)


@dataclass(frozen=True)
class FunctionReference:
    """A function as a caller names it.

    Attributes:
        name: Bare function name.
        qualifier: Version, alias or ``$LATEST``; ``None`` when unqualified.
        region: Region of the function.
    """

    name: str
    qualifier: str | None
    region: str

    @property
    def arn(self) -> str:
        """ARN in the form in which the caller named the function."""
        return function_arn(self.name, self.qualifier, self.region)


def function_arn(name: str, qualifier: str | None = None, region: str = DEFAULT_REGION) -> str:
    """Return the ARN of a function, with its qualifier when there is one."""
    suffix = f":{qualifier}" if qualifier else ""
    return f"arn:aws:lambda:{region}:{ACCOUNT_ID}:function:{name}{suffix}"


def parse_function(text: str, qualifier: str | None = None, region: str = DEFAULT_REGION) -> FunctionReference:
    """Parse a function name or ARN as Lambda does.

    Args:
        text: Name, ``name:qualifier``, partial ARN or ARN.
        qualifier: Qualifier given beside the name; one inside the name wins.
        region: Region assumed where ``text`` names none.

    Raises:
        ValueError: If ``text`` is none of these forms.
    """
    match = _FUNCTION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is neither a function name nor a function ARN")
    return FunctionReference(
        name=match["name"], qualifier=match["qualifier"] or qualifier, region=match["region"] or region
    )
