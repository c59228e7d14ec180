"""Every obstacle has a command that removes it, and leaves a trace."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from legacy_homes import (
    contents,
    event,
    holds_of,
    journal_of,
    settings_of,
    unpack,
    write_queue,
    write_rows,
)

from spec_kitty_sync._clock import ManualClock, SystemClock
from spec_kitty_sync.delivery.ledger import Answered, Verdict
from spec_kitty_sync.delivery.runs import Run
from spec_kitty_sync.errors import MigrationError, UsageError
from spec_kitty_sync.events.results import BatchResult, ResultStatus
from spec_kitty_sync.sync.migrate_conflicts import Conflicts, Keep
from spec_kitty_sync.sync.migrate_home import deciding, looking, migrate
from spec_kitty_sync.sync.migrate_marks import stamp_of
from spec_kitty_sync.sync.migrate_quarantine import Quarantine
from spec_kitty_sync.sync.migrate_sources import ignore, list_sources, unignore, waiting
from spec_kitty_sync.sync.workspace import open_workspace

ONE = str(event(1)["event_id"])


@pytest.fixture
def divergent(tmp_path: Path) -> Path:
    """A migrated home where one id has two contents."""
    write_queue(tmp_path / "queue.db", [event(1), event(2)])
    write_queue(tmp_path / "queues" / "queue-aa.db", [event(1, aggregate_id="WP99")])
    assert migrate(settings_of(tmp_path)).exit_code == 1
    return tmp_path


def deliver_all(home: Path) -> None:
    """Record a success for every event, as a drain would."""
    with open_workspace(settings_of(home)) as workspace:
        target = workspace.targets.ensure("https://a.example")
        verdicts = [
            Verdict(record.seq, BatchResult(record.event_id, ResultStatus.SUCCESS))
            for record in workspace.journal.read()
        ]
        workspace.ledger.record(Run(target, 1), verdicts, Answered(target.url, 200))


@pytest.mark.parametrize("keep", ["journal", "source"])
def test_resolving_a_conflict_makes_the_migration_clean(keep: Keep, divergent: Path) -> None:
    """Either side can be kept; the id may leave again, the run is clean, the audit says why."""
    with deciding(settings_of(divergent)) as parts:
        Conflicts(parts).resolve(ONE, keep=keep, reason="because")
    assert holds_of(divergent) == {}
    kept = "WP99" if keep == "source" else "WP01"
    assert json.loads(journal_of(divergent)[ONE])["aggregate_id"] == kept
    report = migrate(settings_of(divergent))
    assert (report.exit_code, report.imported, report.conflicts) == (0, 0, 0)
    assert contents(divergent)["audit"] == [(f"conflict.keep_{keep}", ONE, "because")]


def test_resolved_conflict_stays_resolved_when_its_sources_grow(divergent: Path) -> None:
    """Reading both sources again brings the decided contents back as known, not as conflicts."""
    with deciding(settings_of(divergent)) as parts:
        Conflicts(parts).resolve(ONE, keep="source")
    write_queue(divergent / "queue.db", [event(3)])
    write_queue(divergent / "queues" / "queue-aa.db", [event(4)])
    report = migrate(settings_of(divergent))
    assert (report.exit_code, report.imported, report.conflicts) == (0, 2, 0)


def test_conflict_shows_both_sides_by_place(divergent: Path) -> None:
    """The differing places are named by JSON pointer, with both values."""
    with looking(settings_of(divergent)) as parts:
        assert parts is not None
        conflict = Conflicts(parts).show(ONE)
        (difference,) = conflict.differences(conflict.variants[0])
    assert (difference.pointer, difference.journal, difference.source) == (
        "/aggregate_id",
        '"WP01"',
        '"WP99"',
    )


def test_source_content_is_refused_once_the_event_was_sent(tmp_path: Path) -> None:
    """What a target was told stays; keeping the journal's side is named, and works."""
    write_queue(tmp_path / "queue.db", [event(1)])
    migrate(settings_of(tmp_path))
    deliver_all(tmp_path)
    write_queue(tmp_path / "queues" / "queue-aa.db", [event(1, aggregate_id="WP99")])
    assert migrate(settings_of(tmp_path)).exit_code == 1
    assert holds_of(tmp_path) == {}
    with deciding(settings_of(tmp_path)) as parts:
        conflicts = Conflicts(parts)
        with pytest.raises(MigrationError, match="sent") as caught:
            conflicts.resolve(ONE, keep="source")
        assert "--keep journal" in caught.value.remedy
        conflicts.resolve(ONE, keep="journal")
    assert migrate(settings_of(tmp_path)).exit_code == 0


