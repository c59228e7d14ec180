"""How the receiver grows: workers 1 → 4, and 10k → 1M stored events; one JSON object per line.

Every stage fills the same database further (straight through the store, without HTTP), then
posts `--events` fresh ones by HTTP for each number of workers, then times what people read.
Machines are shared: beside events/s stands the processor time per event, which noise spares.
"""

from __future__ import annotations

import json
import statistics
import time
import urllib.request
from collections.abc import Callable

from receiver_ingest import arguments, bodies, cpu_seconds, event, measure, own_database, start

from spec_kitty_sync.receiver.database import database_address
from spec_kitty_sync.receiver.decide import NewEvent
from spec_kitty_sync.receiver.stores import store_at

_READS = {
    "page": "/api/v1/events/?limit=100&after={half}",
    "list": "/",
    "filtered_list": "/?type=WPCreated",
    "boards_first": "/api/v1/missions/?project_uuid=7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "boards_again": "/api/v1/missions/?project_uuid=7c9e6679-7425-40de-944b-e07fc1f90ae7",
}
_PROJECT = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
_BATCH = 1000
_MISSIONS = 500


def fill(database: str, first: int, last: int, size_bytes: int) -> float:
    """Store the events from *first* to *last* and return events per second."""
    store = store_at(database_address(database))
    store.open()
    started = time.perf_counter()
    for start_number in range(first, last, _BATCH):
        numbers = range(start_number, min(last, start_number + _BATCH))
        store.add([[_stored(number, size_bytes) for number in numbers]], now_ms=_now_ms())
    seconds = time.perf_counter() - started
    store.close()
    return (last - first) / seconds


def _now_ms() -> int:
    """Return the time of day in milliseconds."""
    return time.time_ns() // 1_000_000


def _stored(number: int, size_bytes: int) -> NewEvent:
    fields = event(number, size_bytes)
    mission = f"{number % _MISSIONS:03}-mission"
    if number % 10 == 0:
        fields["event_type"] = "WPCreated"
        fields["payload"] = {
            "wp_id": f"WP{number // 10 % 20 + 10}", "title": "t", "dependencies": [],
            "feature_slug": mission,
        }  # fmt: skip
    body = json.dumps(fields, separators=(",", ":")).encode()
    return NewEvent("", fields["event_id"], fields["event_type"], _PROJECT, body, 0, mission, None)


def _timed(action: Callable[[], object], times: int) -> float:
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - started)
    return round(statistics.median(seconds) * 1000, 1)


def main() -> None:
    """Measure every stage and print its figures."""
    parser = arguments(__doc__)
    parser.set_defaults(events=20_000)
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--stages", default="10000,100000,1000000")
    parser.add_argument("--workers", default="1,2,4")
    args = parser.parse_args()
    workers = [1] if args.store == "sqlite" else [int(each) for each in args.workers.split(",")]
    first = 0
    with own_database(args.store) as database:
        for stage in map(int, args.stages.split(",")):
            rate = fill(database, first, max(first, stage), args.bytes)
            first = max(first, stage)
            figures: dict[str, object] = {
                "name": "receiver_growth", "store": args.store, "stored": first,
                "fill_events_per_s": round(rate),
            }  # fmt: skip
            for count in workers:
                shares = bodies(args, first)
                first += args.events
                process, port = start(database, count)
                before_s = cpu_seconds(process.pid)
                seconds, stored, _, _ = measure(port, shares)
                used_s = cpu_seconds(process.pid) - before_s
                figures[f"events_per_s_{count}"] = round(stored / seconds)
                figures[f"cpu_us_per_event_{count}"] = round(used_s / stored * 1e6, 1)
                if count == workers[-1]:
                    figures |= _reads(port, first)
                process.terminate()
                process.wait(20)
            print(json.dumps(figures), flush=True)


def _reads(port: int, newest: int) -> dict[str, float]:
    figures = {}
    for name, path in _READS.items():
        url = f"http://127.0.0.1:{port}{path.format(half=newest // 2)}"
        times = 1 if name == "boards_first" else 5
        figures[f"{name}_ms"] = _timed(lambda url=url: urllib.request.urlopen(url).read(), times)
    return figures


if __name__ == "__main__":
    main()
