"""What diagnose reads: what waits in a home, or the path that is named."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest
from legacy_homes import event, image, unpack, write_queue, write_rows

from spec_kitty_sync import api
from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync._files import Home
from spec_kitty_sync.conformance.stub import StubServer
from spec_kitty_sync.delivery.facts import SqliteDeliveryFacts
from spec_kitty_sync.diagnose import DiagnoseResult, Diagnosis, Report, Rules, Source
from spec_kitty_sync.event_journal.corrections import Corrections
from spec_kitty_sync.event_journal.journal import SqliteJournal
from spec_kitty_sync.events.admission import admit
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.diagnose_sources import named_sources, waiting_sources
from spec_kitty_sync.sync.migrate_marks import fingerprint_any
from spec_kitty_sync.sync.migrate_store import MigrationStore
from spec_kitty_sync.sync.queue import discover
from spec_kitty_sync.sync.store import open_home


def settings(home: Path) -> Settings:
    return Settings(Home(home), {}, home)


def judge(sources: Iterable[Source]) -> tuple[list[DiagnoseResult], Report]:
    diagnosis = Diagnosis(sources, Rules().validator(default_registry()).validate)
    return list(diagnosis.results()), diagnosis.report()


def waiting(home: Path) -> tuple[list[DiagnoseResult], Report]:
    return judge(waiting_sources(settings(home)))


def named(*paths: Path) -> tuple[list[DiagnoseResult], Report]:
    return judge(named_sources(paths))


def ids(results: Iterable[DiagnoseResult]) -> list[str | None]:
    return [each.event_id for each in results]


def fill_journal(home: Path, events: Iterable[Mapping[str, object]]) -> None:
    """Append *events* to the journal of *home*."""
    admitted = (admit(json.dumps(e).encode(), registry=default_registry()) for e in events)
    with open_home(Home(home)) as store:
        SqliteJournal(store, clock=ManualClock()).append_many(tuple(admitted))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose journal holds events 1 to 4, of which 1 and 2 are delivered."""
    made = tmp_path / "home"
    fill_journal(made, [event(1), event(2)])
    with StubServer() as stub:
        (made / "config.toml").write_text(f'[sync]\nserver_url = "{stub.url}"\n')
        assert api.deliver(settings(made)).drain.delivered == 2
    fill_journal(made, [event(3), event(4)])
    return made


def test_waiting_covers_journal_and_every_queue_by_source(home: Path) -> None:
    """Undelivered journal events, `queue.db` and scoped queues are judged, each under its name."""
    write_queue(home / "queue.db", [event(10)])
    write_queue(home / "queues" / "queue-00000000000000aa.db", [event(11), event(12)])
    write_queue(home / "queues" / "queue-00000000000000bb.db", [event(13, node_id="")])
    before = image(home)

    results, report = waiting(home)

    by_source = {each.source: each.summary.total for each in report.sources}
    assert by_source == {
        str(home / "journal.db"): 2,
        str(home / "queue.db"): 1,
        str(home / "queues" / "queue-00000000000000aa.db"): 2,
        str(home / "queues" / "queue-00000000000000bb.db"): 1,
    }
    assert ids(results)[:2] == [event(3)["event_id"], event(4)["event_id"]]
    assert [each.row for each in results[:2]] == [3, 4]
    assert (report.summary.valid, report.summary.invalid) == (5, 1)
    legacy = {name: digest for name, digest in before.items() if not name.startswith("journal.db")}
    after = image(home)
    assert {name: after.get(name) for name in legacy} == legacy
    assert set(after) - set(before) <= {"journal.db-shm", "journal.db-wal"}


def test_waiting_passes_over_what_the_target_has(home: Path) -> None:
    """Delivered events are counted and not judged again."""
    _, report = waiting(home)
    assert (report.sources[0].summary.total, report.sources[0].passed_over) == (2, 2)


@pytest.mark.parametrize("state", ["rejected", "dead_letter", "terminal_failed", "transient"])
def test_event_that_was_sent_and_not_taken_still_waits(home: Path, state: str) -> None:
    """Only what the target has is passed over; what it refused is judged, to say why."""
    with sqlite3.connect(home / "journal.db") as conn:
        conn.execute("UPDATE delivery_ledger SET state = ? WHERE seq = 2", (state,))
    conn.close()
    results, report = waiting(home)
    assert ids(results) == [event(n)["event_id"] for n in (2, 3, 4)]
    assert report.sources[0].passed_over == 1


