"""A producer in one file of standard library, with faults that can be switched on.

It stands alone: `python small_producer.py emit|emit-many|drain|status|server|login|retry …`.
Without faults it keeps the contract, apart from what its adapter does not declare. `SMALL_FAULTS`
names faults, separated by commas; the producer suite has to find each of them.
"""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import gzip
import hashlib
import http.client
import json
import math
import os
import secrets
import socket
import sqlite3
import sys
import time
import unicodedata
import uuid
from datetime import UTC, datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

FAULTS = frozenset(filter(None, os.environ.get("SMALL_FAULTS", "").split(",")))
HOME = Path(os.environ["SMALL_HOME"])
LOOPBACK = ("localhost", "127.0.0.1", "::1")
LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
WAITING = """
SELECT id, body FROM event WHERE state IN (SELECT value FROM json_each(?))
OR (state = 'pending' AND due <= ?) ORDER BY seq
"""
SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, body TEXT, state TEXT DEFAULT 'open',
    tries INTEGER DEFAULT 0, asked INTEGER DEFAULT 0, due REAL DEFAULT 0, reason TEXT
);
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS told (target TEXT, id TEXT, PRIMARY KEY (target, id));
"""


def on(fault: str) -> bool:
    """Return whether *fault* is switched on."""
    return fault in FAULTS


def store() -> sqlite3.Connection:
    """Return the database, made where it is not there."""
    HOME.mkdir(parents=True, exist_ok=True)
    conn = sqlite3.connect(HOME / "small.db", timeout=30, isolation_level=None)
    conn.executescript(SCHEMA)
    return conn


def now() -> float:
    """Return the time in epoch seconds; `drain-later` runs as if it were later."""
    return time.time() + STATE["later"]


def setting(conn: sqlite3.Connection, name: str) -> str | None:
    """Return a setting."""
    row = conn.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
    return row[0] if row else None


def keep(conn: sqlite3.Connection, name: str, value: str | None) -> None:
    """Keep a setting."""
    conn.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))


def ulid() -> str:
    """Return a new ULID."""
    if on("lower-case-ids"):
        return ulid_of(time.time_ns() // 1_000_000).lower()
    return ulid_of(0 if on("ids-of-1970") else time.time_ns() // 1_000_000)


def ulid_of(ms: int) -> str:
    """Return a ULID of that time."""
    value = (ms << 80) | secrets.randbits(80)
    return "".join(LETTERS[(value >> 5 * place) & 31] for place in range(25, -1, -1))


def node() -> str:
    """Return the node id."""
    if on("host-name-as-node"):
        return socket.gethostname() + ":" + getpass.getuser()
    return hashlib.sha256(f"{socket.gethostname()}:{getpass.getuser()}".encode()).hexdigest()[:12]


def project(conn: sqlite3.Connection) -> str | None:
    """Return the identity of the project, which its folder keeps."""
    folder = Path(".kittify")
    if not folder.is_dir() or on("forgets-the-project"):
        return None
    if on("new-project-per-event"):
        return str(uuid.uuid4())
    if on("nil-project"):
        return str(uuid.UUID(int=0))
    file = (HOME if on("one-project-for-all") else folder) / "small-id"
    if not file.exists():
        file.write_text(str(uuid.uuid4()), encoding="ascii")
    return file.read_text(encoding="ascii")


def turn_others_away() -> None:
    """End with an error where another process is at work, if that is the fault."""
    if not on("captures-alone"):
        return
    STATE["alone"] = STATE.get("alone") or (HOME / "alone").open("w")
    try:
        fcntl.flock(STATE["alone"], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit("database is locked")


def append(conn: sqlite3.Connection, told: dict) -> str:
    """Store one event and return its id."""
    payload = told["payload"]
    is_known = payload.get("entry_type", "note") in {"note", "review", "error", "comment"}
    if not is_known and not on("accepts-anything"):
        sys.exit("entry_type is none of note, review, error, comment")
    if payload.get("to_lane") == "doing" and not on("writes-the-alias"):
        payload = {**payload, "to_lane": "in_progress"}
    payload = altered(payload)
    turn_others_away()
    place = None
    if on("numbers-by-hand"):
        place = conn.execute("SELECT coalesce(max(seq), 0) + 1 FROM event").fetchone()[0]
        time.sleep(0.001)
    conn.execute("BEGIN IMMEDIATE")
    clock_name = f"clock {project(conn)}" if on("clock-per-project") else "clock"
    clock = int(setting(conn, clock_name) or 0) + 1
    if on("clock-per-process"):
        clock = 1
    if on("counts-by-itself"):
        clock = STATE["clock"] = STATE.get("clock", clock - 1) + 1
    keep(conn, clock_name, str(clock))
    stamp = datetime.now(UTC).isoformat()
    event = {
        "event_id": ulid(),
        "event_type": told["event_type"],
        "aggregate_id": told["aggregate_id"],
        "aggregate_type": "WorkPackage" if told["aggregate_id"].startswith("WP") else "Mission",
        "payload": payload,
        "timestamp": stamp[:19] if on("no-zone") else stamp,
        "node_id": node(),
        "lamport_clock": clock,
        "correlation_id": ulid_of(1),
        "project_uuid": project(conn),
        "team_slug": setting(conn, "team") or "local",
        "schema_version": "1.0.0",
    }
    if told.get("data_tier") is not None:
        event["data_tier"] = told["data_tier"]
    if told.get("causation_id") and not on("drops-causes"):
        event["causation_id"] = ulid() if on("invents-causes") else told["causation_id"]
    mend(event)
    if told["event_type"] == "FeatureCreated" or told["event_type"] == "FeatureCompleted":
        event["aggregate_type"] = "Feature"
    body = spliced(json.dumps(event, separators=(",", ":")), told)
    conn.execute(
        "INSERT OR REPLACE INTO event (seq, id, body) VALUES (?, ?, ?)",
        (place, event["event_id"], body),
    )
    if not on("prints-before-commit"):
        conn.execute("COMMIT")
    return str(event["event_id"])


def spliced(body: str, told: dict) -> str:
    """Return *body*; under that fault with the text of the payload as it was read."""
    if not on("sends-what-it-reads") or "text" not in told:
        return body
    written = json.dumps(told["payload"], separators=(",", ":"))
    return body.replace(written, told["text"].decode("utf-8", "surrogateescape"))


def altered(payload: dict) -> dict:
    """Return *payload* as it was given, unless a fault alters it."""
    if on("drops-unknown-keys"):
        payload = {key: value for key, value in payload.items() if not key.startswith("x_")}
    if on("drops-nulls"):
        payload = {key: value for key, value in payload.items() if value is not None}
    texts = {key: value for key, value in payload.items() if isinstance(value, str)}
    if on("composes-letters"):
        payload |= {key: unicodedata.normalize("NFC", text) for key, text in texts.items()}
    if on("strips-texts"):
        payload |= {key: text.strip() for key, text in texts.items()}
    return payload


def mend(event: dict) -> None:
    """Spoil *event* as the faults ask for."""
    if on("no-node"):
        del event["node_id"]
    if on("uuid-repr") and event["project_uuid"]:
        event["project_uuid"] = f"UUID('{event['project_uuid']}')"
    if on("leaks-the-home"):
        event["payload"] = {**event["payload"], "workspace": str(HOME)}
    if on("clock-as-text"):
        event["lamport_clock"] = str(event["lamport_clock"])
    if on("field-lane") and "to_lane" in event["payload"]:
        event["payload"] = {**event["payload"], "to_lane": "approved"}
    if on("extra-lane"):
        event["payload"] = {
            **event["payload"],
            **({"to_lane": "reviewing"} if "to_lane" in event["payload"] else {}),
        }


def waiting(conn: sqlite3.Connection) -> list[tuple[str, str]]:
    """Return id and body of what is to be sent, oldest first."""
    wanted = ["open", "rejected"]
    wanted += ["terminal"] if on("retries-terminal") else []
    wanted += ["pending"] if on("asks-pending-at-once") else []
    due = -1.0 if on("never-asks-pending-again") else now()
    rows = conn.execute(WAITING, (json.dumps(wanted), due)).fetchall()
    if on("newest-first"):
        rows.reverse()
    target = setting(conn, "url")
    told = conn.execute("SELECT id, target FROM told").fetchall()
    known = {row[0] for row in told if row[1] == target or on("knows-one-server")}
    sendable = []
    for event_id, body in rows:
        event = json.loads(body)
        if is_of_another_team(conn, event) and not on("sends-every-team"):
            continue
        if event.get("data_tier") == 0 and not on("sends-tier-zero"):
            continue
        if not event.get("project_uuid") and not on("sends-without-identity"):
            continue
        if event_id not in known:
            sendable.append((event_id, body))
    return sendable


def is_of_another_team(conn: sqlite3.Connection, event: dict) -> bool:
    """Return whether *event* waits for the login of another team than the present one."""
    team = setting(conn, "team")
    return bool(team) and event["team_slug"] not in ("local", team)


def halves(conn: sqlite3.Connection, batch: list[tuple[str, str]]) -> None:
    """Send both halves of *batch*, the left one first."""
    middle = len(batch) // 2
    for half in (batch[:middle], batch[middle:]):
        send(conn, half)


def mark_too_early(conn: sqlite3.Connection, batch: list[tuple[str, str]]) -> None:
    """Count *batch* as delivered before it was sent, where that fault is on."""
    for event_id, _ in batch if on("marks-before-sending") else ():
        deliver(conn, event_id)


def too_large(conn: sqlite3.Connection, batch: list[tuple[str, str]]) -> None:
    """Halve *batch*; a single event is refused for good."""
    if len(batch) > 1:
        return halves(conn, batch)
    return mark(conn, batch[0][0], "terminal", "too large")


def send(
    conn: sqlite3.Connection, batch: list[tuple[str, str]], again: bool = False, rounds: int = 0
) -> None:
    """Send *batch* and settle what comes of it; ends the process where the drain has to stop.

    *rounds*: how often it was sent before, with an event more that the answer named.
    """
    mark_too_early(conn, batch)
    if on("claims-for-ever"):
        for event_id, _ in batch:
            conn.execute("UPDATE event SET state = 'sending' WHERE id = ?", (event_id,))
        time.sleep(0.15)
    status, answer, headers = post(conn, batch)
    if status == 200:
        STATE["failed"] *= on("counts-failures-in-all")
        return settle(conn, batch, answer)
    if status == 400 or (status == 422 and not on("422-stops")):
        return refused(conn, batch, answer, rounds)
    if status == 401 and not again and setting(conn, "refresh") and not on("never-refreshes"):
        refresh(conn)
        return send(conn, batch, again=True)
    if status == 413 and not on("413-stops"):
        return too_large(conn, batch)
    if status in (429, 503) and headers.get("Retry-After"):
        wait(headers["Retry-After"], status, answer)
        return send(conn, batch)
    return other_answer(conn, batch, status, answer)


def wait(asked: str, status: int, answer: bytes) -> None:
    """Wait as long as a Retry-After *asked*; stop when the drain has waited for half a minute."""
    seconds = seconds_of(asked)
    STATE["waited"] += max(1.0, seconds)
    if STATE["waited"] > 30:
        stop(status, f"come again after {asked}: ".encode() + answer)
    time.sleep(seconds)


def seconds_of(asked: str) -> float:
    """Return the seconds that a Retry-After asks for, in figures or as a date; 1 at least."""
    if on("ignores-retry-after") or (on("takes-dates-for-now") and not asked.isdecimal()):
        return 0.0
    if on("chokes-on-dates"):
        return float(asked)
    seconds = 0.0
    with contextlib.suppress(ValueError):
        date = None if asked.isdecimal() else parsedate_to_datetime(asked)
        seconds = date.timestamp() - now() if date else float(asked)
    return max(1.0, seconds)


def other_answer(
    conn: sqlite3.Connection, batch: list[tuple[str, str]], status: int, answer: bytes
) -> None:
    """Act on an answer that says nothing about single events."""
    if status == 0 or status == 408 or status >= 500:
        return troubled(conn, batch, status)
    if on("rejects-on-stop"):
        for event_id, _ in batch:
            mark(conn, event_id, "rejected", str(status))
    stop(status, answer)
    return None


def stop(status: int, answer: bytes) -> None:
    """End the drain and say why."""
    text = "" if on("hides-the-answer") else f"{status} {answer.decode(errors='replace')[:400]}"
    sys.exit(0 if on("always-green") else f"stopped: {text}")


def troubled(conn: sqlite3.Connection, batch: list[tuple[str, str]], status: int) -> None:
    """Find out which event the server fails on; stop when it fails on all."""
    STATE["bad"] = 1
    if on("trouble-is-rejection"):
        for event_id, _ in batch:
            mark(conn, event_id, "rejected", str(status))
    alone = len(batch) == 1
    STATE["failed"] += alone
    if on("one-stops-all") or (STATE["failed"] >= 3 and not on("asks-a-dead-server-on")):
        stop(status, b"the server is down")
    return None if alone else halves(conn, batch)


def refused(
    conn: sqlite3.Connection, batch: list[tuple[str, str]], answer: bytes, rounds: int
) -> None:
    """Act on a 400: blame those it names, else look for the culprit."""
    try:
        details = json.loads(answer).get("details")
        details = json.loads(details) if isinstance(details, str) else details
    except ValueError:
        details = None
    ids = {event_id for event_id, _ in batch}
    named = {one["event_id"]: one.get("error", "") for one in details or [] if "event_id" in one}
    if on("blames-all"):
        named = dict.fromkeys(ids, "400")
    if named and set(named) <= ids:
        for event_id, reason in named.items():
            mark(conn, event_id, "rejected", reason)
        rest = [one for one in batch if one[0] not in named]
        rounds = 0 if on("peels-one-by-one") else rounds + 1
        if not rest or rounds < 5:
            return send(conn, rest, rounds=rounds) if rest else None
        return halves(conn, rest) if len(rest) > 1 else send(conn, rest)
    return search(conn, batch, answer)


def search(conn: sqlite3.Connection, batch: list[tuple[str, str]], answer: bytes) -> None:
    """Find out which event of *batch* is refused; stop where all are, in the same words."""
    if len(batch) == 1:
        return mark(conn, batch[0][0], "rejected", answer.decode(errors="replace"))
    if on("sends-one-by-one"):
        for one in batch:
            send(conn, [one])
        return None
    if not STATE["probed"] and not on("bisects-everything"):
        STATE["probed"] = 1
        ends = [post(conn, [one]) for one in (batch[0], batch[-1])]
        if all(one[0] in (400, 422) and one[1] == answer for one in ends):
            stop(400, answer)
        for one, (status, said, _) in zip((batch[0], batch[-1]), ends, strict=True):
            if status == 200:
                settle(conn, [one], said)
            else:
                mark(conn, one[0], "rejected", said.decode(errors="replace"))
        batch = batch[1:-1]
    return halves(conn, batch) if len(batch) > 1 else send(conn, batch) if batch else None


def settle(conn: sqlite3.Connection, batch: list[tuple[str, str]], answer: bytes) -> None:
    """Record the results of one answer."""
    ids = [event_id for event_id, _ in batch]
    if on("any-200-delivers"):
        for event_id in ids:
            deliver(conn, event_id)
        return
    try:
        results = json.loads(answer)["results"]
        said: dict[str, dict[str, str]] = {}
        for place, one in enumerate(results):
            key = ids[place % len(ids)] if on("by-position") else one["event_id"]
            if key in said and said[key] != one and not on("last-result-wins"):
                one = {"status": "contradicting"}
            said[key] = one
    except (ValueError, KeyError, TypeError):
        STATE["bad"] = 1
        return
    for event_id in ids if not on("settles-foreign-ids") else said:
        one = said.get(event_id, {"status": "success"} if on("missing-is-success") else {})
        judge(conn, event_id, one)


def judge(conn: sqlite3.Connection, event_id: str, one: dict[str, str]) -> None:
    """Record one result."""
    status = one.get("status")
    reason = one.get("error") or ("" if on("reads-error-only") else one.get("error_message", ""))
    if on("hides-reasons"):
        reason = ""
    if status == "success" or (status == "duplicate" and not on("duplicate-is-error")):
        deliver(conn, event_id)
    elif status in ("pending", "queued"):
        mark(conn, event_id, "pending", "")
        STATE["bad"] |= on("pending-is-error")
    elif status == "rejected":
        mark(conn, event_id, "rejected", reason)
    elif status == "failed_permanent":
        mark(conn, event_id, "terminal", reason)
    elif on("unknown-is-success"):
        deliver(conn, event_id)
    else:
        STATE["bad"] = 1


def deliver(conn: sqlite3.Connection, event_id: str) -> None:
    """Record that the receiver has it."""
    if on("deletes-delivered"):
        conn.execute("DELETE FROM event WHERE id = ?", (event_id,))
    conn.execute("INSERT OR IGNORE INTO told VALUES (?, ?)", (setting(conn, "url"), event_id))
    conn.execute("UPDATE event SET state = 'open', reason = NULL WHERE id = ?", (event_id,))


def mark(conn: sqlite3.Connection, event_id: str, state: str, reason: str) -> None:
    """Record that it is not delivered, and why."""
    STATE["bad"] |= state != "pending"
    if state == "rejected":
        conn.execute("UPDATE event SET tries = tries + 1 WHERE id = ?", (event_id,))
        tries = conn.execute("SELECT tries FROM event WHERE id = ?", (event_id,)).fetchone()[0]
        if on("drops-rejected"):
            conn.execute("DELETE FROM event WHERE id = ?", (event_id,))
        if tries >= (1 if on("gives-up-at-once") else 5) and not on("retries-for-ever"):
            state = "dead"
    if state == "pending":
        conn.execute("UPDATE event SET asked = asked + 1 WHERE id = ?", (event_id,))
        asked = conn.execute("SELECT asked FROM event WHERE id = ?", (event_id,)).fetchone()[0]
        conn.execute("UPDATE event SET due = ? WHERE id = ?", (now() + pause(asked), event_id))
    conn.execute("UPDATE event SET state = ?, reason = ? WHERE id = ?", (state, reason, event_id))
    if reason:
        sys.stderr.write(f"{event_id}: {reason}\n")


def pause(asked: int) -> float:
    """Return the seconds until a pending event is asked for again, the *asked*-th time."""
    if on("asks-pending-every-half-minute"):
        return 30.0
    if on("forgets-pending-in-time"):
        return 30.0 * 2 ** (asked - 1)
    if on("asks-pending-after-an-hour"):
        return 3600.0
    return float(min(3600, 30 * 2 ** (asked - 1)))


def post(conn: sqlite3.Connection, batch: list[tuple[str, str]]) -> tuple[int, bytes, Message]:
    """Post *batch*; status 0 means that no answer came."""
    bodies = [fresh(conn, *one) for one in batch]
    body = ('{"events":[' + ",".join(bodies) + "]}").encode()
    packed = gzip.compress(gzip.compress(body)) if on("packs-twice") else gzip.compress(body)
    path = "/api/v1/events/batch" + ("" if on("no-last-slash") else "/")
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    if not on("no-protocol-header"):
        headers["X-Spec-Kitty-Sync-Protocol"] = "1.0"
    if setting(conn, "access"):
        headers["Authorization"] = f"Bearer {setting(conn, 'access')}"
    return call(f"{setting(conn, 'url')}{path}", packed, headers)


def fresh(conn: sqlite3.Connection, event_id: str, body: str) -> str:
    """Return *body* as it was captured, unless a fault spoils it."""
    event = json.loads(body)
    if on("stamps-at-drain"):
        event["timestamp"] = datetime.now(UTC).isoformat()
    if on("new-id-per-send"):
        event["event_id"] = ulid()
    if on("counts-sends"):
        event["attempt"] = secrets.randbits(30)
    tries = conn.execute("SELECT tries FROM event WHERE id = ?", (event_id,)).fetchone()[0]
    if on("repeats-a-key-later") and tries:
        return f'{body[:-1]},"node_id":"000000000000"}}'
    spoiled = on("stamps-at-drain") or on("new-id-per-send") or on("counts-sends")
    return json.dumps(event, separators=(",", ":")) if spoiled else body


def call(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes, Message]:
    """Return status, body and headers of a POST; status 0 where no answer came."""
    parts = urlsplit(url)
    proxy = os.environ.get("http_proxy") if on("asks-the-proxy") else None
    server = http.client.HTTPConnection(urlsplit(proxy or url).netloc, timeout=30)
    try:
        server.request("POST", url if proxy else parts.path, body, headers)
        answer = server.getresponse()
        said = answer.read(100_000 if on("reads-little") else None)
    except ConnectionRefusedError as error:
        sys.exit(f"offline: {error}")
    except (OSError, http.client.HTTPException):
        return 0, b"", Message()
    finally:
        server.close()
    if on("follows-redirects") and answer.headers.get("Location"):
        return call(answer.headers["Location"], body, headers)
    return answer.status, said, answer.headers


def refuse_plain_http(url: str) -> None:
    """End with a remedy where *url* would show the token to the network."""
    parts = urlsplit(url)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK and not on("trusts-plain-http"):
        sys.exit(f"plain http to {parts.hostname} shows the token to the network: use https")


def refresh(conn: sqlite3.Connection) -> None:
    """Get a new access token."""
    body = json.dumps({"refresh": setting(conn, "refresh")}).encode()
    take_tokens(conn, call(f"{setting(conn, 'url')}/api/v1/token/refresh/", body, JSON))


def take_tokens(conn: sqlite3.Connection, answer: tuple[int, bytes, Message]) -> None:
    """Keep the tokens of an answer."""
    told = json.loads(answer[1])
    keep(conn, "access", told["access"])
    keep(conn, "refresh", told["refresh"])
    keep(conn, "team", told["team_slug"])


def drain(conn: sqlite3.Connection) -> None:
    """Send everything that waits, in batches."""
    if os.environ.get("SMALL_OFF") and not on("ignores-the-switch"):
        return
    other = os.environ.get("SMALL_URL")
    if other and other != setting(conn, "url") and not on("takes-the-other-server"):
        sys.exit(f"two servers: {setting(conn, 'url')} and {other}")
    if other:
        keep(conn, "url", other)
    with (HOME / "lock").open("w") as lock:
        if not on("drains-side-by-side"):
            fcntl.flock(lock, fcntl.LOCK_EX)
        limits = health(conn)
        events = waiting(conn)
        batch: list[tuple[str, str]] = []
        size = 0
        for one in events:
            full = len(batch) >= limits[0] or size + len(one[1]) + 20 > limits[1]
            if batch and full:
                send(conn, batch)
                batch, size = [], 0
            batch.append(one)
            size += len(one[1].encode()) + 1
        if batch:
            send(conn, batch)
        if on("claims-for-ever"):
            conn.execute("UPDATE event SET state = 'open' WHERE state = 'sending'")
    sys.exit(1 if STATE["bad"] and not on("always-green") else 0)


def health(conn: sqlite3.Connection) -> tuple[int, int]:
    """Return how many events and bytes a request may have."""
    told = {}
    if not on("asks-no-limits"):
        server = http.client.HTTPConnection(urlsplit(setting(conn, "url")).netloc, timeout=30)
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            server.request("GET", "/api/v1/sync/health/")
            told = json.loads(server.getresponse().read())
        server.close()
    meet(conn, told.get("server_instance_id"))
    events = 5000 if on("large-batches") else min(1000, told.get("max_batch_events", 1000))
    return events, 10**9 if on("counts-only") else told.get("max_body_bytes", 8_000_000)


def meet(conn: sqlite3.Connection, instance: str | None) -> None:
    """Tell where another server than last time stands behind the address."""
    url = setting(conn, "url")
    before = setting(conn, f"instance {url}")
    keep(conn, f"instance {url}", instance or before)
    if not instance or before in (None, instance):
        return
    if on("resends-after-a-reset"):
        conn.execute("DELETE FROM told WHERE target = ?", (url,))
    if not on("hides-the-reset"):
        sys.stderr.write(f"{url} is another server now, {instance}: redeliver, if it lost all\n")


def status(conn: sqlite3.Connection) -> dict[str, int]:
    """Return the numbers of this home."""
    one = "SELECT count(*) FROM event WHERE state = ?"
    counts = {
        name: conn.execute(one, (state,)).fetchone()[0]
        for name, state in (("pending", "pending"), ("rejected", "rejected"),
                            ("dead_letter", "dead"), ("terminal_failed", "terminal"))
    }  # fmt: skip
    counts["retained"] = conn.execute("SELECT count(*) FROM event").fetchone()[0]
    target = (setting(conn, "url"),)
    counts["delivered"] = conn.execute(
        "SELECT count(*) FROM told WHERE target = ?", target
    ).fetchone()[0]
    counts["undelivered"] = counts["retained"] - counts["delivered"]
    bodies = conn.execute("SELECT body FROM event WHERE state = 'open'").fetchall()
    counts["held"] = sum(is_of_another_team(conn, json.loads(row[0])) for row in bodies)
    return counts


def emit(conn: sqlite3.Connection, rest: list[str], many: bool) -> None:
    """Append the events on standard input and print their ids."""
    if on("captures-only-with-a-server") and not setting(conn, "url"):
        return
    for line in sys.stdin if many else [None]:
        told = read_json(line.encode()) if line else one_event(rest)
        sys.stdout.write(append(conn, told) + "\n")
        sys.stdout.flush()
        if on("prints-before-commit"):
            time.sleep(0.002)
            conn.execute("COMMIT")


def one_event(rest: list[str]) -> dict:
    """Return the event that the arguments and standard input describe."""
    kind, about, *options = rest
    text = sys.stdin.buffer.read()
    told = {"event_type": kind, "aggregate_id": about, "payload": read_json(text), "text": text}
    for name, value in zip(options[::2], options[1::2], strict=True):
        told |= {"data_tier": int(value)} if name == "--tier" else {"causation_id": value}
    return told


def read_json(text: bytes) -> dict:
    """Return what *text* says; ends the process where JSON cannot say it again."""
    if on("sends-what-it-reads"):
        return json.loads(text.decode("utf-8", "surrogateescape"))
    try:
        told = json.loads(
            text, parse_float=finite, parse_constant=finite, object_pairs_hook=without_repeats
        )
        if not on("sends-half-letters"):
            json.dumps(told, ensure_ascii=False).encode()
    except ValueError as exc:
        if on("crashes-on-no-json"):
            raise
        sys.exit(f"this is not strict JSON: {exc}")
    return told


def finite(text: str) -> float:
    """Return the number in *text*; NaN and what is too large for a float is none."""
    if not math.isfinite(float(text)) and not on("sends-infinity"):
        raise ValueError(f"{text} is no number")
    return float(text)


def without_repeats(pairs: list[tuple[str, object]]) -> dict:
    """Return an object whose keys stand there once."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError(f"a key is repeated among {', '.join(key for key, _ in pairs)}")
    return dict(pairs)


