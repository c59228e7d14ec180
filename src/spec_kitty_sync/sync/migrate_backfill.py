"""What 3.2.4 and 3.2.5 already delivered, taken over into our ledger (CONTRACT 6).

Only final answers count: delivered, and refused for good. Everything else is sent again under
the same id, which every receiver recognises.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync._files import Home
from spec_kitty_sync.delivery.ledger import Answered, SqliteLedger, Verdict
from spec_kitty_sync.delivery.runs import Run
from spec_kitty_sync.delivery.targets import Target
from spec_kitty_sync.errors import SourceError, TargetError
from spec_kitty_sync.events.results import BatchResult, ResultStatus
from spec_kitty_sync.sync.legacy_open import open_database
from spec_kitty_sync.sync.legacy_sources import LegacySource, SourceKind
from spec_kitty_sync.sync.workspace import Workspace

_CHUNK = 1000
_HTTP_STATUS = re.compile(r"[0-9]{1,3}")
_TARGETS = "SELECT target_id, canonical_url, user_email, team_slug FROM delivery_targets"
_ANSWERS = """
SELECT event_id, target_id, status, last_http_status,
       coalesce(completed_at, accepted_at, last_attempted_at), last_error
FROM delivery_ledger WHERE status IN ('success', 'duplicate', 'terminal_failed')
ORDER BY target_id, 5, event_id
"""
_NOT_SETTLED = """
SELECT j.event_id, j.seq FROM journal_ids j
WHERE j.event_id IN (SELECT value FROM json_each(?1))
  AND NOT EXISTS (SELECT 1 FROM delivery_ledger l
                  WHERE l.target_id = ?2 AND l.epoch = ?3 AND l.seq = j.seq
                    AND l.state IN ('delivered', 'terminal_failed'))
"""
_STATUS = (
    ("success", ResultStatus.SUCCESS),
    ("duplicate", ResultStatus.DUPLICATE),
    ("terminal_failed", ResultStatus.FAILED_PERMANENT),
)


class _Answer(NamedTuple):
    event_id: str
    target_id: str
    status: str
    http_status: int | None
    at: str | None
    error: str | None


@dataclass(frozen=True)
class _OldTarget:
    url: str
    user: str | None
    team: str | None


def backfill(workspace: Workspace, home: Home) -> tuple[str, ...]:
    """Record the final answers of the old ledger for events that we hold; return notes.

    A ledger that is missing says nothing; one that cannot be read is a note, no failure: its
    events are delivered again at worst.
    """
    folder = home.root / "delivery"
    if not (folder / "ledger.db").exists() or not (folder / "targets.db").exists():
        return ()
    try:
        targets = _read_targets(folder / "targets.db")
        answers = _read_answers(folder / "ledger.db")
    except SourceError as exc:
        return (f"The old delivery ledger was not taken over: {exc.message}.",)
    taken = sum(_take(workspace, target, answers.get(name, ())) for name, target in targets.items())
    if not taken:
        return ()
    return (f"{taken} events have their final answer from an older version already.",)


def _read_targets(path: Path) -> dict[str, _OldTarget]:
    with open_database(LegacySource(path, SourceKind.NAMED)) as opened:
        return {
            row[0]: _OldTarget(row[1], row[2] or None, row[3] or None)
            for row in _texts(opened.conn, _TARGETS)
            if row[0] and row[1]
        }


def _read_answers(path: Path) -> dict[str, list[_Answer]]:
    found: dict[str, list[_Answer]] = defaultdict(list)
    with open_database(LegacySource(path, SourceKind.NAMED)) as opened:
        for event_id, target_id, status, http_status, at, error in _texts(opened.conn, _ANSWERS):
            if event_id and target_id and status:
                three_digits = _HTTP_STATUS.fullmatch(http_status or "")
                code = int(three_digits[0]) if three_digits else None
                found[target_id].append(_Answer(event_id, target_id, status, code, at, error))
    return found


def _texts(conn: sqlite3.Connection, query: str) -> Iterator[list[str | None]]:
    """Run *query* and give every value as text, None for NULL."""
    for row in conn.execute(query):
        yield [
            value.decode("utf-8", "replace")
            if isinstance(value, bytes)
            else None
            if value is None
            else str(value)
            for value in row
        ]


def _take(workspace: Workspace, old: _OldTarget, answers: Sequence[_Answer]) -> int:
    if not answers:
        return 0
    try:
        target = workspace.targets.ensure(old.url, team_slug=old.team, user_email=old.user)
    except TargetError:
        return 0
    taken = 0
    with workspace.store.transaction():
        for start in range(0, len(answers), _CHUNK):
            taken += _record(workspace, target, answers[start : start + _CHUNK])
    return taken


def _record(workspace: Workspace, target: Target, answers: Sequence[_Answer]) -> int:
    """Write one log row for each second, so that every event keeps when it was delivered."""
    ids = json.dumps([answer.event_id for answer in answers])
    with workspace.store.reading() as conn:
        seqs = dict(conn.execute(_NOT_SETTLED, (ids, target.target_id, target.epoch)).fetchall())
    by_moment: dict[tuple[int, int | None], list[Verdict]] = defaultdict(list)
    for answer in answers:
        if answer.event_id in seqs:
            status = dict(_STATUS)[answer.status]
            result = BatchResult(answer.event_id, status, answer.error)
            moment = _moment_ms(answer.at) or workspace.clock.now_ms()
            key = (moment, answer.http_status)
            by_moment[key].append(Verdict(seqs[answer.event_id], result))
    for (moment, http_status), verdicts in sorted(by_moment.items(), key=lambda kv: kv[0][0]):
        ledger = SqliteLedger(workspace.store, clock=ManualClock(wall_ms=moment))
        note = "taken over from the ledger of an older version"
        answered = Answered(target.url, http_status, note)
        ledger.record(Run(target, moment), verdicts, answered)
    return sum(len(verdicts) for verdicts in by_moment.values())


def _moment_ms(text: str | None) -> int | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) * 1000
