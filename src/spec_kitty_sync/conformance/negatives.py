"""Reason-bound negatives: a valid parent, proved to be taken, plus one edit that must not be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Final

from spec_kitty_sync.conformance.builder import JsonObject
from spec_kitty_sync.conformance.edits import Edit
from spec_kitty_sync.conformance.meaning import unless_refused
from spec_kitty_sync.conformance.probe import REFUSED, TAKEN, ControlFailed, Probe
from spec_kitty_sync.conformance.reply import CheckFailed, Reply, grouped, reason_of, shorten

Parent = Callable[[], JsonObject]
Sent = list[tuple[Edit, JsonObject]]
SENT_ALONE: Final = 12
"""Requests that a finding may add to narrow it down."""


def send_edits(probe: Probe, parent: Parent, edits: Iterable[Edit]) -> tuple[Reply, Sent]:
    """Post one valid parent and one event per edit, in one batch; the parent must be taken.

    Raises:
        ControlFailed: the parent itself was refused, so the edits would prove nothing.
    """
    good = parent()
    sent = [(edit, edit.apply(parent())) for edit in edits]
    reply = probe.post(
        [good, *(event for _, event in sent)],
        note=f"a valid event, then {len(sent)} with one edit each",
    )
    try:
        reply.expect_results(unless_refused(""))
    except CheckFailed as failed:
        named = [("the valid event", good)] + [(told(edit), event) for edit, event in sent]
        raise failed.beside(*_each_alone(probe, named)) from None
    if reply.status_of(good["event_id"]) not in TAKEN:
        raise ControlFailed(f"the valid parent should be taken; got {reply.brief(good)}")
    return reply, sent


def refuse_each(probe: Probe, parent: Parent, edits: Iterable[Edit]) -> None:
    """Ask that every edited event is refused."""
    reply, sent = send_edits(probe, parent, edits)
    for edit, event in sent:
        _refused(reply, edit, event, sent)


def name_each(probe: Probe, parent: Parent, edits: Iterable[Edit]) -> None:
    """Ask that every refusal names the field that was edited."""
    reply, sent = send_edits(probe, parent, edits)
    for edit, event in sent:
        row = _refused(reply, edit, event, sent)
        reason = reason_of(row)
        if not any(word.lower() in reason.lower() for word in edit.is_named_by):
            failed = reply.fail(
                f"a reason that names {edit.names!r} ({told(edit)})",
                f"the reason {reason!r}",
                "right verdict, wrong reason: the operator looks in the wrong place",
                about=event["event_id"],
            )
            raise failed.beside(_reasons(reply, [one for one in sent if one[1] != event]))


def _refused(reply: Reply, edit: Edit, event: JsonObject, sent: Sent) -> JsonObject:
    try:
        return reply.expect_outcome(
            event, REFUSED, unless_refused(f"{told(edit)} is taken for valid")
        )
    except CheckFailed as failed:
        others = [(other, reply.status_of(its["event_id"])) for other, its in sent if its != event]
        neighbours = grouped((told(other), status or "?") for other, status in others)
        raise failed.beside(neighbours) from None


def _reasons(reply: Reply, sent: Sent) -> str:
    """Return which reasons the other edits got."""
    rows = [(edit, reply.results_of(event["event_id"])) for edit, event in sent]
    return "; ".join(f"{edit.field}: {reason_of(row[0]) if row else '?'!r}" for edit, row in rows)


def one_by_one(probe: Probe, edits: Iterable[Edit]) -> str:
    """Send a valid event with each edit alone, and say how each ended."""
    named = [(told(edit), edit.apply(probe.make.event("HistoryAdded"))) for edit in edits]
    return _each_alone(probe, named)[0]


def _each_alone(probe: Probe, named: list[tuple[str, JsonObject]]) -> tuple[str, str]:
    """Send every event in a batch of its own; return the ends in words, and who had no answer.

    The second is the id of the first event that breaks the connection, or nothing.
    """
    ends, culprit = [], ""
    for name, event in named[:SENT_ALONE]:
        if not probe.is_back():
            ends.append((name, "not asked, nothing accepts connections any more"))
            break
        answer = probe.post([event], note=f"alone: {name}").exchange
        ends.append((name, answer.gist))
        if answer.broke and not culprit:
            culprit = str(event.get("event_id") or "")
    return f"alone: {grouped(ends)}", culprit


def told(edit: Edit) -> str:
    """Return the edit in words, for a person."""
    if edit.is_removal:
        return f"an event without {edit.field}"
    return f"{edit.field} = {shorten(json.dumps(edit.value), 60)}"
