"""Counters in Prometheus' text format, added up over all workers."""

from __future__ import annotations

import os
from collections import Counter as Tally
from collections.abc import Iterable

from spec_kitty_sync.receiver.decide import Result

_PREFIX = "spec_kitty_receiver"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The environment variable that makes prometheus-client count in files, one per process."""


class Metrics:
    """What one receiver counts. Labels have few values: no ids, users, teams or paths."""

    def __init__(self) -> None:
        # How it counts is settled by the environment when it is imported: not before the fork.
        from prometheus_client import CollectorRegistry, Counter, Histogram

        registry = self._registry = CollectorRegistry()
        self._requests = Counter(
            f"{_PREFIX}_requests", "Requests answered", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            f"{_PREFIX}_request_seconds",
            "Time from the headers to the answer",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._events = Counter(
            f"{_PREFIX}_events", "Results of events", ["status", "category"], registry=registry
        )
        self._commits = Histogram(
            f"{_PREFIX}_commit_seconds",
            "Time of one commit",
            buckets=_SECONDS,
            registry=registry,
        )
        self._committed = Counter(
            f"{_PREFIX}_committed_events", "Events handed to commits", registry=registry
        )
        self._failed = Counter(
            f"{_PREFIX}_failed_commits", "Commits that failed", registry=registry
        )

    def request(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def results(self, results: Iterable[Result]) -> None:
        """Count what events were answered."""
        tally = Tally((each.status, each.error_category or "") for each in results)
        for (status, category), count in tally.items():
            self._events.labels(status, category).inc(count)

    def commit(self, events: int, seconds: float, *, failed: bool) -> None:
        """Count one commit of *events* events."""
        self._commits.observe(seconds)
        (self._failed if failed else self._committed).inc(1 if failed else events)

    def text(self) -> tuple[bytes, str]:
        """Return the figures of all workers and their media type."""
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
        from prometheus_client.multiprocess import MultiProcessCollector

        registry = self._registry
        if os.environ.get(SHARED_FOLDER):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # untyped there
        return generate_latest(registry), CONTENT_TYPE_LATEST
