"""Taking bytes away, only when asked: archive, gc, vacuum; and looking after them: verify.

Which events may go is delivery's answer, given as the names of a view that it publishes:
`delivery_collectable(seq, reason)`. The condition stands in the statement that removes.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._files import create_private, discard_file, disk_error, sync_dir
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.errors import SourceError
from spec_kitty_sync.event_journal.journal import SqliteJournal, content_hash
from spec_kitty_sync.event_journal.models import Damaged, Removal

_ELIGIBLE = """
SELECT j.seq, j.event_id, j.body, j.body_sha256
FROM delivery_collectable c JOIN event_journal j ON j.seq = c.seq
WHERE c.reason = ?1 AND j.body IS NOT NULL AND j.appended_at_ms <= ?2 AND j.seq > ?3
ORDER BY j.seq LIMIT ?4
"""
_ELIGIBLE_SUM = """
SELECT count(*), coalesce(sum(j.body_bytes), 0)
FROM delivery_collectable c JOIN event_journal j ON j.seq = c.seq
WHERE c.reason = ?1 AND j.body IS NOT NULL AND j.appended_at_ms <= ?2
"""
_KEEP_HASH = "UPDATE event_journal SET canonical_hash = ? WHERE seq = ?"
_STILL_ELIGIBLE = """
SELECT j.seq, j.body, j.body_sha256 FROM event_journal j
WHERE j.seq IN (SELECT value FROM json_each(?1)) AND j.body IS NOT NULL
  AND EXISTS (SELECT 1 FROM delivery_collectable c WHERE c.seq = j.seq AND c.reason = ?2)
"""
_CLEAR = """
UPDATE event_journal SET body = NULL, removed = ?1, removed_at_ms = ?2
WHERE seq IN (SELECT value FROM json_each(?3)) AND body IS NOT NULL
  AND EXISTS (SELECT 1 FROM delivery_collectable c
              WHERE c.seq = event_journal.seq AND c.reason = ?4)
"""
_FIRST_KEPT = """
UPDATE event_journal_mark SET seq = coalesce(
    (SELECT min(j.seq) FROM event_journal j
     WHERE j.seq >= event_journal_mark.seq AND j.body IS NOT NULL),
    (SELECT coalesce(max(seq), 0) + 1 FROM event_journal))
