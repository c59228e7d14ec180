"""What must always be true of the ledger; `doctor` and the tests recount it."""

from __future__ import annotations

from spec_kitty_sync._sqlite import Store

_UNCOVERED = """
SELECT e.target_id, e.epoch, count(*)
FROM delivery_epochs e JOIN journal_ids j ON j.seq <= e.mark
WHERE NOT EXISTS (SELECT 1 FROM delivery_ledger l
                  WHERE l.target_id = e.target_id AND l.epoch = e.epoch AND l.seq = j.seq)
GROUP BY e.target_id, e.epoch
"""
_MISCOUNTED = """
SELECT target_id, epoch, state, category, sum(kept), sum(found)
FROM (SELECT target_id, epoch, state, category, n AS kept, 0 AS found FROM delivery_counts
      UNION ALL
      SELECT target_id, epoch, state, category, 0, count(*) FROM delivery_ledger
      GROUP BY target_id, epoch, state, category)
GROUP BY target_id, epoch, state, category HAVING sum(kept) <> sum(found)
"""
_STRAY = """
SELECT l.target_id, l.epoch, count(*) FROM delivery_ledger l
WHERE NOT EXISTS (SELECT 1 FROM journal_ids j WHERE j.seq = l.seq)
GROUP BY l.target_id, l.epoch
"""


def find_faults(store: Store) -> list[str]:
    """Return one sentence for each broken invariant of the ledger; empty when it is sound.

    Reads the whole ledger: for `doctor` and tests, not for every command.
    """
    faults = []
    with store.reading() as conn:
        for target, epoch, n in conn.execute(_UNCOVERED):
            faults.append(f"target {target} epoch {epoch}: {n} events below the mark have no row")
        for target, epoch, state, category, kept, found in conn.execute(_MISCOUNTED):
            what = f"{state}/{category}" if category else state
            faults.append(
                f"target {target} epoch {epoch}: {found} rows are {what}, {kept} are counted"
            )
        for target, epoch, n in conn.execute(_STRAY):
            faults.append(f"target {target} epoch {epoch}: {n} rows have no event")
    return faults
