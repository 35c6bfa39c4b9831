"""What the page never shows: callback ids, task tokens, and what Secrets Manager and Parameter Store keep secret.

Whoever knows one of the first two can answer for everybody else. They are left out twice: by the names of the fields
that hold them, whatever they look like, and by their values, wherever these stand.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

HIDDEN = "(hidden)"
# What callback ids and the task tokens of AWS look like.
LONG = re.compile(r"[A-Za-z0-9+/=]{80,}")
# moto's task tokens.
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FIELDS = frozenset({"callback_id", "callbackid", "task_token", "tasktoken"})
# Characters below which a secret cannot be told from any other text.
_SHORTEST_SECRET = 6


def readable(text: str | None) -> str | None:
    """Return JSON set out for people, without the values of fields that hold callback ids or task tokens.

    Args:
        text: JSON; any other text is returned as it is, and None.
    """
    if text is None:
        return None
    try:
        content = json.loads(text)
    except ValueError:
        return text
    return json.dumps(_without_tokens(content), indent=2, ensure_ascii=False)


@dataclass(frozen=True)
class Hider:
    """Leaves out of texts what must not be shown.

    Attributes:
        tokens: All task tokens of the emulator.
        secrets: Secret texts.
    """

    tokens: frozenset[str]
    secrets: frozenset[str]

    def hide(self, text: str) -> str:
        """Return a text without them."""
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN).replace(json.dumps(secret)[1:-1], HIDDEN)  # the latter: inside JSON
        text = _UUID.sub(lambda match: HIDDEN if match[0] in self.tokens else match[0], text)
        return LONG.sub(HIDDEN, text)


def texts_of(secret: str) -> Iterator[str]:
    """Iterate over the texts that a secret's value gives away: itself, and each text in it where it is JSON."""
    if len(secret) >= _SHORTEST_SECRET:
        yield secret
    try:
        content = json.loads(secret)
    except ValueError:
        return
    if isinstance(content, dict):
        yield from (text for text in content.values() if isinstance(text, str) and len(text) >= _SHORTEST_SECRET)


def _without_tokens(content: Any) -> Any:
    if isinstance(content, dict):
        return {
            name: HIDDEN if name.lower().removesuffix(".$") in _FIELDS else _without_tokens(value)
            for name, value in content.items()
        }
    if isinstance(content, list):
        return [_without_tokens(value) for value in content]
    return content
