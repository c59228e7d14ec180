"""Random plural sources against a model of twenty lines: the same journal, whatever happens."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from legacy_homes import contents, event, image, journal_of, settings_of

from spec_kitty_sync.sync.migrate_home import migrate

COLUMNS = (
    "id INTEGER PRIMARY KEY, event_id TEXT, event_type TEXT, data TEXT, timestamp INTEGER",
    "event_id TEXT, data TEXT",
    "data, future BLOB, event_id, retry_count, timestamp",
    "event_id TEXT NOT NULL, data TEXT, coalesce_key TEXT, status TEXT",
)
FORMATS: tuple[Callable[[object], str], ...] = (
    json.dumps,
    lambda value: json.dumps(value, indent=1),
    lambda value: json.dumps(value, sort_keys=True, separators=(",", ":")),
    lambda value: json.dumps(value, ensure_ascii=False),
)
BROKEN = ("", "[]", "null", "7", "{", '{"event_id": 3}', '{"a": 1}', '"text"')


@dataclass(frozen=True)
class Row:
    """One generated row: which event, in which content and spelling; or broken data."""

    number: int
    variant: int
    spelling: int
    broken: int | None
    wrong_column: bool

    @property
    def value(self) -> dict[str, object]:
        return event(self.number, aggregate_id=f"WÖ{self.variant}")

    @property
    def data(self) -> str:
        if self.broken is not None:
            return BROKEN[self.broken]
        return FORMATS[self.spelling](self.value)

    @property
    def column_id(self) -> str:
        return "elsewhere" if self.wrong_column else str(self.value["event_id"])


@dataclass
class Model:
    """What a migration must make of rows, in the order of their sources."""

    kept: dict[str, dict[str, object]] = field(default_factory=dict)
    others: dict[str, set[str]] = field(default_factory=dict)
    quarantined: int = 0
    rows: int = 0

    def take(self, row: Row) -> None:
        self.rows += 1
        if row.broken is not None or row.wrong_column:
            self.quarantined += 1
            return
        stored = self.kept.setdefault(row.column_id, row.value)
        if stored != row.value:
            self.others.setdefault(row.column_id, set()).add(json.dumps(row.value, sort_keys=True))


rows = st.builds(
    Row,
    number=st.integers(1, 6),
    variant=st.sampled_from([0, 0, 0, 1, 2]),
    spelling=st.integers(0, 3),
    broken=st.sampled_from([None] * 6 + list(range(len(BROKEN)))),
    wrong_column=st.sampled_from([False] * 9 + [True]),
)
sources = st.lists(
    st.tuples(st.integers(0, 3), st.booleans(), st.lists(rows, max_size=8)),
    min_size=1,
    max_size=4,
)


def write(path: Path, columns: int, wal: bool, found: list[Row]) -> None:
    """Write rows into a table of one of the schemas, as a write-ahead log if *wal*."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".building")
    with closing(sqlite3.connect(scratch)) as conn:
        conn.execute("PRAGMA synchronous=OFF")
        conn.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}")
        conn.execute(f"CREATE TABLE queue ({COLUMNS[columns]})")
        conn.executemany(
            "INSERT INTO queue (event_id, data) VALUES (?, ?)",
            [(row.column_id, row.data) for row in found],
        )
        conn.commit()
        # Copied while open: the rows stand in the log alone, as after a crash.
        for suffix in ("", "-wal"):
            origin = scratch.with_name(scratch.name + suffix)
            if origin.exists():
                path.with_name(path.name + suffix).write_bytes(origin.read_bytes())
    scratch.unlink()


@settings(max_examples=60, deadline=None)
@given(found=sources)
def test_migration_of_random_sources_equals_the_model(
    found: list[tuple[int, bool, list[Row]]],
) -> None:
    """Overlaps, divergences, damaged rows and odd schemas: journal and counts are the model's."""
    with tempfile.TemporaryDirectory() as folder:
        home, model = Path(folder), Model()
        for number, (columns, wal, its_rows) in enumerate(found):
            write(home / "queues" / f"queue-{number:x}.db", columns, wal, its_rows)
            for row in its_rows:
                model.take(row)
        before = image(home)
        report = migrate(settings_of(home))
        assert {i: json.loads(b) for i, b in journal_of(home).items()} == model.kept
        assert report.imported == len(model.kept)
        assert report.quarantined == model.quarantined
        assert sum(source.rows for source in report.sources) == model.rows
        others: dict[str, set[str]] = {}
        for event_id, _, _, body, _, _ in contents(home)["conflicts"]:
            text = json.dumps(json.loads(str(body, "utf-8")), sort_keys=True)
            others.setdefault(str(event_id), set()).add(text)
        assert others == model.others
        clean = not model.others and not model.quarantined
        assert report.exit_code == (0 if clean else 1)
        assert image(home) == before
        again = contents(home)
        assert migrate(settings_of(home)).imported == 0
        assert contents(home) == again
