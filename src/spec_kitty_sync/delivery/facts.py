"""What the journal must know of delivery, asked inside the journal's own transaction."""

from __future__ import annotations

import json
from collections.abc import Sequence

from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.counting import shift_counts

_TOUCHED = """
SELECT s.value FROM json_each(?) s
WHERE EXISTS (SELECT 1 FROM delivery_epochs e
              CROSS JOIN delivery_ledger l
                ON l.target_id = e.target_id AND l.epoch = e.epoch AND l.seq = s.value
              WHERE l.claimed OR l.state NOT IN ('open', 'held'))
   OR EXISTS (SELECT 1 FROM delivery_claims c WHERE s.value BETWEEN c.first_seq AND c.last_seq)
"""
_ACCEPTED = """
SELECT s.value FROM json_each(?) s
WHERE EXISTS (SELECT 1 FROM delivery_epochs e
              CROSS JOIN delivery_ledger l
                ON l.target_id = e.target_id AND l.epoch = e.epoch AND l.seq = s.value
              WHERE l.state IN ('delivered', 'pending'))
   OR EXISTS (SELECT 1 FROM delivery_claims c
              WHERE s.value BETWEEN c.first_seq AND c.last_seq AND c.target_id <> 0)
"""
_CLOSED = """
SELECT l.target_id, l.epoch, l.state, l.category, count(*)
FROM json_each(?1) s CROSS JOIN delivery_targets t
CROSS JOIN delivery_ledger l ON l.target_id = t.target_id AND l.epoch = t.epoch AND l.seq = s.value
WHERE l.state NOT IN ('open', 'delivered', 'pending') AND (NOT ?2 OR l.state = 'held')
GROUP BY 1, 2, 3, 4
"""
_REOPEN = """
UPDATE delivery_ledger
SET state = 'open', category = '', reason = NULL, rejections = 0, not_before = 0
WHERE seq IN (SELECT value FROM json_each(?1)) AND target_id = ?2 AND epoch = ?3
  AND state NOT IN ('open', 'delivered', 'pending') AND (NOT ?4 OR state = 'held')
"""


class SqliteDeliveryFacts:
    """Answers for the journal, from the ledger in the same database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def untouched(self, seqs: Sequence[int]) -> set[int]:
        """Return those of *seqs* that were never claimed, sent or settled for any target."""
        return self._without(_TOUCHED, seqs)

    def unaccepted(self, seqs: Sequence[int]) -> set[int]:
        """Return those of *seqs* that no target has accepted, nor may be accepting right now."""
        return self._without(_ACCEPTED, seqs)

    def _without(self, statement: str, seqs: Sequence[int]) -> set[int]:
        with self._store.reading() as conn:
            found = conn.execute(statement, (json.dumps(list(seqs)),))
            return set(seqs) - {row[0] for row in found}

    def reopen(self, seqs: Sequence[int], *, held_only: bool = False) -> None:
        """Open the rows of *seqs* in every target's current epoch, except accepted ones.

        Whether they may leave is asked again at the next selection. *held_only*: what was refused
        stays as it is, for the event is the same as before.
        """
        chosen = json.dumps(list(seqs))
        with self._store.transaction() as conn:
            groups = conn.execute(_CLOSED, (chosen, held_only)).fetchall()
            for target_id, epoch in {(group[0], group[1]) for group in groups}:
                conn.execute(_REOPEN, (chosen, target_id, epoch, held_only))
            for target_id, epoch, state, category, n in groups:
                shift_counts(conn, target_id, epoch, {(state, category): -n, ("open", ""): n})
