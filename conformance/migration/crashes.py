"""Interrupted, repeated and concurrent runs, and cleaning up."""

from __future__ import annotations

from spec_kitty_sync.conformance import bounded
from spec_kitty_sync.conformance import migration_homes as homes
from spec_kitty_sync.conformance.migration_model import draw_home
from spec_kitty_sync.conformance.migration_trial import MigrationTrial
from spec_kitty_sync.conformance.suite import Case, check, rows

_MOMENTS = (0.2, 0.4, 0.55, 0.7, 0.8, 0.9, 0.97)


@check("SKM-CRA-01", *(Case(f"{part:.0%}", {"part": part}) for part in _MOMENTS))
def killed_run_is_repeated(t: MigrationTrial, case: Case) -> None:
    whole_s = t.rehearse(600)
    ids = []
    for number in range(3):
        ids += t.write(t.scoped(number), t.events(200))
    t.remember()
    t.killed_after("migrate", case["part"] * whole_s)
    ran = t.migrate("after the kill")
    t.expect_exit(ran, {0}, "the second run completes the first")
    t.expect_arrived(ids, "as if nothing had happened")


_FULL_BYTES = 400_000


@check("SKM-CRA-02")
def full_disk_is_survived(t: MigrationTrial, case: Case) -> None:
    ids = []
    for number in range(3):
        ids += t.write(t.scoped(number), t.events(300))
    t.remember()
    full = t.run(
        "migrate",
        under=bounded.no_file_above(_FULL_BYTES),
        note=f"no file may grow above {_FULL_BYTES} bytes",
    )
    t.expect(
        "Traceback" not in full.text,
        expected="words where the disk is full",
        got=lambda: full.text[-300:],
        step=full.step,
    )
    if full.exit_code == 0:
        t.expect_arrived(ids, "the exit code says that nothing is missing")
        return
    ran = t.migrate("with room again")
    t.expect_exit(ran, {0}, "there is room again")
    t.expect_arrived(ids, "the second run completes the first")


@check("SKM-CRA-03")
def second_run_does_nothing(t: MigrationTrial, case: Case) -> None:
    ids = t.write(t.legacy, t.events(3))
    first = t.migrate()
    second = t.migrate("once more")
    t.expect_number(second, "imported", 0, "all is known")
    t.expect(
        first.exit_code == second.exit_code,
        expected=f"the same exit code, {first.exit_code}",
        got=f"{second.exit_code}",
        step=second.step,
    )
    t.expect_arrived(ids, "each once")


@check("SKM-CRA-04")
def two_runs_are_one(t: MigrationTrial, case: Case) -> None:
    ids = []
    for number in range(3):
        ids += t.write(t.scoped(number), t.events(100))
    t.remember()
    children = [t.start("migrate"), t.start("migrate")]
    for child in children:
        t.finish(child, "migrate", note="two at once")
    t.expect_arrived(ids, "each once, whichever run took it")


@check("SKM-CRA-05", *rows("afterwards", "meanwhile"))
def rows_written_by_others_come_later(t: MigrationTrial, case: Case) -> None:
    ids = t.write(t.scoped(), t.events(2))
    t.touched = True
    if case.name == "meanwhile":
        child = t.start("migrate")
        while child.poll() is None and len(ids) < 500:
            ids += t.write(t.scoped(), t.events(1))
        t.finish(child, "migrate", note="while an old CLI writes")
    else:
        t.migrate()
    ids += t.write(t.scoped(), t.events(2))
    t.run("migrate", note="after an old CLI wrote more")
    t.expect_arrived(ids, "the rows that an old CLI wrote during the first run and after it")


@check("SKM-CLN-01")
def cleanup_takes_only_what_is_safe(t: MigrationTrial, case: Case) -> None:
    mine, fine = t.events(2)
    theirs = {**mine, "payload": {**mine["payload"], "entry_content": "something else"}}
    t.write(t.legacy, [mine, fine])
    t.write(t.scoped(), [theirs])
    t.touched = True
    t.migrate()
    t.run("cleanup")
    t.expect(
        t.legacy.is_file() and t.scoped().is_file(),
        expected="cleanup deletes rows, never files",
        got="a file is gone",
    )
    kept = homes.row_count(t.scoped())
    t.expect(
        kept == 1,
        expected="a row that the journal does not hold with that content stays",
        got=f"{kept} rows are left in the source of the conflict",
    )


@check("SKM-CLN-02")
def cleanup_converges(t: MigrationTrial, case: Case) -> None:
    ids = t.write(t.legacy, t.events(3)) + t.write(t.scoped(), t.events(2))
    t.touched = True
    t.migrate()
    t.run("cleanup")
    left = homes.row_count(t.legacy) + homes.row_count(t.scoped())
    t.expect(left == 0, expected="no row is left in the old queues", got=f"{left} rows")
    t.run("server")
    ran = t.run("drain")
    t.expect_exit(ran, {0}, "nothing waits in old queues any more")
    t.expect_arrived(ids, "what was cleaned up is in the journal")


@check("SKM-CLN-03")
def nothing_is_cleaned_unasked(t: MigrationTrial, case: Case) -> None:
    ids = t.write(t.legacy, t.events(3))
    t.migrate()
    t.expect_arrived(ids, "after an import")
    left = homes.row_count(t.legacy)
    t.expect(left == 3, expected="the old queue keeps its three rows", got=f"{left} rows")


@check("SKM-MOD-01", *(Case(f"seed-{seed}", {"seed": seed}) for seed in range(1, 7)))
def every_row_ends_as_the_model_says(t: MigrationTrial, case: Case) -> None:
    home = draw_home(t.make, case["seed"])
    paths = [t.legacy, *(t.scoped(number) for number in range(3))]
    for path, listed in zip(paths, home.sources, strict=True):
        t.write_rows(path, listed)
    ran = t.migrate()
    for name in ("imported", "duplicates", "conflicts", "quarantined"):
        t.expect_number(ran, name, getattr(home, name), f"of {home.rows} rows")
    settled = not home.conflicts and not home.quarantined
    t.expect_exit(ran, {0} if settled else {1}, "as the model says")
    t.expect_arrived(home.arriving, "as the model says")
    second = t.migrate("once more")
    t.expect_number(second, "imported", 0, "a second run knows every row")
    t.expect(
        t.drained() == list(dict.fromkeys(t.stub.seen_ids)) == t.stub.seen_ids,
        expected="no event is sent twice",
        got=lambda: f"{len(t.stub.seen_ids)} were sent",
    )
