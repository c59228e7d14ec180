"""What a server says of itself is remembered; a reset is noticed; lies are harmless."""

from __future__ import annotations

import json
import logging

import pytest
from producing import Desk

from spec_kitty_sync.delivery.selection import Limits
from spec_kitty_sync.delivery.targets import Deployment
from spec_kitty_sync.sync.config import SyncConfig
from spec_kitty_sync.sync.delivering import drain_home
from spec_kitty_sync.sync.emitting import open_emitter
from spec_kitty_sync.sync.health import Health, ask_health, read_health
from spec_kitty_sync.sync.workspace import open_workspace


def emit(desk: Desk, n: int = 1, **changes: str) -> None:
    """Emit *n* history lines."""
    fields = {"entry_type": "note", "entry_content": "x", **changes}
    with open_emitter(desk.settings) as emitter:
        for _ in range(n):
            emitter.emit_history_added("WP01", **fields)


def deployment(desk: Desk) -> Deployment:
    """Return what is remembered of the target's deployment."""
    with open_workspace(desk.settings) as workspace:
        return workspace.active_target().deployment


def test_deployment_is_recorded_on_the_target(desk, make_receiver):
    """After a drain the target says which deployment took the events."""
    receiver = make_receiver("--deployment-id", "d-7", "--git-sha", "abc")
    desk.target(receiver.url)
    desk.login(receiver.url)
    emit(desk)
    drain_home(desk.settings)
    seen = deployment(desk)
    assert (seen.deployment_id, seen.git_sha, seen.environment_name) == ("d-7", "abc", "reference")
    assert seen.server_instance_id


def test_reset_of_the_server_is_noticed_and_nothing_is_sent_again_by_itself(
    desk, make_receiver, caplog
):
    """A server with another identity is reported with the way to send everything again."""
    receiver = make_receiver()
    desk.target(receiver.url)
    desk.login(receiver.url)
    emit(desk)
    drain_home(desk.settings)
    receiver.stop()
    for path in receiver.folder.glob("receiver.db*"):
        path.unlink()
    receiver.start()
    desk.login(receiver.url)
    with caplog.at_level(logging.WARNING):
        report = drain_home(desk.settings)
    assert "--redeliver" in caplog.text
    assert report.selected == 0
    assert receiver.ids() == []


def test_limits_of_the_server_are_kept(desk, make_receiver):
    """A server that takes two events at a time gets two, and what it cannot take is held."""
    receiver = make_receiver("--max-batch-events", "2", "--max-event-bytes", "2000")
    desk.target(receiver.url)
    desk.login(receiver.url)
    emit(desk, 5)
    emit(desk, entry_content="x" * 3000)
    report = drain_home(desk.settings)
    assert (report.delivered, report.requests) == (5, 3)
    assert report.held == {"too_large": 1}


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"7", b"[" * 5000,
     b'{"server_instance_id": 7, "max_batch_events": "many", "capabilities": {}}',
     b'{"max_batch_events": -1, "max_body_bytes": true, "max_event_bytes": 1e400}'],
)  # fmt: skip
def test_answer_of_another_shape_says_nothing(body):
    """Whatever a server answers, what is not of the shape counts as not said."""
    assert read_health(body) == Health()


def test_names_are_cut_and_batches_never_grow():
    """A server can make batches smaller, not larger, and names are cut."""
    said = {"git_sha": "x" * 5000, "max_batch_events": 10**6, "capabilities": ["a", 7, "b"]}
    health = read_health(json.dumps(said).encode())
    assert health.limits == Limits()
    assert len(health.deployment.git_sha or "") == 200
    assert health.capabilities == ("a", "b")


def test_nobody_there_says_nothing():
    """A server that is not there is the drain's to report."""
    assert ask_health("http://127.0.0.1:9", SyncConfig()) == Health()
