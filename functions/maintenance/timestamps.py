"""Times as this gate writes them: ISO 8601, UTC, milliseconds, `Z`."""

from datetime import UTC, datetime


def to_text(moment: datetime) -> str:
    """Return a time as text, for example `2023-12-01T12:34:56.789Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_text(text: str) -> datetime:
    """Return the time that a text names.

    Raises:
        ValueError: If the text is not ISO 8601 or names no time zone.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a time needs a time zone, for example 2030-01-01T06:00:00Z")
    return moment.astimezone(UTC)
