"""Run as a program: kill a migration, cleanup or decision at some SQL statement, resume, compare.

usage: kill_migration.py FOLDER migrate|cleanup|resolve POINTS SEED     prints one JSON object
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from legacy_homes import contents, event, image, settings_of, unpack, write_queue, write_rows

from spec_kitty_sync.sync.migrate_conflicts import Conflicts
from spec_kitty_sync.sync.migrate_home import cleanup, deciding, migrate
from spec_kitty_sync.sync.migrate_quarantine import Quarantine

_CONNECT = sqlite3.connect


def build(folder: Path) -> Path:
    """Make a plural home: real divergent queues, broken rows, a write-ahead log, overlaps."""
    shutil.rmtree(folder, ignore_errors=True)
    home = unpack("c-divergent", folder)
    # A killed process needs no fsync to keep what it committed; a power cut would.
    (home / "config.toml").write_text('[sync]\nsynchronous = "NORMAL"\n', encoding="utf-8")
    for path in unpack("f-wal", folder / "more").glob("queues/*f2.db*"):
        shutil.move(path, home / "queues" / path.name)
    shutil.rmtree(folder / "more")
    write_queue(home / "queue.db", [event(n) for n in range(40)])
    write_queue(home / "queues" / "queue-aa.db", [event(n) for n in range(30, 50)])
    rows = [(f"x{n}", "[]") for n in range(5)] + [(event(90)["event_id"], json.dumps(event(90)))]
    write_rows(home / "queues" / "queue-bb.db", rows)
    return home


def run(home: Path, task: str) -> None:
    settings = settings_of(home)
    migrate(settings)
    if task == "cleanup":
        cleanup(settings)
    if task == "resolve":
        with deciding(settings) as parts:
            Conflicts(parts).resolve_all(keep="source", reason="theirs")
            Quarantine(parts).accept(None, reason="junk")


def traced(on_statement: Callable[[str], None]) -> Callable[..., sqlite3.Connection]:
    def connect(*args: Any, **kw: Any) -> sqlite3.Connection:
        conn = _CONNECT(*args, **kw)
        conn.set_trace_callback(on_statement)
        return conn

    return connect


def count_statements(home: Path, task: str) -> int:
    seen: list[str] = []
    sqlite3.connect = traced(seen.append)  # type: ignore[assignment]
    try:
        run(home, task)
    finally:
        sqlite3.connect = _CONNECT
    return len(seen)


def run_killed_at(home: Path, task: str, point: int) -> bool:
    """Run in a child that kills itself at statement *point*; True if it died there."""
    child = os.fork()
    if child == 0:
        left = [point]

        def count(_: str) -> None:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sqlite3.connect = traced(count)  # type: ignore[assignment]
        run(home, task)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def outcome(home: Path, task: str) -> dict[str, Any]:
    found: dict[str, Any] = dict(contents(home))
    if task != "cleanup":
        found["sources on disk"] = image(home)
    else:
        found.pop("audit")  # says how often cleanup began, and where the backups are
        found.pop("sources")
        found["rows left"] = {
            path.name: _CONNECT(path).execute("SELECT count(*) FROM queue").fetchone()[0]
            for path in sorted(home.rglob("queue*.db"))
            if path.parent.name != "backups"
        }
    return found


def fresh(folder: Path) -> Path:
    """Return a new copy of the built home, always at the same place."""
    home = folder / "home"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(folder / "c-divergent", home)
    return home


def main(folder: Path, task: str, points: int, seed: int) -> None:
    build(folder)
    home = fresh(folder)
    total = count_statements(home, task)
    expected = outcome(home, task)
    random.seed(seed)
    died, different = 0, []
    for point in sorted(random.sample(range(1, total), points)):
        home = fresh(folder)
        died += run_killed_at(home, task, point)
        run(home, task)
        if outcome(home, task) != expected:
            different.append(point)
    print(json.dumps({"statements": total, "died": died, "different": different}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
