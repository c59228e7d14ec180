"""Orders events by causation (CONTRACT 4)."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from spec_kitty_sync.errors import ContractError
from spec_kitty_sync.events.conflict import total_order_key
from spec_kitty_sync.events.models import Event


class CyclicDependencyError(ContractError):
    """Events cause each other in a circle; `facts["event_ids"]` names them."""

    code = "cyclic_causation"
    default_remedy = "Correct the causation_id of one of the named events."


def topological_sort(events: Iterable[Event]) -> list[Event]:
    """Return *events*, each id once, parents before children, otherwise in total order.

    An event whose parent is not among them is a root.

    Raises:
        CyclicDependencyError: some events cause each other; the message names their ids.
    """
    by_id: dict[str, Event] = {}
    for event in events:
        by_id.setdefault(event.event_id, event)
    children: dict[str, list[Event]] = {}
    ready = []
    for event in by_id.values():
        if event.causation_id in by_id:
            children.setdefault(event.causation_id or "", []).append(event)
        else:
            ready.append((total_order_key(event), event.event_id))
    heapify(ready)
    ordered: list[Event] = []
    while ready:
        event = by_id[heappop(ready)[1]]
        ordered.append(event)
        for child in children.get(event.event_id, ()):
            heappush(ready, (total_order_key(child), child.event_id))
    if len(ordered) < len(by_id):
        left = sorted(_circles(by_id, {event.event_id for event in ordered}))
        raise CyclicDependencyError(
            f"causation goes in a circle: {', '.join(left)}", event_ids=left
        )
    return ordered


def _circles(by_id: dict[str, Event], placed: set[str]) -> set[str]:
    """Return the ids that lie on a circle; those that only hang from one are left out."""
    on_circle: set[str] = set()
    done = set(placed)
    for start in by_id:
        path: list[str] = []
        at: str | None = start
        while at is not None and at not in done and at in by_id:
            done.add(at)
            path.append(at)
            at = by_id[at].causation_id
        if at in path:
            on_circle.update(path[path.index(at) :])
    return on_circle