def test_redelivery_makes_every_event_wait_again(home: Path) -> None:
    """What an earlier epoch delivered is not delivered in the one that runs."""
    with sqlite3.connect(home / "journal.db") as conn:
        conn.execute(
            "INSERT INTO delivery_epochs(target_id, epoch, started_at, reason)"
            " SELECT target_id, 2, 0, 'redeliver' FROM delivery_targets"
        )
        conn.execute("UPDATE delivery_targets SET epoch = 2")
    conn.close()
    assert waiting(home)[1].sources[0].summary.total == 4


def test_without_a_target_every_retained_event_waits(home: Path) -> None:
    """Nothing counts as delivered where no target is configured."""
    (home / "config.toml").unlink()
    assert waiting(home)[1].sources[0].summary.total == 4


def test_superseded_event_no_longer_waits(tmp_path: Path) -> None:
    """An event that a newer one replaced is settled, and still part of a journal judged whole."""
    payload = {
        "namespace": {"project_uuid": event(1)["project_uuid"], "mission_slug": "m"},
        "snapshot_hash": "a", "artifact_count": 1,
    }  # fmt: skip
    kind = {"event_type": "MissionDossierSnapshotComputed", "aggregate_type": "MissionDossier"}
    fill_journal(tmp_path, [event(n, payload=payload, **kind) for n in (1, 2)])
    results, report = waiting(tmp_path)
    assert ids(results) == [event(2)["event_id"]]
    assert report.sources[0].passed_over == 1
    assert len(named(tmp_path / "journal.db")[0]) == 2


def test_long_journal_is_judged_to_its_last_event(tmp_path: Path) -> None:
    """Every event is judged once, in journal order, however many there are."""
    fill_journal(tmp_path, [event(n) for n in range(1, 1203)])
    results, _ = waiting(tmp_path)
    assert [each.row for each in results] == list(range(1, 1203))


def test_damaged_queue_is_judged_as_far_as_it_can_be_read(tmp_path: Path) -> None:
    """A damaged queue that still gives rows has both verdicts and a problem."""
    home = unpack("d-corrupt", tmp_path)
    _, report = waiting(home)
    partly = {
        Path(each.source).name: (each.summary.total, each.problem.code)
        for each in report.sources
        if each.problem and each.summary.total
    }
    assert partly["queue-00000000000000d4.db"] == (139, "damaged")
    assert report.exit_code == 3


def test_row_that_is_imported_is_passed_over(home: Path) -> None:
    """A legacy row whose content the journal has is settled, however it is written."""
    write_queue(home / "queue.db", [event(1), dict(reversed(event(3).items())), event(20)])
    results, report = waiting(home)
    queue = report.sources[1]
    assert (queue.summary.total, queue.passed_over) == (1, 2)
    assert ids(results)[-1] == event(20)["event_id"]


def test_row_that_contradicts_the_journal_says_so(home: Path) -> None:
    """A row whose id the journal holds with other content waits, with a conflict beside it."""
    write_queue(home / "queue.db", [event(3, node_id="other")])
    results, _ = waiting(home)
    assert [each.code for each in results[-1].findings] == ["migration_conflict"]
    assert results[-1].valid


def test_row_that_was_imported_and_corrected_is_settled(home: Path) -> None:
    """A correction in the journal does not make the imported row of the old queue wait again."""
    write_queue(home / "queue.db", [event(4)])
    corrected = json.dumps(event(4, node_id="corrected")).encode()
    with open_home(Home(home)) as store:
        journal = SqliteJournal(store, clock=ManualClock())
        facts = SqliteDeliveryFacts(store)
        Corrections(store, journal, clock=ManualClock(), delivery=facts).replace(
            admit(corrected, registry=default_registry()), reason="wrong node"
        )
    _, report = waiting(home)
    assert (report.sources[1].passed_over, report.summary.total) == (1, 2)


