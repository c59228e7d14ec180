"""The maintained counts: how many events stand where, per target, epoch, state and category."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import TYPE_CHECKING

from spec_kitty_sync._sqlite import Store

if TYPE_CHECKING:  # which counts, in turn, what it moves
    from spec_kitty_sync.delivery.targets import Target

StateKey = tuple[str, str]
"""State and category; the category is '' where there is none."""

_SHIFT = """
INSERT INTO delivery_counts(target_id, epoch, state, category, n) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET n = n + excluded.n
"""
_COUNTS = """
SELECT state, category, n FROM delivery_counts WHERE target_id = ? AND epoch = ? AND n > 0
ORDER BY state, category
"""


def shift_counts(
    conn: sqlite3.Connection, target_id: int, epoch: int, shifts: Mapping[StateKey, int]
) -> None:
    """Add *shifts* to the counts, in the transaction that moves the rows."""
    conn.executemany(_SHIFT, ((target_id, epoch, *key, n) for key, n in shifts.items() if n))


def read_counts(store: Store, target: Target, *, epoch: int | None = None) -> dict[StateKey, int]:
    """Return (state, category) → number of events; of the current epoch unless told."""
    with store.reading() as conn:
        rows = conn.execute(_COUNTS, (target.target_id, epoch or target.epoch)).fetchall()
    return {(state, category): n for state, category, n in rows}
