"""The queues of older CLIs, read only: their events, their waiting body uploads (CONTRACT 6).

`discover` finds the sources, `open_source` and `read_rows` read one, whatever version wrote
it. Body uploads are counted and left to the CLI that owns them; nothing here sends them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from spec_kitty_sync._files import Home
from spec_kitty_sync.errors import SourceError
from spec_kitty_sync.sync.legacy_files import iterate_file, iterate_stream
from spec_kitty_sync.sync.legacy_rows import SourceView, open_source, read_rows
from spec_kitty_sync.sync.legacy_sources import (
    LegacyRow,
    LegacySource,
    SourceKind,
    discover,
)


@dataclass(frozen=True)
class BodyUploads:
    """How many document uploads wait in, or failed from, the queues of older CLIs."""

    queued: int
    failures: int


def count_body_uploads(home: Home, sources: Iterable[LegacySource] | None = None) -> BodyUploads:
    """Return the body uploads of every readable source; unreadable ones count as none."""
    queued = failures = 0
    for source in discover(home) if sources is None else sources:
        try:
            with open_source(source, check=False) as view:
                queued += view.body_uploads
                failures += view.body_failures
        except SourceError:
            continue
    return BodyUploads(queued, failures)


__all__ = [
    "BodyUploads",
    "LegacyRow",
    "LegacySource",
    "SourceKind",
    "SourceView",
    "count_body_uploads",
    "discover",
    "iterate_file",
    "iterate_stream",
    "open_source",
    "read_rows",
]