def test_advice_to_import_ends_when_all_is_imported(tmp_path: Path) -> None:
    """Rows that wait for the import say so; after it, no advice leads back to it."""
    home = unpack("i-bad-rows", tmp_path)
    _, before = waiting(home)
    assert "sync migrate" in (before.sources[0].advice or "")
    migrated = subprocess.run(
        [sys.executable, "-m", "spec_kitty_sync", "sync", "migrate", "--home", str(home), "--yes"],
        capture_output=True, check=False,
    )  # fmt: skip
    _, after = waiting(home)
    assert b"quarantined" in migrated.stdout
    assert [each.advice for each in after.sources] == [None, None]
    assert (after.sources[1].passed_over, after.sources[1].summary.total) == (15, 8)


def test_source_that_the_operator_ignores_is_left_out(home: Path) -> None:
    """An ignored source is not judged until it changes."""
    path = write_queue(home / "queue.db", [event(10)])
    (source,) = discover(Home(home))
    with open_home(Home(home)) as store:
        own = MigrationStore(store)
        own.ignore(own.open_source(source).id, "old", fingerprint_any(path))
    assert len(waiting(home)[1].sources) == 1
    write_queue(path, [event(11)])
    assert len(waiting(home)[1].sources) == 2


def test_damaged_body_in_the_journal_is_found(home: Path) -> None:
    """A stored body whose bytes are not those accepted is reported, by its hash."""
    with open_home(Home(home)) as store, store.transaction() as conn:
        flipped = json.dumps(event(3)).replace("WP01", "WP02").encode()
        conn.execute("UPDATE event_journal SET body = ? WHERE seq = 3", (flipped,))
    results, report = waiting(home)
    assert [each.code for each in results[0].findings] == ["corrupt"]
    assert report.exit_code == 1


def test_unreadable_journal_is_a_source_with_a_problem(tmp_path: Path) -> None:
    """A journal that is no database does not hide what the queues hold."""
    (tmp_path / "journal.db").write_bytes(b"garbage" * 1000)
    write_queue(tmp_path / "queue.db", [event(1)])
    results, report = waiting(tmp_path)
    assert report.sources[0].problem is not None
    assert ids(results) == [event(1)["event_id"]]
    assert report.exit_code == 3


def test_empty_home_has_nothing_to_judge(tmp_path: Path) -> None:
    """A home that does not exist is no error, and is not created."""
    missing = tmp_path / "none"
    assert waiting(missing)[1].sources == ()
    assert not missing.exists()


@pytest.mark.parametrize(
    "case",
    [
        "a-duplicate-identical", "b-duplicate-reordered", "c-divergent", "d-corrupt", "f-wal",
        "f2-hot-journal", "g-old-schema", "i-bad-rows", "k-names", "natural-2.1.3",
        "natural-3.1.10", "natural-3.2.4", "realcli-3.0.3",
    ],
)  # fmt: skip
def test_real_home_is_judged_without_changing_a_byte(case: str, tmp_path: Path) -> None:
    """Every source of a home that a released CLI wrote gets a verdict or a reason, untouched."""
    home = unpack(case, tmp_path)
    before = image(home)
    results, report = waiting(home)
    assert image(home) == before
    assert {each.source for each in report.sources} == {s.name for s in discover(Home(home))}
    for each in report.sources:
        assert each.summary.total or each.problem or "a5" in each.source
        assert each.problem is None or each.problem.remedy
    assert all(each.valid or each.errors for each in results)
    if case != "i-bad-rows":
        assert report.summary.invalid == report.summary.unreadable == 0


def test_bad_rows_of_a_real_home_are_invalid_for_their_own_reason(tmp_path: Path) -> None:
    """The hand-damaged rows are found, each by its own code, and the good ones stay good."""
    results, _ = waiting(unpack("i-bad-rows", tmp_path))
    found = {
        each.row: tuple(dict.fromkeys(f.code for f in each.findings if f.severity == "error"))
        for each in results
        if not each.valid
    }
    assert found == {
        7: ("json_syntax",), 8: ("missing",), 9: ("not_object",), 10: ("json_syntax",),
        11: ("id_mismatch",), 13: ("json_encoding",), 14: ("not_object",),
        15: ("json_number",), 16: ("json_duplicate_key",), 17: ("wrong_pattern",),
        18: ("unknown_event_type",), 19: ("missing",),
        20: ("too_large", "missing"), 21: ("json_surrogate",),
        22: ("wrong_pattern",),
    }  # fmt: skip


