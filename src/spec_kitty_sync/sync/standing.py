"""How the journal stands towards a target, from maintained counts (CONTRACT 7, Operator)."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import NamedTuple

from spec_kitty_sync.delivery.counting import read_counts
from spec_kitty_sync.delivery.targets import Target
from spec_kitty_sync.delivery.waiting import (
    Barriers,
    Waiting,
    count_ahead,
    count_between,
    count_opened,
    first_waiting,
)
from spec_kitty_sync.event_journal.counting import (
    BLOCK,
    CountGroup,
    appended_at,
    blocks_with_free,
    read_groups,
    types_of,
)
from spec_kitty_sync.sync.status_report import LedgerSection, QueueStats
from spec_kitty_sync.sync.workspace import Workspace

_TOP_TYPES = 5
_LOOK_AT_OPEN = 20_000
_LOOK_INTO = 8
_SET_APART = ("archived", "superseded", "local_only")


class Standing(NamedTuple):
    """One target's events by state, and why some stay here. `oldest_ms`: of those that wait.

    `unaccounted` events are in the journal, and neither in the ledger nor ahead of it: somebody
    else, or a damaged page, took their rows. They count as undelivered.
    """

    target: Target | None
    ledger: LedgerSection
    held: dict[str, int]
    stats: QueueStats
    oldest_ms: int | None
    groups: tuple[CountGroup, ...]
    other_teams: tuple[str, ...] = ()
    unaccounted: int = 0


def read_standing(workspace: Workspace) -> Standing:
    """Return how things stand; the work does not grow with the journal."""
    with workspace.store.snapshot():
        return _read_standing(workspace)


def _read_standing(workspace: Workspace) -> Standing:
    target = workspace.known_target()
    states = read_counts(workspace.store, target) if target else {}
    by_state: Counter[str] = Counter()
    held: Counter[str] = Counter()
    for (state, category), n in states.items():
        by_state[state] += n
        if state == "held":
            held[category] += n
    groups = read_groups(workspace.store)
    rowless = Counter(_beyond(workspace, target, groups))
    total = sum(group.events for group in groups)
    unaccounted = abs(total - sum(by_state.values()) - sum(rowless.values()))
    unaccounted += _set_apart_by_nobody(groups, held)
    rowless.update(_opened(workspace, target, by_state["open"]))
    fresh = rowless.pop(None, 0)
    held.update({barrier: n for barrier, n in rowless.items() if barrier and n > 0})
    held["archived"] -= _gone_by_choice(groups)
    shown = {code: n for code, n in held.items() if n > 0 and code != "superseded"}
    ledger = _ledger(workspace, target, by_state, sum(shown.values()), max(0, fresh) + unaccounted)
    stats, oldest_ms = _queue_stats(workspace, target, ledger)
    teams = _other_teams(groups, target.team_slug) if target and "other_team" in shown else ()
    return Standing(target, ledger, shown, stats, oldest_ms, groups, teams, unaccounted)


def _set_apart_by_nobody(groups: Iterable[CountGroup], seen: Mapping[str, int]) -> int:
    """Return how many more rows look set apart than the journal has counted."""
    counted = _barriers(groups, None)
    return max(0, sum(seen.get(code, 0) - counted.get(code, 0) for code in _SET_APART))


def _gone_by_choice(groups: Iterable[CountGroup]) -> int:
    """Return how many events nobody will ever be sent, because that is what was asked for.

    A few of them may have been delivered before: then fewer than are missing are counted missing.
    """
    return sum(
        group.events
        for group in groups
        if group.removed and (group.removed == "discarded" or group.local_only or group.superseded)
    )


def _other_teams(groups: Iterable[CountGroup], team: str | None) -> tuple[str, ...]:
    found = {group.team for group in groups if barrier_of(group, team) == "other_team"}
    return tuple(sorted(name for name in found if name))


def _opened(workspace: Workspace, target: Target | None, count: int) -> Barriers:
    """Return the barriers of the ledger's open rows, as far as looking at each is cheap."""
    if target is None or not count:
        return {}
    if count > _LOOK_AT_OPEN:
        return {None: count}
    return count_opened(workspace.store, target)


