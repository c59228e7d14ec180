"""The registry of delivery targets: who they are, which epoch they are in (CONTRACT 6, Targets).

A target is a canonical URL, a user and a team. Deployment metadata is provenance, never identity.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, fields
from typing import Any

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync._urls import canonical_url, origin
from spec_kitty_sync.delivery.counting import shift_counts
from spec_kitty_sync.errors import TargetChangedError, TargetNotFoundError

__all__ = [
    "Deployment",
    "DeploymentChange",
    "Target",
    "TargetRegistry",
    "canonical_url",
    "check_standing",
    "looks_reset",
    "origin",
    "same_target",
]

_COLUMNS = """
SELECT t.target_id, t.url, t.team_slug, t.user_email, t.epoch, e.mark, t.created_at, t.retired_at,
       t.last_attempt_at, t.last_delivery_at, t.last_stop, t.closed_gate, t.closed_login,
       t.max_event_bytes, t.server_instance_id, t.deployment_id, t.environment_name, t.git_sha
FROM delivery_targets t JOIN delivery_epochs e ON e.target_id = t.target_id AND e.epoch = t.epoch
"""
_ALL = _COLUMNS + " ORDER BY t.target_id"
_BY_ID = _COLUMNS + " WHERE t.target_id = ?"
_BY_IDENTITY = _COLUMNS + " WHERE t.url_hash = ? AND t.team_slug = ? AND t.user_email = ?"
_INSERT = """
INSERT INTO delivery_targets(url, url_hash, team_slug, user_email, created_at)
VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_INSERT_EPOCH = """
INSERT INTO delivery_epochs(target_id, epoch, started_at, reason)
SELECT target_id, epoch, ?, ? FROM delivery_targets WHERE target_id = ?
"""
_NEXT_EPOCH = "UPDATE delivery_targets SET epoch = epoch + 1 WHERE target_id = ?"
_RETIRE = "UPDATE delivery_targets SET retired_at = ? WHERE target_id = ?"
_SET_DEPLOYMENT = """
UPDATE delivery_targets
SET server_instance_id = ?, deployment_id = ?, environment_name = ?, git_sha = ?
WHERE target_id = ?
"""
_ADD_HISTORY = """
INSERT INTO delivery_target_history(
    server_instance_id, deployment_id, environment_name, git_sha, target_id, seen_at)
VALUES (?, ?, ?, ?, ?, ?)
"""
_HISTORY = """
SELECT seen_at, server_instance_id, deployment_id, environment_name, git_sha
FROM delivery_target_history WHERE target_id = ? ORDER BY history_id
"""
_SET_EVENT_LIMIT = "UPDATE delivery_targets SET max_event_bytes = ? WHERE target_id = ?"
_OPEN_FITTING = """
UPDATE delivery_ledger SET state = 'open', category = ''
WHERE target_id = ?1 AND epoch = ?2 AND state = 'held' AND category = 'too_large'
  AND seq IN (SELECT seq FROM journal_ids WHERE hold IS NULL AND bytes <= coalesce(?3, bytes))
"""
_CLOSE_GATE = "UPDATE delivery_targets SET closed_gate = ?, closed_login = ? WHERE target_id = ?"
_AUDIT = "INSERT INTO delivery_audit(at, action, target_id, detail) VALUES (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a server says about itself; a field is None when it does not say."""

    server_instance_id: str | None = None
    deployment_id: str | None = None
    environment_name: str | None = None
    git_sha: str | None = None

    @property
    def known(self) -> bool:
        return any(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True, slots=True)
class DeploymentChange:
    """A target answers as another deployment than before; a re-drain is offered, never made.

    `reset_suspected`: the instance or its environment changed, so its data may be gone.
    """

    before: Deployment
    after: Deployment
    reset_suspected: bool


