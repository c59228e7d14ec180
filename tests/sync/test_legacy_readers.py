"""Reading what older CLIs left: every row, and not one byte of the source changed."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from legacy_homes import LOOSE_QUEUE_SQL, event, image, unpack, write_queue, write_rows

from spec_kitty_sync._files import Home
from spec_kitty_sync.errors import SourceError
from spec_kitty_sync.sync.queue import (
    LegacySource,
    SourceKind,
    count_body_uploads,
    discover,
    open_source,
    read_rows,
)

_RESTLESS = Path("/proc/sys/kernel/random/uuid")  # other content at every read
CASES = {
    "a-duplicate-identical": [30, 20],
    "b-duplicate-reordered": [20, 20],
    "c-divergent": [20, 20],
    "f-wal": [12, 18, 15, 5],
    "f2-hot-journal": [40],
    "g-old-schema": [10, 5, 5, 4, 0, 135, 147],
    "i-bad-rows": [23],
    "natural-2.1.3": [106, 123, 38, 60],
    "natural-3.1.10": [152, 139, 45, 67],
    "natural-3.2.4": [200, 235, 91, 172, 170, 73, 95],
    "realcli-3.0.3": [20],
}


@pytest.mark.parametrize("case", sorted(CASES))
def test_reader_yields_every_row_and_changes_no_byte(case: str, tmp_path: Path) -> None:
    """Every row of a real home is read, in import order, and the home stays byte-identical."""
    home = unpack(case, tmp_path)
    before = image(home)
    counts = [len(list(read_rows(source))) for source in discover(Home(home))]
    assert counts == CASES[case]
    assert image(home) == before


def test_reader_of_a_hot_journal_shows_only_what_was_committed(tmp_path: Path) -> None:
    """A transaction that a crash cut off is rolled back in a copy, never in the source."""
    (source,) = discover(Home(unpack("f2-hot-journal", tmp_path)))
    rows = list(read_rows(source))
    assert {row.retry_count for row in rows} == {0}
    assert not any(row.body and row.body.endswith(b" ") for row in rows)


def test_reader_reports_each_damaged_file_and_reads_the_good_ones(tmp_path: Path) -> None:
    """Seven damaged files are told apart; the good file and the scannable one are read."""
    home = unpack("d-corrupt", tmp_path)
    before = image(home)
    seen: dict[str, object] = {}
    for source in discover(Home(home)):
        try:
            with open_source(source) as view:
                seen[source.path.name[-5:-3]] = (len(list(view.rows())), view.damage is not None)
        except SourceError as exc:
            seen[source.path.name[-5:-3]] = exc.facts["reason"] if exc.remedy else "no remedy"
    assert seen == {
        "d1": "damaged",
        "d2": "damaged",
        "d3": "not_sqlite",
        "d4": (139, True),
        "d5": "not_sqlite",
        "d6": "damaged",
        "d7": "damaged",
        "19": (5, False),
    }
    assert image(home) == before


def test_discovery_reports_odd_names_links_and_folders(tmp_path: Path) -> None:
    """Nothing in the queues folder is passed over in silence."""
    sources = discover(Home(unpack("k-names", tmp_path)))
    problems = {s.path.name: s.problem.code for s in sources if s.problem}
    assert problems == {
        "other.db": "odd_name",
        "queue-.db": "odd_name",
        "queue-0000000000000abc.db": "symlink",
        "queue-21921a051ce88219 (copy).db": "odd_name",
        "queue-21921a051ce88219.db.bak": "odd_name",
        "queue-ABCDEF0123456789.db": "odd_name",
        "queue-deadbeefdeadbeef.db": "not_a_file",
        "queue-foo.db": "odd_name",
        "queue-é.db": "odd_name",
    }
    assert all(s.problem.remedy for s in sources if s.problem)
    assert len([s for s in sources if s.problem is None]) == 2


def test_discovery_follows_the_order_of_the_contract(tmp_path: Path) -> None:
    """Journals come first, then queue.db, scoped queues by name, project stores, named paths."""
    for name in (
        "projects/p/sync/sync.db",
        "queues/queue-bb.db",
        "queues/queue-aa.db",
        "queue.db",
        "event_journal/journal-local.db",
    ):
        write_queue(tmp_path / "home" / name, [event(1)])
    extra = write_queue(tmp_path / "extra.db", [event(2)])
    named = [extra, tmp_path / "home" / "queue.db"]
    kinds = [source.kind for source in discover(Home(tmp_path / "home"), named)]
    assert kinds == [
        SourceKind.EVENT_JOURNAL,
        SourceKind.LEGACY_QUEUE,
        SourceKind.SCOPED_QUEUE,
        SourceKind.SCOPED_QUEUE,
        SourceKind.PROJECT_STORE,
        SourceKind.NAMED,
    ]


def test_discovery_of_an_empty_home_finds_nothing(tmp_path: Path) -> None:
    """A home without queues has no sources, and looking creates nothing."""
    assert discover(Home(tmp_path / "none")) == []
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("name", "code"), [("zero.db", "zero_bytes"), ("pipe.db", "not_a_file"), ("no.db", "vanished")]
)
def test_discovery_explains_what_cannot_be_a_queue(name: str, code: str, tmp_path: Path) -> None:
    """Empty files, pipes and missing paths get a reason and a remedy instead of a hang."""
    (tmp_path / "zero.db").touch()
    os.mkfifo(tmp_path / "pipe.db")
    (source,) = discover(Home(tmp_path / "home"), [tmp_path / name])
    assert source.problem
    assert source.problem.code == code
    with pytest.raises(SourceError, match=name):
        list(read_rows(source))


def test_reader_of_a_file_name_that_is_not_utf8_works(tmp_path: Path) -> None:
    """Names are bytes on disk: an undecodable one is read and shown escaped."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.db"))
    write_queue(tmp_path / "plain.db", [event(1)]).rename(path)
    (source,) = discover(Home(tmp_path / "home"), [path])
    assert source.name.endswith("caf\\xe9.db")
    assert len(list(read_rows(source))) == 1


