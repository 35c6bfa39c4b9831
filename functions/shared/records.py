"""What records of a request have in common, whoever writes them."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def request_hash(request: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a request as hexadecimal digits: what was asked, provably.

    It is taken of the request's JSON in UTF-8 with sorted names and without spaces, so that callers can take it too.
    """
    text = json.dumps(request, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
