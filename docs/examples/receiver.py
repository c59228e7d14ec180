"""A whole receiver: Python's standard library, SQLite, and the published schemas.

    RECEIVER_TOKEN=… python receiver.py SCHEMAS DATABASE PORT
"""

import gzip
import hmac
import io
import json
import os
import sqlite3
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource

MAX_EVENTS, MAX_BODY = 1000, 8 * 1024 * 1024


class BadRequest(Exception):
    """The body is no batch: answered 400."""


def object_of(pairs):
    """Return an object; one that states a key twice means two things."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object states a key twice")
    return found


def refuse(number):
    raise ValueError(f"{number} is no JSON")


class Receiver:
    """Judges each event alone, stores what is new, and commits before it answers."""

    def __init__(self, schemas, database):
        documents = [json.loads(path.read_text()) for path in Path(schemas).rglob("*.schema.json")]
        known = Registry().with_resources(
            (each["$id"], Resource.from_contents(each)) for each in documents
        )
        (wire,) = [each for each in documents if each["title"] == "Event on the wire"]
        self.validator = Draft202012Validator(wire, registry=known)
        self.lock = threading.Lock()
        self.store = sqlite3.connect(database, check_same_thread=False)
        self.store.execute("PRAGMA journal_mode = WAL")
        self.store.execute("PRAGMA synchronous = FULL")
        self.store.execute("CREATE TABLE IF NOT EXISTS events (event_id PRIMARY KEY, content)")

    def take(self, body):
        """Return one result for each event of the batch."""
        try:
            text = body.decode("utf-8")  # json.loads(bytes) would guess another encoding
            batch = json.loads(text, object_pairs_hook=object_of, parse_constant=refuse)
        except (ValueError, RecursionError) as fault:
            raise BadRequest(str(fault)) from fault
        events = batch.get("events") if isinstance(batch, dict) else None
        if not isinstance(events, list) or len(events) > MAX_EVENTS:
            raise BadRequest(f"events: a list of at most {MAX_EVENTS} is wanted")
        faults = [self.fault(each) for each in events]
        with self.lock, self.store:  # the commit comes before the answer
            return [self.settle(*each) for each in zip(events, faults, strict=True)]

    def fault(self, event):
        """Return what is wrong with the event, naming the field; None when nothing is."""
        found = best_match(self.validator.iter_errors(event))
        return found and f"{'.'.join(map(str, found.absolute_path))}: {found.message}"[:500]

    def settle(self, event, fault):
        """Store the event unless something is wrong with it; the id of a refused one stays free."""
        event_id = event.get("event_id") if isinstance(event, dict) else None
        if fault:
            return result(event_id, "rejected", error=fault, error_category="schema_mismatch")
        content = json.dumps(event, sort_keys=True)
        new = self.store.execute("INSERT OR IGNORE INTO events VALUES (?, ?)", (event_id, content))
        if new.rowcount:
            return result(event_id, "success")
        query = "SELECT content FROM events WHERE event_id = ?"
        if self.store.execute(query, (event_id,)).fetchone() == (content,):
            return result(event_id, "duplicate")
        fault = "event_id: stored with other content"
        return result(event_id, "rejected", error=fault, error_category="id_conflict")


def result(event_id, status, **why):
    return {"event_id": event_id, "status": status, **why}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/api/v1/sync/health/":
            limits = {"max_batch_events": MAX_EVENTS, "max_body_bytes": MAX_BODY}
            self.answer(200, {"status": "ok", **limits, "capabilities": ["auth"]})
        else:
            self.close_connection = True  # a body is not read
            self.answer(405 if "/events/batch/" in self.path else 404, {"error": "POST a batch"})

    do_PUT = do_DELETE = do_PATCH = do_GET

    def do_POST(self):
        size = self.headers.get("Content-Length", "")
        if not size.isdecimal() or int(size) > MAX_BODY:
            self.close_connection = True  # what follows is not read
            status = 413 if size else 411
            return self.answer(status, {"error": f"Content-Length of at most {MAX_BODY} wanted"})
        body = self.rfile.read(int(size))
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        mine = os.environ["RECEIVER_TOKEN"].encode()
        if scheme.lower() != "bearer" or not hmac.compare_digest(token.encode(), mine):
            return self.answer(401, {"error": "the token is missing or unknown"})  # before parsing
        if self.path != "/api/v1/events/batch/":
            return self.answer(404, {"error": "no such path"})
        try:
            self.answer(200, {"results": self.server.receiver.take(self.unpacked(body))})
        except BadRequest as fault:
            self.answer(400, {"error": "this is no batch", "details": str(fault)})

    def unpacked(self, body):
        encoding = self.headers.get("Content-Encoding", "identity")
        if encoding not in ("gzip", "identity"):
            raise BadRequest(f"Content-Encoding {encoding} is not taken")
        try:
            plain = body
            if encoding == "gzip":  # a few bytes may unpack to any number: stop in time
                plain = gzip.GzipFile(fileobj=io.BytesIO(body)).read(MAX_BODY + 1)
        except (OSError, EOFError, ValueError) as fault:
            raise BadRequest(f"broken gzip: {fault}") from fault
        if len(plain) > MAX_BODY:
            raise BadRequest(f"unpacked, more than {MAX_BODY} bytes")
        return plain

    def answer(self, status, content):
        data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # with the usual 5, sixteen senders at once wait for seconds


if __name__ == "__main__":
    schemas, database, port = sys.argv[1:]
    server = Server(("127.0.0.1", int(port)), Handler)
    server.receiver = Receiver(schemas, database)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