def test_conflict_with_several_contents_asks_which(divergent: Path) -> None:
    """With two other contents the operator names one by its number."""
    write_queue(divergent / "queues" / "queue-bb.db", [event(1, aggregate_id="WP77")])
    migrate(settings_of(divergent))
    with deciding(settings_of(divergent)) as parts:
        conflicts = Conflicts(parts)
        with pytest.raises(UsageError, match="several"):
            conflicts.resolve(ONE, keep="source")
        wanted = conflicts.show(ONE).variants[1]
        conflicts.resolve(str(wanted.id), keep="source")
        assert conflicts.count() == 0
    assert json.loads(journal_of(divergent)[ONE])["aggregate_id"] == "WP77"
    assert migrate(settings_of(divergent)).exit_code == 0


def test_releasing_a_conflict_keeps_the_hold_of_the_content(tmp_path: Path) -> None:
    """An event that may not leave for a reason of its own stays held for that reason."""
    write_queue(tmp_path / "queue.db", [event(1, project_uuid=None)])
    write_queue(tmp_path / "queues" / "queue-aa.db", [event(1)])
    migrate(settings_of(tmp_path))
    assert holds_of(tmp_path) == {ONE: "migration_conflict"}
    with deciding(settings_of(tmp_path)) as parts:
        Conflicts(parts).resolve(ONE, keep="journal")
    assert holds_of(tmp_path) == {ONE: "no_identity"}


def test_all_conflicts_of_a_class_are_resolved_at_once(tmp_path: Path) -> None:
    """Hundreds of volatile differences need one command; divergent ones stay open."""
    write_queue(tmp_path / "queue.db", [event(n) for n in range(1, 12)])
    others = [event(n, timestamp="2026-02-12T11:00:00+00:00") for n in range(2, 12)]
    write_queue(tmp_path / "queues" / "queue-aa.db", [event(1, aggregate_id="WP99"), *others])
    migrate(settings_of(tmp_path))
    with deciding(settings_of(tmp_path)) as parts:
        done = Conflicts(parts).resolve_all(keep="journal", kind="volatile")
        assert (len(done), Conflicts(parts).count()) == (10, 1)
    assert holds_of(tmp_path) == {ONE: "migration_conflict"}


def test_source_content_that_may_not_leave_is_refused_with_a_way_out(tmp_path: Path) -> None:
    """A content without project identity cannot replace one that has it."""
    write_queue(tmp_path / "queue.db", [event(1)])
    write_queue(tmp_path / "queues" / "queue-aa.db", [event(1, project_uuid=None)])
    migrate(settings_of(tmp_path))
    with deciding(settings_of(tmp_path)) as parts:
        (refused,) = Conflicts(parts).resolve_all(keep="source")
        assert refused.refused
        assert "--keep journal" in str(refused.remedy)
        assert Conflicts(parts).count() == 1


def test_quarantined_rows_are_listed_exported_and_accepted(tmp_path: Path) -> None:
    """After the rows were exported and accepted the migration is clean; the bytes stay."""
    write_rows(tmp_path / "queue.db", [("a", "[]"), ("b", b"\xff"), ("c", "7")])
    assert migrate(settings_of(tmp_path)).exit_code == 1
    with deciding(settings_of(tmp_path)) as parts:
        quarantine = Quarantine(parts)
        assert [row.reason for row in quarantine.open()] == ["not_object", "not_utf8", "not_object"]
        assert quarantine.export(tmp_path / "rows.jsonl") == 3
        with pytest.raises(UsageError, match="exists"):
            quarantine.export(tmp_path / "rows.jsonl")
        with pytest.raises(UsageError, match="99"):
            quarantine.accept([99], reason="")
        first = quarantine.open()[0].id
        assert quarantine.show(first)[1] == b"[]"
        assert quarantine.accept([first], reason="known") == 1
        assert quarantine.accept(None, reason="known") == 2
        assert quarantine.count() == 0
    lines = (tmp_path / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["body_base64"] for line in lines] == ["W10=", "/w==", "Nw=="]
    report = migrate(settings_of(tmp_path))
    assert (report.exit_code, report.quarantined, report.duplicates) == (0, 0, 3)
    assert "3 quarantined rows accepted" in str(report.sources[0].reason)
    assert [row[2] for row in contents(tmp_path)["quarantine"]] == [b"[]", b"\xff", b"7"]
    assert [row[0] for row in contents(tmp_path)["audit"]] == ["quarantine.accept"] * 3


