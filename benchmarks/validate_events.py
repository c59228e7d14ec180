"""How fast events are validated and admitted, beside one plain JSON parse; JSON out.

The yardstick is the floor `floor_diagnose.py`: envelope and payload through two pydantic models.
Compare with `pair.py`, keys `results.parsed_per_s` ↔ `results.all_valid_per_s` and
`results.bytes_per_s` ↔ `results.with json.loads per_s`.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from spec_kitty_sync._json import canonical_hash, loads_strict
from spec_kitty_sync.events import Validator, admit, default_registry

_B32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def ulid(number: int) -> str:
    """Return a valid ULID that grows with *number*."""
    value = (1_770_000_000_000 + number) << 80 | (number * 0x9E3779B97F4A7C15 & (1 << 80) - 1)
    return "".join(_B32[value >> shift & 31] for shift in range(125, -1, -5))


def event(number: int) -> dict[str, Any]:
    """Return a status event of some 600 bytes, as the floors use."""
    return {
        "event_id": ulid(number),
        "event_type": "WPStatusChanged",
        "aggregate_id": f"WP{number % 40:02d}",
        "aggregate_type": "WorkPackage",
        "payload": {
            "wp_id": f"WP{number % 40:02d}",
            "from_lane": "planned",
            "to_lane": "in_progress",
            "actor": "claude-agent",
            "feature_slug": "039-cli-2x-readiness",
        },
        "timestamp": f"2026-02-12T10:{number // 60 % 60:02d}:{number % 60:02d}+00:00",
        "node_id": "a1b2c3d4e5f6",
        "lamport_clock": number + 1,
        "causation_id": None,
        "correlation_id": ulid(number * 7919 + 13),
        "schema_version": "1.0.0",
        "data_tier": 1,
        "team_slug": "team-a",
        "project_uuid": "550e8400-e29b-41d4-a716-446655440000",
        "project_slug": "demo-project",
    }


def rate(run: Callable[[], Any], count: int, runs: int) -> int:
    """Return events a second, median of *runs* after one warm-up."""
    times = []
    for _ in range(runs + 1):
        gc.collect()
        begin = time.perf_counter()
        run()
        times.append(time.perf_counter() - begin)
    return round(count / statistics.median(times[1:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    registry = default_registry()
    validator = Validator(registry)
    events = [event(number) for number in range(args.n)]
    broken = [dict(each) for each in events]
    for each in broken[::10]:
        each |= {"event_id": "nope", "lamport_clock": -1}
    bodies = [json.dumps(each).encode() for each in events]
    assert all(validator.validate(body).valid for body in bodies)
    measured: dict[str, Callable[[], Any]] = {
        "parsed_per_s": lambda: [validator.validate_parsed(each) for each in events],
        "parsed_10pct_invalid_per_s": lambda: [validator.validate_parsed(each) for each in broken],
        "bytes_per_s": lambda: [validator.validate(body) for body in bodies],
        "admit_per_s": lambda: [admit(body, registry=registry) for body in bodies],
        "json_loads_per_s": lambda: [json.loads(body) for body in bodies],
        "loads_strict_per_s": lambda: [loads_strict(body) for body in bodies],
        "canonical_hash_per_s": lambda: [canonical_hash(body) for body in bodies],
    }
    results = {name: rate(run, args.n, args.runs) for name, run in measured.items()}
    report = {
        "bench": "validate_events",
        "args": vars(args),
        "python": platform.python_version(),
        "results": results,
    }
    json.dump(report, sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