def test_reader_keeps_rows_of_any_type(tmp_path: Path) -> None:
    """Blobs, numbers, NULLs and text that is not UTF-8 are rows, not exceptions."""
    path = write_rows(
        tmp_path / "q.db", [("a", b'{"event_id":"a"}'), ("b", None), ("c", 7), (b"\xff", "{}")]
    )
    (source,) = discover(Home(tmp_path / "home"), [path])
    rows = list(read_rows(source))
    assert [row.body for row in rows] == [b'{"event_id":"a"}', None, None, b"{}"]
    assert [row.problem is None for row in rows] == [True, False, False, True]
    assert rows[3].column_id == "\\xff"


def test_reader_takes_the_queue_table_of_the_design_document(tmp_path: Path) -> None:
    """A table with created_at, last_attempt_at and status instead of ids is read too."""
    path = tmp_path / "q.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(
            "CREATE TABLE queue (id INTEGER PRIMARY KEY, data TEXT, retry_count INTEGER,"
            " created_at TEXT, last_attempt_at TEXT, status TEXT)"
        )
        conn.execute("INSERT INTO queue VALUES (9, '{}', 2, '2026-01-01T00:00:00Z', NULL, 'x')")
    (source,) = discover(Home(tmp_path / "home"), [path])
    (row,) = read_rows(source)
    assert (row.row, row.column_id, row.retry_count, row.queued_at) == (9, None, 2, 1767225600)


def test_reader_unwraps_the_project_store(tmp_path: Path) -> None:
    """The envelope inside 3.2.6's wrapper comes out as its own bytes; damage is a problem row."""
    envelope = json.dumps(event(1)).encode()
    wrapped = json.dumps({"event_id": "x", "payload": base64.b64encode(envelope).decode()})
    path = tmp_path / "home" / "projects" / "p" / "sync" / "sync.db"
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("CREATE TABLE journal_entries (entry_id TEXT PRIMARY KEY, payload_json TEXT)")
        conn.executemany(
            "INSERT INTO journal_entries VALUES (?, ?)",
            [("a", wrapped), ("b", envelope.decode()), ("c", '{"payload":"%%"}')],
        )
    (source,) = discover(Home(tmp_path / "home"))
    rows = list(read_rows(source))
    assert [row.body for row in rows] == [envelope, envelope, b'{"payload":"%%"}']
    assert [row.problem is None for row in rows] == [True, True, False]


