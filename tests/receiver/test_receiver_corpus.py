"""The reference receiver gives the committed corpus the verdicts that it promises."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from receiver_server import Server, ulid

ROOT = Path(__file__).resolve().parents[2] / "fixtures"
MANIFEST: dict[str, Any] = json.loads((ROOT / "manifest.json").read_bytes())
FIRST_ID = 7_000_000


def sendable() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield (case, event) of every case about one event that parses, under an id of its own."""
    for number, case in enumerate(MANIFEST["cases"]):
        if case.get("each_line") or case["id"].startswith("raw/"):
            continue
        content = (ROOT / case["file"]).read_bytes()
        event = json.loads(content.splitlines()[case["line"] - 1] if "line" in case else content)
        if not any(finding["path"] == "/event_id" for finding in case["findings"]):
            event["event_id"] = ulid(FIRST_ID + number)
            yield case, event


def test_receiver_and_corpus_agree_on_every_event(open_receiver: Server) -> None:
    """A valid event with an identity is stored, every other is rejected with a reason."""
    cases = list(sendable())
    assert len(cases) > 1000
    for start in range(0, len(cases), 400):
        part = cases[start : start + 400]
        answer = open_receiver.post([event for _, event in part])
        assert answer.status_code == 200, answer.text
        results = {result["event_id"]: result for result in answer.json()["results"]}
        for case, event in part:
            result = results[event["event_id"]]
            wanted = case["valid"] and not case["findings"]
            assert (result["status"] == "success") == wanted, (case, result)
            assert wanted or result.get("error"), case


@pytest.mark.parametrize("batch", MANIFEST["batches"], ids=lambda batch: batch["id"])
def test_receiver_answers_corpus_batches_legally(
    batch: dict[str, Any], open_receiver: Server
) -> None:
    """A request of the corpus gets one of the answers that the contract allows."""
    headers = {"Content-Encoding": batch["content_encoding"]}
    if batch["content_encoding"] == "identity":
        headers = {}
    answer = open_receiver.post_bytes((ROOT / batch["file"]).read_bytes(), **headers)
    assert answer.status_code in batch["legal_http_statuses"], answer.text
    if answer.status_code != 200:
        assert answer.json()["error"]
        return
    results = answer.json()["results"]
    given = sorted((result["event_id"], result["status"]) for result in results)
    wanted = sorted((result["event_id"], result["legal"]) for result in batch["results"])
    assert [event_id for event_id, _ in given] == [event_id for event_id, _ in wanted]
    if batch["id"] == "same-event-twice":
        assert [status for _, status in given] == ["duplicate", "success"]
        return
    assert all(s in legal for (_, s), (_, legal) in zip(given, wanted, strict=True))
    for result in results:
        if result["status"] == "rejected":
            assert batch["reason_names"] in result["error"]
