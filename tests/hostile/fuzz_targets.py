"""The entries that take bytes from elsewhere, and what must be true of each for all bytes.

A target raises AssertionError where a property fails; any other error that escapes it is a finding
too. `fuzz_run.py` leads them by coverage, `test_fuzz.py` from the seeds.
"""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import hostile_corpus

from spec_kitty_sync._files import Home
from spec_kitty_sync._http import Reply
from spec_kitty_sync._json import canonical, canonical_hash, dumps, loads_lenient, loads_strict
from spec_kitty_sync.auth.credentials import Credentials, load_credentials, save_credentials
from spec_kitty_sync.auth.tokens import TokenEndpoint
from spec_kitty_sync.delivery.answers import Named, Refused, Results, Throttled, read_answer
from spec_kitty_sync.errors import (
    AdmissionError,
    CredentialError,
    InvalidEventError,
    JsonError,
    ReceiverProtocolError,
    SourceError,
    UsageError,
)
from spec_kitty_sync.events.admission import EVENT_LIMIT_BYTES, HOLD_CODES, admit
from spec_kitty_sync.events.models import Event
from spec_kitty_sync.events.registry import Registry, default_registry
from spec_kitty_sync.events.results import REASON_LIMIT, Outcome
from spec_kitty_sync.events.validation import validate
from spec_kitty_sync.identity.clock_file import read_clock_file
from spec_kitty_sync.receiver.limits import Limits
from spec_kitty_sync.receiver.refusal import Refusal
from spec_kitty_sync.receiver.split import split_batch
from spec_kitty_sync.sync.config import SyncConfig, write_settings
from spec_kitty_sync.sync.health import read_health
from spec_kitty_sync.sync.queue import discover, iterate_stream, open_source
from spec_kitty_sync.sync.websocket import read_answer as read_frame

IDS = tuple(f"01JQ00000000000000000000A{number}" for number in range(3))
_TAKEN = {"success", "duplicate"}


@dataclass(frozen=True)
class Target:
    """`run` takes any bytes; `seeds` are where to begin."""

    run: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]


@cache
def registry() -> Registry:
    return default_registry()


@cache
def folder() -> Path:
    """Return a folder for the files of this process; the system forgets it."""
    return Path(tempfile.mkdtemp(prefix="sk-fuzz-"))


def small_bodies() -> list[bytes]:
    """Return the hostile corpus without its large bodies."""
    return [case.whole for case in hostile_corpus.corpus() if len(case.whole) < 5000]


# JSON and the envelope


def strict_json(data: bytes) -> None:
    """What strict JSON takes, the standard library takes, and reads the same."""
    try:
        value = loads_strict(data)
    except JsonError:
        pass
    else:
        assert _same(value, json.loads(data.decode()))
        assert _same(loads_lenient(data), value)
        assert _same(loads_strict(dumps(value)), value)
    with suppress(JsonError):
        content = canonical(data)
        assert canonical(content) == content
        assert canonical_hash(data) == canonical_hash(content)