@dataclass(frozen=True, slots=True)
class Target:
    """One row of the registry. Times are epoch milliseconds; `mark` is that of `epoch`."""

    target_id: int
    url: str
    team_slug: str | None
    user_email: str | None
    epoch: int
    mark: int
    created_at: int
    retired_at: int | None
    last_attempt_at: int | None
    last_delivery_at: int | None
    last_stop: str | None
    closed_gate: str | None
    closed_login: str | None
    max_event_bytes: int | None
    deployment: Deployment

    @property
    def active(self) -> bool:
        return self.retired_at is None


_FIELDS = tuple(field.name for field in fields(Target) if field.name != "deployment")


class TargetRegistry:
    """Reads and writes delivery_targets and its history."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def ensure(
        self, url: str, *, team_slug: str | None = None, user_email: str | None = None
    ) -> Target:
        """Return the target of this identity, registering it in its first epoch if it is new.

        Raises:
            TargetUrlError: no usable http(s) URL.
        """
        found = self.find(url, team_slug=team_slug, user_email=user_email)
        if found is not None:
            return found
        canonical = canonical_url(url)
        identity = (_url_hash(canonical), team_slug or "", user_email or "")
        now_ms = self._clock.now_ms()
        with self._store.transaction() as conn:
            added = conn.execute(_INSERT, (canonical, *identity, now_ms))
            if added.rowcount:
                conn.execute(_INSERT_EPOCH, (now_ms, "first", added.lastrowid))
            return _one(conn.execute(_BY_IDENTITY, identity))

    def find(
        self, url: str, *, team_slug: str | None = None, user_email: str | None = None
    ) -> Target | None:
        """Return the target of this identity, or None. Writes nothing."""
        identity = (_url_hash(canonical_url(url)), team_slug or "", user_email or "")
        with self._store.reading() as conn:
            row = conn.execute(_BY_IDENTITY, identity).fetchone()
        return None if row is None else _target(row)

    def get(self, target_id: int) -> Target:
        """Return the target.

        Raises:
            TargetNotFoundError: there is none of this id.
        """
        with self._store.reading() as conn:
            return _one(conn.execute(_BY_ID, (target_id,)))

    def all(self) -> tuple[Target, ...]:
        """Return every target that was ever known, the oldest first."""
        with self._store.reading() as conn:
            return tuple(_target(row) for row in conn.execute(_ALL))

    def retire(self, target_id: int) -> Target:
        """Take the target out of drains and of gc's condition; its history stays."""
        return self._set_retired(target_id, self._clock.now_ms(), "retire")

    def restore(self, target_id: int) -> Target:
        """Undo `retire`; the target goes on where it stood."""
        return self._set_retired(target_id, None, "restore")

    def _set_retired(self, target_id: int, moment: int | None, action: str) -> Target:
        with self._store.transaction() as conn:
            target = _one(conn.execute(_BY_ID, (target_id,)))
            if target.active != (moment is None):
                conn.execute(_RETIRE, (moment, target_id))
                self.audit(conn, action, target_id, {"url": target.url})
            return _one(conn.execute(_BY_ID, (target_id,)))

    def start_epoch(self, target_id: int, *, reason: str) -> Target:
        """Begin a new delivery of the whole journal; the ledger rows of older epochs stay.

        The caller holds the target's drain lock, or has the whole store to itself.
        """
        with self._store.transaction() as conn:
            target = _one(conn.execute(_BY_ID, (target_id,)))
            conn.execute(_NEXT_EPOCH, (target_id,))
            conn.execute(_INSERT_EPOCH, (self._clock.now_ms(), reason, target_id))
            self.audit(conn, "epoch", target_id, {"after": target.epoch, "reason": reason})
            return _one(conn.execute(_BY_ID, (target_id,)))

    def see_deployment(self, target_id: int, seen: Deployment) -> DeploymentChange | None:
        """Remember what the server says of itself; return the change, if there is one.

        The first answer ever, and a server that says nothing, are no change; what it leaves out
        this time is remembered as it was.
        """
        if not seen.known:
            return None
        with self._store.transaction() as conn:
            before = _one(conn.execute(_BY_ID, (target_id,))).deployment
            seen = _completed(seen, before)
            if seen == before:
                return None
            values = tuple(getattr(seen, field.name) for field in fields(seen))
            conn.execute(_SET_DEPLOYMENT, (*values, target_id))
            conn.execute(_ADD_HISTORY, (*values, target_id, self._clock.now_ms()))
        if not before.known:
            return None
        return DeploymentChange(before, seen, looks_reset(before, seen))

    def deployments(self, target_id: int) -> tuple[tuple[int, Deployment], ...]:
        """Return every deployment seen behind this target, with when it was first seen."""
        with self._store.reading() as conn:
            return tuple(
                (row[0], Deployment(*row[1:])) for row in conn.execute(_HISTORY, (target_id,))
            )

    def limit_events(self, target_id: int, max_event_bytes: int | None) -> None:
        """Remember the largest event this target takes; larger ones are held `too_large`.

        Those that it takes now, and did not before, are open again.
        """
        if self.get(target_id).max_event_bytes == max_event_bytes:
            return
        with self._store.transaction() as conn:
            target = _one(conn.execute(_BY_ID, (target_id,)))
            conn.execute(_SET_EVENT_LIMIT, (max_event_bytes, target_id))
            where = (target_id, target.epoch)
            opened = conn.execute(_OPEN_FITTING, (*where, max_event_bytes)).rowcount
            moved = {("held", "too_large"): -opened, ("open", ""): opened}
            shift_counts(conn, *where, moved)

    def close_gate(self, target_id: int, gate: str, login: str) -> None:
        """Close *gate* for as long as *login* lasts."""
        with self._store.transaction() as conn:
            conn.execute(_CLOSE_GATE, (gate, login, target_id))
            self.audit(conn, "gate_closed", target_id, {"gate": gate})

    def audit(
        self, conn: sqlite3.Connection, action: str, target_id: int | None, detail: object
    ) -> None:
        """Leave a durable trace of *action* in the caller's transaction."""
        row = (self._clock.now_ms(), action, target_id, json.dumps(detail, sort_keys=True))
        conn.execute(_AUDIT, row)


