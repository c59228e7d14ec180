"""From a receiver's reply to what it means for each event that was sent (CONTRACT 5). Pure.

A reply is untrusted; after `correlate` there is exactly one result per sent event.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

REASON_LIMIT = 500
HTML_PAGE = "an HTML page"
_IS_HTML = re.compile(rb"\s*<(!doctype html|html|head|body)\b", re.IGNORECASE).match
_CATEGORY_LIMIT = 40
CATEGORY_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("auth_expired", ("token", "expired", "unauthorized", "forbidden", "401")),
    ("server_error", ("internal", "timeout", "unavailable", "500")),
    ("schema_mismatch", ("schema", "invalid", "missing", "field", "type", "required")),
)


class Outcome(StrEnum):
    """What a result means for the sender."""

    SUCCESS = "success"
    DUPLICATE = "duplicate"
    PENDING = "pending"
    REJECTED = "rejected"
    TERMINAL_FAILED = "terminal-failed"
    TRANSIENT = "transient"


class ResultStatus(StrEnum):
    """The words of the wire."""

    SUCCESS = "success"
    DUPLICATE = "duplicate"
    PENDING = "pending"
    REJECTED = "rejected"
    FAILED_TRANSIENT = "failed_transient"
    FAILED_PERMANENT = "failed_permanent"


class BatchResult(NamedTuple):
    """The receiver's word on one event; `status` is None where it gave no usable one.

    `guessed`: the category was not stated, it is read from the words of `error`.
    """

    event_id: str
    status: ResultStatus | None
    error: str | None = None
    error_category: str | None = None
    guessed: bool = False

    @property
    def outcome(self) -> Outcome:
        """What this result means; a rejection that is the server's own fault is transient."""
        if self.status is ResultStatus.REJECTED and self.error_category == "server_error":
            return Outcome.TRANSIENT
        return _OUTCOMES[self.status]

    @property
    def needs_login(self) -> bool:
        """Whether the receiver refused this event for its token: handled like a 401."""
        return self.status is ResultStatus.REJECTED and self.error_category == "auth_expired"


_OUTCOMES: Mapping[ResultStatus | None, Outcome] = {
    ResultStatus.SUCCESS: Outcome.SUCCESS,
    ResultStatus.DUPLICATE: Outcome.DUPLICATE,
    ResultStatus.PENDING: Outcome.PENDING,
    ResultStatus.REJECTED: Outcome.REJECTED,
    ResultStatus.FAILED_TRANSIENT: Outcome.TRANSIENT,
    ResultStatus.FAILED_PERMANENT: Outcome.TERMINAL_FAILED,
    None: Outcome.TRANSIENT,
}


@dataclass(frozen=True, slots=True)
class Correlation:
    """One result per sent event, in the order sent; `unknown_ids` were not ours to record."""

    results: tuple[BatchResult, ...]
    unknown_ids: int = 0
    malformed: str | None = None


def categorize(words: str) -> str:
    """Return the category that *words* suggest: the first match of the published table."""
    lowered = words.lower()
    for category, needles in CATEGORY_WORDS:
        if any(needle in lowered for needle in needles):
            return category
    return "unknown"


def correlate(sent: Sequence[str], body: bytes) -> Correlation:
    """Return exactly one result for each id in *sent* from the body of a 200 answer.

    Missing, contradicting and unknown results carry no status, with the reason in `error`. The
    ids in *sent* differ from each other.
    """
    reply = _parse(body)
    if isinstance(reply, str):
        return Correlation(tuple(_no_result(i, reply) for i in sent), malformed=reply)
    found: dict[str, BatchResult | None] = dict.fromkeys(sent)
    contradicted: set[str] = set()
    unknown = 0
    for item in reply:
        event_id = item.get("event_id") if type(item) is dict else None
        if type(event_id) is not str or event_id not in found:
            unknown += 1
            continue
        if item.get("status") == "success":
            result = BatchResult(event_id, ResultStatus.SUCCESS)
        else:
            result = _read_result(event_id, item)
        earlier = found[event_id]
        if earlier is None:
            found[event_id] = result
        elif earlier.outcome is not result.outcome:
            contradicted.add(event_id)
    for event_id in contradicted:
        found[event_id] = _no_result(event_id, "contradicting results for this event")
    missing = "the answer has no result for this event"
    results = tuple([result or _no_result(i, missing) for i, result in found.items()])
    return Correlation(results, unknown)


