"""What happens to each row of plural sources: none lost, overwritten or made up."""

from __future__ import annotations

import hashlib
import itertools
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from legacy_homes import (
    contents,
    event,
    holds_of,
    image,
    journal_of,
    settings_of,
    write_queue,
    write_rows,
)

from spec_kitty_sync.errors import MigrationError, UsageError
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.migrate_home import migrate, migration_lock
from spec_kitty_sync.sync.migrate_report import SourceOutcome
from spec_kitty_sync.sync.migrate_scope import Identity, parse_scope
from spec_kitty_sync.sync.target_authority import build_queue_scope


def scoped(home: Path, number: int) -> Path:
    return home / "queues" / f"queue-{number:016x}.db"


def test_migration_imports_the_legacy_queue_and_every_scoped_one(tmp_path: Path) -> None:
    """queue.db and three scoped databases are imported in one run, with where each row was."""
    write_queue(tmp_path / "queue.db", [event(1), event(2)])
    for number in (1, 2, 3):
        write_queue(scoped(tmp_path, number), [event(10 * number)])
    report = migrate(settings_of(tmp_path))
    assert (report.imported, report.exit_code) == (5, 0)
    assert len(contents(tmp_path)["provenance"]) == 5


def test_migration_merges_row_by_row_into_a_journal_that_has_events(tmp_path: Path) -> None:
    """A journal that is not empty takes the rows that it lacks."""
    write_queue(tmp_path / "queue.db", [event(1)])
    migrate(settings_of(tmp_path))
    write_queue(scoped(tmp_path, 1), [event(1), event(2)])
    report = migrate(settings_of(tmp_path))
    assert (report.imported, report.duplicates) == (1, 2)


def test_migration_of_a_home_without_sources_does_nothing(tmp_path: Path) -> None:
    """Without legacy sources the run is clean, says so, and creates nothing."""
    report = migrate(settings_of(tmp_path / "none"))
    assert report.exit_code == 0
    assert "Nothing to do" in report.notes[0]
    assert not (tmp_path / "none").exists()


def test_migration_names_a_digest_only_when_it_is_known(tmp_path: Path) -> None:
    """A known server, user and team give the scope; an unmatched digest stays unknown."""
    scope = build_queue_scope("https://a.example.invalid", "user@example.com", "team-a")
    digest = hashlib.sha256(scope.encode()).hexdigest()[:16]
    assert digest == "21921a051ce88219"
    write_queue(tmp_path / "queues" / f"queue-{digest}.db", [event(1)])
    write_queue(scoped(tmp_path, 7), [event(2)])
    settings = Settings(
        settings_of(tmp_path).home, {"SPEC_KITTY_SAAS_URL": "https://a.example.invalid/"}, tmp_path
    )
    unknown, still = migrate(settings).sources
    assert (unknown.scope, still.scope) == (None, None)
    assert any("team that is not known here. Nothing to do" in n for n in migrate(settings).notes)
    identity = parse_scope("https://other.example, User@Example.com, team-a")
    report = migrate(settings, scopes=[identity])
    assert {source.scope for source in report.sources} == {None, scope}
    assert {source.scope for source in migrate(settings).sources} == {None, scope}


def test_migration_knows_the_long_digest_too(tmp_path: Path) -> None:
    """A file named by all 64 digits of the hash belongs to the same scope."""
    scope = build_queue_scope("https://a.example", "u@example.com", None)
    digest = hashlib.sha256(scope.encode()).hexdigest()
    write_queue(tmp_path / "queues" / f"queue-{digest}.db", [event(1)])
    known = [parse_scope("https://a.example,u@example.com")]
    (source,) = migrate(settings_of(tmp_path), scopes=known).sources
    assert source.scope == scope


def test_migration_finds_the_folded_digest_of_a_name_that_is_not_ascii(tmp_path: Path) -> None:
    """3.2.4 folded names to ASCII before it hashed them; both digests are the same scope's."""
    folded = build_queue_scope("https://a.example", "j_u00f6_rg@example.com", "team")
    digest = hashlib.sha256(folded.encode()).hexdigest()[:16]
    write_queue(tmp_path / "queues" / f"queue-{digest}.db", [event(1)])
    known = [Identity("https://a.example", "jörg@example.com", "team")]
    (source,) = migrate(settings_of(tmp_path), scopes=known).sources
    assert source.scope == folded


@pytest.mark.parametrize("text", ["", "a", "a,", ",b,c", "a,b,c,d"])
def test_scope_that_is_no_triple_is_refused(text: str) -> None:
    """`--scope` needs a server and a user."""
    with pytest.raises(UsageError, match="server,user,team"):
        parse_scope(text)


