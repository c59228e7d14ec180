"""What emit stores, refuses, and leaves for later."""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
import threading

import pytest
from producing import Desk

from spec_kitty_sync.errors import (
    ContractError,
    InvalidEventError,
    StoreError,
    UnknownEventTypeError,
)
from spec_kitty_sync.events.admission import EVENT_LIMIT_BYTES
from spec_kitty_sync.events.models import Event
from spec_kitty_sync.events.registry import default_registry
from spec_kitty_sync.events.validation import Validator
from spec_kitty_sync.sync.emitter import EventEmitter
from spec_kitty_sync.sync.emitting import open_emitter

NOTE = {"wp_id": "WP01", "entry_type": "note", "entry_content": "hello"}


@pytest.fixture
def emitter(desk):
    """An emitter of a project, without a target."""
    with open_emitter(desk.settings) as opened:
        yield opened


def note(emitter: EventEmitter, **changes: object) -> Event:
    """Emit a history line."""
    return emitter.emit("HistoryAdded", "WP01", {**NOTE, **changes})


def rows(emitter: EventEmitter) -> int:
    """Return how many events the journal has."""
    return sum(1 for _ in emitter.queue.read())


def test_emitted_event_is_canonical_and_stored_byte_for_byte(emitter):
    """What emit returns is what is stored, and it is valid by the strictest rules."""
    event = note(emitter)
    record = emitter.queue.get(event.event_id)
    assert record is not None
    assert record.body == event.to_wire()
    verdict = Validator(default_registry(), strict=True, wire=True).validate(event.to_wire())
    assert (verdict.valid, verdict.findings) == (True, ())
    assert (event.team_slug, event.schema_version, event.data_tier) == ("local", "1.0.0", 1)
    assert event.lamport_clock == record.lamport_clock == 1


def test_emitted_events_have_rising_ids_and_clocks(emitter):
    """Ids and clocks rise strictly in the order of emit."""
    events = [note(emitter) for _ in range(20)]
    assert [event.lamport_clock for event in events] == list(range(1, 21))
    ids = [event.event_id for event in events]
    assert ids == sorted(set(ids))


def test_clock_goes_on_in_the_next_process(desk):
    """A second emitter goes on where the first ended."""
    for expected in (1, 2):
        with open_emitter(desk.settings) as emitter:
            assert note(emitter).lamport_clock == expected


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        ({**NOTE, "wp_id": "WP1"}, "/payload/wp_id"),
        ({**NOTE, "entry_type": "gossip"}, "/payload/entry_type"),
        ({"wp_id": "WP01", "entry_type": "note"}, "/payload/entry_content"),
        ({**NOTE, "x": float("nan")}, "/payload/x"),
        ({**NOTE, "x": {"y": {1, 2}}}, "/payload/x/y"),
        ({**NOTE, "x": 2**70}, "/payload/x"),
        ({**NOTE, "x": "\ud800"}, "/payload/x"),
    ],
)
def test_invalid_payload_is_refused_by_name_and_leaves_nothing(emitter, payload, path):
    """The field is named, nothing is stored, and the clock has not moved."""
    with pytest.raises(InvalidEventError) as caught:
        emitter.emit("HistoryAdded", "WP01", payload)
    assert caught.value.facts["findings"][0]["path"] == path
    assert path in caught.value.message
    assert rows(emitter) == 0
    assert note(emitter).lamport_clock == 1


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"causation_id": "nope"}, "/causation_id"),
        ({"correlation_id": "nope"}, "/correlation_id"),
        ({"data_tier": 9}, "/data_tier"),
        ({"aggregate_type": "Castle"}, "/aggregate_type"),
    ],
)
def test_invalid_option_is_refused_by_name(emitter, options, path):
    """What stands beside the payload is checked as well."""
    with pytest.raises(InvalidEventError) as caught:
        emitter.emit("HistoryAdded", "WP01", NOTE, **options)
    assert caught.value.facts["findings"][0]["path"] == path
    assert rows(emitter) == 0


