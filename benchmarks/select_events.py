"""Select 1000 events behind K settled ones, 1 % of them stuck, beside a floor.

Prints JSON: milliseconds per selection of both for each K, and how ours grows from the smallest
K to the largest. The floor is one plain query on one plain table pair: open rows by a partial
index, new events above a mark.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from figures import Figure, report

from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync._files import Home
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.runs import Run
from spec_kitty_sync.delivery.selection import Limits, Selection
from spec_kitty_sync.delivery.targets import TargetRegistry
from spec_kitty_sync.sync.store import open_home

_FILL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
INSERT INTO event_journal(event_id, event_type, body, body_sha256, body_bytes, appended_at_ms, tier)
SELECT printf('%026d', i), 'WPStatusChanged', zeroblob(700), zeroblob(32), 700, 0, 1 FROM n
"""
_SETTLE = """
INSERT INTO delivery_ledger(target_id, epoch, seq, state)
SELECT 1, 1, seq, iif(seq % 100 = 1, 'rejected', 'delivered') FROM event_journal WHERE seq <= ?
"""
_FLOOR_SCHEMA = """
CREATE TABLE journal(seq INTEGER PRIMARY KEY, event_id TEXT UNIQUE, body BLOB);
CREATE TABLE ledger(target TEXT, seq INTEGER, status TEXT, PRIMARY KEY(target, seq)) WITHOUT ROWID;
CREATE INDEX ledger_open ON ledger(target, seq) WHERE status <> 'success';
"""
_FLOOR_FILL = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
INSERT INTO journal SELECT i, printf('%026d', i), zeroblob(700) FROM n
"""
_FLOOR_SETTLE = """
INSERT INTO ledger SELECT 't', seq, iif(seq % 100 = 1, 'rejected', 'success') FROM journal
WHERE seq <= ?
"""
_FLOOR_SELECT = """
SELECT j.seq, length(j.body) FROM (
    SELECT seq FROM ledger INDEXED BY ledger_open WHERE target = 't' AND status <> 'success'
    UNION ALL SELECT seq FROM journal
              WHERE seq > (SELECT coalesce(max(seq), 0) FROM ledger WHERE target = 't')
    ORDER BY 1 LIMIT 1000) s
JOIN journal j ON j.seq = s.seq ORDER BY j.seq
"""


def median_ms(action: Callable[[], int], runs: int) -> float:
    """Return the median time of *action*, which must select 1000 events."""
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        assert action() == 1000
        times.append((time.perf_counter() - start) * 1000)
    return round(statistics.median(times[1:]), 3)


def fill_home(store: Store, settled: int) -> None:
    """Put *settled* settled events and 1000 new ones into an empty home."""
    TargetRegistry(store, clock=SystemClock()).ensure("http://localhost:1")
    with store.transaction() as conn:
        conn.execute(_FILL, (settled + 1000,))
        conn.execute(_SETTLE, (settled,))
        conn.execute("UPDATE delivery_epochs SET mark = ?", (settled,))


def ours(settled: int, runs: int) -> float:
    """Return milliseconds per selection, due retries included."""
    with tempfile.TemporaryDirectory(dir=".") as scratch:
        store = open_home(Home(Path(scratch) / "home"), synchronous="NORMAL")
        fill_home(store, settled)
        store.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        target = TargetRegistry(store, clock=SystemClock()).get(1)
        run = Run(target, at=SystemClock().now_ms())
        measured = median_ms(lambda: len(Selection(store, run, Limits()).next().seqs), runs)
        store.close()
        return measured


def floor(settled: int, runs: int) -> float:
    """Return milliseconds per selection of the plain query."""
    with tempfile.TemporaryDirectory(dir=".") as scratch:
        conn = sqlite3.connect(Path(scratch) / "floor.db", isolation_level=None)
        conn.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + _FLOOR_SCHEMA)
        conn.execute("BEGIN")
        conn.execute(_FLOOR_FILL, (settled + 1000,))
        conn.execute(_FLOOR_SETTLE, (settled,))
        conn.execute("COMMIT")
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        measured = median_ms(lambda: len(conn.execute(_FLOOR_SELECT).fetchall()), runs)
        conn.close()
        return measured


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settled", type=int, nargs="*", default=[0, 100_000, 1_000_000])
    parser.add_argument("--runs", type=int, default=9)
    args = parser.parse_args()
    figures, times = [], {}
    for settled in args.settled:
        times[settled], plain = ours(settled, args.runs), floor(settled, args.runs)
        name = f"select 1,000 behind {settled:,}, 1 % stuck"
        at_most = 3 if settled == 100_000 else None
        figures.append(Figure(name, times[settled], "ms", at_most=at_most))
        figures.append(Figure("  the plain query", plain, "ms"))
    growth = times[max(times)] / times[min(times)]
    figures.append(Figure(f"  t({max(times):,}) / t({min(times):,})", growth, "x", at_most=4))
    report("select_events", args, figures)


if __name__ == "__main__":
    main()
