"""How single events look: one with all that is known of it, lists, corrections, the log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from spec_kitty_sync._clock import utc_iso
from spec_kitty_sync._words import plural
from spec_kitty_sync.cli.render import console, plain, print_json, say, table
from spec_kitty_sync.cli.render_error import visible
from spec_kitty_sync.cli.render_words import size, wrapped
from spec_kitty_sync.sync.hold_reasons import hold_reason

if TYPE_CHECKING:
    from spec_kitty_sync.delivery.history import LogEntry
    from spec_kitty_sync.sync.correcting import Corrected, Retried
    from spec_kitty_sync.sync.event_view import EventLine, EventView, TargetState

_LABEL = 11
_ID_WIDTH = 26


def event(view: EventView, *, as_json: bool) -> int:
    """Print one event: where it stands, who was told, its bytes."""
    if as_json:
        print_json(view)
        return 0
    for line in _event_lines(view):
        click.echo(line)
    return 0


def stored(view: EventView) -> int:
    """Print the event's bytes as they are stored; 1 if they are gone."""
    if view.text is None:
        say(f"the bytes of {view.event_id} are gone: {view.removed}", err=True)
        return 1
    click.echo(view.text)
    return 0


def stored_lines(lines: Iterable[str]) -> int:
    """Print the bytes of many events as JSON Lines."""
    for line in lines:
        click.echo(line)
    return 0


def _field(label: str, text: object) -> str:
    return wrapped(visible(str(text)), indent=_LABEL, first=f"{label:<{_LABEL}}")


def _event_lines(view: EventView) -> Iterator[str]:
    yield _field("event", f"{view.event_id}  {view.event_type}")
    yield _field("journal", f"number {view.seq}, {size(view.size)}, appended {view.appended_at}")
    if view.occurred_at:
        yield _field("happened", view.occurred_at)
    yield _field("audience", f"tier {view.tier}, team {view.team or 'none'}")
    yield _field("project", view.project_uuid or "unknown")
    for label, text in (
        ("held", view.hold and f"{view.hold}: {view.hold_detail or ''}"),
        ("removed", view.removed),
        ("replaced", view.superseded_by and f"by the event with number {view.superseded_by}"),
        ("waits", view.blocked and view.blocked.replace("_", " ")),
        ("conflicts", view.conflicts and f"{view.conflicts}; `spec-kitty sync migrate conflicts "
         f"show {view.event_id}`"),
    ):  # fmt: skip
        if text:
            yield _field(label, text)
    for state in view.targets:
        yield from _target_lines(state)
    for claim in view.claims:
        sent = f"sent at {claim.since}, no answer recorded"
        yield _field("target", f"{claim.target_id} {claim.url}: may have it; {sent}")
    if not (view.targets or view.claims):
        yield _field("targets", "nobody has been told yet")
    for origin in view.provenance:
        tried = f", tried {origin.retry_count} times" if origin.retry_count else ""
        yield _field("found in", f"{origin.source} row {origin.row}{tried}")
    for each in view.corrections:
        yield _field("corrected", f"{each.action} at {each.at}: {each.reason or 'no reason given'}")
    yield ""
    yield _body(view)


def _target_lines(state: TargetState) -> Iterator[str]:
    old = "" if state.current else f", epoch {state.epoch}, before a redelivery"
    yield _field("target", f"{state.target_id} {state.url}: {state.state.replace('_', ' ')}{old}")
    tries = f"tried {plural(state.attempts, 'time')}, last {state.last_at or 'never'}"
    yield _field("", tries + (f", next {state.next_at}" if state.next_at else ""))
    if state.reason or state.category:
        yield _field("", f"{state.category or 'unknown'}: {_reason(state)}")


def _reason(state: TargetState) -> str:
    if state.reason is None and state.state == "held" and state.category:
        return hold_reason(state.category).meaning
    return state.reason or "no reason given"


def _body(view: EventView) -> str:
    if view.text is None:
        return "its bytes are gone"
    if view.envelope is None:
        return visible(view.text)
    shown = json.dumps(view.envelope, indent=2, ensure_ascii=False)
    return "\n".join(visible(line) for line in shown.split("\n"))


def listing(lines: Sequence[EventLine], *, limit: int, as_json: bool) -> int:
    """Print a list of events, one to a line."""
    if as_json:
        print_json({"events": lines, "limit": limit})
        return 0
    if not lines:
        say("no such event")
        return 0
    for each in lines:
        tried = f", tried {plural(each.attempts, 'time')}" if each.attempts else ""
        state = each.state.replace("_", " ")
        text = f"{each.event_id}  {each.event_type}, {state}{tried}: {each.reason}"
        click.echo(wrapped(visible(text), indent=_ID_WIDTH + 2))
    if len(lines) == limit:
        say(f"the first {limit}; --limit N lists more")
    return 0


def retried(done: Retried, *, as_json: bool) -> int:
    """Print how many events are put back."""
    if as_json:
        print_json({"put_back": done.put_back, "target": done.target, "left": dict(done.left)})
        return 0
    say(f"{plural(done.put_back, 'event')} put back for {done.target}")
    for event_id, state in done.left:
        say(f"  {event_id} stays {state.replace('_', ' ')}")
    if done.put_back:
        say("`spec-kitty sync now` sends them.")
    return 0


def corrected(done: Corrected, verb: str, *, as_json: bool) -> int:
    """Print which events were changed, and why others were not."""
    if as_json:
        refused = [
            {"event_id": event_id, "error": error, "remedy": remedy}
            for event_id, error, remedy in done.refused
        ]
        print_json({verb: done.changed, "refused": refused})
        return done.exit_code
    say(f"{plural(len(done.changed), 'event')} {verb}")
    for event_id, error, remedy in done.refused:
        say(f"  {event_id}: {error}", err=True)
        say(f"    {remedy}", err=True)
    return done.exit_code


def log(entries: Sequence[LogEntry], *, as_json: bool) -> int:
    """Print the last answers, the newest first."""
    if as_json:
        print_json({"entries": [{**plain(each), "at": utc_iso(each.at)} for each in entries]})
        return 0
    if not entries:
        say("nothing was sent yet")
        return 0
    made = table("when (UTC)", "#target", "#answer", "#events", "outcome")
    for each in entries:
        made.add_row(
            utc_iso(each.at)[:19].replace("T", " "),
            str(each.target_id),
            str(each.http_status or "none"),
            str(each.events),
            _outcome(each),
        )
    console().print(made)
    return 0


def _outcome(each: LogEntry) -> str:
    counts = (
        (each.delivered, "delivered"),
        (each.duplicates, "there already"),
        (each.pending, "pending"),
        (each.rejected, "rejected"),
        (each.terminal, "refused for good"),
        (each.transient, "failed for now"),
    )
    return ", ".join(f"{count} {words}" for count, words in counts if count) or "nothing settled"
