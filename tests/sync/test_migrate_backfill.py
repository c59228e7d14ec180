"""What 3.2.4 delivered is not delivered again."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from legacy_homes import event, image, settings_of, write_queue

from spec_kitty_sync.delivery.soundness import find_faults
from spec_kitty_sync.sync.migrate_home import migrate
from spec_kitty_sync.sync.workspace import open_workspace

_LEDGER = """
CREATE TABLE delivery_ledger (
    event_id TEXT NOT NULL, target_id TEXT NOT NULL, status TEXT NOT NULL,
    attempt_count INTEGER NOT NULL DEFAULT 0, first_attempted_at TEXT, last_attempted_at TEXT,
    accepted_at TEXT, completed_at TEXT, server_drain_state TEXT, last_http_status INTEGER,
    last_error TEXT, last_response_json TEXT, PRIMARY KEY (event_id, target_id)
)
"""
_TARGETS = """
CREATE TABLE delivery_targets (
    target_id TEXT PRIMARY KEY, canonical_url TEXT NOT NULL, url_hash TEXT NOT NULL,
    team_slug TEXT NOT NULL, user_email TEXT NOT NULL, first_seen_at TEXT NOT NULL,
    last_seen_at TEXT NOT NULL
)
"""
_AT = "2026-02-12T10:00:00+00:00"


def write_ledger(home: Path, answers: list[tuple[str, str]]) -> None:
    """Write the ledger and targets of 3.2.4, in its own tables and journal mode."""
    (home / "delivery").mkdir()
    with closing(sqlite3.connect(home / "delivery" / "ledger.db")) as conn, conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute(_LEDGER)
        conn.executemany(
            "INSERT INTO delivery_ledger (event_id, target_id, status, completed_at)"
            " VALUES (?, 't1', ?, ?)",
            [(event_id, status, _AT) for event_id, status in answers],
        )
    with closing(sqlite3.connect(home / "delivery" / "targets.db")) as conn, conn:
        conn.execute(_TARGETS)
        conn.execute(
            "INSERT INTO delivery_targets VALUES ('t1', ?, 'x', 'team-a', '', ?, ?)",
            ("https://a.example", _AT, _AT),
        )


def standing(home: Path) -> dict[str, tuple[str, int]]:
    with closing(sqlite3.connect(home / "journal.db")) as conn:
        return {
            row[0]: (row[1], row[2])
            for row in conn.execute(
                "SELECT j.event_id, l.state, l.last_at FROM delivery_ledger l"
                " JOIN event_journal j ON j.seq = l.seq"
            )
        }


def test_backfill_takes_over_final_answers_with_their_time(tmp_path: Path) -> None:
    """Delivered and finally refused events keep state and moment; others stay to be sent."""
    ids = [str(event(n)["event_id"]) for n in range(5)]
    write_queue(tmp_path / "queue.db", [event(n) for n in range(5)])
    statuses = ["success", "duplicate", "terminal_failed", "rejected"]
    write_ledger(tmp_path, [*zip(ids, statuses, strict=False), ("unknown", "success")])
    before = image(tmp_path)
    report = migrate(settings_of(tmp_path))
    assert any(note.startswith("3 events have their final answer") for note in report.notes)
    moment = 1_770_890_400_000
    assert standing(tmp_path) == {
        ids[0]: ("delivered", moment),
        ids[1]: ("delivered", moment),
        ids[2]: ("terminal_failed", moment),
    }
    assert image(tmp_path) == before
    with open_workspace(settings_of(tmp_path)) as workspace:
        (target,) = workspace.targets.all()
        assert (target.url, target.team_slug) == ("https://a.example", "team-a")
        assert find_faults(workspace.store) == []


def test_backfill_happens_once(tmp_path: Path) -> None:
    """A second migration takes nothing over again."""
    write_queue(tmp_path / "queue.db", [event(1)])
    write_ledger(tmp_path, [(str(event(1)["event_id"]), "success")])
    migrate(settings_of(tmp_path))
    with closing(sqlite3.connect(tmp_path / "journal.db")) as conn:
        logged = conn.execute("SELECT count(*) FROM delivery_log").fetchone()
    assert not any("final answer" in n for n in migrate(settings_of(tmp_path)).notes)
    with closing(sqlite3.connect(tmp_path / "journal.db")) as conn:
        assert conn.execute("SELECT count(*) FROM delivery_log").fetchone() == logged == (1,)


def test_backfill_from_a_broken_ledger_is_a_note(tmp_path: Path) -> None:
    """A ledger that cannot be read stops nothing: its events are delivered again at worst."""
    write_queue(tmp_path / "queue.db", [event(1)])
    write_ledger(tmp_path, [])
    (tmp_path / "delivery" / "ledger.db").write_bytes(b"no ledger" * 99)
    report = migrate(settings_of(tmp_path))
    assert (report.imported, report.exit_code) == (1, 0)
    assert any("not taken over" in note for note in report.notes)


def test_backfill_from_a_ledger_with_an_odd_answer_keeps_the_delivery(tmp_path: Path) -> None:
    """An HTTP status that is none is left out; that the event was delivered is taken over."""
    write_queue(tmp_path / "queue.db", [event(1)])
    write_ledger(tmp_path, [(str(event(1)["event_id"]), "success")])
    with closing(sqlite3.connect(tmp_path / "delivery" / "ledger.db")) as conn, conn:
        conn.execute("UPDATE delivery_ledger SET last_http_status = ?", (b"9" * 30,))
    assert migrate(settings_of(tmp_path)).exit_code == 0
    assert standing(tmp_path)[str(event(1)["event_id"])][0] == "delivered"