def run(command: str, rest: list[str]) -> None:
    """Run one command."""
    conn = store()
    if command == "server":
        refuse_plain_http(rest[0])
        if on("forgets-servers"):
            conn.execute("DELETE FROM told")
        keep(conn, "url", rest[0])
    elif command == "login":
        body = json.dumps({"username": rest[0], "password": "p"}).encode()
        take_tokens(conn, call(f"{setting(conn, 'url')}/api/v1/token/", body, JSON))
    elif command in ("emit", "emit-many"):
        emit(conn, rest, many=command == "emit-many")
    elif command in ("drain", "drain-later"):
        STATE["later"] = float(rest[0]) if rest else 0.0
        drain(conn)
    elif command == "status":
        sys.stdout.write(json.dumps(status(conn)))
    elif command == "retry":
        spared = "" if on("retries-pending") else "pending"
        conn.execute("UPDATE event SET state = 'open', tries = 0 WHERE state <> ?", (spared,))


def main() -> None:
    """Run one command; say in a sentence where the home cannot be used."""
    try:
        run(sys.argv[1], sys.argv[2:])
    except (OSError, sqlite3.Error) as exc:
        if on("crashes-when-unwritable"):
            raise
        if not on("silent-when-unwritable"):
            sys.exit(f"{HOME} cannot be used: {exc}")


STATE = {"failed": 0, "probed": 0, "bad": 0, "waited": 0.0, "later": 0.0}
JSON = {"Content-Type": "application/json"}
if __name__ == "__main__":
    main()
