"""Putting single events right: send again, replace, discard (CONTRACT 6, Correction)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spec_kitty_sync.delivery.retries import retry
from spec_kitty_sync.delivery.states import DeliveryState
from spec_kitty_sync.delivery.targets import Target
from spec_kitty_sync.errors import ContractError, NoTargetError, SpecKittyError, UsageError
from spec_kitty_sync.events.admission import admit
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.workspace import Workspace, open_workspace


@dataclass(frozen=True)
class RetryChoice:
    """Which events to send again: by id, by state, by category; all that are given must hold."""

    event_ids: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    category: str | None = None

    @property
    def empty(self) -> bool:
        return not (self.event_ids or self.states or self.category)


@dataclass(frozen=True)
class Retried:
    """How many events are put back, and why each of the named others is not."""

    target: str
    put_back: int
    left: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Corrected:
    """The ids that were changed, and why each of the others was not: id, reason, remedy."""

    changed: tuple[str, ...]
    refused: tuple[tuple[str, str, str], ...]

    @property
    def exit_code(self) -> int:
        return 1 if self.refused else 0


def retry_events(settings: Settings, choice: RetryChoice) -> Retried:
    """Open the chosen events for the present target again; their rejections count from zero.

    Raises:
        UsageError: nothing is chosen, or an id is not in the journal.
        NoTargetError: nothing was sent to the present target yet.
    """
    if choice.empty:
        raise UsageError(
            "which events?",
            remedy="Name their ids, or give --dead, --terminal, --rejected, --transient, --held, "
            "or --category NAME.",
        )
    with open_workspace(settings) as workspace:
        target = _sent_to(workspace)
        for event_id in choice.event_ids:
            _stored(workspace, event_id)
        put_back = retry(
            workspace.store,
            target,
            event_ids=choice.event_ids or None,
            states=[DeliveryState(state) for state in choice.states] or None,
            category=choice.category,
        )
        left = tuple(_left(workspace, target, choice.event_ids))
    return Retried(target.url, put_back, left)


def _sent_to(workspace: Workspace) -> Target:
    workspace.resolved.require()
    target = workspace.known_target()
    if target is None:
        raise NoTargetError(
            f"nothing was sent to {workspace.resolved.resolved_server_url} yet",
            remedy="Run `spec-kitty sync now`.",
        )
    return target


def _stored(workspace: Workspace, event_id: str) -> int:
    record = workspace.journal.get(event_id)
    if record is None:
        raise UsageError(
            f"event {event_id} is not in the journal",
            remedy="Run `spec-kitty sync show --state dead_letter` to list what is parked.",
        )
    return record.seq


def _left(
    workspace: Workspace, target: Target, event_ids: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Yield the named events that are not open now, with the state they keep."""
    from spec_kitty_sync.delivery.history import rows_of

    for event_id in event_ids:
        rows = rows_of(workspace.store, _stored(workspace, event_id))
        state = next(
            (row.state for row in rows if row.current and row.target_id == target.target_id), None
        )
        if state not in (None, "open"):
            yield event_id, str(state)


def replace_events(
    settings: Settings, source: Path, *, event_id: str | None = None, reason: str
) -> Corrected:
    """Put new bytes in place of events that no target accepted; their ids stay.

    With *event_id* the file holds that event; without, one event on each line.

    Raises:
        UsageError: the file cannot be read, or holds another id.
        AdmissionError, InvalidEventError: an event of the file is none, or could not leave either.
    """
    bodies = _bodies(source, event_id)
    registry = default_registry()
    events = [admit(body, registry=registry) for body in bodies]
    if event_id is not None and events[0].event_id != event_id:
        raise UsageError(
            f"{source} holds {events[0].event_id}, not {event_id}",
            remedy="Give the event its own id; an id is never changed.",
        )
    with open_workspace(settings) as workspace:
        changed, refused = [], []
        for event in events:
            try:
                workspace.corrections.replace(event, reason=reason)
                changed.append(event.event_id)
            except ContractError as exc:
                if event_id is not None:
                    raise
                refused.append((event.event_id, exc.message, exc.remedy))
    return Corrected(tuple(changed), tuple(refused))


def _bodies(source: Path, event_id: str | None) -> list[bytes]:
    try:
        data = source.read_bytes()
    except OSError as exc:
        raise UsageError(f"{source}: {exc.strerror}", remedy="Check the file's name.") from exc
    if event_id is not None:
        return [data.strip()]
    lines = [line.strip() for line in data.splitlines() if line.strip()]
    if not lines:
        raise UsageError(f"{source} is empty", remedy="Give one event on each line.")
    return lines


def discard_events(settings: Settings, event_ids: Sequence[str], *, reason: str) -> Corrected:
    """Remove the bytes of events that no target accepted; rows and an audit entry stay.

    Raises:
        ContractError: the only one that is named cannot be discarded.
    """
    with open_workspace(settings) as workspace:
        changed, refused = [], []
        for event_id in event_ids:
            try:
                workspace.corrections.discard(event_id, reason=reason)
                changed.append(event_id)
            except SpecKittyError as exc:
                if len(event_ids) == 1:
                    raise
                refused.append((event_id, exc.message, exc.remedy))
    return Corrected(tuple(changed), tuple(refused))