def test_unknown_type_is_refused(emitter):
    """A type that nobody registered is not emitted."""
    with pytest.raises(UnknownEventTypeError):
        emitter.emit("HistoryAdder", "WP01", NOTE)
    assert rows(emitter) == 0


def test_event_too_large_for_any_receiver_is_refused(emitter):
    """The limit counts the whole envelope."""
    with pytest.raises(ContractError) as caught:
        note(emitter, entry_content="x" * EVENT_LIMIT_BYTES)
    assert str(EVENT_LIMIT_BYTES) in caught.value.message
    assert rows(emitter) == 0


def test_store_that_fails_is_never_silent(emitter):
    """A capture problem reaches the caller, and the next event is stored."""
    with sqlite3.connect(emitter.parts.store.path) as other:
        other.execute("DROP TABLE sync_correlation")
    other.close()
    with pytest.raises(StoreError):
        note(emitter)
    assert emitter.clock.value == 0


def test_event_without_a_project_is_kept_and_held_with_one_warning(desk, tmp_path, caplog):
    """Outside a project events are kept, held as `no_identity`, and said so once."""
    (tmp_path / "nowhere").mkdir()
    lost = Desk(tmp_path / "lost")
    (lost.project / ".kittify").rmdir()
    with caplog.at_level(logging.WARNING), open_emitter(lost.settings) as emitter:
        events = [note(emitter) for _ in range(3)]
        records = [emitter.queue.get(event.event_id) for event in events]
    assert [record.hold for record in records if record] == ["no_identity"] * 3
    assert events[0].project_uuid is None
    assert caplog.text.count("no identity") == 1


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("home/config.toml", "[sync"),
        ("home/config.toml", "[sync]\nserver_url = 'ftp://x'\n"),
        ("home/config.toml", "[sync]\nmode = 'SOMETIMES'\n"),
        ("home/credentials", "not toml at all ["),
        ("project/.kittify/config.yaml", "project: ["),
        ("home/clock.json", "{"),
    ],
)
def test_broken_file_blocks_delivery_never_capture(desk, file, text, caplog):
    """Whatever file is broken: the event is kept, and the log names the file."""
    desk.home.ensure()
    (desk.root / file).write_text(text)
    (desk.root / file).chmod(0o600)
    with open_emitter(desk.settings) as emitter:
        assert emitter.queue.get(note(emitter).event_id) is not None
    assert caplog.records or "credentials" in file


def test_git_facts_follow_the_repository(desk):
    """Branch, head and repository stand in the event, as of its moment."""

    def git(*args: str) -> str:
        identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
        command = ["git", "-C", str(desk.project), *identity, *args]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q", "-b", "main")
    git("remote", "add", "origin", "https://u:pw@github.com/acme/app.git")
    git("commit", "-q", "--allow-empty", "-m", "1")
    with open_emitter(desk.settings) as emitter:
        first = json.loads(note(emitter).to_wire())
        assert first["git_branch"] == "main"
        assert first["head_commit_sha"] == git("rev-parse", "HEAD")
        assert first["repo_slug"] == "acme/app"
        assert "pw@" not in json.dumps(first)
        git("commit", "-q", "--allow-empty", "-m", "2")
        assert json.loads(note(emitter).to_wire())["head_commit_sha"] == git("rev-parse", "HEAD")
        git("checkout", "-q", "-b", "side/branch")
        git("pack-refs", "--all")
        packed = json.loads(note(emitter).to_wire())
        assert (packed["git_branch"], packed["head_commit_sha"]) == (
            "side/branch",
            git("rev-parse", "HEAD"),
        )
        git("checkout", "-q", "--detach")
        detached = json.loads(note(emitter).to_wire())
        assert "git_branch" not in detached
        assert detached["head_commit_sha"] == git("rev-parse", "HEAD")


