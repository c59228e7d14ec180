"""What still waits in queues of older versions, for status and `sync now`."""

from __future__ import annotations

from spec_kitty_sync._files import Home
from spec_kitty_sync.errors import SourceError
from spec_kitty_sync.sync.queue import LegacySource, discover, open_source
from spec_kitty_sync.sync.status_report import (
    BodyUploadSection,
    LegacySection,
    LegacySourceStatus,
)


def legacy_section(home: Home) -> tuple[LegacySection, BodyUploadSection]:
    """Return the sources of older versions with their rows, and their body uploads."""
    sources = []
    uploads = failures = 0
    for source in discover(home):
        status, queued, failed = _look(source)
        sources.append(status)
        uploads, failures = uploads + queued, failures + failed
    waiting = sum(source.waiting or 0 for source in sources)
    return LegacySection(waiting, tuple(sources)), BodyUploadSection(uploads, failures)


def _look(source: LegacySource) -> tuple[LegacySourceStatus, int, int]:
    if source.problem is not None:
        found = LegacySourceStatus(source.name, source.kind, source.problem.reason, None, None)
        return found, 0, 0
    try:
        with open_source(source, check=False) as view:
            rows = sum(1 for _ in view.rows())
            status = LegacySourceStatus(source.name, source.kind, view.damage, rows, rows)
            return status, view.body_uploads, view.body_failures
    except SourceError as exc:
        reason = str(exc.facts.get("detail", exc.message))
        return LegacySourceStatus(source.name, source.kind, reason, None, None), 0, 0
