"""Live delivery, hurt on both sides of the wire: see `fault_ground` for the ground.

receiver-sql, receiver-wire   the receiver is killed, see `live_receiver`; the sender goes on
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from fault_ground import Ground, Point
from fault_stage import Scenario, Stage, nothing
from live_receiver import TOKEN, LiveReceiver, ReceiverWire
from oracle import examine

from spec_kitty_sync._urls import canonical_url
from spec_kitty_sync.sync.config import TOKEN_VARIABLE, Settings
from spec_kitty_sync.sync.delivering import drain_home
from spec_kitty_sync.sync.emitting import open_emitter
from spec_kitty_sync.sync.runtime import SyncRuntime
from spec_kitty_sync.sync.status import build_status
from spec_kitty_sync.sync.store import open_home

_OF_THE_RECEIVER = "receiver-"
_BODIES = "SELECT event_id, body FROM event_journal WHERE tier > 0 ORDER BY seq"


class LiveGround(Ground):
    """A ground with a real receiver beside it, whose database is part of every starting state."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self._receiver = LiveReceiver()
        stage = Stage(folder / "stage", url=self._receiver.url)
        stage.folder.mkdir()
        self._receiver.start(_database(stage))
        super().__init__(scenario, folder, stage)

    def count(self, kind: str | None = None) -> dict[str, int]:
        points = super().count(kind)
        counted = {_OF_THE_RECEIVER + what: n for what, n in self._receiver.stop().items()}
        return {**points, **counted}

    def close(self) -> None:
        self._receiver.stop()

    def _fresh(self) -> None:
        self._receiver.stop()
        super()._fresh()
        self._receiver.start(_database(self.stage))

    def _strike(self, point: Point, acknowledged: dict[str, bytes]) -> bool:
        kind, number = point
        if kind.startswith(_OF_THE_RECEIVER):
            there = (kind.removeprefix(_OF_THE_RECEIVER), number)
            self._receiver.start(_database(self.stage), there)
            super()._strike(("sql", 0), acknowledged)
            hurt = not self._receiver.alive
            self._receiver.start(_database(self.stage))
            return hurt
        return super()._strike(point, acknowledged)

    def _judge(self, acknowledged: dict[str, bytes]) -> None:
        """The next `sync now` completes what was begun, and the receiver has it exactly once."""
        settings = live_settings(self.stage)
        waiting = build_status(settings).delivery_ledger.undelivered
        report = drain_home(settings)
        assert report.stop is None, report.stop
        assert report.delivered + report.duplicates == waiting, "not just what was open was sent"
        assert build_status(settings).delivery_ledger.undelivered == 0
        wire = ReceiverWire(canonical_url(self._receiver.url), _database(self.stage))
        with open_home(self.stage.home) as store:
            kept = store.conn.execute(_BODIES).fetchall()
        assert sorted(wire.stored()) == sorted(kept), "not each event once, to the byte"
        examine(self.stage.home, acknowledged, wire)
        assert len(wire.stored()) == len(kept) + 1, "more than the fresh event arrived"


def live_settings(stage: Stage) -> Settings:
    """Return the settings of a user whose token stands in a variable."""
    usual = stage.settings
    return replace(usual, environ={**usual.environ, TOKEN_VARIABLE: TOKEN})


def _database(stage: Stage) -> Path:
    return stage.folder / "receiver.db"


def emit_live(stage: Stage, count: int) -> None:
    """Do what a process with background delivery does: deliver what waits, connect, emit."""
    settings = live_settings(stage)
    if build_status(settings).delivery_ledger.undelivered:
        drain_home(settings)
    with open_emitter(settings) as emitter:
        runtime = SyncRuntime(emitter=emitter, settings=settings)
        runtime.keep_live()
        for number in range(count):
            payload = {"wp_id": "WP01", "entry_type": "note", "entry_content": f"note {number}"}
            tier = 0 if number == 1 else None  # one that must not leave
            event = emitter.emit("HistoryAdded", "WP01", payload, data_tier=tier)
            stage.acknowledge(event.event_id, event.to_wire())
        runtime.stop()


LIVE = {
    "live-fresh": Scenario(nothing, partial(emit_live, count=3)),
    "live-again": Scenario(partial(emit_live, count=3), partial(emit_live, count=4)),
}
