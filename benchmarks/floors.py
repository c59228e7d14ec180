"""The same work in plain code with nothing around it: the yardstick beside our figures."""

from __future__ import annotations

import hashlib
import json
import os
import random
import sqlite3
import time
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [first + second for first in _DIGITS for second in _DIGITS]
_JOURNAL = """
CREATE TABLE IF NOT EXISTS journal(seq INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE,
    event_type TEXT NOT NULL, body BLOB NOT NULL, occurred_at TEXT NOT NULL,
    project_uuid TEXT)
"""
_PROVENANCE = """
CREATE TABLE provenance(event_id TEXT, source TEXT, sha TEXT,
    PRIMARY KEY(event_id, source)) WITHOUT ROWID
"""
_INSERT = """
INSERT OR IGNORE INTO journal(event_id, event_type, body, occurred_at, project_uuid)
VALUES (?, ?, ?, ?, ?)
"""


def open_journal(path: Path) -> sqlite3.Connection:
    """Return a WAL/FULL connection to a plain journal table."""
    conn = sqlite3.connect(path, isolation_level=None, timeout=5)
    conn.execute("PRAGMA journal_mode=WAL")
    conn.execute("PRAGMA synchronous=FULL")
    conn.execute(_JOURNAL)
    conn.execute("PRAGMA busy_timeout=0")  # who appends waits in its own way
    return conn


def new_id() -> str:
    """Return a fresh ULID."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -1, -10)])


def row_of(event: Mapping[str, Any]) -> tuple[Any, ...]:
    """Return the columns of *event*."""
    body = json.dumps(event, separators=(",", ":")).encode()
    return (
        event["event_id"],
        event["event_type"],
        body,
        event["timestamp"],
        event["project_uuid"],
    )


def append(conn: sqlite3.Connection, event: Mapping[str, Any]) -> None:
    """Append one event, new id included, in a commit of its own; writers wait in short sleeps."""
    row = row_of({**event, "event_id": new_id()})
    while True:
        try:
            conn.execute(_INSERT, row)
            return
        except sqlite3.OperationalError as exc:
            if "locked" not in str(exc):
                raise
            time.sleep(random.uniform(0.0001, 0.0006))


def append_many(conn: sqlite3.Connection, events: Iterable[Mapping[str, Any]]) -> None:
    """Append all events in one transaction."""
    conn.execute("BEGIN IMMEDIATE")
    conn.executemany(_INSERT, map(row_of, events))
    conn.execute("COMMIT")


def migrate(queues: Iterable[Path], journal: Path) -> int:
    """Copy queues into a journal with hash and provenance of each row; return the rows."""
    with closing(open_journal(journal)) as conn:
        conn.execute(_PROVENANCE)
        for path in queues:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as source:
                rows = source.execute("SELECT event_id, event_type, data FROM queue").fetchall()
            events, origins = [], []
            for event_id, event_type, data in rows:
                event = json.loads(data)
                body = json.dumps(event, sort_keys=True, separators=(",", ":")).encode()
                project = event["project_uuid"]
                events.append((event_id, event_type, body, event["timestamp"], project))
                origins.append((event_id, path.name, hashlib.sha256(body).hexdigest()))
            conn.execute("BEGIN IMMEDIATE")
            conn.executemany(_INSERT, events)
            conn.executemany("INSERT OR IGNORE INTO provenance VALUES (?, ?, ?)", origins)
            conn.execute("COMMIT")
        return int(conn.execute("SELECT count(*) FROM journal").fetchone()[0])


class _Payload(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    wp_id: str = Field(pattern=r"^WP\d{2}$")
    from_lane: Literal["planned", "claimed", "in_progress", "for_review", "approved", "done"]
    to_lane: Literal["planned", "claimed", "in_progress", "for_review", "approved", "done"]
    actor: str = Field(min_length=1)
    feature_slug: str = Field(min_length=1)


class _Envelope(BaseModel):
    model_config = ConfigDict(frozen=True)
    event_id: str = Field(pattern="^[0-7][0-9A-HJKMNP-TV-Z]{25}$")
    event_type: str = Field(min_length=1)
    aggregate_id: str = Field(min_length=1)
    aggregate_type: str
    payload: dict[str, Any]
    timestamp: datetime
    node_id: str = Field(min_length=1)
    lamport_clock: int = Field(ge=0)
    causation_id: str | None = None
    correlation_id: str = Field(pattern="^[0-7][0-9A-HJKMNP-TV-Z]{25}$")
    schema_version: str = Field(pattern=r"^\d+\.\d+\.\d+$")
    data_tier: int = Field(ge=0, le=4)
    team_slug: str
    project_uuid: UUID
    project_slug: str


def judge(events: Iterable[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """Return each event's id with every complaint of two pydantic models."""
    found = []
    for event in events:
        complaints: list[str] = []
        for model, value in ((_Envelope, event), (_Payload, event.get("payload"))):
            try:
                model.__pydantic_validator__.validate_python(value)
            except ValidationError as exc:
                complaints += [str(error["msg"]) for error in exc.errors(include_url=False)]
        found.append((str(event.get("event_id")), complaints))
    return found
