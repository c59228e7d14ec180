"""A receiver in forty lines: which answers are legal for each event, given what went before."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from spec_kitty_sync.conformance.builder import JsonObject

ACCEPTED = frozenset({"success", "pending", "queued"})
REFUSED = frozenset({"rejected", "failed_permanent"})
_CONFLICT = frozenset({"rejected", "failed_permanent", "duplicate"})


@dataclass
class ReceiverModel:
    """What a receiver may know after a history: settled contents, open ones, uncertain ones.

    `settled`: success or duplicate was said. `open`: pending was said. `unsure`: sent, but the
    answer was lost, so the event may or may not be stored.
    """

    settled: dict[str, str] = field(default_factory=dict)
    open: dict[str, str] = field(default_factory=dict)
    unsure: dict[str, str] = field(default_factory=dict)

    def legal(self, event: JsonObject, valid: bool) -> frozenset[str]:
        """Return every status that a receiver may give *event* now (CONTRACT 5)."""
        event_id, content = event["event_id"], content_of(event)
        if event_id in self.settled:
            same = self.settled[event_id] == content
            if not valid:
                return REFUSED | {"duplicate"}
            return frozenset({"duplicate"}) if same else _CONFLICT
        if not valid:
            return REFUSED if event_id not in self.open | self.unsure else _CONFLICT
        known = self.open.get(event_id) or self.unsure.get(event_id)
        if known is None:
            return ACCEPTED
        return ACCEPTED | {"duplicate"} if known == content else _CONFLICT | ACCEPTED

    def observe(self, event: JsonObject, status: str) -> None:
        """Remember what the receiver said about *event*."""
        event_id, content = event["event_id"], content_of(event)
        if status in {"success", "duplicate"}:
            first = self.settled.get(event_id) or self.open.get(event_id)
            if first is None and status == "duplicate":
                first = self.unsure.get(event_id)
            self.settled[event_id] = first or content
            self.unsure.pop(event_id, None)
        elif status in {"pending", "queued"}:
            self.open.setdefault(event_id, content)
            self.unsure.pop(event_id, None)

    def lose(self, events: Iterable[tuple[JsonObject, bool]]) -> None:
        """Remember that *events* were sent and that nobody heard the answer."""
        for event, valid in events:
            event_id = event["event_id"]
            if valid and event_id not in self.settled and event_id not in self.open:
                self.unsure.setdefault(event_id, content_of(event))


def content_of(event: JsonObject) -> str:
    """Return the canonical text of *event*: keys sorted, no spaces."""
    return json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
