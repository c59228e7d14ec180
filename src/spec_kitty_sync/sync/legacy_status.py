"""What still waits in queues of older versions, for status and `sync now`."""

from __future__ import annotations

from spec_kitty_sync._files import Home
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.sync.migrate_sources import waiting
from spec_kitty_sync.sync.status_report import (
    BodyUploadSection,
    LegacySection,
    LegacySourceStatus,
)


def legacy_section(home: Home, store: Store | None) -> tuple[LegacySection, BodyUploadSection]:
    """Return what each source of older versions holds that the journal does not."""
    found = waiting(home, store)
    sources = tuple(
        LegacySourceStatus(each.path, each.kind, each.problem, each.rows, each.waiting)
        for each in found
    )
    return (
        LegacySection(sum(each.waiting or 0 for each in found), sources),
        BodyUploadSection(
            sum(each.body_uploads for each in found), sum(each.body_failures for each in found)
        ),
    )