def _same(left: Any, right: Any) -> bool:
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(_same(left[k], right[k]) for k in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(left == right)


def envelope(data: bytes) -> None:
    """Admission keeps the bytes or refuses them; validation always has a verdict."""
    checked = validate(data, registry=registry())
    assert checked.valid == (not any(each.severity == "error" for each in checked.findings))
    json.dumps([each.message for each in checked.findings]).encode()
    try:
        event = admit(data, registry=registry())
    except AdmissionError:
        assert not checked.valid
        return
    assert event.body in (data, data.removeprefix(b"\xef\xbb\xbf"))
    assert event.hold is None or event.hold in HOLD_CODES
    for text in (
        event.event_id,
        event.event_type,
        event.team,
        event.project_uuid,
        event.aggregate_id,
        event.occurred_at,
        event.schema_version,
        event.hold_detail,
    ):
        assert text is None or text.encode() is not None  # fits into a database
    if event.hold is None:
        assert len(event.body) <= EVENT_LIMIT_BYTES
        assert loads_strict(event.body)["event_id"] == event.event_id
    with suppress(InvalidEventError, JsonError):
        assert Event.from_wire(event.body).to_wire() == event.body


# what receivers and senders say to each other


def batch(data: bytes) -> None:
    """A batch is cut into the bytes of its events, or refused with a 4xx."""
    try:
        elements = split_batch(data, Limits())
    except Refusal:
        return
    said = json.loads(data)["events"]
    assert len(elements) == len(said)
    for element, value in zip(elements, said, strict=True):
        assert element.body in data
        assert element.event_id == (
            value["event_id"]
            if isinstance(value, dict) and isinstance(value.get("event_id"), str)
            else None
        )
        with suppress(AdmissionError):
            admit(element.body, registry=registry())


def answer(data: bytes) -> None:
    """No event is delivered without the receiver's word for its own id."""
    status = int.from_bytes(data[:2], "big") % 600
    body = data[2:]
    header = {"retry-after": body[:40].decode("latin-1")} if status in (429, 503) else {}
    found = read_answer(Reply(status, header, body), IDS, now_ms=1_770_000_000_000)
    match found:
        case Results():
            assert status == 200
            results = found.correlation.results
            assert tuple(result.event_id for result in results) == IDS
            for result in results:
                _storable(result.error, result.error_category)
                if result.outcome in (Outcome.SUCCESS, Outcome.DUPLICATE):
                    assert _word_for(result.event_id, body) & _TAKEN
        case Named():
            assert set(found.faults) <= set(IDS)
            _storable(*found.faults.values())
        case Throttled():
            assert found.after_s is None or 1.0 <= found.after_s <= 3600.0
        case Refused():
            _storable(found.words)
        case _:
            _storable(found.words)


def _word_for(event_id: str, body: bytes) -> set[Any]:
    """Return what *body* says of *event_id*, by the naive reading."""
    return {
        item["status"]
        for item in json.loads(body)["results"]
        if isinstance(item, dict)
        and item.get("event_id") == event_id
        and isinstance(item.get("status"), str)
    }


def _storable(*texts: str | None) -> None:
    for text in texts:
        assert text is None or (len(text.encode().decode()) <= REASON_LIMIT and "\n" not in text)


def frame(data: bytes) -> None:
    """A live session's answer is taken only for what it is."""
    with suppress(ValueError, RecursionError):
        said = json.loads(data)
        if isinstance(said, dict) and said.get("type") in ("ack", "error"):
            result = read_frame(said)
            if result is not None:
                _storable(result.error, result.error_category)
                if result.outcome in (Outcome.SUCCESS, Outcome.DUPLICATE):
                    assert said["type"] == "ack"
                    assert said["status"] in ("accepted", "duplicate")


def health(data: bytes) -> None:
    """What a server says of itself never widens our own limits, and fits into a database."""
    said = read_health(data)
    assert 0 < said.limits.events <= 1000
    assert said.limits.body_bytes > 0
    for name in (said.deployment.server_instance_id, said.deployment.git_sha, *said.capabilities):
        assert name is None or name.encode() is not None


def tokens(data: bytes) -> None:
    """A login is read from an answer, or refused without a word of it; it can be stored."""
    reply = Reply(200, {}, data)
    endpoint = TokenEndpoint("https://a.example", _Answering(reply), lambda: _NOON)
    with suppress(ReceiverProtocolError):
        pair = endpoint.login("ada", "pw")
        assert pair.access.isprintable()
        for end in filter(None, (pair.access_expires, pair.refresh_expires)):
            assert _NOON <= end <= _NOON + timedelta(days=366)
        assert pair.team_slug is None or pair.team_slug.isprintable()


@dataclass(frozen=True)
class _Answering:
    """Answers every request with the same reply."""

    reply: Reply

    def request(self, method: str, url: str, *, headers: Any = None, body: Any = None) -> Reply:
        return self.reply


_NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


# files of the home


def credentials(data: bytes) -> None:
    """A login is read or refused, never quoted; a new login replaces whatever was there."""
    path = folder() / "credentials"
    path.touch(0o600)
    path.write_bytes(data)
    with suppress(CredentialError):
        found = load_credentials(path)
        assert found is not None
        assert found.access is None or found.access.isprintable()
    fresh = Credentials("https://a.example", "ada", None, "token", login="x")
    save_credentials(path, fresh)
    assert load_credentials(path) == fresh


def config(data: bytes) -> None:
    """Settings are read or refused with the key named; what is written can be read."""
    home = Home(folder() / "home")
    home.ensure()
    home.config_toml.write_bytes(data)
    try:
        before = SyncConfig.load(home)
    except UsageError:
        return
    write_settings(home, {"server_url": "https://a.example"})
    after = SyncConfig.load(home)
    assert (after.server_url, after.max_retries) == ("https://a.example", before.max_retries)


def clock(data: bytes) -> None:
    """The clock's copy is a number in range, or counts as none and is set aside."""
    path = folder() / "clock.json"
    path.write_bytes(data)
    assert 0 <= read_clock_file(path, limit=2**53, now_ms=1) <= 2**53
    for aside in folder().glob("clock.json.damaged*"):
        aside.unlink()


# old queues


def rows(data: bytes) -> None:
    """A file or stream of events is read row by row; each can be judged or is reported."""
    with suppress(SourceError):
        for row in iterate_stream(io.BytesIO(data)):
            if isinstance(row.body, bytes):
                with suppress(AdmissionError):
                    admit(row.body, registry=registry())


def queue(data: bytes) -> None:
    """A queue database that is broken anywhere is read or reported, and left as it is."""
    home = Home(folder() / "queue-home")
    shutil.rmtree(home.root, ignore_errors=True)
    home.ensure()
    home.queue_db.write_bytes(data)
    for source in discover(home):
        with suppress(SourceError), open_source(source) as view:
            for row in view.rows():
                with suppress(AdmissionError):
                    if isinstance(row.body, bytes):
                        admit(row.body, registry=registry())
    assert home.queue_db.read_bytes() == data


# seeds


def _answers() -> list[bytes]:
    words = ("success", "duplicate", "pending", "queued", "rejected", "failed_transient",
             "failed_permanent", "nonsense")  # fmt: skip
    said = [
        {"event_id": event_id, "status": word, "error": "field x", "error_category": "c"}
        for event_id in (*IDS, "another")
        for word in words
    ]
    lists: list[list[Any]] = [[], [7, None, "x"], *([each] for each in said)]
    lists += [said[place::9] for place in range(9)] + [said[:2], said[::-1]]
    results = [_answer_of(200, {"results": each}) for each in lists]
    details = [{"event_id": IDS[0], "error": "bad"}, {"event_id": IDS[1], "reason": "worse"}]
    refusals = [
        _answer_of(status, {"error": "e", "details": each})
        for status in (400, 422)
        for each in (details, json.dumps(details), "words", [], [1])
    ]
    others = [
        _answer_of(status, {"error": "e", "sync_protocol": {"upgrade_guidance": "do"}})
        for status in (200, 302, 401, 403, 412, 413, 500)
    ]
    dates = (b"12", b"-1", b"Fri, 31 Dec 1999 23:59:59 GMT", b"Fri, 31 Dec 9999 23:59:59 -0100")
    return [*results, *refusals, *others, *((503).to_bytes(2, "big") + each for each in dates)]


def _answer_of(status: int, document: Any) -> bytes:
    return status.to_bytes(2, "big") + json.dumps(document).encode()


def _frames() -> list[bytes]:
    return [
        json.dumps(
            {"type": kind, "event_id": IDS[0], "status": status, "error": "\ud800 no"}
        ).encode()
        for kind in ("ack", "error")
        for status in ("accepted", "duplicate", "rejected", "x", None)
    ]


def _tokens() -> list[bytes]:
    lifetimes: tuple[Any, ...] = (3600, 1.5, True, None, "x", -1, 10**400, float("nan"))
    return [
        json.dumps({"access": "a", "refresh": "b", "access_lifetime": lifetime,
                    "refresh_lifetime": lifetime, "team_slug": team}).encode()
        for lifetime in lifetimes for team in ("red", "\ud800", "a\nb", None, 7)
    ]  # fmt: skip


def _healths() -> list[bytes]:
    return [
        b'{"status": "ok", "max_batch_events": 5, "git_sha": "x", "capabilities": ["\\ud800"]}',
        b'{"server_instance_id": "\\ud800", "max_body_bytes": 1e400, "max_event_bytes": -1}',
    ]


def _credentials() -> list[bytes]:
    return [
        b'[tokens]\naccess = "a"\nrefresh = "b"\n[expiries]\naccess = "2026-01-01T00:00:00Z"\n'
        b'refresh = 2026-01-01T00:00:00Z\n[user]\nusername = "ada"\nteam_slug = "t"\n'
        b'[server]\nurl = "https://a.example"\n',
        b'[tokens]\naccess_expires_at = "0001-01-01T00:00:00"\n[user]\nusername = "a"\n[server]\n'
        b'url = "u"\n',
        b"[expiries]\naccess = 0001-01-01\n[user]\nusername='a'\n[server]\nurl='u'\n",
        b'tokens = 5\nuser = []\nserver = "x"\n', b"x = " + b"[" * 3000, b"x = " + b"9" * 5000,
    ]  # fmt: skip


def _configs() -> list[bytes]:
    return [
        b'[sync]\nserver_url = "https://a"\nmode = "teamspace"\nmax_retries = 5\n'
        b"allow_http = true\n"
        b'synchronous = "FULL"\nlanes = "seven"\n',
        b"sync = 5\n", b"[[sync]]\n", b"sync.server_url = 'x'\nsync.x = 1979-05-27\n",
        b"[sync]\nmax_retries = " + b"9" * 5000, b"[sync]\nx = " + b"[" * 3000, b"\xff", b"",
        b"[sync]\na = {b = {c = 1}}\n# note\n",
    ]  # fmt: skip


def _queues() -> list[bytes]:
    path = folder() / "seed.db"
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("CREATE TABLE IF NOT EXISTS queue (id INTEGER PRIMARY KEY, event_id TEXT"
                     " UNIQUE NOT NULL, event_type TEXT NOT NULL, data TEXT NOT NULL, timestamp"
                     " INTEGER NOT NULL, retry_count INTEGER DEFAULT 0)")  # fmt: skip
        for number in range(1, 4):
            event = hostile_corpus.event(number)
            conn.execute("INSERT OR IGNORE INTO queue VALUES (?, ?, 't', ?, 1770000000, 0)",
                         (number, event["event_id"], json.dumps(event)))  # fmt: skip
    return [path.read_bytes(), b"", b"SQLite format 3\0"]


def _batches() -> list[bytes]:
    return [b'{"events": [' + body + b"]}" for body in small_bodies()] + [
        b'{"events": []}', b'{"events": {}}', b"[]", b'{"x": 1, "events": [1, "a", null, [], {}]}',
    ]  # fmt: skip


def _lines() -> Iterator[bytes]:
    yield b"\n".join(small_bodies()[:5])
    yield b"[" + b",".join(small_bodies()[5:8]) + b"]"
    yield b"\x1f\x8b"


TARGETS: dict[str, Target] = {
    "strict_json": Target(strict_json, small_bodies),
    "envelope": Target(envelope, small_bodies),
    "batch": Target(batch, _batches),
    "answer": Target(answer, _answers),
    "frame": Target(frame, _frames),
    "health": Target(health, _healths),
    "tokens": Target(tokens, _tokens),
    "credentials": Target(credentials, _credentials),
    "config": Target(config, _configs),
    "clock": Target(clock, lambda: [b'{"value": 7, "node_id": "x"}', b"[" * 3000, b"9" * 5000]),
    "rows": Target(rows, lambda: list(_lines())),
    "queue": Target(queue, _queues),
}  # fmt: skip
