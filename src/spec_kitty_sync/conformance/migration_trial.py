"""What a migration check can do: make a home, run the tool, look at what it drains."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from spec_kitty_sync.conformance import migration_homes as homes
from spec_kitty_sync.conformance.adapter import Adapter
from spec_kitty_sync.conformance.builder import Builder, JsonObject, Namespace
from spec_kitty_sync.conformance.migration_homes import Row
from spec_kitty_sync.conformance.probe import ControlFailed
from spec_kitty_sync.conformance.stub import StubServer
from spec_kitty_sync.conformance.trial import Ran, Trial, pointed

DIGESTS: Final = ("00000000000000a1", "00000000000000b2", "00000000000000c3")
_SHOWN: Final = 5


def some(ids: Sequence[str]) -> str:
    """Return *ids* as a person reads them, five at most."""
    return ", ".join(ids[:_SHOWN]) + (" …" if len(ids) > _SHOWN else "")


class MigrationTrial(Trial):
    """A migration tool in a home full of old queues.

    When the check is over, every source has to be as it was, unless `touched` says otherwise.
    """

    def __init__(self, adapter: Adapter, stub: StubServer, folder: Path) -> None:
        super().__init__(adapter, stub, folder)
        self.make = Builder(Namespace(folder.name, time.time_ns() // 1_000_000), "migration")
        self.touched = False
        self._before: dict[str, str] = {}

    @property
    def legacy(self) -> Path:
        """The queue of a CLI that was not logged in."""
        return self.home / "queue.db"

    def scoped(self, number: int = 0) -> Path:
        """Return the path of a queue of some server, user and team that nobody knows any more."""
        return self.home / "queues" / f"queue-{DIGESTS[number]}.db"

    def events(self, count: int, **edits: object) -> list[JsonObject]:
        """Return *count* new events as an old CLI made them."""
        return homes.events_of(self.make, count, **edits)

    def write(self, path: Path, events: Iterable[JsonObject], **form: object) -> list[str]:
        """Write *events* into the queue at *path* and return their ids."""
        listed = list(events)
        try:
            homes.write_queue(path, [homes.row_of(one, **form) for one in listed])
        except sqlite3.Error as exc:
            if not self.touched:
                raise
            self.expect(
                False,
                expected="an old CLI can go on writing into its own queue",
                got=f"its write into {path.name} failed: {exc}",
            )
        return [str(one["event_id"]) for one in listed]

    def write_rows(self, path: Path, rows: Iterable[Row]) -> Path:
        """Write rows of any kind into a table without rules."""
        return homes.write_queue(path, rows, table=homes.LOOSE_SQL)

    def migrate(self, note: str = "") -> Ran:
        """Run the migration."""
        self.remember()
        return self.run("migrate", note=note)

    def remember(self) -> None:
        """Note what the sources hold now; they have to hold the same at the end."""
        if not self._before:
            self._before = self._sources()

    def drained(self) -> list[str]:
        """Drain what the tool has into the stub and return the ids that have arrived by now."""
        if not self.exchanges or not any(one.request.note == "server" for one in self.exchanges):
            ran = self.run("server")
            if ran.exit_code != 0:
                raise ControlFailed(f"`server` should accept the stub: {ran.text[:200]}")
        self.run("drain")
        return list(self.stub.stored_ids)

    def number(self, ran: Ran, field: str) -> int | None:
        """Return a number of the migration's report, where the adapter says where it stands."""
        if not self.has("report") or field not in self.adapter.status:
            return None
        value = pointed(ran.json, self.adapter.status[field])
        return value if type(value) is int else None

    def expect_number(self, ran: Ran, field: str, count: int, because: str) -> None:
        """Ask for a number of the report, where there is one."""
        found = self.number(ran, field)
        self.expect(
            found is None or found == count,
            expected=f"the report says {field} = {count}: {because}",
            got=lambda: f"{field} = {found}",
            step=ran.step,
        )

    def expect_arrived(self, ids: Iterable[str], because: str) -> None:
        """Ask that exactly *ids* have arrived after a drain."""
        arrived, wanted = self.drained(), list(ids)
        lost = sorted(set(wanted) - set(arrived))
        more = sorted(set(arrived) - set(wanted))
        self.expect(
            not lost and not more,
            expected=f"{len(wanted)} events arrive: {because}",
            got=lambda: "; ".join(
                f"{len(ids)} {what}: {some(ids)}"
                for ids, what in ((lost, "missing"), (more, "that should not"))
                if ids
            ),
            about=(more or [""])[0],
        )
        twice = [one for one, count in Counter(self.stub.seen_ids).items() if count > 1]
        self.expect(
            not twice,
            expected="what was taken is not sent again",
            got=lambda: f"{len(twice)} were sent twice, the first is {twice[0]}",
            about=twice[0] if twice else "",
        )

    def expect_named(self, ran: Ran, words: Iterable[str]) -> None:
        """Ask that the output names each of *words*."""
        absent = [word for word in words if word not in ran.text]
        self.expect(
            not absent,
            expected=f"the output names {', '.join(absent)}",
            got=lambda: ran.text[:300],
            step=ran.step,
        )

    def rehearse(self, rows: int) -> float:
        """Migrate as many *rows* in another home, and return how many seconds it took."""
        home, self.home = self.home, self.folder / "rehearsal"
        self.write(self.scoped(), self.events(rows))
        ran = self.run("migrate", note="a run that nobody disturbs, in another home")
        self.home = home
        return self.seconds_of(ran)

    def settle(self) -> None:
        """Ask that the sources are as they were."""
        if self.touched or not self._before:
            return
        now = self._sources()
        changed = [name for name, told in self._before.items() if now.get(name) != told]
        self.expect(
            not changed,
            expected="every source byte for byte as it was",
            got=lambda: f"changed or gone: {', '.join(changed[:5])}",
        )

    def _sources(self) -> dict[str, str]:
        ours = ("queue.db", "queues", "event_journal", "projects")
        return {
            name: told
            for name, told in homes.image(self.home).items()
            if name.startswith(ours) and told != "folder" and not name.endswith("-shm")
        }