WHERE name = 'first_kept'
"""
_STORED = "SELECT seq, event_id, body, body_sha256 FROM event_journal WHERE body IS NOT NULL"
_CHUNK = 500
_FOREVER_MS = 2**62


def _nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True, slots=True)
class Removed:
    """What was, or would be, taken away. `bytes` counts bodies."""

    events: int
    bytes: int
    dry_run: bool
    export: Path | None = None


class Retention:
    """Removal of bodies that nobody needs any more; rows, ids and hashes stay.

    *before_removing* is called in every transaction that removes, ahead of its condition: what
    the view has to know by then is written there.
    """

    def __init__(
        self,
        store: Store,
        journal: SqliteJournal,
        *,
        clock: Clock,
        before_removing: Callable[[], None] = _nothing,
    ) -> None:
        self._store = store
        self._journal = journal
        self._clock = clock
        self._before_removing = before_removing

    def preview(self, reason: str, *, older_than_s: float | None = None) -> Removed:
        """Return what gc or archive would take for *reason* right now."""
        with self._store.reading() as conn:
            row = conn.execute(_ELIGIBLE_SUM, (reason, self._cutoff(older_than_s))).fetchone()
        return Removed(events=row[0], bytes=row[1], dry_run=True)

    def collect(self, reason: str, *, older_than_s: float | None = None) -> Removed:
        """Clear the bodies of every event that *reason* covers; interruptible between chunks."""
        return self._remove(reason, self._cutoff(older_than_s), Removal.COLLECTED)

    def archive(self, target: Path, *, older_than_s: float | None = None) -> Removed:
        """Export what gc would take to *target* (`.jsonl.gz`), verify it, then clear the bodies.

        Raises:
            UsageError: the file exists.
            StoreError, SourceError: the export failed; no body was cleared.
        """
        cutoff = self._cutoff(older_than_s)
        self._before_removing()
        create_private(target)
        try:
            written, digest = self._export(target, cutoff)
            _verify_export(target, digest)
        except BaseException:
            discard_file(target)
            raise
        removed = self._remove("delivered", cutoff, Removal.ARCHIVED, only=written)
        return Removed(removed.events, removed.bytes, dry_run=False, export=target)

    def _cutoff(self, older_than_s: float | None) -> int:
        if older_than_s is None:
            return _FOREVER_MS
        return self._clock.now_ms() - int(older_than_s * 1000)

    def _eligible(self, reason: str, cutoff: int) -> Iterator[list[tuple[int, str, bytes, bytes]]]:
        after = 0
        while True:
            with self._store.reading() as conn:
                rows = conn.execute(_ELIGIBLE, (reason, cutoff, after, _CHUNK)).fetchall()
            if not rows:
                return
            yield rows
            after = rows[-1][0]

    def _export(self, target: Path, cutoff: int) -> tuple[dict[int, bytes], bytes]:
        """Write the events' lines; return seq → hash of its bytes, and the hash of all lines.

        A row whose bytes are not those that were accepted is passed over: `verify` names it.
        """
        written: dict[int, bytes] = {}
        lines = hashlib.sha256()
        try:
            with target.open("wb") as raw:
                with gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as out:
                    for rows in self._eligible("delivered", cutoff):
                        for seq, _, body, sha256 in rows:
                            if hashlib.sha256(body).digest() != sha256:
                                continue
                            line = _one_line(body) + b"\n"
                            out.write(line)
                            lines.update(line)
                            written[seq] = sha256
                raw.flush()
                os.fsync(raw.fileno())
            sync_dir(target.parent)
        except OSError as exc:
            raise disk_error(f"{target} cannot be written, nothing was removed", exc) from exc
        return written, lines.digest()

    def _remove(
        self, reason: str, cutoff: int, how: Removal, *, only: dict[int, bytes] | None = None
    ) -> Removed:
        events = size = 0
        for rows in self._eligible(reason, cutoff):
            with self._store.transaction() as conn:
                self._before_removing()
                taken, freed = self._clear(conn, [row[0] for row in rows], how, reason, only)
            events, size = events + taken, size + freed
        self._store.checkpoint()
        return Removed(events, size, dry_run=False)

    def _clear(
        self,
        conn: sqlite3.Connection,
        seqs: list[int],
        how: Removal,
        reason: str,
        only: dict[int, bytes] | None,
    ) -> tuple[int, int]:
        """Clear those of *seqs* that may go at this moment; return how many, and their bytes."""
        rows = conn.execute(_STILL_ELIGIBLE, (json.dumps(seqs), reason)).fetchall()
        chosen = {
            seq: body for seq, body, sha256 in rows if only is None or only.get(seq) == sha256
        }
        conn.executemany(_KEEP_HASH, ((content_hash(body), seq) for seq, body in chosen.items()))
        self._journal.shift_counts(conn, list(chosen), -1)
        done = conn.execute(
            _CLEAR, (how.value, self._clock.now_ms(), json.dumps(list(chosen)), reason)
        ).rowcount
        self._journal.shift_counts(conn, list(chosen), +1)
        conn.execute(_FIRST_KEPT)
        return done, sum(map(len, chosen.values()))

    def vacuum(self) -> int:
        """Give freed pages back to the disk; return how many bytes the file shrank by."""
        before = self._store.path.stat().st_size
        with self._store.writing() as conn:
            conn.execute("VACUUM")
            conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return max(0, before - self._store.path.stat().st_size)

    def verify(self) -> Iterator[Damaged]:
        """Yield every row whose stored bytes do not match their hash."""
        with self._store.reading() as conn:
            for seq, event_id, body, sha256 in conn.execute(_STORED):
                if hashlib.sha256(body).digest() != sha256:
                    yield Damaged(seq, event_id, "stored bytes differ from their hash")


def _one_line(body: bytes) -> bytes:
    """Return *body* on one line; strict JSON has line breaks only between tokens."""
    return body.replace(b"\r", b" ").replace(b"\n", b" ")


def _verify_export(target: Path, digest: bytes) -> None:
    """Read the export back from the disk: each line must be as it was written."""
    lines = hashlib.sha256()
    try:
        with gzip.open(target, "rb") as stream:
            for line in stream:
                lines.update(line)
    except (OSError, EOFError, zlib.error) as exc:
        raise SourceError(f"{target} cannot be read back; nothing was removed") from exc
    if lines.digest() != digest:
        raise SourceError(f"{target} reads back otherwise than written; nothing was removed")
