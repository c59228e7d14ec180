"""Every combination of what may stand in the way: captured, delivered, recorded, reported."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from producing import Desk, Receiver, Wire

from spec_kitty_sync.auth.credentials import Credentials, save_credentials
from spec_kitty_sync.errors import TargetError
from spec_kitty_sync.sync.config import write_settings
from spec_kitty_sync.sync.delivering import drain_home
from spec_kitty_sync.sync.emitting import open_emitter
from spec_kitty_sync.sync.status import build_status

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
MODES = ("TEAMSPACE", "EXTERNAL_RECEIVER", "LOCAL_RETENTION", "OPT_OUT")


class Cell(NamedTuple):
    """One combination."""

    flag: bool
    auth: str
    team: bool
    network: bool
    same_target: bool
    mode: str
    team_bound: bool

    def __str__(self) -> str:
        return "-".join(
            (
                "flag" if self.flag else "noflag",
                self.auth,
                "team" if self.team else "noteam",
                "up" if self.network else "down",
                "same" if self.same_target else "differ",
                self.mode.lower(),
                "bound" if self.team_bound else "local",
            )
        )


CELLS = [
    Cell(*combination)
    for combination in itertools.product(
        (True, False),
        ("valid", "expired", "missing"),
        (True, False),
        (True, False),
        (True, False),
        MODES,
        (True, False),
    )
]


def gate(cell: Cell) -> str | None:
    """Return the reason that files and environment alone tell."""
    if cell.mode in ("LOCAL_RETENTION", "OPT_OUT"):
        return "local_retention"
    if not cell.same_target:
        return "target_conflict"
    if cell.mode == "TEAMSPACE":
        if not cell.flag:
            return "sync_disabled"
        if cell.auth != "valid":
            return "no_auth"
        if not cell.team:
            return "no_team"
    return None


def after_attempt(cell: Cell) -> str | None:
    """Return the reason that stands beside the event after `sync now`."""
    if closed := gate(cell):
        return closed
    if not cell.network:
        return "offline"
    return None if cell.auth == "valid" else "no_auth"


@dataclass
class World:
    """One receiver for all cells, and the logins that it has issued."""

    receiver: Receiver
    wire: Wire
    logins: dict[bool, Credentials]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A receiver behind a wire that can be cut."""
    folder: Path = tmp_path_factory.mktemp("matrix")
    receiver = Receiver(folder).start()
    wire = Wire(receiver.port)
    desk = Desk(folder / "desk")
    yield World(
        receiver,
        wire,
        {True: desk.login(wire.url, "ada"), False: desk.login(wire.url, "bob")},
    )
    wire.cut()
    receiver.stop()


def arrange(desk: Desk, world: World, cell: Cell) -> None:
    """Put the obstacles of *cell* in place."""
    world.wire.mend()
    desk.target(world.wire.url)
    write_settings(desk.home, {"synchronous": "NORMAL"})
    desk.environ["SPEC_KITTY_SYNC_MODE"] = cell.mode
    desk.environ["SPEC_KITTY_ENABLE_SAAS_SYNC"] = "1" if cell.flag else "0"
    desk.environ["SPEC_KITTY_SAAS_URL"] = world.wire.url if cell.same_target else "http://[::1]:9"
    if cell.auth != "missing":
        login = world.logins[cell.team]
        if cell.auth == "expired":
            login = replace(login, access_expires=LONG_AGO, refresh_expires=LONG_AGO)
        save_credentials(desk.home.credentials, login)
    if not cell.network:
        world.wire.cut()


def clear(desk: Desk, world: World, cell: Cell) -> None:
    """Take every obstacle away."""
    world.wire.mend()
    desk.environ.clear()
    desk.environ["SPEC_KITTY_SYNC_MODE"] = "TEAMSPACE"
    save_credentials(desk.home.credentials, world.logins[True])


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_no_obstacle_loses_an_event(cell, world, desk):
    """Whatever stands in the way: a team-bound event is kept, its reason is recorded and shown,
    and the next `sync now` after the obstacle is gone delivers it."""
    arrange(desk, world, cell)
    tier = 1 if cell.team_bound else 0
    with open_emitter(desk.settings) as emitter:
        event_id = emitter.emit_history_added(
            "WP01", entry_type="note", entry_content=str(cell), data_tier=tier
        ).event_id
        stored = emitter.queue.get(event_id)
        beside = emitter.parts.runs.reason_of(event_id)
    assert (stored is not None) is (cell.team_bound or cell.mode != "OPT_OUT")
    assert beside == (gate(cell) if cell.team_bound else None)

    if gate(cell) is None:
        drain_home(desk.settings)
    else:
        with pytest.raises(TargetError):
            drain_home(desk.settings)
    here = event_id in world.receiver.ids("ada") + world.receiver.ids("bob")
    delivered = cell.team_bound and after_attempt(cell) is None
    assert here is delivered

    report = build_status(desk.settings)
    assert report.auth.blocked == gate(cell)
    assert report.auth.mode == cell.mode
    waiting = int(cell.team_bound and not delivered)
    assert report.delivery_ledger.undelivered == waiting
    assert report.delivery_ledger.delivered_current_target == int(delivered)
    if cell.team_bound:
        reasons = [each.reason for each in report.background.blocked]
        assert reasons == ([after_attempt(cell)] if after_attempt(cell) else [])
        assert ("everything delivered" in report.summary) is delivered

    clear(desk, world, cell)
    drain_home(desk.settings)
    if cell.team_bound:
        user = "bob" if delivered and not cell.team else "ada"
        assert world.receiver.ids(user).count(event_id) == 1
        assert build_status(desk.settings).background.blocked == ()
    else:
        assert event_id not in world.receiver.ids("ada") + world.receiver.ids("bob")
