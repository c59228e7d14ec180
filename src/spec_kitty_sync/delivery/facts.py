"""What the journal must know of delivery, asked inside the journal's own transaction."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from spec_kitty_sync._clock import utc_iso
from spec_kitty_sync._files import Home
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
# Claims of target 0 are nobody's: see `redelivery.assume_sent`.
_TAKERS = """
SELECT s.value, t.target_id, t.url, t.retired_at IS NULL, l.state, l.last_at
FROM json_each(?1) s CROSS JOIN delivery_targets t
CROSS JOIN delivery_epochs e ON e.target_id = t.target_id
CROSS JOIN delivery_ledger l ON l.target_id = e.target_id AND l.epoch = e.epoch AND l.seq = s.value
WHERE l.state IN ('delivered', 'pending')
UNION ALL
SELECT s.value, t.target_id, t.url, t.retired_at IS NULL, 'claimed', c.claimed_at
FROM json_each(?1) s CROSS JOIN delivery_claims c ON s.value BETWEEN c.first_seq AND c.last_seq
CROSS JOIN delivery_targets t ON t.target_id = c.target_id
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


# The first of these that an event has decides what can be done with it.
_SURENESS = ("delivered", "pending", "claimed")


class Taker(NamedTuple):
    """A target that has an event, or may have it: `state` is delivered, pending or claimed.

    `at`: since when, in epoch milliseconds; of a claim, when it was about to be sent.
    """

    seq: int
    target_id: int
    url: str
    active: bool
    state: str
    at: int | None


class SqliteDeliveryFacts:
    """Answers for the journal, from the ledger in the same database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def untouched(self, seqs: Sequence[int]) -> set[int]:
        """Return those of *seqs* that were never claimed, sent or settled for any target."""
        with self._store.reading() as conn:
            found = conn.execute(_TOUCHED, (json.dumps(list(seqs)),))
            return set(seqs) - {row[0] for row in found}

    def unaccepted(self, seqs: Sequence[int]) -> set[int]:
        """Return those of *seqs* that no target has accepted, nor may be accepting right now."""
        return set(seqs) - {taker.seq for taker in self._in_the_way(seqs)}

    def objection(self, seq: int) -> tuple[str, str] | None:
        """Return why the event may not change, and what can be done; None where it may."""
        first = next(iter(self._in_the_way([seq])), None)
        return None if first is None else _objection(first)

    def _in_the_way(self, seqs: Sequence[int]) -> list[Taker]:
        """Return who has the events, or may have them.

        A claim counts until the target's next drain learns more. Whoever retires the target has
        given that up; then it counts only while a drain that began before goes on.
        """
        found = takers_of(self._store, seqs)
        claims = {each.target_id for each in found if each.state == "claimed" and not each.active}
        given_up = {target_id for target_id in claims if not self._draining(target_id)}
        return [each for each in found if each.state != "claimed" or each.target_id not in given_up]

    def _draining(self, target_id: int) -> bool:
        from spec_kitty_sync.delivery.lock import drain_running  # few events are ever in doubt

        return drain_running(Home(self._store.path.parent).locks_dir, target_id)

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


def takers_of(store: Store, seqs: Iterable[int]) -> list[Taker]:
    """Return which targets have the events *seqs*, then which may have them."""
    with store.reading() as conn:
        found = [Taker(*row) for row in conn.execute(_TAKERS, (json.dumps(list(seqs)),))]
    return sorted(found, key=lambda taker: (_SURENESS.index(taker.state), taker.target_id))


def _objection(taker: Taker) -> tuple[str, str]:
    name = f"target {taker.target_id} ({taker.url})"
    moment = "" if taker.at is None else f" at {utc_iso(taker.at)}"
    ask = f"`spec-kitty sync now --target {taker.target_id}`"
    if taker.state == "claimed":
        return (
            f"{name} may have it: it was sent{moment}, and no answer was recorded",
            f"Run {ask}; it asks again. If that server is gone for good, `spec-kitty sync targets "
            f"retire {taker.target_id}` gives it up.",
        )
    instead = (
        "emit a new event that corrects it; where other targets refuse this one for good, "
        "`spec-kitty sync gc --dead` takes its bytes away"
    )
    if taker.state == "delivered":
        return f"{name} took it{moment}, and has it", f"It stays as it is: {instead}."
    if not taker.active:
        ask = f"`spec-kitty sync targets restore {taker.target_id}`, then {ask},"
    return (
        f"{name} accepted it{moment}, and has not settled it yet",
        f"Run {ask} within the hour or later: it asks what became of it, and once it is rejected "
        f"there too, it may change. Else {instead}.",
    )
