"""What the journal promises about appending and reading."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spec_kitty_sync._files import Home
from spec_kitty_sync._sqlite_open import APPLICATION_ID, open_store
from spec_kitty_sync.errors import (
    EventConflictError,
    StoreError,
    StoreVersionError,
    UnsafePathError,
)
from spec_kitty_sync.event_journal.models import Appended
from spec_kitty_sync.events.admission import admit
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.sync.store import open_home, read_home, steps


def test_append_keeps_the_exact_bytes(journal, make_event):
    """What is read back is byte for byte what was appended, with its hash."""
    event = make_event()
    receipt = journal.append(event)
    record = journal.get(event.event_id)
    assert record.body == event.body
    assert record.body_sha256 == hashlib.sha256(event.body).digest()
    assert (record.seq, receipt.inserted) == (receipt.seq, True)


def test_append_same_content_again_is_a_no_op(journal, make_event):
    """The same id with the same canonical content, other spacing included, changes nothing."""
    event = make_event()
    first = journal.append(event)
    spaced = json.dumps(json.loads(event.body), indent=2, sort_keys=True).encode()
    again = journal.append(admit(spaced, registry=default_registry()))
    assert (again.seq, again.inserted) == (first.seq, False)
    assert journal.get(event.event_id).body == event.body
    assert sum(group.events for group in journal.counts()) == 1


def test_append_other_content_under_a_known_id_is_refused(journal, make_event):
    """An id never changes its content: the second append fails and the first bytes stay."""
    event = make_event()
    journal.append(event)
    with pytest.raises(EventConflictError, match=event.event_id):
        journal.append(make_event(event_id=event.event_id, lamport_clock=2))
    assert journal.get(event.event_id).body == event.body


def test_append_tells_true_from_one(journal, make_event):
    """`1` and `true` are different content."""
    event = make_event(extra=1)
    journal.append(event)
    with pytest.raises(EventConflictError):
        journal.append(make_event(event_id=event.event_id, extra=True))


def test_append_many_answers_for_each_event_in_order(journal, make_event):
    """A bulk append says of each event whether it is new, known or in conflict."""
    known = make_event()
    journal.append(known)
    new = make_event()
    clash = make_event(event_id=known.event_id, lamport_clock=9)
    results = journal.append_many([new, known, clash, new])
    assert [r.outcome for r in results] == [
        Appended.INSERTED,
        Appended.SAME,
        Appended.CONFLICT,
        Appended.SAME,
    ]
    assert [r.seq for r in results] == [2, 1, 1, 2]


def test_append_many_is_one_transaction(journal, store, make_event):
    """When the source of a bulk append fails half-way, nothing of it remains."""

    def source():
        yield from (make_event() for _ in range(1500))
        raise RuntimeError("source broke")

    with pytest.raises(RuntimeError, match="source broke"):
        journal.append_many(source())
    assert list(journal.read()) == []
    assert journal.counts() == ()
    assert not store.conn.in_transaction


def test_sequence_numbers_are_never_reused(journal, store, make_event):
    """After a rollback and after deletion by hand, a new event gets a new number."""
    journal.append(make_event())
    last = journal.append(make_event()).seq
    store.conn.execute("DELETE FROM event_journal WHERE seq = ?", (last,))
    assert journal.append(make_event()).seq == last + 1


def test_read_pages_through_everything_in_order(journal, make_event):
    """Reading yields every event once, in the order of appending, across page borders."""
    events = [make_event() for _ in range(2050)]
    journal.append_many(events)
    assert [r.event_id for r in journal.read()] == [e.event_id for e in events]
    assert [r.seq for r in journal.read(after=2048)] == [2049, 2050]


def test_an_append_costs_one_fsync(home, tmp_path, make_event):
    """On a kept-open connection one append is exactly one fdatasync."""
    strace = subprocess.run(["which", "strace"], capture_output=True, check=False)
    if strace.returncode:
        pytest.skip("missing tool: strace")
    script = tmp_path / "append.py"
    bodies = tmp_path / "bodies.json"
    bodies.write_text(json.dumps([make_event().body.decode() for _ in range(11)]))
    script.write_text(_APPEND_SCRIPT)
    log = tmp_path / "trace"
    subprocess.run(
        ["strace", "-f", "-e", "trace=fdatasync,fsync,write", "-o", log, sys.executable, script,
         home.root, bodies],
        check=True,
    )  # fmt: skip
    text = log.read_text()
    traced = text[text.index("BEGIN-APPENDS") : text.index("END-APPENDS")]
    assert traced.count("fdatasync(") + traced.count("fsync(") == 10


_APPEND_SCRIPT = """
import json, os, sys
from pathlib import Path
from spec_kitty_sync._clock import SystemClock
from spec_kitty_sync._files import Home
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.events.admission import admit
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.sync.store import open_home
events = [admit(b.encode(), registry=default_registry()) for b in json.load(open(sys.argv[2]))]
with open_home(Home(Path(sys.argv[1]))) as store:
    journal = SqliteJournal(store, clock=SystemClock())
    journal.append(events[0])
    os.write(2, b"BEGIN-APPENDS")
    for event in events[1:]:
        journal.append(event)
    os.write(2, b"END-APPENDS")