def read_details(body: bytes) -> Mapping[str, str]:
    """Return id → reason from the `details` of a 400 or 422 answer; empty if there is no list.

    `details` may be a list of objects or a string that holds the JSON of one.
    """
    details = _object(body).get("details")
    if isinstance(details, str):
        details = _load(details.encode(errors="replace"))
    if not isinstance(details, list):
        return {}
    named: dict[str, str] = {}
    for item in details:
        if not isinstance(item, dict) or not isinstance(item.get("event_id"), str):
            return {}
        named[item["event_id"]] = stated_reason(item) or "named in the answer without a reason"
    return named


def words_of(body: bytes) -> str:
    """Return the first words of an answer that is no result list, fit for one line.

    A server that speaks another protocol says in `sync_protocol` what helps. A page for browsers
    comes from something that is no receiver: its text helps nobody.
    """
    reply = _object(body)
    protocol = reply.get("sync_protocol")
    guidance = protocol.get("upgrade_guidance") if isinstance(protocol, dict) else None
    said = (*(reply.get(key) for key in ("error", "details", "detail")), guidance)
    parts = [text for text in said if isinstance(text, str)]
    if not parts and _IS_HTML(body):
        return HTML_PAGE
    text = ": ".join(parts) if parts else body[: REASON_LIMIT * 4].decode(errors="replace")
    return _one_line(text)


def _parse(body: bytes) -> list[Any] | str:
    reply = _load(body)
    if reply is None:
        return "the answer is not JSON"
    if not isinstance(reply, dict) or not isinstance(reply.get("results"), list):
        return "the answer has no list of results"
    results: list[Any] = reply["results"]
    return results


def _load(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _object(body: bytes) -> dict[str, Any]:
    reply = _load(body)
    return reply if isinstance(reply, dict) else {}


_STATUS: Mapping[str, ResultStatus] = {
    **{status.value: status for status in ResultStatus},
    "queued": ResultStatus.PENDING,
}


def _read_result(event_id: str, item: dict[str, Any]) -> BatchResult:
    word = item.get("status")
    status = _STATUS.get(word) if type(word) is str else None
    if status is ResultStatus.DUPLICATE:
        return BatchResult(event_id, status)
    error = stated_reason(item)
    if status is None:
        return _no_result(event_id, f"unknown status {_one_line(str(word))[:40]!r}")
    stated = stated_category(item)
    if stated is not None:
        return BatchResult(event_id, status, error, stated)
    return BatchResult(event_id, status, error, categorize(error or ""), guessed=True)


def stated_category(item: Mapping[str, Any]) -> str | None:
    """Return the category that a result states; None where it states none that is a word."""
    given = item.get("error_category")
    usable = isinstance(given, str) and 0 < len(given) <= _CATEGORY_LIMIT and _is_word(given)
    return given if usable else None


def _is_word(text: str) -> bool:
    return text.isascii() and text.replace("_", "").replace("-", "").isalnum()


def stated_reason(item: Mapping[str, Any]) -> str | None:
    """Return the reason of a result on one line, at most `REASON_LIMIT` characters, or None."""
    for key in ("error", "error_message", "reason"):
        value = item.get(key)
        if isinstance(value, str) and value:
            return _one_line(value)
    return None


def _one_line(text: str) -> str:
    return " ".join(text.split())[:REASON_LIMIT].encode(errors="replace").decode()


def _no_result(event_id: str, why: str) -> BatchResult:
    return BatchResult(event_id, None, why, "receiver_protocol")