def test_named_database_is_judged_whole(home: Path) -> None:
    """A queue that is named is judged to its last row, imported or not."""
    path = write_queue(home / "queue.db", [event(1), event(20)])
    results, report = named(path)
    assert ids(results) == [event(1)["event_id"], event(20)["event_id"]]
    assert report.sources[0].source == str(path)


def test_named_journal_is_judged_whole(home: Path) -> None:
    """Our own journal is recognised under any name, and all it retains is judged."""
    other = home.parent / "backup.db"
    with open_home(Home(home)) as store:
        store.conn.execute("VACUUM INTO ?", (str(other),))
    assert len(named(home / "journal.db")[0]) == 4
    assert len(named(other)[0]) == 4


def test_named_home_is_judged_whole(home: Path) -> None:
    """A home that is named gives journal and queues, delivered and imported ones too."""
    write_queue(home / "queue.db", [event(1)])
    _, report = named(home)
    assert [each.summary.total for each in report.sources] == [4, 1]


def lines(*events: Mapping[str, object]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in events)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", lines(event(1), event(2))),
        ("a.json", json.dumps([event(1), event(2)], indent=2).encode()),
        ("batch.json", json.dumps({"events": [event(1), event(2)]}).encode()),
        ("a.jsonl.gz", gzip.compress(lines(event(1), event(2)))),
        ("a.json.gz", gzip.compress(json.dumps([event(1), event(2)]).encode())),
        ("no-suffix", lines(event(1), event(2))),
    ],
)
def test_named_file_is_read_in_whatever_form(name: str, content: bytes, tmp_path: Path) -> None:
    """JSON, JSON Lines, a batch, gzip of each: the form is seen from the bytes."""
    path = tmp_path / name
    path.write_bytes(content)
    results, _ = named(path)
    assert ids(results) == [event(1)["event_id"], event(2)["event_id"]]
    assert all(each.valid for each in results)


def test_named_folder_of_files_is_judged_file_by_file(tmp_path: Path) -> None:
    """A folder that is no home gives its event files and databases by name."""
    (tmp_path / "b.jsonl").write_bytes(lines(event(1)))
    write_queue(tmp_path / "a.db", [event(2)])
    (tmp_path / "readme.txt").write_text("not judged")
    _, report = named(tmp_path)
    assert [Path(each.source).name for each in report.sources] == ["a.db", "b.jsonl"]


def test_named_link_is_followed(tmp_path: Path) -> None:
    """A link that the operator names is what it leads to."""
    target = write_queue(tmp_path / "real.db", [event(1)])
    (tmp_path / "link.db").symlink_to(target)
    assert len(named(tmp_path / "link.db")[0]) == 1


def test_named_pipe_is_read_once(tmp_path: Path) -> None:
    """A pipe, as a shell makes of `<(zcat FILE)`, is read as a stream."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(lines(event(1)),))
    writer.start()
    results, _ = named(pipe)
    writer.join()
    assert len(results) == 1


@pytest.mark.parametrize("name", ["gone.jsonl", "zero.db", "text.db", "other.db", "broken.gz", "d"])
def test_what_cannot_be_read_is_a_problem_with_a_remedy(name: str, tmp_path: Path) -> None:
    """A missing, empty, foreign or broken input is named with a remedy, and the next is read."""
    path = tmp_path / name
    match name:
        case "zero.db":
            path.touch()
        case "text.db":
            path.write_text("no database")
        case "other.db":
            write_rows(path, [])
            with sqlite3.connect(path) as conn:
                conn.execute("ALTER TABLE queue RENAME TO songs")
            conn.close()
        case "broken.gz":
            path.write_bytes(gzip.compress(lines(event(1), event(2)) * 50)[:-20])
        case "d":
            path.mkdir()
    good = tmp_path / "good.jsonl"
    good.write_bytes(lines(event(9)))
    results, report = named(path, good)
    assert report.sources[0].problem is not None
    assert report.sources[0].problem.remedy
    assert results[-1].event_id == event(9)["event_id"]
    assert report.exit_code == 3
