"""Which sources a migration finds, and what it says about those it does not take."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace

from spec_kitty_sync.conformance import bounded
from spec_kitty_sync.conformance import migration_homes as homes
from spec_kitty_sync.conformance.migration_homes import Row
from spec_kitty_sync.conformance.migration_trial import MigrationTrial
from spec_kitty_sync.conformance.producer_trial import captured_by
from spec_kitty_sync.conformance.suite import Case, check, rows

PROJECT = "550e8400-e29b-41d4-a716-446655440000"


@check("SKM-SRC-01")
def every_source_is_read(t: MigrationTrial, case: Case) -> None:
    ids = t.write(t.legacy, t.events(3))
    for number in range(3):
        ids += t.write(t.scoped(number), t.events(2))
    ran = t.migrate()
    t.expect_exit(ran, {0}, "everything was imported")
    t.expect_arrived(ids, "the legacy queue and three scoped ones")
    t.expect_number(ran, "imported", 9, "three and three times two rows")


@check("SKM-SRC-02")
def later_sources_are_merged(t: MigrationTrial, case: Case) -> None:
    first = t.write(t.legacy, t.events(3))
    t.migrate()
    t.touched = True
    second = t.write(t.scoped(), t.events(2))
    ran = t.migrate("once more, with a new source")
    t.expect_number(ran, "imported", 2, "the rows that are new")
    t.expect_arrived(first + second, "the destination was not empty, and rows were merged")


@check("SKM-SRC-03")
def unknown_scope_invents_nothing(t: MigrationTrial, case: Case) -> None:
    ids = t.write(t.scoped(), t.events(2, team_slug=None))
    ran = t.migrate()
    t.expect_exit(ran, {0}, "a queue of an unknown server is no failure")
    t.expect_arrived(ids, "whose queue it was does not matter")
    for body in (body for request in t.stub.requests for body in request.bodies):
        t.expect(
            body.get("team_slug") is None,
            expected="no team is made up for an event that has none",
            got=lambda body=body: f"team_slug {body.get('team_slug')!r}",
            about=str(body["event_id"]),
        )


USER, TEAM = "robin@example.com", "team-a"


@check("SKM-SRC-04", *rows("login", "noted-scope"))
def known_scope_is_shown(t: MigrationTrial, case: Case) -> None:
    server = "https://old.example.invalid"
    path = t.home / "queues" / homes.scope_file(server, USER, TEAM)
    t.write(path, t.events(2))
    t.write(t.scoped(), t.events(1))
    if case.name == "login":
        homes.write_credentials(t.home, server, USER, TEAM)
    else:
        text = homes.scope_text(server, USER, TEAM)
        (t.home / "active_queue_scope").write_text(text, encoding="utf-8")
    t.migrate()
    ran = t.run("sources")
    t.expect_named(ran, (path.name, server))
    t.expect(
        ran.text.count(server) == 1,
        expected="the server beside that queue, and beside no other",
        got=lambda: ran.text,
        step=ran.step,
    )


@check("SKM-SRC-05")
def odd_names_are_reported(t: MigrationTrial, case: Case) -> None:
    ids = t.write(t.scoped(), t.events(2))
    folder = t.scoped().parent
    odd = ("queue-XYZ.db", "queue-.db", "queue-ünï.db")
    for name in odd:
        (folder / name).write_bytes(b"not mine")
    (folder / "queue-00000000000000dd.db").mkdir()
    (folder / "queue-00000000000000ee.db").symlink_to("/nonexistent/queue.db")
    (folder / "queue-00000000000000ff.db").touch()
    ran = t.migrate()
    t.expect_exit(ran, {0, 1, 3}, "odd files stop nobody")
    t.expect_named(ran, ("queue-XYZ.db", "queue-00000000000000ee.db"))
    t.expect_arrived(ids, "the good queue beside them")


@check("SKM-SRC-06", *rows("empty-home", "empty-folder", "empty-table"))
def nothing_to_do_is_no_error(t: MigrationTrial, case: Case) -> None:
    if case.name == "empty-folder":
        t.scoped().parent.mkdir(parents=True)
    if case.name == "empty-table":
        t.write(t.legacy, [])
    ran = t.migrate()
    t.expect_exit(ran, {0}, "there is nothing to do")
    t.expect_number(ran, "imported", 0, "there is nothing")


@check("SKM-SRC-07", *rows("without-coalesce-key", "other-columns"))
def older_tables_are_read(t: MigrationTrial, case: Case) -> None:
    events = t.events(3)
    table = homes.OLD_SQL if case.name == "without-coalesce-key" else homes.EXTRA_SQL
    homes.write_queue(t.legacy, [homes.row_of(one) for one in events], table=table)
    ran = t.migrate()
    t.expect_exit(ran, {0}, "columns are found by name")
    t.expect_arrived([one["event_id"] for one in events], "columns are found by name")


@check("SKM-SRC-08")
def body_uploads_stay(t: MigrationTrial, case: Case) -> None:
    homes.write_bodies(t.scoped(0), 3)
    ids = t.write(t.scoped(1), t.events(2))
    homes.write_bodies(t.scoped(1), 2)
    ran = t.migrate()
    t.expect_exit(ran, {0}, "body uploads are no damage either")
    t.expect_number(ran, "imported", 2, "body uploads are no events")
    t.expect_arrived(ids, "body uploads are no events")


_SPELLINGS = {
    "unknown-fields": lambda event: json.dumps(
        {**event, "build_id": "b-1", "drain_blocked_reason": "no_auth", "schema_version": "3.0.0"}
    ),
    "numbers": lambda event: json.dumps(event)[:-1] + ', "x": [1, 1.0, 1e2, 0.10, -0]}',
    "spaces-and-escapes": lambda event: json.dumps({**event, "x": "gr\u00fcn/"}, indent=1).replace(
        "/", "\\/"
    ),
}


@check("SKM-SRC-12", *(Case(name, {"form": form}) for name, form in _SPELLINGS.items()))
def bytes_arrive_as_they_were(t: MigrationTrial, case: Case) -> None:
    event = t.events(1)[0]
    text = case["form"](event)
    homes.write_queue(t.legacy, [Row(event["event_id"], text)])
    t.migrate()
    t.expect_arrived([event["event_id"]], "it is a good event")
    sent = captured_by(t.stub)[0].body
    t.expect(
        sent == text.encode(),
        expected="the bytes of the row: every field, number and space as it was written",
        got=lambda: f"{sent.decode()} for {text}",
        about=event["event_id"],
    )


_TRIES = (0, 4, 5, 9, None)


@check("SKM-SRC-15")
def dead_rows_are_imported(t: MigrationTrial, case: Case) -> None:
    listed = [homes.row_of(one) for one in t.events(len(_TRIES))]
    tried = [replace(row, retry_count=count) for row, count in zip(listed, _TRIES, strict=True)]
    homes.write_queue(t.legacy, tried)
    ran = t.migrate()
    t.expect_exit(ran, {0}, "how often an old CLI tried them says nothing about them")
    t.expect_number(ran, "imported", len(tried), "rows that an old CLI gave up on, too")
    t.expect_arrived([row.event_id for row in tried], "rows that an old CLI gave up on, too")


@check("SKM-SRC-16", *rows("queue", "several-sources"))
def rows_keep_their_order(t: MigrationTrial, case: Case) -> None:
    listed = [homes.row_of(one) for one in t.events(10)]
    if case.name == "queue":
        homes.write_queue(t.legacy, listed)
    else:
        homes.write_journal(t.home / "event_journal" / "journal-team-a.db", listed[:2])
        homes.write_queue(t.legacy, listed[2:5])
        homes.write_queue(t.scoped(0), listed[5:7])
        homes.write_queue(t.scoped(1), listed[7:])
    t.migrate()
    wanted, arrived = [row.event_id for row in listed], t.drained()
    t.expect(
        arrived == wanted,
        expected="the rows of each source in their order, and the sources in theirs",
        got=lambda: (
            f"{len(arrived)} of {len(wanted)}, in the order {listed_places(arrived, wanted)}"
        ),
    )


def listed_places(arrived: list[str], wanted: list[str]) -> str:
    """Return at which places of *wanted* the events that *arrived* stand, counted from 1."""
    return ", ".join(str(wanted.index(one) + 1) if one in wanted else "?" for one in arrived)


_CAP = 10_000


@check("SKM-SRC-17")
def more_rows_than_the_old_cap_are_imported(t: MigrationTrial, case: Case) -> None:
    written = list(copies(t, _CAP + 1))
    homes.write_queue(t.legacy, written)
    ran = t.migrate()
    t.expect_exit(ran, {0}, "all are good events")
    t.expect_number(ran, "imported", len(written), f"a row more than the {_CAP} of old queues")
    t.expect_arrived([row.event_id for row in written], "no number of rows is too many")


def copies(t: MigrationTrial, count: int, **more: object) -> Iterator[Row]:
    """Return rows of *count* events that differ in their ids only; *more* are further fields."""
    text = json.dumps({**t.events(1)[0], "event_id": "$", **more})
    ids = (t.make.new_id() for _ in range(count))
    return (Row(one, text.replace("$", one)) for one in ids)


_ROWS = 100_000
_FILLER = {"x": "x" * 800}
_ROOM_BYTES = 64 * 1024 * 1024


@check("SKM-SRC-09")
def long_history_needs_bounded_memory(t: MigrationTrial, case: Case) -> None:
    few = t.folder / "few"
    t.write(t.legacy, t.events(1))
    t.run("migrate", under=bounded.measured(few), note="one row")
    homes.write_queue(t.scoped(), copies(t, _ROWS, **_FILLER))
    many = t.folder / "many"
    ran = t.run("migrate", under=bounded.measured(many), note=f"{_ROWS} rows more")
    t.expect_exit(ran, {0}, "all are good events")
    t.expect_number(ran, "imported", _ROWS, "the rows that are new")
    more = bounded.peak_bytes(many) - bounded.peak_bytes(few)
    t.expect(
        more <= _ROOM_BYTES,
        expected=f"at most {_ROOM_BYTES >> 20} MiB of memory more than for one row",
        got=f"{more >> 20} MiB more, for {t.scoped().stat().st_size >> 20} MiB of rows",
        step=ran.step,
    )


@check("SKM-SRC-13", *rows("journal", "journal-log", "project-store", "plain-entries"))
def newer_stores_are_sources(t: MigrationTrial, case: Case) -> None:
    listed = [homes.row_of(one) for one in t.events(4)]
    journal = t.home / "event_journal" / "journal-team-a.db"
    store = t.home / "projects" / PROJECT / "sync" / "sync.db"
    if case.name == "journal":
        homes.write_journal(journal, listed)
    elif case.name == "journal-log":
        homes.write_journal(journal, listed[:2], in_wal=listed[2:])
    elif case.name == "project-store":
        homes.write_store(store, listed)
    else:
        homes.write_store(store, listed[:2], plain=listed[2:])
    ran = t.migrate()
    t.expect_exit(ran, {0}, "they hold good events")
    t.expect_number(ran, "imported", 4, "the events of the last versions")
    t.expect_arrived([row.event_id for row in listed], "the events of the last versions")


@check("SKM-SRC-14", *rows("DecisionInputRequested", "DecisionInputAnswered"))
def decisions_stay(t: MigrationTrial, case: Case) -> None:
    fine, private = t.events(2)
    private = {name: value for name, value in private.items() if name != "data_tier"}
    private |= {"event_type": case.name}
    listed = [homes.row_of(one) for one in (private, fine)]
    homes.write_journal(t.home / "event_journal" / "journal-local.db", listed)
    ran = t.migrate()
    t.expect_number(ran, "imported", 2, "it is kept, and stays here")
    t.expect_arrived([fine["event_id"]], "a decision never left the machine")


@check("SKM-SRC-10")
def read_only_sources_are_read(t: MigrationTrial, case: Case) -> None:
    ids = t.write(t.scoped(), t.events(2))
    os.chmod(t.scoped(), 0o400)
    os.chmod(t.scoped().parent, 0o500)
    ran = t.migrate()
    os.chmod(t.scoped().parent, 0o700)
    t.expect_exit(ran, {0}, "reading needs no right to write")
    t.expect_arrived(ids, "reading needs no right to write")


@check("SKM-SRC-11")
def drain_tells_what_waits(t: MigrationTrial, case: Case) -> None:
    ids = t.write(t.scoped(), t.events(2))
    t.remember()
    t.run("server")
    ran = t.run("drain")
    t.expect(
        not t.stub.stored_ids,
        expected="a drain does not import by itself",
        got=lambda: f"{t.stub.stored_ids}",
    )
    t.expect(
        ran.exit_code != 0,
        expected="the exit code of a drain says that old rows wait",
        got=f"exit code {ran.exit_code}",
        step=ran.step,
    )
    t.migrate()
    t.expect_arrived(ids, "after the import")