def test_accepted_rows_stay_accepted_when_the_source_grows(tmp_path: Path) -> None:
    """Only new broken rows ask for a decision."""
    write_rows(tmp_path / "queue.db", [("a", "[]")])
    migrate(settings_of(tmp_path))
    with deciding(settings_of(tmp_path)) as parts:
        Quarantine(parts).accept(None, reason="known")
    with closing(sqlite3.connect(tmp_path / "queue.db")) as conn, conn:
        conn.execute("INSERT INTO queue (event_id, data) VALUES ('c', '{')")
    report = migrate(settings_of(tmp_path))
    assert (report.quarantined, report.exit_code) == (1, 1)


@pytest.mark.parametrize("kind", ["bytes", "link", "folder", "empty"])
def test_ignored_source_is_left_alone_until_it_changes(kind: str, tmp_path: Path) -> None:
    """An ignored source costs nothing; as soon as it changes it is reported again."""
    path = tmp_path / "queue.db"
    match kind:
        case "bytes":
            path.write_bytes(b"garbage" * 100)
        case "link":
            path.symlink_to("/nonexistent")
        case "folder":
            path.mkdir()
        case _:
            path.touch()
    settings = settings_of(tmp_path)
    assert migrate(settings).exit_code == (0 if kind == "empty" else 3)
    with deciding(settings) as parts:
        with pytest.raises(UsageError, match="reason"):
            ignore(settings.home, parts.store, path, reason=" ", clock=parts.clock)
        ignore(settings.home, parts.store, path, reason="old junk", clock=parts.clock)
        assert waiting(settings.home, parts.store) == ()
    report = migrate(settings)
    assert report.exit_code == 0
    assert report.sources[0].reason == "ignored: old junk"
    assert report.sources[0].remedy == (f"Run `spec-kitty sync migrate sources unignore {path}`.")
    match kind:
        case "bytes" | "empty":
            path.write_bytes(b"other garbage" * 100)
        case "link":
            path.unlink()
            path.symlink_to("/elsewhere")
        case _:
            (path / "new").touch()
    assert migrate(settings).exit_code == 3
    with deciding(settings) as parts:
        unignore(parts.store, path, clock=parts.clock)
        with pytest.raises(UsageError, match="not ignored"):
            unignore(parts.store, path, clock=parts.clock)
    assert [row[0] for row in contents(tmp_path)["audit"]] == ["source.ignore", "source.unignore"]


def test_sources_are_listed_with_their_fate(divergent: Path) -> None:
    """The list names every source, read or not, and writes nothing."""
    (divergent / "queues" / "odd.db").touch()
    with looking(settings_of(divergent)) as parts:
        assert parts is not None
        found = list_sources(settings_of(divergent).home, parts.store)
    assert {Path(source.path).name: source.outcome for source in found} == {
        "queue.db": "imported",
        "queue-aa.db": "imported",
        "odd.db": None,
    }
    assert [source.outcome for source in list_sources(settings_of(divergent).home, None)] == [
        None,
        None,
        None,
    ]


def test_waiting_counts_what_only_a_migration_brings(tmp_path: Path) -> None:
    """Before: every row; after: none; when an old CLI writes again: the new rows alone."""
    home = settings_of(tmp_path).home
    write_queue(tmp_path / "queue.db", [event(1), event(2)])
    assert [source.waiting for source in waiting(home, None)] == [2]
    migrate(settings_of(tmp_path))

    def counts() -> list[int | None]:
        with looking(settings_of(tmp_path)) as parts:
            assert parts is not None
            return [source.waiting for source in waiting(home, parts.store)]

    assert counts() == [0]
    write_queue(tmp_path / "queue.db", [event(3)])
    assert counts() == [1]
    migrate(settings_of(tmp_path))
    assert counts() == [0]


def test_waiting_counts_an_event_of_several_sources_once(tmp_path: Path) -> None:
    """A real home with journals and queues: 1036 rows, but only as many as there are events."""
    home = unpack("natural-3.2.4", tmp_path)
    found = waiting(settings_of(home).home, None)
    assert sum(source.rows or 0 for source in found) == 1036
    assert sum(source.waiting or 0 for source in found) == 559


def test_waiting_does_not_count_rows_in_quarantine_or_conflict(divergent: Path) -> None:
    """Rows that wait for a decision are not waiting for a migration."""
    write_rows(divergent / "queues" / "queue-cc.db", [("a", "[]")])
    migrate(settings_of(divergent))
    write_queue(divergent / "queues" / "queue-aa.db", [event(5)])
    with closing(sqlite3.connect(divergent / "queues" / "queue-cc.db")) as conn, conn:
        conn.execute("INSERT INTO queue (event_id, data) VALUES ('c', '{')")
    with looking(settings_of(divergent)) as parts:
        assert parts is not None
        found = waiting(settings_of(divergent).home, parts.store)
    assert {Path(source.path).name: source.waiting for source in found} == {
        "queue.db": 0,
        "queue-aa.db": 1,
        "queue-cc.db": 1,
    }


