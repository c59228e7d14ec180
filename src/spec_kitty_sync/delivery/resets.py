"""Whether a server may have lost what was delivered to it (CONTRACT 6, Targets).

Nothing is stored for this: the deployments that were seen, the epoch's beginning and the audit say
it together, so that it lasts until somebody redelivers or says that the data is still there.
"""

from __future__ import annotations

from itertools import pairwise

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.targets import Target, TargetRegistry, looks_reset

_CONFIRMED = "deployment_confirmed"
_SETTLED = """
SELECT max(e.started_at, coalesce((SELECT max(a.at) FROM delivery_audit a
                                   WHERE a.action = ?1 AND a.target_id = e.target_id), 0))
FROM delivery_epochs e WHERE e.target_id = ?2 AND e.epoch = ?3
"""
_TAKEN_BEFORE = """
SELECT EXISTS(SELECT 1 FROM delivery_log WHERE target_id = ? AND epoch = ? AND at <= ?
              AND delivered + duplicates + pending > 0)
"""


def reset_seen_at(store: Store, target: Target, *, clock: Clock) -> int | None:
    """Return when *target* first answered as a deployment that may lack what was delivered.

    None: it never did since the present epoch began, or it was confirmed since.
    """
    seen = TargetRegistry(store, clock=clock).deployments(target.target_id)
    resets = [at for (_, old), (at, new) in pairwise(seen) if looks_reset(old, new)]
    if not resets:
        return None
    where = (target.target_id, target.epoch)
    with store.reading() as conn:
        settled_at = conn.execute(_SETTLED, (_CONFIRMED, *where)).fetchone()[0]
        since = next((at for at in resets if at > settled_at), None)
        if since is None or not conn.execute(_TAKEN_BEFORE, (*where, since)).fetchone()[0]:
            return None
    return since


def confirm_data(store: Store, target: Target, *, clock: Clock) -> None:
    """Note that the server behind *target* still has what was delivered."""
    with store.transaction() as conn:
        registry = TargetRegistry(store, clock=clock)
        registry.audit(conn, _CONFIRMED, target.target_id, {"url": target.url})