"""


def test_processes_append_side_by_side_without_loss(home, tmp_path, make_event):
    """Four processes appending at once lose nothing and share no sequence number."""
    script = tmp_path / "append.py"
    script.write_text(_APPEND_SCRIPT)
    open_home(home).close()
    running = []
    for number in range(4):
        bodies = tmp_path / f"bodies{number}.json"
        bodies.write_text(json.dumps([make_event().body.decode() for _ in range(50)]))
        running.append(
            subprocess.Popen([sys.executable, script, home.root, bodies], stderr=subprocess.PIPE)
        )
    for process in running:
        assert process.communicate()[1] == b"BEGIN-APPENDSEND-APPENDS"
    with read_home(home) as store:
        assert store.conn.execute("SELECT count(*), max(seq) FROM event_journal").fetchone() == (
            200,
            200,
        )
        counted = store.conn.execute("SELECT sum(events) FROM event_journal_count").fetchone()
        assert counted == (200,)


def test_files_are_private(home):
    """The home is 0700 and the database 0600."""
    open_home(home).close()
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    assert stat.S_IMODE(home.journal_db.stat().st_mode) == 0o600


def test_a_symlinked_database_is_refused(home, tmp_path):
    """A database that is a symbolic link is not opened, and its target is left alone."""
    home.ensure()
    elsewhere = tmp_path / "elsewhere.db"
    elsewhere.write_bytes(b"")
    home.journal_db.symlink_to(elsewhere)
    with pytest.raises(UnsafePathError, match="symbolic link"):
        open_home(home)
    assert elsewhere.read_bytes() == b""


def test_a_newer_schema_is_refused_untouched(home):
    """A database of a newer version is refused by name, and not one byte of it changes."""
    open_store(home.journal_db, [*steps(), "CREATE TABLE later (x)"]).close()
    before = home.journal_db.read_bytes()
    with pytest.raises(StoreVersionError, match=f"schema {len(steps()) + 1}"):
        open_home(home)
    with pytest.raises(StoreVersionError):
        read_home(home)
    assert home.journal_db.read_bytes() == before


def test_a_foreign_database_is_refused_untouched(home):
    """Another program's database at our path is refused, and not one byte of it changes."""
    home.ensure()
    with sqlite3.connect(home.journal_db) as conn:
        conn.execute("CREATE TABLE theirs (x)")
    conn.close()
    before = home.journal_db.read_bytes()
    with pytest.raises(StoreVersionError, match="not made by"):
        open_home(home)
    assert home.journal_db.read_bytes() == before


def test_the_store_is_set_up_for_durability(store):
    """WAL, synchronous=FULL, our application id, foreign keys and checks are in force."""
    pragmas = {
        name: store.conn.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "application_id", "foreign_keys",
                     "trusted_schema", "cell_size_check", "wal_autocheckpoint")
    }  # fmt: skip
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "application_id": APPLICATION_ID,
        "foreign_keys": 1,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "wal_autocheckpoint": 1000,
    }


def test_reading_a_home_creates_nothing(tmp_path):
    """A reader of a home without journal answers None and creates no file."""
    home = Home(tmp_path / "nowhere")
    assert read_home(home) is None
    assert not home.root.exists()


@settings(max_examples=40, deadline=None)
@given(plan=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=30))
def test_any_sequence_of_appends_matches_a_dictionary(plan, tmp_path_factory):
    """However ids and contents repeat, the journal holds the first content of each id, in order."""
    ids = [f"01ARZ3NDEKTSV4RRFFQ69G5F{n:02d}" for n in range(6)]
    model: dict[str, bytes] = {}
    from spec_kitty_sync._clock import ManualClock
    from spec_kitty_sync.event_journal.journal import SqliteJournal

    path = Path(tmp_path_factory.mktemp("any"))
    with open_home(Home(path / "sk")) as store:
        journal = SqliteJournal(store, clock=ManualClock())
        offered = [
            admit(
                json.dumps({"event_id": ids[i], "event_type": "X", "v": v}).encode(),
                registry=default_registry(),
            )
            for i, v in plan
        ]
        results = journal.append_many(offered)
        for event, result in zip(offered, results, strict=True):
            known = model.setdefault(event.event_id, event.body)
            fresh = known is event.body
            expected = (
                Appended.INSERTED
                if fresh
                else Appended.SAME
                if known == event.body
                else Appended.CONFLICT
            )
            assert result.outcome is expected
        assert [(r.event_id, r.body) for r in journal.read()] == list(model.items())
        assert sum(g.events for g in journal.counts()) == len(model)


def test_store_opened_before_a_fork_writes_nothing_after_it(journal, store, make_event):
    """The child is refused; the parent goes on, and the store is sound."""
    journal.append(make_event())
    child = os.fork()
    if child == 0:
        try:
            journal.append(make_event())
        except StoreError as exc:
            os._exit(0 if "fork" in exc.message else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    journal.append(make_event())
    assert [row.seq for row in journal.read()] == [1, 2]
    assert store.conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("field", ["team_slug", "event_type", "project_uuid", "timestamp"])
def test_event_that_breaks_several_rules_at_once_is_kept(journal, field):
    """Half a surrogate pair beside an integer that is too large is held, not a crash."""
    body = json.dumps({"event_id": "x", "n": 2**70, field: "\ud800"}).encode()
    event = admit(body, registry=default_registry())
    assert event.hold is not None
    assert journal.append(event).inserted
    assert journal.get("x").body == body