def test_reader_finds_no_events_in_a_view_or_a_foreign_file(tmp_path: Path) -> None:
    """Only a real table named queue counts; a view of that name is not run."""
    path = tmp_path / "q.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("CREATE TABLE other (x)")
        conn.execute("INSERT INTO other VALUES (1)")
        conn.execute("CREATE VIEW queue AS SELECT x AS event_id, x AS data FROM other")
    (source,) = discover(Home(tmp_path / "home"), [path])
    with open_source(source) as view:
        assert (view.table, view.foreign_rows, list(view.rows())) == (None, True, [])


def _hold_exclusive(path: str, ready: object, done: object) -> None:
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute("BEGIN EXCLUSIVE")
    ready.set()  # type: ignore[attr-defined]
    done.wait(30)  # type: ignore[attr-defined]


def test_reader_of_a_locked_queue_gives_up_in_bounded_time(tmp_path: Path) -> None:
    """A queue that another process holds exclusively is reported as busy, and read later."""
    path = write_queue(tmp_path / "q.db", [event(1)])
    (source,) = discover(Home(tmp_path / "home"), [path])
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    holder = context.Process(target=_hold_exclusive, args=(str(path), ready, done))
    holder.start()
    try:
        assert ready.wait(30)
        with pytest.raises(SourceError) as caught:
            list(read_rows(source, patience_s=0.1))
        assert caught.value.facts["reason"] == "busy"
    finally:
        done.set()
        holder.join(30)
    assert len(list(read_rows(source))) == 1


@pytest.mark.skipif(not _RESTLESS.exists(), reason="needs Linux's file of random ids")
def test_reader_gives_up_on_a_write_ahead_log_that_never_rests(tmp_path: Path) -> None:
    """A log that changes during every copy is busy; no half-copied state is ever read."""
    path = write_queue(tmp_path / "q.db", [event(1)])
    path.with_name("q.db-wal").symlink_to(_RESTLESS)
    (source,) = discover(Home(tmp_path / "home"), [path])
    with pytest.raises(SourceError) as caught:
        list(read_rows(source, patience_s=0.1))
    assert caught.value.facts["reason"] == "busy"


def test_reader_streams_while_the_owner_may_still_read(tmp_path: Path) -> None:
    """Reading takes a shared lock only: the old CLI can read at the same time."""
    path = write_queue(tmp_path / "q.db", [event(n) for n in range(5)])
    (source,) = discover(Home(tmp_path / "home"), [path])
    rows = read_rows(source)
    next(rows)
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("SELECT count(*) FROM queue").fetchone() == (5,)
    rows.close()


def test_reader_of_an_open_queue_sees_one_moment(tmp_path: Path) -> None:
    """From the check to the last row nobody can change the file under the reader."""
    path = write_queue(tmp_path / "queue.db", [event(1)])
    with open_source(LegacySource(path, SourceKind.LEGACY_QUEUE)) as view:
        with (
            closing(sqlite3.connect(path, timeout=0.05)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
            other,
        ):
            other.execute("DELETE FROM queue")
        assert len(list(view.rows())) == 1


def test_body_uploads_are_counted_and_left_alone(tmp_path: Path) -> None:
    """Waiting documents and failure logs are counted over all queues of a home."""
    uploads = count_body_uploads(Home(unpack("natural-3.2.4", tmp_path)))
    assert (uploads.queued, uploads.failures) == (8, 3)


def test_reader_numbers_rows_of_a_table_without_rowid(tmp_path: Path) -> None:
    """A queue without rowids is numbered in key order."""
    path = tmp_path / "q.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("CREATE TABLE queue (event_id TEXT PRIMARY KEY, data TEXT) WITHOUT ROWID")
        conn.executemany("INSERT INTO queue VALUES (?, '{}')", [("b",), ("a",)])
    (source,) = discover(Home(tmp_path / "home"), [path])
    assert [(row.row, row.column_id) for row in read_rows(source)] == [(1, "a"), (2, "b")]


def test_reader_refuses_our_own_journal_by_name(tmp_path: Path) -> None:
    """`--from journal.db` is no legacy queue; the message says what it is."""
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(LOOSE_QUEUE_SQL)
        conn.execute(f"PRAGMA application_id={0x534B5331}")
    (source,) = discover(Home(tmp_path / "home"), [path])
    with pytest.raises(SourceError) as caught:
        list(read_rows(source))
    assert caught.value.facts["reason"] == "our_store"