def same_target(conn: sqlite3.Connection, target: Target) -> Target:
    """Return *target* as it stands now, in the caller's transaction.

    Raises:
        TargetChangedError: its number belongs to nobody, or to somebody else: a restore brought
            in a database of other targets.
    """
    row = conn.execute(_BY_ID, (target.target_id,)).fetchone()
    # Columns 1 to 3 are the identity.
    if row is None or row[1:4] != (target.url, target.team_slug or "", target.user_email or ""):
        raise TargetChangedError(f"target {target.target_id} is not {target.url} any more")
    return _target(row)


def check_standing(conn: sqlite3.Connection, target: Target) -> Target:
    """Return *target* as of now; what is written for it is written for its present epoch.

    Raises:
        TargetChangedError: it is another target's number, or a new epoch began.
    """
    now = same_target(conn, target)
    if now.epoch != target.epoch:
        raise TargetChangedError(f"another delivery to {target.url} began from the beginning")
    return now


def _url_hash(canonical: str) -> str:
    import hashlib  # only a new target comes here

    return hashlib.sha256(canonical.encode()).hexdigest()


def _completed(seen: Deployment, before: Deployment) -> Deployment:
    return Deployment(
        *(getattr(seen, field.name) or getattr(before, field.name) for field in fields(seen))
    )


def looks_reset(before: Deployment, after: Deployment) -> bool:
    """Whether the instance or its environment is another one, so that its data may be gone."""

    def differs(old: str | None, new: str | None) -> bool:
        return bool(old and new and old != new)

    return differs(before.server_instance_id, after.server_instance_id) or differs(
        before.environment_name, after.environment_name
    )


def _one(cursor: sqlite3.Cursor) -> Target:
    row = cursor.fetchone()
    if row is None:
        raise TargetNotFoundError("there is no target with this number")
    return _target(row)


def _target(row: tuple[Any, ...]) -> Target:
    values = dict(zip(_FIELDS, row[:14], strict=True))
    values["team_slug"] = values["team_slug"] or None
    values["user_email"] = values["user_email"] or None
    return Target(**values, deployment=Deployment(*row[14:]))