def test_identical_content_in_many_sources_is_one_event_with_every_source(tmp_path: Path) -> None:
    """Key order, spacing and escapes make no conflict; each source is remembered."""
    plain = event(1, aggregate_id="Grüße")
    texts = [
        json.dumps(plain),
        json.dumps(plain, indent=2),
        json.dumps(dict(reversed(plain.items()))),
        json.dumps(plain, ensure_ascii=False),
        json.dumps(plain, separators=(",", ":")),
    ]
    for number, text in enumerate(texts):
        write_rows(scoped(tmp_path, number), [(plain["event_id"], text)])
    report = migrate(settings_of(tmp_path))
    assert (report.imported, report.duplicates, report.conflicts) == (1, 4, 0)
    assert journal_of(tmp_path) == {plain["event_id"]: texts[0].encode()}
    assert len(contents(tmp_path)["provenance"]) == 5


@pytest.mark.parametrize(
    ("one", "other"),
    [("1", "1.0"), ("1", "true"), ("1e1", "10"), ("null", "absent"), ('"é"', '"e\\u0301"')],
)
def test_contents_that_only_look_alike_are_a_conflict(one: str, other: str, tmp_path: Path) -> None:
    """1, 1.0 and true differ, null is not absent, and text is not normalised."""
    base = json.dumps(event(1))[:-1]
    for number, value in enumerate((one, other)):
        text = base + ("}" if value == "absent" else f', "extra": {value}}}')
        write_rows(scoped(tmp_path, number), [(event(1)["event_id"], text)])
    report = migrate(settings_of(tmp_path))
    assert (report.imported, report.conflicts, report.exit_code) == (1, 1, 1)


def test_divergent_content_is_kept_on_both_sides_and_held(tmp_path: Path) -> None:
    """The first content stays, the other is kept whole, the id is held, the rest flows."""
    other = event(1, aggregate_id="WP99")
    write_queue(tmp_path / "queue.db", [event(1), event(2)])
    write_queue(scoped(tmp_path, 1), [other, event(3)])
    before = image(tmp_path)
    report = migrate(settings_of(tmp_path))
    assert (report.imported, report.conflicts, report.exit_code) == (3, 1, 1)
    assert journal_of(tmp_path)[str(event(1)["event_id"])] == json.dumps(event(1)).encode()
    ((_, _, _, body, kind, kept),) = contents(tmp_path)["conflicts"]
    assert (body, kind, kept) == (json.dumps(other).encode(), "divergent", None)
    assert holds_of(tmp_path) == {event(1)["event_id"]: "migration_conflict"}
    assert image(tmp_path) == before


def test_divergence_in_fields_of_the_moment_is_a_class_of_its_own(tmp_path: Path) -> None:
    """Where only timestamp and git facts differ the conflict is volatile; a clock is not."""
    write_queue(tmp_path / "queue.db", [event(1), event(2)])
    volatile = event(1, timestamp="2026-02-12T11:00:00+00:00", git_branch="main")
    write_queue(scoped(tmp_path, 1), [volatile, event(2, lamport_clock=9)])
    assert migrate(settings_of(tmp_path)).conflicts == 2
    assert [row[4] for row in contents(tmp_path)["conflicts"]] == ["volatile", "divergent"]


def test_divergence_among_three_sources_keeps_every_content(tmp_path: Path) -> None:
    """All contents of one id are kept, also against an event that was there before."""
    for number in range(3):
        write_queue(scoped(tmp_path, number), [event(1, aggregate_id=f"WP0{number + 1}")])
        migrate(settings_of(tmp_path))
    bodies = {row[3] for row in contents(tmp_path)["conflicts"]}
    assert len(bodies) == 2
    assert len(bodies | set(journal_of(tmp_path).values())) == 3


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_result_does_not_depend_on_the_order_of_discovery(
    order: tuple[int, ...], tmp_path: Path
) -> None:
    """In every order the same ids, the same contents and the same ids in conflict come out."""
    sources = [
        [event(1), event(2), event(3)],
        [event(1, aggregate_id="WP07"), event(2), event(4)],
        [event(1), event(3, timestamp="2026-02-12T12:00:00+00:00")],
    ]
    for name, index in enumerate(order):
        write_queue(scoped(tmp_path, name), sources[index])
    report = migrate(settings_of(tmp_path))
    assert report.imported == 4
    assert set(holds_of(tmp_path)) == {event(1)["event_id"], event(3)["event_id"]}
    bodies = set(journal_of(tmp_path).values())
    bodies |= {row[3] for row in contents(tmp_path)["conflicts"]}
    assert bodies == {json.dumps(each).encode() for source in sources for each in source}


