"""Faults that a test or a person can switch on while the local AWS runs."""

from dataclasses import dataclass, fields
from typing import Any


@dataclass
class Faults:
    """Switches; all off at start.

    Attributes:
        drop_tag_events: EventBridge loses the events of tag changes (its delivery is best effort).
        plain_form_bodies: HTTP APIs hand form-encoded bodies on as text instead of base64.
    """

    drop_tag_events: bool = False
    plain_form_bodies: bool = False

    def set(self, changes: dict[str, Any]) -> None:
        """Set switches by name.

        Raises:
            ValueError: If a switch does not exist or its value is no boolean; then nothing is changed.
        """
        known = {field.name for field in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"{name!r} is no fault; there are {', '.join(sorted(known))}")
            if not isinstance(value, bool):
                raise ValueError(f"{name}: {value!r} is neither true nor false")  # noqa: TRY004 - as documented
        for name, value in changes.items():
            setattr(self, name, value)