def test_row_written_during_the_import_is_not_overlooked(tmp_path: Path) -> None:
    """A producer that writes while we import is seen by status at once, and by the next run."""
    path = write_queue(tmp_path / "queue.db", [event(1)])
    producer = sqlite3.connect(path)
    with closing(producer):
        producer.execute("PRAGMA journal_mode=WAL")

        def write_meanwhile(name: str, rows: int) -> None:
            write_queue(path, [event(2)])

        settled = ManualClock(wall_ms=SystemClock().now_ms() + 60_000)
        migrate(settings_of(tmp_path), progress=write_meanwhile, clock=settled)
        with looking(settings_of(tmp_path)) as parts:
            assert parts is not None
            found = waiting(settings_of(tmp_path).home, parts.store)
        assert [source.waiting for source in found] == [1]
        assert migrate(settings_of(tmp_path)).imported == 1


def test_troubled_rows_stay_counted_while_the_source_has_them(divergent: Path) -> None:
    """Open conflicts and broken rows are reported in every run until decided or gone."""
    path = divergent / "queues" / "queue-aa.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute(
            "INSERT INTO queue (event_id, event_type, data, timestamp) VALUES ('x','',1,1)"
        )
    for added in ([], [event(7)], []):
        write_queue(path, added)
        report = migrate(settings_of(divergent))
        assert (report.conflicts, report.quarantined, report.exit_code) == (1, 1, 1)
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("DELETE FROM queue")
    for _ in range(2):
        report = migrate(settings_of(divergent))
        assert (report.conflicts, report.quarantined, report.exit_code) == (0, 0, 1)
        assert any(note.startswith("2 rows that left") for note in report.notes)
    with deciding(settings_of(divergent)) as parts:
        Conflicts(parts).resolve_all(keep="journal")
        Quarantine(parts).accept(None, reason="gone")
    assert migrate(settings_of(divergent)).exit_code == 0


def test_stamp_of_a_file_that_just_changed_proves_nothing(tmp_path: Path) -> None:
    """Within two seconds a file may change again under the same size and time."""
    path = tmp_path / "queue.db"
    path.write_bytes(b"x")
    now_ms = path.stat().st_mtime_ns // 1_000_000
    assert stamp_of(path, now_ms=now_ms + 1_999) == ""
    stamp = stamp_of(path, now_ms=now_ms + 2_000)
    assert stamp
    path.with_name("queue.db-wal").write_bytes(b"y")
    assert stamp_of(path, now_ms=now_ms + 60_000) != stamp


def spelled(home: Path, name: str, *events: dict[str, object], indent: int | None = None) -> Path:
    """Write *events* into a queue in a spelling of their own."""
    rows = [(each["event_id"], json.dumps(each, indent=indent)) for each in events]
    return write_rows(home / "queues" / f"queue-{name}.db", rows)


def test_other_spellings_of_one_content_are_one_choice(divergent: Path) -> None:
    """Two rows that say the same need no number: the content is kept, both rows are decided."""
    spelled(divergent, "bb", event(1, aggregate_id="WP99"), indent=1)
    assert migrate(settings_of(divergent)).conflicts == 2
    with deciding(settings_of(divergent)) as parts:
        Conflicts(parts).resolve(ONE, keep="source")
    assert {row[-1] for row in contents(divergent)["conflicts"]} == {"source"}
    assert migrate(settings_of(divergent)).exit_code == 0


@pytest.mark.parametrize("keep", ["journal", "source"])
def test_decision_holds_for_every_spelling_of_the_content(keep: Keep, divergent: Path) -> None:
    """A source that comes later with either content, spelled anew, asks nothing again."""
    with deciding(settings_of(divergent)) as parts:
        Conflicts(parts).resolve(ONE, keep=keep)
    kept = journal_of(divergent)
    spelled(divergent, "bb", event(1), indent=1)
    spelled(divergent, "cc", event(1, aggregate_id="WP99"), indent=2)
    with looking(settings_of(divergent)) as parts:
        assert parts is not None
        left = waiting(settings_of(divergent).home, parts.store)
    assert sum(source.waiting or 0 for source in left) == 0
    report = migrate(settings_of(divergent))
    assert (report.conflicts, report.exit_code, journal_of(divergent)) == (0, 0, kept)