def test_one_id_twice_in_one_source_follows_the_same_policy(tmp_path: Path) -> None:
    """Old tables without a unique index: equal rows are one event, different ones a conflict."""
    one, other = json.dumps(event(1)), json.dumps(event(1, aggregate_id="WP02"))
    rows = [(event(1)["event_id"], text) for text in (one, one, other, other)]
    write_rows(tmp_path / "queue.db", rows)
    (source,) = migrate(settings_of(tmp_path)).sources
    assert (source.rows, source.imported, source.duplicates, source.conflicts) == (4, 1, 1, 2)


def test_event_ids_are_never_rewritten(tmp_path: Path) -> None:
    """Lower-case, UUID and odd ids are stored as they are, and held."""
    ids = ["01ka0000000000000000000001", "3f2504e0-4f89-41d3-9a0c-0305e82c3301", " x ", "a\x1b[2J"]
    write_queue(tmp_path / "queue.db", [event(1, event_id=each) for each in ids])
    assert migrate(settings_of(tmp_path)).imported == 4
    assert sorted(journal_of(tmp_path)) == sorted(ids)
    assert set(holds_of(tmp_path).values()) == {"bad_event_id"}


@pytest.mark.parametrize(
    ("changes", "hold"),
    [
        ({"project_uuid": None}, "no_identity"),
        ({"project_uuid": "00000000-0000-0000-0000-000000000000"}, "bad_project_uuid"),
        ({"project_uuid": "550e8400e29b41d4a716446655440000"}, "bad_project_uuid"),
        ({"schema_version": "9.0.0"}, "schema_version_unsupported"),
        ({"payload": "not even an object"}, None),
        ({"event_type": "NobodyKnowsThis"}, None),
    ],
)
def test_validity_never_keeps_an_event_out(
    changes: dict[str, object], hold: str | None, tmp_path: Path
) -> None:
    """Whatever is wrong with an event, it is imported as it is; its hold names the reason."""
    write_queue(tmp_path / "queue.db", [event(1, **changes)])
    assert migrate(settings_of(tmp_path)).imported == 1
    assert holds_of(tmp_path).get(str(event(1)["event_id"])) == hold
    stored = json.loads(journal_of(tmp_path)[str(event(1)["event_id"])])
    assert stored == event(1, **changes)


def test_rows_without_an_event_are_quarantined_with_their_bytes(tmp_path: Path) -> None:
    """NULL, numbers, arrays, missing and empty ids: listed, kept, and the others imported."""
    good = event(1)
    write_rows(
        tmp_path / "queue.db",
        [
            (good["event_id"], json.dumps(good)),
            ("b", None),
            ("c", 7),
            ("d", "[1]"),
            ("e", '{"event_type": "X"}'),
            ("", '{"event_id": ""}'),
            (None, json.dumps(event(2))),
            ("g", b"\xff\xfe"),
        ],
    )
    report = migrate(settings_of(tmp_path))
    assert (report.imported, report.quarantined, report.exit_code) == (1, 7, 1)
    kept = {row[1]: (row[2], row[3]) for row in contents(tmp_path)["quarantine"]}
    assert kept[2] == (None, "no_data")
    assert kept[4] == (b"[1]", "not_object")
    assert kept[7] == (json.dumps(event(2)).encode(), "id_mismatch")
    assert kept[8] == (b"\xff\xfe", "not_utf8")


def test_queue_with_only_body_uploads_gives_no_events(tmp_path: Path) -> None:
    """Waiting documents are no events: counted, left alone, and no reason to complain."""
    with closing(sqlite3.connect(tmp_path / "queue.db")) as conn, conn:
        conn.execute("CREATE TABLE body_upload_queue (id INTEGER PRIMARY KEY, body TEXT)")
        conn.execute("INSERT INTO body_upload_queue VALUES (1, 'text')")
    before = image(tmp_path)
    report = migrate(settings_of(tmp_path))
    (source,) = report.sources
    assert (source.outcome, source.rows, report.exit_code) == (SourceOutcome.EMPTY, 0, 0)
    assert source.reason == "it holds 1 document upload and no events"
    assert image(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "data", "outcome"),
    [
        ("queue.db", b"not a database at all" * 200, SourceOutcome.UNREADABLE),
        ("queue.db", b"SQLite format 3\x00", SourceOutcome.UNREADABLE),
    ],
    ids=["text", "header"],
)
def test_source_that_cannot_be_read_is_reported_and_the_others_go_on(
    name: str, data: bytes, outcome: SourceOutcome, tmp_path: Path
) -> None:
    """A broken file gets a reason and a remedy, exit code 3, and stops nobody."""
    (tmp_path / name).write_bytes(data)
    write_queue(scoped(tmp_path, 1), [event(1)])
    report = migrate(settings_of(tmp_path))
    broken, good = report.sources
    assert broken.outcome is outcome
    assert broken.reason
    assert broken.remedy
    assert (good.imported, report.exit_code) == (1, 3)


