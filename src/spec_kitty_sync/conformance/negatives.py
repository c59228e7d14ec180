"""Reason-bound negatives: a valid parent, proved to be taken, plus one edit that must not be."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from spec_kitty_sync.conformance.builder import JsonObject
from spec_kitty_sync.conformance.edits import Edit
from spec_kitty_sync.conformance.probe import REFUSED, TAKEN, ControlFailed, Probe
from spec_kitty_sync.conformance.reply import Reply, reason_of, shorten

Parent = Callable[[], JsonObject]
Sent = list[tuple[Edit, JsonObject]]


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
    reply.expect_results("one bad event makes the whole batch fail")
    if reply.status_of(good["event_id"]) not in TAKEN:
        raise ControlFailed(f"the valid parent should be taken; got {reply.brief(good)}")
    return reply, sent


def refuse_each(probe: Probe, parent: Parent, edits: Iterable[Edit]) -> None:
    """Ask that every edited event is refused."""
    reply, sent = send_edits(probe, parent, edits)
    for edit, event in sent:
        reply.expect_outcome(event, REFUSED, f"{told(edit)} is taken for valid")


def name_each(probe: Probe, parent: Parent, edits: Iterable[Edit]) -> None:
    """Ask that every refusal names the field that was edited."""
    reply, sent = send_edits(probe, parent, edits)
    for edit, event in sent:
        row = reply.expect_outcome(event, REFUSED, f"{told(edit)} is taken for valid")
        reason = reason_of(row)
        if not any(word.lower() in reason.lower() for word in edit.is_named_by):
            raise reply.fail(
                f"a reason that names {edit.names!r} ({told(edit)})",
                f"the reason {reason!r}",
                "right verdict, wrong reason: the operator looks in the wrong place",
                about=event["event_id"],
            )


def told(edit: Edit) -> str:
    """Return the edit in words, for a person."""
    if edit.is_removal:
        return f"an event without {edit.field}"
    return f"{edit.field} = {shorten(repr(edit.value), 60)}"
