"""Receivers that look different and keep the contract: none may fail a MUST."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from spec_kitty_sync.conformance.catalogue import load_catalogue
from spec_kitty_sync.conformance.mutants import checks_of, runner_for
from spec_kitty_sync.conformance.outcome import CheckResult, Outcome
from spec_kitty_sync.conformance.reference import TOKENS, reference_receiver
from spec_kitty_sync.receiver.parts import Parts, Reply

CHECKS = checks_of(load_catalogue(), "extended")
NODE = Path(__file__).with_name("node_receiver.mjs")
Change = Callable[[Reply], Reply]


def judge(url: str) -> list[CheckResult]:
    """Return what every check of the extended profile says about the receiver at *url*."""
    runner = runner_for(url, seed="healthy", deadline_s=10.0)
    try:
        cases = [(one, case) for one in CHECKS for case in runner.suite.checks[one].cases]
        return [runner.run(check_id, case.name) for check_id, case in cases]
    finally:
        runner.close()


def held_against(results: list[CheckResult]) -> list[str]:
    """Return what keeps the results from the verdict conformant."""
    bad = {Outcome.FAILED, Outcome.ERROR, Outcome.NOT_RUN}
    return [f"{one.name}: {one.reason}" for one in results if one.outcome in bad]


def in_batches(change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Change:
    """Return a change of the results of a 200."""

    def apply(reply: Reply) -> Reply:
        if reply.route != "batch" or reply.status != 200:
            return reply
        results = change([dict(row) for row in reply.content["results"]])
        return replace(reply, content={**reply.content, "results": results})

    return apply


def _extra(reply: Reply) -> Reply:
    content = {**reply.content, "took_ms": 3, "links": {"self": "/"}}
    return replace(reply, content=content, headers={**reply.headers, "X-Powered-By": "tea"})


def _renamed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for row in rows:
        if "error" in row:
            row["error_message"] = row.pop("error")
            row["error_category"] = "not_to_my_taste" if row["error_category"] else None
    return rows


def _lenient_on_conflict(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"event_id": row["event_id"], "status": "duplicate"}
        if row.get("error_category") == "id_conflict"
        else row
        for row in rows
    ]


def _final(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {**row, "status": "failed_permanent"} if row["status"] == "rejected" else row
        for row in rows
    ]


def _error_in_parts(reply: Reply) -> Reply:
    if reply.status == 200:
        return reply
    error = {"code": reply.status, "message": reply.content["error"]}
    return replace(reply, content={**reply.content, "error": error})


def _400_for_413(reply: Reply) -> Reply:
    if reply.status != 413:
        return reply
    return replace(reply, status=400, content={"error": "too much", "details": "too much"})


def _closing(reply: Reply) -> Reply:
    return replace(reply, headers={**reply.headers, "Connection": "close"})


def _slow(reply: Reply) -> Reply:
    time.sleep(0.004)
    return reply


ALTERATIONS: dict[str, Change] = {
    "answers in another order": in_batches(lambda rows: rows[::-1]),
    "extra fields in every answer": _extra,
    "error_message and categories of its own": in_batches(_renamed),
    "duplicate for a changed body": in_batches(_lenient_on_conflict),
    "failed_permanent for bad content": in_batches(_final),
    "400 for too many": _400_for_413,
    "error is an object": _error_in_parts,
    "closes after every answer": _closing,
    "slow but correct": _slow,
}


def _altered(*names: str) -> Callable[[Parts], Parts]:
    """Return a change of the receiver's parts that applies the named alterations in turn."""

    def alter(parts: Parts) -> Parts:
        def finish(reply: Reply) -> Reply:
            reply = parts.finish(reply)
            for name in names:
                reply = ALTERATIONS[name](reply)
            return reply

        return replace(parts, finish=finish)

    return alter


@pytest.mark.proof
def test_receiver_that_differs_in_everything_is_conformant() -> None:
    """All that the contract leaves open, done otherwise at once, is held against nobody."""
    with reference_receiver(alter=_altered(*ALTERATIONS)) as url:
        assert held_against(judge(url)) == []


@pytest.mark.proof
@pytest.mark.parametrize("name", ALTERATIONS)
def test_other_looking_receiver_is_conformant(name: str) -> None:
    """What the contract leaves open is held against nobody."""
    with reference_receiver(alter=_altered(name)) as url:
        assert held_against(judge(url)) == []


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"pending_s": 0.2}, id="settles later"),
        pytest.param({"open_to_all": True}, id="no authentication", marks=pytest.mark.proof),
        pytest.param({"teams": True}, id="teams", marks=pytest.mark.proof),
        pytest.param({"protocols": ("1.0",)}, id="one protocol", marks=pytest.mark.proof),
    ],
)
def test_receiver_with_other_capabilities_is_conformant(settings: dict[str, Any]) -> None:
    """Each capability that a receiver declares is judged, and none that it does not."""
    with reference_receiver(**settings) as url:
        assert held_against(judge(url)) == []


@pytest.mark.parametrize("mebibytes", [100, 1000])
def test_receiver_that_takes_large_bodies_is_conformant(mebibytes: int) -> None:
    """What is a bomb to one receiver is a batch to another, if health says so."""

    limit = {"max_body_bytes": mebibytes * 1024 * 1024}

    def alter(parts: Parts) -> Parts:
        def finish(reply: Reply) -> Reply:
            told = limit if reply.route == "health" else {}
            return parts.finish(replace(reply, content={**reply.content, **told}))

        return replace(parts, limits=replace(parts.limits, **limit), finish=finish)

    with reference_receiver(alter=alter) as url:
        runner = runner_for(url, seed="large", deadline_s=10.0)
        try:
            result = runner.run("SKR-LIM-06", "")
        finally:
            runner.close()
    assert held_against([result]) == []


def test_receiver_that_throttles_is_waited_for() -> None:
    """429 with Retry-After is no finding: the suite waits as a sender would."""
    with reference_receiver(requests_per_s=10.0) as url:
        runner = runner_for(url, seed="throttled", deadline_s=10.0)
        try:
            cases = runner.suite.checks["SKR-PAY-01"].cases
            results = [runner.run("SKR-PAY-01", case.name) for case in cases]
        finally:
            runner.close()
    assert held_against(results) == []
    assert any(
        one.response and one.response.status == 429 for row in results for one in row.exchanges
    )


def test_receiver_that_says_queued_is_conformant() -> None:
    """`queued` is the older word for pending."""

    def queued(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "status": "queued"} if row["status"] == "pending" else row for row in rows]

    def alter(parts: Parts) -> Parts:
        return replace(parts, finish=lambda reply: in_batches(queued)(parts.finish(reply)))

    with reference_receiver(alter=alter, pending_s=0.2) as url:
        assert held_against(judge(url)) == []


@pytest.mark.skipif(shutil.which("node") is None, reason="missing tool: node")
def test_receiver_in_another_language_is_conformant() -> None:
    """A receiver in Node.js, written from the contract with its standard library alone."""
    with node_receiver() as url:
        assert held_against(judge(url)) == []


@contextmanager
def node_receiver() -> Iterator[str]:
    """Run the receiver in Node.js and yield its URL."""
    command = ["node", str(NODE), TOKENS.own]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().removeprefix("listening on ").strip()
        finally:
            process.terminate()
