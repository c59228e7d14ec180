"""Numbers with their nouns, for messages of every part."""

from __future__ import annotations


def plural(count: int, word: str) -> str:
    """Return *count* and *word*, with an s where it belongs; thousands are grouped."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def verb(count: int, one: str, many: str) -> str:
    """Return the verb that goes with *count* things."""
    return one if count == 1 else many
