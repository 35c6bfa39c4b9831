"""Settings that Terraform hands to a function through environment variables."""

import os

from shared.errors import ConfigurationError


def required(name: str, meaning: str) -> str:
    """Return an environment variable that must be set.

    Args:
        name: Name of the environment variable.
        meaning: What the variable holds, for the error message.

    Returns:
        Its value, never empty.

    Raises:
        ConfigurationError: If it is unset or empty.
    """
    value = os.environ.get(name, "").strip()
    if not value:
        raise ConfigurationError(f"environment variable {name} is not set; set it to {meaning}")
    return value


def required_integer(name: str, meaning: str) -> int:
    """Return an environment variable that must be set to a whole number greater than zero.

    Args:
        name: Name of the environment variable.
        meaning: What the variable holds, with its unit, for the error message.

    Raises:
        ConfigurationError: If it is unset or not a whole number greater than zero.
    """
    value = required(name, meaning)
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise ConfigurationError(
            f"environment variable {name} is {value!r}; set it to {meaning}, a whole number greater than 0"
        )
    return int(value)


def optional(name: str, default: str = "") -> str:
    """Return an environment variable, or the default where it is unset or empty."""
    return os.environ.get(name, "").strip() or default
