"""Events per second that the reference receiver stores: N clients, gzip batches, fresh events.

Everything is real: `spec-kitty receiver serve` in a process of its own, clients in others, the
bodies made before the clock starts. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import gzip
import http.client
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any

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


def _event(number: int, size_bytes: int) -> dict[str, Any]:
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


def _bodies(args: argparse.Namespace) -> list[list[bytes]]:
    """Return the gzip bodies of each client."""
    shares: list[list[bytes]] = [[] for _ in range(args.clients)]
    for batch in range(args.events // args.batch):
        numbers = range(batch * args.batch, (batch + 1) * args.batch)
        events = [_event(number, args.bytes) for number in numbers]
        body = json.dumps({"events": events}, separators=(",", ":")).encode()
        shares[batch % args.clients].append(gzip.compress(body, 6))
    return shares


def _start(folder: str) -> tuple[subprocess.Popen[str], int]:
    command = [sys.executable, "-m", "spec_kitty_sync", "receiver", "serve", "--no-auth"]
    database = str(Path(folder) / "receiver.db")
    process = subprocess.Popen(
        [*command, "--port", "0", "--database", database], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline().rpartition(":")[2])


def _measure(port: int, shares: list[list[bytes]]) -> tuple[float, int, list[float], list[float]]:
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


def main() -> None:
    """Run once and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=50_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--batch", type=int, default=1000)
    parser.add_argument("--bytes", type=int, default=1000, help="per event")
    args = parser.parse_args()
    shares = _bodies(args)
    with tempfile.TemporaryDirectory(prefix="receiver-bench-") as folder:
        process, port = _start(folder)
        try:
            seconds, stored, batches, health = _measure(port, shares)
        finally:
            process.terminate()
            process.wait(20)
    figures = {
        "name": "receiver_ingest",
        "events": args.events,
        "clients": args.clients,
        "batch": args.batch,
        "event_bytes": args.bytes,
        "stored": stored,
        "events_per_s": round(stored / seconds),
        "batch_p50_ms": round(statistics.median(batches) * 1000, 1),
        "batch_max_ms": round(max(batches) * 1000, 1),
        "health_p50_ms": round(statistics.median(health) * 1000, 1),
        "health_max_ms": round(max(health) * 1000, 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
