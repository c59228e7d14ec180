"""What is hurt: appending, emitting, draining, gc and archive, from several starting states."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from functools import partial

from fault_stage import Scenario, Stage
from oracle import drain, journal_of, make_event

from spec_kitty_sync._clock import ManualClock
from spec_kitty_sync._sqlite import Store
from spec_kitty_sync.delivery.targets import TargetRegistry
from spec_kitty_sync.errors import StoreUncertainError
from spec_kitty_sync.event_journal.models import Appended
from spec_kitty_sync.event_journal.retention import Retention
from spec_kitty_sync.events.admission import Admitted
from spec_kitty_sync.sync.emitting import open_emitter
from spec_kitty_sync.sync.store import open_home

_DOSSIER = {
    "event_type": "MissionDossierSnapshotComputed",
    "aggregate_type": "Mission",
    "payload": {"mission_slug": "m", "snapshot_hash": "0" * 64, "artifact_count": 1},
}


def varied(count: int, start: int = 0) -> list[Admitted]:
    """Return *count* events of every kind a drain tells apart: local, other team, held, dossier."""
    changes: tuple[dict[str, object], ...] = (
        {}, {}, {"data_tier": 0}, {}, _DOSSIER, {"team_slug": "team-b"}, {}, {"project_uuid": None},
    )  # fmt: skip
    return [make_event(n, **changes[n % len(changes)]) for n in range(start, start + count)]


def append(stage: Stage, events: list[Admitted]) -> None:
    """Append one by one; each is acknowledged when `append` has returned."""
    with open_home(stage.home) as store:
        journal = journal_of(store, ManualClock())
        for each in events:
            journal.append(each)
            stage.acknowledge(each.event_id, each.body)


def append_again(stage: Stage, events: list[Admitted]) -> None:
    """Append on one kept-open store, and each event once more where the answer was "uncertain"."""
    with open_home(stage.home) as store:
        journal = journal_of(store, ManualClock())
        for each in events:
            in_use, remedy = store.conn, None
            try:
                journal.append(each)
            except StoreUncertainError as exc:
                remedy = exc.remedy
            if remedy is not None:
                assert remedy.startswith("Append the same event again")
                assert store.conn is not in_use, "a connection is used on after a failed commit"
                journal.append(each)
            stage.acknowledge(each.event_id, each.body)


def append_many(stage: Stage, events: list[Admitted]) -> None:
    """Append all at once; all are acknowledged when it has returned."""
    with open_home(stage.home) as store:
        for each, result in zip(
            events, journal_of(store, ManualClock()).append_many(events), strict=True
        ):
            assert result.outcome is not Appended.CONFLICT
            stage.acknowledge(each.event_id, each.body)


def emit(stage: Stage, count: int) -> None:
    with open_emitter(stage.settings, clock=ManualClock()) as emitter:
        for number in range(count):
            payload = {"wp_id": "WP01", "entry_type": "note", "entry_content": f"note {number}"}
            event = emitter.emit("HistoryAdded", "WP01", payload)
            stage.acknowledge(event.event_id, event.to_wire())


def every_word(event_id: str) -> Mapping[str, str]:
    """Answer with another word for each event, always the same for one id."""
    words = ("success", "duplicate", "pending", "rejected", "success", "failed_transient",
             "failed_permanent", "success")  # fmt: skip
    word = words[int(event_id[-6:]) % len(words)]
    return {"status": word, **({} if word in ("success", "duplicate") else {"error": "as told"})}


def deliver(stage: Stage, judge: object = None, batch: int = 5) -> None:
    with open_home(stage.home) as store:
        wire = stage.wire(judge) if judge else stage.wire()
        drain(store, stage.home, wire, batch=batch)


def collect(stage: Stage, reason: str = "delivered") -> None:
    with open_home(stage.home) as store:
        _retention(store).collect(reason)


def archive(stage: Stage) -> None:
    # A name of its own for each run: an interrupted one may leave its file behind.
    number = len(list(stage.disk.glob("archive-*")))
    with open_home(stage.home) as store:
        _retention(store).archive(stage.disk / f"archive-{number}.jsonl.gz")


def _retention(store: Store) -> Retention:
    return Retention(store, journal_of(store, ManualClock()), clock=ManualClock())


def archived_bytes_are_in_an_archive(stage: Stage) -> None:
    """Whatever archive cleared stands, whole, in a file that can be read."""
    kept = set()
    for path in stage.disk.glob("archive-*"):
        try:
            kept |= set(gzip.decompress(path.read_bytes()).splitlines())
        except (EOFError, OSError):
            continue  # of an interrupted run, which cleared nothing
    by_id = {each.event_id: each.body for each in varied(200)}
    with open_home(stage.home) as store:
        cleared = store.conn.execute(
            "SELECT event_id FROM event_journal WHERE removed = 'archived'"
        ).fetchall()
    missing = [event_id for (event_id,) in cleared if by_id[event_id] not in kept]
    assert missing == [], "cleared, but in no archive"


def bodies_left(stage: Stage) -> object:
    with open_home(stage.home) as store:
        return store.conn.execute(
            "SELECT event_id, removed, body FROM event_journal ORDER BY seq"
        ).fetchall()


def _backlog(stage: Stage, count: int = 12) -> None:
    append_many(stage, varied(count))


def half_delivered(stage: Stage, count: int = 12) -> None:
    _backlog(stage, count)
    deliver(stage, every_word)
    append_many(stage, varied(count, start=count))


def _known_elsewhere(stage: Stage) -> None:
    """Part of the journal was delivered to another target, with another team let in."""
    half_delivered(stage)
    with open_home(stage.home) as store:
        registry = TargetRegistry(store, clock=ManualClock())
        registry.ensure("https://other.example/batch", team_slug="team-b")


def all_delivered(stage: Stage, count: int = 12) -> None:
    _backlog(stage, count)
    deliver(stage)


DELIVERING: Mapping[str, Scenario] = {
    "append-fresh": Scenario(lambda stage: None, partial(append, events=varied(8))),
    "append-backlog": Scenario(half_delivered, partial(append, events=varied(24, start=50))),
    "append-again": Scenario(half_delivered, partial(append_again, events=varied(24, start=50))),
    "append-many-fresh": Scenario(lambda stage: None, partial(append_many, events=varied(60))),
    "append-many-backlog": Scenario(
        half_delivered, partial(append_many, events=varied(170, start=20))
    ),
    "emit-fresh": Scenario(lambda stage: None, partial(emit, count=4)),
    "emit-backlog": Scenario(half_delivered, partial(emit, count=12)),
    "drain-fresh": Scenario(_backlog, deliver),
    "drain-half-delivered": Scenario(half_delivered, deliver),
    "drain-every-word": Scenario(half_delivered, partial(deliver, judge=every_word, batch=3)),
    "drain-other-target": Scenario(_known_elsewhere, partial(deliver, batch=4)),
    "gc": Scenario(all_delivered, collect, outcome=bodies_left),
    "gc-local-only": Scenario(
        half_delivered, partial(collect, reason="local_only"), outcome=bodies_left
    ),
    "archive": Scenario(
        all_delivered, archive, outcome=bodies_left, check=archived_bytes_are_in_an_archive
    ),
}
