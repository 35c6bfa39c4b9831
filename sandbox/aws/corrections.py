"""How a correction replaces a part of an emulator.

moto has no hooks for what has to be put right, so its methods are replaced. Each correction is one function in the
module of its service; its docstring says what AWS does and what the emulator does instead. A name that a newer
emulator no longer has stops the server at start, so that no correction silently does nothing.
"""

from typing import Any


def replace(owner: Any, name: str, replacement: Any) -> Any:
    """Replace an attribute of an emulator's class or module.

    Args:
        owner: Class or module.
        name: Attribute, which must exist.
        replacement: What takes its place.

    Returns:
        What was there before.

    Raises:
        AttributeError: If ``owner`` has no such attribute: the emulator's version is not the one this was written for.
    """
    original = getattr(owner, name, None)
    if original is None:
        raise AttributeError(
            f"{owner.__name__} has no {name!r}: the installed emulator is not the one of requirements-dev.txt"
        )
    setattr(owner, name, replacement)
    return original


def extend(owner: Any, name: str, addition: Any) -> None:
    """Add an operation which an emulator lacks; a newer emulator's own is replaced too."""
    setattr(owner, name, addition)