def test_queue_file_of_another_program_is_reported(tmp_path: Path) -> None:
    """A database without queue table where a queue should be needs a look; named, it does not."""
    with closing(sqlite3.connect(tmp_path / "queue.db")) as conn, conn:
        conn.execute("CREATE TABLE bookmarks (url TEXT)")
        conn.execute("INSERT INTO bookmarks VALUES ('x')")
    report = migrate(settings_of(tmp_path))
    assert (report.sources[0].outcome, report.exit_code) == (SourceOutcome.NOT_A_SOURCE, 3)
    assert report.sources[0].remedy
    named = migrate(settings_of(tmp_path / "home"), extra=[tmp_path / "queue.db"])
    assert (named.sources[0].outcome, named.exit_code) == (SourceOutcome.NOT_A_SOURCE, 0)


def test_rows_that_an_old_cli_adds_later_come_with_the_next_run(tmp_path: Path) -> None:
    """A queue that grew is read again: only the new row is new."""
    write_queue(tmp_path / "queue.db", [event(1)])
    migrate(settings_of(tmp_path))
    write_queue(tmp_path / "queue.db", [event(2)])
    report = migrate(settings_of(tmp_path))
    assert (report.imported, report.duplicates) == (1, 1)


def test_a_row_that_was_coalesced_in_place_is_imported_anew(tmp_path: Path) -> None:
    """An old CLI may replace id and data of a row: the new event comes, the old one stays."""
    write_queue(tmp_path / "queue.db", [event(1)])
    migrate(settings_of(tmp_path))
    with closing(sqlite3.connect(tmp_path / "queue.db")) as conn, conn:
        conn.execute(
            "UPDATE queue SET event_id = ?, data = ?", (event(2)["event_id"], json.dumps(event(2)))
        )
    report = migrate(settings_of(tmp_path))
    assert report.imported == 1
    assert len(journal_of(tmp_path)) == 2


def test_named_files_and_homes_are_imported_too(tmp_path: Path) -> None:
    """`--from` takes databases, JSON Lines and whole homes; a file of the home counts once."""
    home = tmp_path / "home"
    own = write_queue(home / "queue.db", [event(1)])
    other_home = tmp_path / "other"
    write_queue(other_home / "queue.db", [event(2)])
    write_queue(other_home / "queues" / "queue-aa.db", [event(3)])
    lines = tmp_path / "events.jsonl"
    lines.write_text("\n".join(json.dumps(event(n)) for n in (4, 5)), encoding="utf-8")
    report = migrate(settings_of(home), extra=[own, other_home, lines])
    assert (len(report.sources), report.imported, report.duplicates) == (4, 5, 0)


def test_our_own_journal_is_no_source(tmp_path: Path) -> None:
    """Naming a journal of ours imports nothing and is no error."""
    write_queue(tmp_path / "queue.db", [event(1)])
    migrate(settings_of(tmp_path))
    report = migrate(settings_of(tmp_path), extra=[tmp_path / "journal.db"])
    assert report.sources[-1].outcome is SourceOutcome.NOT_A_SOURCE
    assert report.exit_code == 0


def test_two_migrations_at_once_do_not_meet(tmp_path: Path) -> None:
    """The second waits for a bounded time, then says why it refuses; nothing is written twice."""
    settings = settings_of(tmp_path)
    with (
        migration_lock(settings.home),
        pytest.raises(MigrationError, match="running"),
        migration_lock(settings.home, wait_s=0.1),
    ):
        pass  # pragma: no cover


def test_notes_say_what_cannot_be_found_in_queues(tmp_path: Path) -> None:
    """Every report says that delivered and deleted events are not in these files."""
    write_queue(tmp_path / "queue.db", [event(1)])
    assert any("still queued" in note for note in migrate(settings_of(tmp_path)).notes)
