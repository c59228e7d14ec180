"""Concurrency judged on what was answered: a history is legal or it is not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from spec_kitty_sync.conformance.builder import JsonObject
from spec_kitty_sync.conformance.reply import Reply


def expect_one_success_each(events: Iterable[JsonObject], replies: Sequence[Reply]) -> None:
    """Ask that each event has exactly one success over all replies, all else duplicates.

    A receiver that settles later may say pending; then nothing is known and nothing is judged.
    One that throttles has stored nothing; what it answered to the others is judged.
    """
    replies = [reply for reply in replies if reply.retry_after_s is None] or replies
    for reply in replies:
        reply.expect_results("under concurrency a valid batch is answered with an error")
    for event in events:
        event_id = event["event_id"]
        rows = [(reply, row) for reply in replies for row in reply.results_of(event_id)]
        counts = Counter(str(row.get("status")) for _, row in rows)
        if not rows or counts["pending"] or counts["queued"]:
            continue
        if counts["success"] != 1 or counts["duplicate"] != len(rows) - 1:
            last = next(
                (reply for reply, row in rows if row.get("status") == "success"), replies[-1]
            )
            said = ", ".join(f"{count} × {status}" for status, count in sorted(counts.items()))
            raise last.fail(
                f"one success and {len(rows) - 1} duplicates for {event_id}, over all replies",
                said,
                _race(counts),
                about=event_id,
            )


def _race(counts: Counter[str]) -> str:
    """Say what such *counts* of statuses mean, of one event sent several times at once."""
    if counts["success"] > 1:
        return "look-up and insert are two steps: in between, another request does the same"
    if set(counts) - {"success", "duplicate"}:
        return "whoever comes second in a race is answered as an error: it is known, or will be"
    return "each request is told that another one stored the event: nobody may have"


def expect_own_results(batch: Sequence[JsonObject], reply: Reply) -> None:
    """Ask that *reply* speaks of *batch* only, and of every event of it as it should."""
    if reply.retry_after_s is not None:
        return
    reply.expect_results("under concurrency a mixed batch is answered with an error")
    sent = {event["event_id"] for event in batch}
    foreign = [row for row in reply.results if row.get("event_id") not in sent]
    if foreign:
        raise reply.fail(
            "results of the events of this request only",
            f"a result for {foreign[0].get('event_id')}, which another request sent",
            "requests share state: one producer reads another's results",
        )
    for event in batch:
        good = "entry_content" in event["payload"]
        wanted = {"success", "pending", "queued"} if good else {"rejected", "failed_permanent"}
        reply.expect_outcome(
            event, wanted, f"a {'valid' if good else 'broken'} event got another event's result"
        )
