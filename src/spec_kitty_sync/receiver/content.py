"""Whether two bodies say the same (CONTRACT 6, Canonical content)."""

from __future__ import annotations

import json
from typing import Any


def same_content(left: bytes, right: bytes) -> bool:
    """Tell whether both bodies have the same canonical content."""
    return left == right or _canonical(left) == _canonical(right)


def _canonical(body: bytes) -> Any:
    return json.dumps(
        json.loads(body, parse_int=lambda text: [text], parse_float=lambda text: [text]),
        sort_keys=True,
    )
