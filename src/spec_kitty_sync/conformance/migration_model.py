"""The model of a migration: what must become of every row of a home, drawn at random."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from spec_kitty_sync.conformance.builder import Builder, JsonObject
from spec_kitty_sync.conformance.migration_homes import Row

_SPELLINGS: Final[tuple[Callable[[JsonObject], str], ...]] = (
    lambda event: json.dumps(event),
    lambda event: json.dumps(dict(reversed(list(event.items())))),
    lambda event: json.dumps(event, indent=1, ensure_ascii=False),
)
_BROKEN: Final = (None, "{oops", "[]", "{}", 7)


@dataclass
class PluralHome:
    """Rows by source, in the order in which sources are read, and what becomes of them."""

    sources: list[list[Row]]
    imported: int = 0
    duplicates: int = 0
    conflicts: int = 0
    quarantined: int = 0
    contents: dict[str, JsonObject] = field(default_factory=dict)
    disputed: set[str] = field(default_factory=set)
    unsendable: set[str] = field(default_factory=set)

    @property
    def rows(self) -> int:
        """How many rows all sources have; the four numbers add up to it."""
        return sum(len(rows) for rows in self.sources)

    @property
    def arriving(self) -> list[str]:
        """The ids that a drain after the migration delivers, in the order of import."""
        kept = self.disputed | self.unsendable
        return [event_id for event_id in self.contents if event_id not in kept]

    def take(self, event: JsonObject) -> None:
        """Conclude what becomes of one readable row, given the rows before it."""
        event_id = event["event_id"]
        first = self.contents.setdefault(event_id, event)
        if first is event:
            self.imported += 1
        elif first == event:
            self.duplicates += 1
        else:
            self.conflicts += 1
            self.disputed.add(event_id)


def draw_home(make: Builder, seed: int, *, sources: int = 4, events: int = 12) -> PluralHome:
    """Return a home of *sources* queues that share *events*, with every kind of row among them."""
    random = Random(seed)
    pool = [make.event("HistoryAdded") for _ in range(events)]
    home = PluralHome([[] for _ in range(sources)])
    for event in random.sample(pool, 2):
        event["project_uuid"] = None
        home.unsendable.add(event["event_id"])
    for number, rows in enumerate(home.sources):
        for event in random.sample(pool, random.randint(3, events)):
            if random.random() < 0.1:
                rows.append(Row(make.new_id(), random.choice(_BROKEN)))
                home.quarantined += 1
            told = dict(event)
            if random.random() < 0.15:
                told = {**event, "payload": {**event["payload"], "entry_content": f"in {number}"}}
            rows.append(Row(told["event_id"], random.choice(_SPELLINGS)(told)))
            home.take(told)
    return home
