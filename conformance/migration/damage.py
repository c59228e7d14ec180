"""Damaged rows and files, hot logs, locks: one bad part never takes the rest with it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

from spec_kitty_sync.conformance import migration_homes as homes
from spec_kitty_sync.conformance.migration_homes import Row
from spec_kitty_sync.conformance.migration_trial import MigrationTrial
from spec_kitty_sync.conformance.suite import Case, check, rows


@check("SKM-BAD-01", *rows("not-sqlite", "cut-header", "zero-page", "no-table"))
def damaged_file_stops_nobody(t: MigrationTrial, case: Case) -> None:
    ids = t.write(t.legacy, t.events(2))
    bad = t.scoped()
    t.write(bad, t.events(2))
    raw = bad.read_bytes()
    damage = {
        "not-sqlite": b"hello, I am no database at all. " * 8,
        "cut-header": raw[:60],
        "zero-page": raw[:100] + b"\0" * (len(raw) - 100),
    }
    if case.name == "no-table":
        bad.unlink()
        with closing(sqlite3.connect(bad)) as conn, conn:
            conn.execute("CREATE TABLE something_else (a)")
            conn.execute("INSERT INTO something_else VALUES (1)")
    else:
        bad.write_bytes(damage[case.name])
    ran = t.migrate()
    t.expect_named(ran, (bad.name,))
    t.expect_exit(ran, {1, 3}, "one source could not be read")
    t.expect_arrived(ids, "the good source beside the bad one")


@check("SKM-BAD-02")
def locked_source_is_retried(t: MigrationTrial, case: Case) -> None:
    free_s = t.rehearse(3)
    free = t.write(t.legacy, t.events(1))
    held = t.write(t.scoped(), t.events(2))
    # Whoever reads the file in this process, and closes it, would end the lock.
    t.remember()
    with closing(sqlite3.connect(t.scoped(), isolation_level=None)) as conn:
        conn.execute("BEGIN EXCLUSIVE")
        ran = t.migrate()
        conn.execute("ROLLBACK")
    if t.number(ran, "imported") != 3:
        # A tool that can read past the lock, without a half transaction, may do so.
        t.expect_exit(ran, {1, 3}, "a locked source was not read")
        t.expect_named(ran, (t.scoped().name,))
    spent, allowed = t.seconds_of(ran), free_s + t.adapter.lock_wait_s
    t.expect(
        spent <= allowed,
        expected=f"the run ends within {t.adapter.lock_wait_s:g} s more than without the lock",
        got=f"{spent:.1f} s; without the lock {free_s:.1f} s",
        step=ran.step,
    )
    t.migrate("after the lock is gone")
    t.expect_arrived(free + held, "the locked source too, by the second run")


@check("SKM-BAD-03")
def hot_wal_is_read(t: MigrationTrial, case: Case) -> None:
    first, second = t.events(2), t.events(2)
    homes.write_hot_wal(
        t.scoped(), [homes.row_of(one) for one in first], [homes.row_of(one) for one in second]
    )
    ran = t.migrate()
    t.expect_exit(ran, {0}, "rows of the log are rows")
    t.expect_arrived([one["event_id"] for one in first + second], "rows of the log are rows")


@check("SKM-BAD-04")
def hot_journal_is_rolled_back(t: MigrationTrial, case: Case) -> None:
    good, half = t.events(4), t.events(30)
    homes.write_hot_journal(
        t.scoped(), [homes.row_of(one) for one in good], [homes.row_of(one) for one in half]
    )
    ran = t.migrate()
    t.expect_exit(ran, {0}, "the interrupted transaction never happened")
    t.expect_arrived([one["event_id"] for one in good], "the committed rows and no others")


def _broken(name: str, event_id: str, text: str) -> Row:
    made = {
        "not-json": "{oops",
        "null": None,
        "invalid-utf8": b'{"event_id": "\xff"}',
        "list": "[]",
        "no-id": "{}",
        "number": 7,
    }
    return Row(event_id, made[name])


@check("SKM-BAD-05", *rows("not-json", "null", "invalid-utf8", "list", "no-id", "number"))
def unreadable_row_is_quarantined(t: MigrationTrial, case: Case) -> None:
    fine, bad = t.events(2), t.make.new_id()
    listed = [homes.row_of(one) for one in fine]
    t.write_rows(t.legacy, [listed[0], _broken(case.name, bad, ""), listed[1]])
    ran = t.migrate()
    t.expect_exit(ran, {1}, "a row was set aside")
    t.expect_number(ran, "quarantined", 1, "one row is no event")
    t.expect_number(ran, "imported", 2, "the rows around it are")
    t.expect_arrived([one["event_id"] for one in fine], "the rows around it")


_HELD = {
    "nan": lambda event: json.dumps(event).replace('"WP01"', "NaN", 1),
    "duplicate-key": lambda event: json.dumps(event)[:-1] + ', "node_id": "x"}',
    "lone-surrogate": lambda event: json.dumps(event).replace("Looked", "\\ud800"),
    "large": lambda event: json.dumps({**event, "extra": "x" * 5_000_000}),
    "deep": lambda event: json.dumps(event)[:-1] + ', "deep": ' + "[" * 99 + "]" * 99 + "}",
    "no-project": lambda event: json.dumps({**event, "project_uuid": None}),
    "nil-project": lambda event: json.dumps(
        {**event, "project_uuid": "00000000-0000-0000-0000-000000000000"}
    ),
    "odd-project": lambda event: json.dumps({**event, "project_uuid": "{550e8400}"}),
}


_PROJECTS = {
    "foreign": "9a3c5d6e-1b2f-4c8a-8d7e-0f1a2b3c4d5e",
    "absent": None,
    "nil": "00000000-0000-0000-0000-000000000000",
    "malformed": "project-7",
}


@check("SKM-BAD-07", *(Case(name, {"project": text}) for name, text in _PROJECTS.items()))
def no_project_is_given(t: MigrationTrial, case: Case) -> None:
    fine, odd = t.events(2)
    stated = {**odd, "project_uuid": case["project"]}
    t.write(t.legacy, [stated, fine])
    ran = t.migrate()
    t.expect_number(ran, "imported", 2, "an event is kept whatever its project")
    goes = [odd["event_id"]] if case.name == "foreign" else []
    t.expect_arrived([*goes, fine["event_id"]], "only what states a project may leave")
    projects = {body["event_id"]: body["project_uuid"] for body in t.stub.requests[0].bodies}
    t.expect(
        projects == {one["event_id"]: one["project_uuid"] for one in (stated, fine)
                     if one["event_id"] in projects},
        expected="each event with the project that it states",
        got=lambda: f"{projects}",
    )  # fmt: skip


@check("SKM-BAD-08", *(Case(name, {"form": form}) for name, form in _HELD.items()))
def unsendable_row_is_kept_and_held(t: MigrationTrial, case: Case) -> None:
    fine, odd = t.events(2)
    t.write_rows(t.legacy, [Row(odd["event_id"], case["form"](odd)), homes.row_of(fine)])
    ran = t.migrate()
    t.expect_number(ran, "imported", 2, "it is an event, even if it cannot be sent")
    t.expect_arrived([fine["event_id"]], "the held one poisons no batch")


@check("SKM-BAD-09", *rows("blob", "bom"))
def harmless_forms_are_imported(t: MigrationTrial, case: Case) -> None:
    event = t.events(1)[0]
    text = json.dumps(event).encode()
    t.write_rows(t.legacy, [Row(event["event_id"], text if case.name == "blob" else
                                "\ufeff" + text.decode())])  # fmt: skip
    ran = t.migrate()
    t.expect_number(ran, "imported", 1, "the JSON in it is good")
    t.expect_arrived([event["event_id"]], "the JSON in it is good")


@check("SKM-BAD-06")
def two_ids_are_not_guessed(t: MigrationTrial, case: Case) -> None:
    one, fine = t.events(2)
    t.write_rows(t.legacy, [Row(t.make.new_id(), json.dumps(one)), homes.row_of(fine)])
    ran = t.migrate()
    t.expect_exit(ran, {1}, "the row says two ids")
    t.expect_number(ran, "imported", 1, "the row with one id")
    t.expect_arrived([fine["event_id"]], "the row with one id")