def _beyond(workspace: Workspace, target: Target | None, groups: Iterable[CountGroup]) -> Barriers:
    """Return the barriers of the events that the ledger has no row for: those behind the mark."""
    if target is None:
        return _barriers(groups, workspace.resolved.team_slug)
    block = target.mark // BLOCK + 1
    store = workspace.store
    whole = _barriers(read_groups(store, from_block=block), target.team_slug)
    found = Counter(whole)
    found.update(count_between(store, target, after=target.mark, before=block * BLOCK))
    found.subtract(count_ahead(store, target))
    return dict(found)


def _barriers(groups: Iterable[CountGroup], team: str | None) -> Barriers:
    found: Counter[str | None] = Counter()
    for group in groups:
        found[barrier_of(group, team)] += group.events
    return dict(found)


def barrier_of(group: CountGroup, team: str | None) -> str | None:
    """Return why events of *group* stay here for a target of *team*; None if they may leave.

    Mirrors the view `delivery_candidates`, except for a target's own limit of an event's size.
    """
    if group.removed:
        return "archived"
    if group.superseded:
        return "superseded"
    if group.hold:
        return group.hold
    if group.local_only:
        return "local_only"
    if team and group.team and group.team != team:
        return "other_team"
    return None


def _ledger(
    workspace: Workspace, target: Target | None, by_state: Counter[str], held: int, fresh: int
) -> LedgerSection:
    current = target.target_id if target else None
    others = sum(
        delivered_to(workspace, each)
        for each in workspace.targets.all()
        if each.target_id != current
    )
    retrying = by_state["pending"] + by_state["transient"] + by_state["rejected"]
    return LedgerSection(
        undelivered=fresh + retrying,
        delivered_current_target=by_state["delivered"],
        delivered_previous_target=others,
        pending=by_state["pending"],
        rejected=by_state["rejected"],
        transient=by_state["transient"],
        held=held,
        dead_letter=by_state["dead_letter"],
        terminal_failed=by_state["terminal_failed"],
    )


def delivered_to(workspace: Workspace, target: Target) -> int:
    """Return how many events of the current epoch *target* has."""
    counts = read_counts(workspace.store, target)
    return sum(n for (state, _), n in counts.items() if state == "delivered")


def _queue_stats(
    workspace: Workspace, target: Target | None, ledger: LedgerSection
) -> tuple[QueueStats, int | None]:
    failed = ledger.rejected + ledger.dead_letter + ledger.terminal_failed
    if not ledger.undelivered:
        return QueueStats(0, failed, None, {}, ()), None
    first, oldest_ms = _look(workspace, target)
    age = None
    if oldest_ms is not None:
        age = timedelta(milliseconds=max(0, workspace.clock.now_ms() - oldest_ms))
    types = types_of(workspace.store, first.seqs)[:_TOP_TYPES]
    stats = QueueStats(ledger.undelivered, failed, age, _retries(ledger, first.attempts), types)
    return stats, oldest_ms


def _look(workspace: Workspace, target: Target | None) -> tuple[Waiting, int | None]:
    """Return the first events that wait, and when the oldest was appended.

    Only blocks that hold such events are looked into, wherever they are. Where the first ones hold
    none after all (too large for the target, told of already), the time is that of the first event
    which was not looked at: none that waits is older.
    """
    store = workspace.store
    team, mark = workspace.resolved.team_slug, 0
    if target is not None:
        team, mark = target.team_slug, target.mark
    free = blocks_with_free(store, team, from_block=mark // BLOCK, n=_LOOK_INTO + 1)
    stretches = [(max(mark, block * BLOCK - 1), (block + 1) * BLOCK - 1) for block in free]
    first = first_waiting(store, target, stretches=stretches[:_LOOK_INTO], team=team)
    if first.seqs:
        return first, appended_at(store, first.seqs[0])
    unseen = stretches[_LOOK_INTO:] or stretches
    return first, appended_at(store, unseen[0][0] + 1) if unseen else None


def _retries(ledger: LedgerSection, attempts: tuple[int, ...]) -> dict[str, int]:
    """Return how often the waiting events were tried: bucket → events; no empty bucket."""
    retrying = ledger.pending + ledger.transient + ledger.rejected
    few = sum(1 for tries in attempts if tries <= 3)
    found = {
        "0 retries": ledger.undelivered - retrying,
        "1-3 retries": few,
        "4+ retries": len(attempts) - few,
        "not examined": max(0, retrying - len(attempts)),
    }
    return {bucket: n for bucket, n in found.items() if n}
