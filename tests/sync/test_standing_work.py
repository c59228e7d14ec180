"""How things stand is found with the same work in a large journal as in a small one."""

from __future__ import annotations

from pathlib import Path

from spec_kitty_sync._files import Home
from spec_kitty_sync.event_journal.counting import BLOCK
from spec_kitty_sync.sync.config import Settings, write_settings
from spec_kitty_sync.sync.standing import Standing, read_standing
from spec_kitty_sync.sync.workspace import open_workspace

URL = "http://127.0.0.1:9"
_FILL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :n)
INSERT INTO event_journal(event_id, event_type, body, body_sha256, body_bytes, appended_at_ms, tier)
SELECT printf('%026d', i), 'T', x'7b7d', zeroblob(32), 2, i, i > :staying FROM n
"""
_COUNT = """
INSERT INTO event_journal_count
SELECT seq / ?, tier = 0, '', '', 0, '', count(*), sum(body_bytes)
FROM event_journal GROUP BY 1, 2
"""


def standing_behind(root: Path, staying: int) -> tuple[Standing, int]:
    """Return how 50 events stand behind *staying* that stay, and the work in 100 steps of SQLite.

    The server was sent nothing yet; its target is known.
    """
    home = Home(root).ensure()
    write_settings(home, {"server_url": URL})
    with open_workspace(Settings(home, {}, root)) as workspace:
        workspace.active_target()
        with workspace.store.transaction() as conn:
            conn.execute(_FILL, {"n": staying + 50, "staying": staying})
            conn.execute(_COUNT, (BLOCK,))
        ticks = [0]

        def tick() -> int:
            ticks[0] += 1
            return 0

        workspace.store.conn.set_progress_handler(tick, 100)
        try:
            return read_standing(workspace), ticks[0]
        finally:
            workspace.store.conn.set_progress_handler(None, 0)


def test_first_event_that_waits_is_found_behind_any_number_that_stay(tmp_path: Path):
    """Thirty times as many events that stay here cost no more steps to look past."""
    few, many = BLOCK * 2 + 100, BLOCK * 60 + 100
    small, steps = standing_behind(tmp_path / "small", few)
    large, more_steps = standing_behind(tmp_path / "large", many)
    for standing, staying in ((small, few), (large, many)):
        assert (standing.stats.total_pending, standing.oldest_ms) == (50, staying + 1)
        assert standing.held == {"local_only": staying}
    assert more_steps <= steps * 1.1 + 50
