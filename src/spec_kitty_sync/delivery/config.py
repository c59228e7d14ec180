"""What this home does with events: keep them or not, deliver them where (CONTRACT 6, Modes)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from spec_kitty_sync._clock import Clock
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.errors import UsageError

_ADD_AUDIT = "INSERT INTO delivery_audit(at, action, detail) VALUES (?, ?, ?)"
_AUDIT = """
SELECT at, action, detail FROM delivery_audit
WHERE action IN ('discard_recorded', 'discard_refused') ORDER BY audit_id
"""
_DROPPABLE = frozenset({"discardable", "local_only"})


class Retention(StrEnum):
    """Whether events are kept in the journal."""

    ON = "on"
    OFF = "off"


class Delivery(StrEnum):
    """Which kind of receiver events go to."""

    NONE = "none"
    TEAMSPACE = "teamspace"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class EventSyncConfig:
    """One choice on each of the two axes; four combinations have names.

    Raises:
        UsageError: retention is off while something should be delivered.
    """

    retention: Retention
    delivery: Delivery

    TEAMSPACE: ClassVar[EventSyncConfig]
    EXTERNAL_RECEIVER: ClassVar[EventSyncConfig]
    LOCAL_RETENTION: ClassVar[EventSyncConfig]
    OPT_OUT: ClassVar[EventSyncConfig]
    TRASH: ClassVar[EventSyncConfig]

    def __post_init__(self) -> None:
        if self.retention is Retention.OFF and self.delivery is not Delivery.NONE:
            raise UsageError(
                "events that are not kept cannot be delivered",
                remedy="Choose the mode OPT_OUT, or keep events: TEAMSPACE, EXTERNAL_RECEIVER.",
            )

    @classmethod
    def from_mode(
        cls, mode: str | None, *, has_target: bool = False, has_team: bool = False
    ) -> EventSyncConfig:
        """Return the preset called *mode* (any case); without one, what the home is set up for.

        Raises:
            UsageError: there is no preset of that name.
        """
        if mode is None or not mode.strip():
            if not has_target:
                return cls.LOCAL_RETENTION
            return cls.TEAMSPACE if has_team else cls.EXTERNAL_RECEIVER
        wanted = mode.strip().upper().replace("-", "_")
        preset = {**_presets(), "TRASH": cls.OPT_OUT}.get(wanted)
        if preset is None:
            raise UsageError(
                f"there is no sync mode {mode!r}",
                remedy=f"Choose one of {', '.join(_presets())}.",
            )
        return preset

    @property
    def mode(self) -> str:
        """The preset's name."""
        return next(name for name, preset in _presets().items() if preset == self)

    def judge_discard(self, *, family: str, tier: int) -> DiscardVerdict:
        """Return whether an event may be dropped instead of stored; a team-bound one never."""
        if self.retention is Retention.ON:
            return DiscardVerdict.KEEP
        if tier == 0 or family in _DROPPABLE:
            return DiscardVerdict.DROP
        return DiscardVerdict.REFUSE


class DiscardVerdict(StrEnum):
    """What the mode says about not keeping an event. REFUSE: it is stored all the same."""

    KEEP = "keep"
    DROP = "drop"
    REFUSE = "refuse"


EventSyncConfig.TEAMSPACE = EventSyncConfig(Retention.ON, Delivery.TEAMSPACE)
EventSyncConfig.EXTERNAL_RECEIVER = EventSyncConfig(Retention.ON, Delivery.EXTERNAL)
EventSyncConfig.LOCAL_RETENTION = EventSyncConfig(Retention.ON, Delivery.NONE)
EventSyncConfig.OPT_OUT = EventSyncConfig(Retention.OFF, Delivery.NONE)
EventSyncConfig.TRASH = EventSyncConfig.OPT_OUT


def _presets() -> dict[str, EventSyncConfig]:
    names = ("TEAMSPACE", "EXTERNAL_RECEIVER", "LOCAL_RETENTION", "OPT_OUT")
    return {name: getattr(EventSyncConfig, name) for name in names}


@dataclass(frozen=True, slots=True)
class DiscardEntry:
    """One audited discard. `at` is epoch milliseconds; `refused`: the event was stored."""

    at: int
    event_id: str
    event_type: str
    family: str
    refused: bool


class DiscardAudit:
    """The durable trace of every event that a mode dropped, or would not drop."""

    def __init__(self, store: Store, *, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def note(self, verdict: DiscardVerdict, *, event_id: str, event_type: str, family: str) -> None:
        """Write down a drop or its refusal; an event that is simply kept leaves no trace."""
        if verdict is DiscardVerdict.KEEP:
            return
        refused = verdict is DiscardVerdict.REFUSE
        action = "discard_refused" if refused else "discard_recorded"
        detail = {"event_id": event_id, "event_type": event_type, "family": family}
        with self._store.transaction() as conn:
            row = (self._clock.now_ms(), action, json.dumps(detail, sort_keys=True))
            conn.execute(_ADD_AUDIT, row)

    def entries(self) -> tuple[DiscardEntry, ...]:
        """Return every audited discard, the oldest first."""
        with self._store.reading() as conn:
            rows = conn.execute(_AUDIT).fetchall()
        return tuple(
            DiscardEntry(at=at, refused=action == "discard_refused", **json.loads(detail))
            for at, action, detail in rows
        )
