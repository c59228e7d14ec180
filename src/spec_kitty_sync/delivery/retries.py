"""Putting events back by hand: `sync retry` (CONTRACT 5). Delivered ones are never touched."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.counting import shift_counts
from spec_kitty_sync.delivery.states import DeliveryState
from spec_kitty_sync.delivery.targets import Target

RETRIABLE = (
    DeliveryState.REJECTED,
    DeliveryState.TRANSIENT,
    DeliveryState.DEAD_LETTER,
    DeliveryState.TERMINAL_FAILED,
    DeliveryState.HELD,
)
_CHOSEN = """
SELECT l.seq, l.state, l.category FROM delivery_ledger l
WHERE l.target_id = :target_id AND l.epoch = :epoch
  AND l.state IN (SELECT value FROM json_each(:states))
  AND (:category IS NULL OR l.category = :category)
  AND (:ids IS NULL OR l.seq IN (SELECT j.seq FROM journal_ids j
                                 WHERE j.event_id IN (SELECT value FROM json_each(:ids))))
"""
_OPEN = """
UPDATE delivery_ledger SET state = 'open', category = '', rejections = 0, not_before = 0
WHERE target_id = ? AND epoch = ? AND seq IN (SELECT value FROM json_each(?))
"""


def retry(
    store: Store,
    target: Target,
    *,
    event_ids: Iterable[str] | None = None,
    states: Iterable[DeliveryState] | None = None,
    category: str | None = None,
) -> int:
    """Open the chosen rows of the target's current epoch again; return how many.

    Without *states* all that did not get through are chosen. Their rejections count from zero
    again; a row whose event still may not leave is held anew by the next drain.
    """
    wanted = {
        "target_id": target.target_id,
        "epoch": target.epoch,
        "states": json.dumps([state.value for state in states or RETRIABLE]),
        "category": category,
        "ids": None if event_ids is None else json.dumps(list(event_ids)),
    }
    with store.transaction() as conn:
        rows = conn.execute(_CHOSEN, wanted).fetchall()
        rows = [row for row in rows if DeliveryState(row[1]) in RETRIABLE]
        seqs = json.dumps([row[0] for row in rows])
        conn.execute(_OPEN, (target.target_id, target.epoch, seqs))
        shifts = Counter({("open", ""): len(rows)})
        shifts.subtract((state, held) for _, state, held in rows)
        shift_counts(conn, target.target_id, target.epoch, shifts)
    return len(rows)
