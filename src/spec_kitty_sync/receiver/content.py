"""Whether two bodies say the same (CONTRACT 6, Canonical content)."""

from __future__ import annotations

from spec_kitty_sync._json import canonical_hash


def same_content(left: bytes, right: bytes) -> bool:
    """Tell whether both bodies have the same canonical content."""
    return left == right or canonical_hash(left) == canonical_hash(right)
