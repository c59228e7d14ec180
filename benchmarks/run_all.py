"""Run every benchmark, one after the other, and print the table ours / floor / ratio.

Machines are shared and noisy, so both sides of a ratio are measured in turn, in one run. Writes all
figures as JSON (`--json`), and with `--record` the table in docs/performance.md and one line in
benchmarks/history.jsonl.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DOC = HERE.parent / "docs" / "performance.md"
HISTORY = HERE / "history.jsonl"
BENCHES = (
    "append_events",
    "append_concurrent",
    "emit_rate",
    "drain_events",
    "drain_memory",
    "select_events",
    "migrate_queues",
    "diagnose_events",
    "start_up",
    "status_size",
    "receiver_ingest",
    "conformance_speed",
)
_BEGIN, _END = "<!-- table: made by benchmarks/run_all.py -->", "<!-- end of table -->"


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, default=Path("bench-work") / "bench.json")
    parser.add_argument("--only", nargs="+", choices=BENCHES, default=BENCHES)
    parser.add_argument("--record", action="store_true", help="also the docs and the history")
    args = parser.parse_args()
    args.json.parent.mkdir(parents=True, exist_ok=True)
    found = [_run(name, args.json.parent) for name in args.only]
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "load": [round(each, 2) for each in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "benches": found,
    }
    args.json.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print("\n".join(table(document)))
    missed = [each["name"].strip() for each in _figures(document) if each["is_met"] is False]
    print(f"\n{len(missed)} targets missed{': ' if missed else ''}{'; '.join(missed)}")
    print(f"all figures: {args.json}")
    if args.record:
        record(document)


def _run(name: str, folder: Path) -> dict[str, Any]:
    print(f"{name} …", end=" ", file=sys.stderr, flush=True)
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, str(HERE / f"{name}.py")], cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr}")
    print(f"{time.monotonic() - started:.0f} s", file=sys.stderr)
    return dict(json.loads(done.stdout))


def _figures(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [figure for bench in document["benches"] for figure in bench["figures"]]


def table(document: dict[str, Any]) -> list[str]:
    """Return the Markdown table of all figures."""
    lines = ["| measurement | ours | floor | ratio | target |", "|---|--:|--:|--:|---|"]
    for each in _figures(document):
        cells = (
            each["name"].replace("  ", "· ", 1),
            _number(each["ours"], each["unit"]),
            "" if each["floor"] is None else _number(each["floor"], each["unit"]),
            "" if each["ratio"] is None else f"{each['ratio']:.2f}",
            _target(each),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _number(value: float, unit: str) -> str:
    digits = 0 if value >= 100 else 2 if value < 10 else 1
    return f"{value:,.{digits}f}{unit if unit in {'/s', 'x'} else f' {unit}'}"


def _target(figure: dict[str, Any]) -> str:
    for key, sign in (("at_least", "≥"), ("at_most", "≤")):
        if figure[key] is not None:
            of = " x floor" if figure["ratio"] is not None else f" {figure['unit']}"
            verdict = "" if figure["is_met"] else ": missed"
            return f"{sign} {figure[key]:,g}{of}{verdict}"
    return ""


def record(document: dict[str, Any]) -> None:
    """Put the table into the docs and one line into the history."""
    text = DOC.read_text(encoding="utf-8")
    head, rest = text.split(_BEGIN)
    tail = rest.split(_END)[1]
    machine = (
        f"{document['cores']} cores, {document['system']}, load {document['load'][0]} at the end"
    )
    told = f"Run of {document['at'][:10]}: {machine}."
    body = "\n".join([_BEGIN, *table(document), "", told, _END])
    DOC.write_text(head + body + tail, encoding="utf-8")
    line = {
        "at": document["at"],
        "load": document["load"],
        "figures": {
            each["name"].strip(): [each["ours"], each["ratio"]] for each in _figures(document)
        },
    }
    with HISTORY.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