def test_correlation_lasts_until_the_mission_ends(desk):
    """Events of one mission share an id, in every process, until its last event."""

    def start(emitter: EventEmitter, mission_id: str) -> Event:
        return emitter.emit_mission_started(
            mission_id, mission_type="build", initial_phase="plan", actor="ada"
        )

    with open_emitter(desk.settings) as emitter:
        one, two = start(emitter, "m-1"), start(emitter, "m-2")
        assert one.correlation_id != two.correlation_id
    with open_emitter(desk.settings) as emitter:
        phase = emitter.emit_phase_entered("m-1", phase_name="build", actor="ada")
        assert phase.correlation_id == one.correlation_id
        assert note(emitter).correlation_id == two.correlation_id  # of the latest mission
        end = emitter.emit_mission_cancelled("m-1", reason="enough", actor="ada")
        assert end.correlation_id == one.correlation_id
        assert start(emitter, "m-1").correlation_id not in (one.correlation_id, two.correlation_id)


def test_stated_correlation_goes_first(desk):
    """An argument beats the environment, which beats what is stored."""
    stated, from_environ = "0" * 25 + "1", "0" * 25 + "2"
    desk.environ["SPEC_KITTY_CORRELATION_ID"] = from_environ
    with open_emitter(desk.settings) as emitter:
        assert note(emitter).correlation_id == from_environ
        event = emitter.emit("HistoryAdded", "WP01", NOTE, correlation_id=stated)
        assert event.correlation_id == stated
    desk.environ["SPEC_KITTY_CORRELATION_ID"] = "nonsense"
    with open_emitter(desk.settings) as emitter, pytest.raises(InvalidEventError, match="correla"):
        note(emitter)


def test_discardable_events_are_dropped_only_when_opted_out(desk):
    """OPT_OUT keeps what is owed to a team and drops the rest; every other mode keeps all."""
    for mode, kept in (("LOCAL_RETENTION", 2), ("OPT_OUT", 1)):
        desk.environ["SPEC_KITTY_SYNC_MODE"] = mode
        with open_emitter(desk.settings) as emitter:
            before = rows(emitter)
            note(emitter)
            emitter.emit("HistoryAdded", "WP01", NOTE, data_tier=0)
            assert rows(emitter) - before == kept
            audited = [entry.refused for entry in emitter.parts.discards.entries()]
            assert audited == ([] if mode == "LOCAL_RETENTION" else [True, False])


def test_emitter_may_be_shared_by_threads(desk):
    """Threads that share the process's emitter lose nothing and repeat nothing."""
    from spec_kitty_sync._clock import SystemClock
    from spec_kitty_sync.sync.emitting import build_emitter
    from spec_kitty_sync.sync.store import open_home

    with open_home(desk.home, any_thread=True) as store:
        emitter = build_emitter(desk.settings, store, wall=SystemClock())
        clocks: list[int] = []

        def work() -> None:
            clocks.extend(note(emitter).lamport_clock for _ in range(25))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(clocks) == list(range(1, 101))
        assert rows(emitter) == 100


def test_clock_goes_past_imported_events_but_not_past_absurd_ones(desk):
    """What was imported counts as received; a clock that nobody can have had is passed over."""
    from spec_kitty_sync.events.admission import admit

    with open_emitter(desk.settings) as emitter:
        event = json.loads(note(emitter).to_wire())
        for number, clock in enumerate((700, 2**63 - 1)):
            event.update(event_id=f"01ARZ3NDEKTSV4RRFFQ69G5FA{number}", lamport_clock=clock)
            emitter.queue.append(admit(json.dumps(event).encode(), registry=default_registry()))
    with open_emitter(desk.settings) as emitter:
        assert note(emitter).lamport_clock == 701


@pytest.mark.parametrize("subject", ["\ud800", 7, None, b"x", "", float("nan")])
def test_subject_that_is_no_text_is_refused(emitter, subject):
    """What an event is about must be text that every reader understands."""
    with pytest.raises(InvalidEventError):
        emitter.emit("HistoryAdded", subject, NOTE)
    with pytest.raises(InvalidEventError):
        emitter.emit("HistoryAdded", "WP01", NOTE, correlation_id=subject or "no")
    assert rows(emitter) == 0
