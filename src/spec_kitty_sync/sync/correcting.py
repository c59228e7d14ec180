"""Putting single events right: send again, replace, discard (CONTRACT 6, Correction)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from spec_kitty_sync.delivery.retries import retry
from spec_kitty_sync.delivery.states import DeliveryState
from spec_kitty_sync.delivery.targets import Target
from spec_kitty_sync.errors import (
    AdmissionError,
    ContractError,
    NoTargetError,
    SpecKittyError,
    UsageError,
)
from spec_kitty_sync.events.admission import Admitted, admit
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
    events = _admitted(source, event_id)
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


def _admitted(source: Path, event_id: str | None) -> list[Admitted]:
    """Return the events of the file; the first that is none is named with its line.

    Raises:
        UsageError, AdmissionError
    """
    registry, events = default_registry(), []
    for number, body in _bodies(source, event_id):
        try:
            events.append(admit(body, registry=registry))
        except AdmissionError as exc:
            place = str(source) if event_id is not None else f"{source} line {number}"
            kind = "not JSON: " if exc.facts.get("reason") == "not_json" else ""
            raise AdmissionError(
                f"{place}: {kind}{exc.message}",
                remedy="Mend the file; nothing was replaced. `spec-kitty diagnose "
                f"{shlex.quote(str(source))}` shows every rule it breaks.",
                **exc.facts,
            ) from exc
    return events


def _bodies(source: Path, event_id: str | None) -> list[tuple[int, bytes]]:
    """Return the events of the file, each with the number of its line."""
    try:
        data = source.read_bytes()
    except OSError as exc:
        raise UsageError(f"{source}: {exc.strerror}", remedy="Check the file's name.") from exc
    if event_id is not None:
        return [(1, data.strip())]
    numbered = enumerate(data.splitlines(), start=1)
    lines = [(number, line.strip()) for number, line in numbered if line.strip()]
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
