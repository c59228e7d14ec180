"""How a drain looks: what was done, what failed and what helps, what waits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from spec_kitty_sync._words import plural, verb
from spec_kitty_sync.cli.render import plain, print_json, say
from spec_kitty_sync.cli.render_error import visible
from spec_kitty_sync.cli.render_words import columns, paint, size, wrapped
from spec_kitty_sync.sync.failure_report import SUMMED, remedy_for

if TYPE_CHECKING:
    from spec_kitty_sync.api import DeliveryResult
    from spec_kitty_sync.delivery.report import DrainReport, FailureGroup
    from spec_kitty_sync.sync.drain_preview import DrainPreview
    from spec_kitty_sync.sync.status_report import StatusReport

_WORDS = {
    "delivered": "delivered",
    "duplicates": "there already",
    "pending": "accepted, not settled yet",
    "rejected": "rejected, tried again later",
    "dead": "rejected too often (dead letter)",
    "terminal": "refused for good",
    "transient": "failed for now, tried again later",
    "not_sent": "not sent",
}
_GROUPS = 5
_EXAMPLES = 3


def delivery(
    result: DeliveryResult, *, report: Path | None, verbose: bool, as_json: bool, exit_code: int
) -> int:
    """Print what `sync now` did; return *exit_code*."""
    drain = result.drain
    if as_json:
        failures = [
            {**plain(group), "remedy": remedy_for(group.state, group.category)}
            for group in drain.failures
        ]
        print_json(
            {
                **plain(drain),
                "failures": failures,
                "adds_up": drain.adds_up,
                "exit_code": exit_code,
                "remaining": result.status.summary,
            }
        )
        return exit_code
    _summary(drain, verbose=verbose)
    _failures(drain, verbose=verbose)
    if report is not None:
        say(f"{plural(result.failed or 0, 'failure')} written to {report}")
    _why_it_stopped(drain)
    _what_waits(result.status)
    return exit_code


def _summary(drain: DrainReport, *, verbose: bool) -> None:
    if not drain.selected:
        say("Nothing to send.")
        return
    say(f"{plural(drain.selected, 'event')} to {drain.endpoint}")
    counted = [(getattr(drain, name), _WORDS[name]) for name in SUMMED]
    for line in columns([(count, words) for count, words in counted if count]):
        click.echo(line)
    seconds = max(drain.ended_at - drain.started_at, 1) / 1000
    if verbose:
        sent = drain.selected - drain.not_sent
        say(
            f"{plural(drain.requests, 'request')}, {size(drain.bytes_sent)} compressed, "
            f"{seconds:.1f} s, {sent / seconds:,.0f} events/s"
        )
    if drain.unknown_ids:
        unknown = plural(drain.unknown_ids, "result")
        say(f"{unknown} for events that were not sent: ignored")


def _failures(drain: DrainReport, *, verbose: bool) -> None:
    shown = drain.failures if verbose else drain.failures[:_GROUPS]
    for group in shown:
        _failure(group, examples=len(group.example_ids) if verbose else _EXAMPLES)
    left = len(drain.failures) - len(shown)
    if left > 0:
        say(
            f"{plural(left, 'other reason')}: --verbose shows all, --report FILE writes every event"
        )


def _failure(group: FailureGroup, *, examples: int) -> None:
    state = group.state.value.replace("_", " ")
    reason = visible(group.reason or "no reason given")
    head = f"{group.count:,} {state}, {group.category}: {reason}"
    click.echo(paint(wrapped(head, indent=4, first="  ! "), fg="yellow"))
    ids = [visible(each) for each in group.example_ids[:examples]]
    more = " …" if group.count > len(ids) else ""
    click.echo(wrapped(" ".join(ids) + more, indent=4, first="    "))
    click.echo(wrapped(remedy_for(group.state, group.category), indent=6, first="    → "))


def _why_it_stopped(drain: DrainReport) -> None:
    if drain.stop is None:
        return
    click.echo(paint(wrapped(visible(f"Stopped: {drain.stop.message}."), indent=2), fg="yellow"))
    if drain.stop.server_words and drain.stop.server_words not in drain.stop.message:
        click.echo(wrapped(visible(drain.stop.server_words), indent=4, first="  the server says: "))
    click.echo(wrapped(visible(drain.stop.remedy), indent=4, first="  → "))


def _what_waits(report: StatusReport) -> None:
    for held in report.held:
        click.echo(f"held: {held.count:,} {held.meaning}")
        if held.remedy:
            click.echo(wrapped(held.remedy, indent=4, first="  → "))
    conflicts = report.migration_conflicts.count
    parked = report.terminal_failures.count
    if report.legacy_sources.waiting:
        waiting = plural(report.legacy_sources.waiting, "event")
        waits = verb(report.legacy_sources.waiting, "waits", "wait")
        say(f"{waiting} {waits} in queues of older versions.")
        say("  → Run `spec-kitty sync migrate`.")
    if parked:
        say(f"{plural(parked, 'event')} parked: not sent again until you say so.")
        say("  → `spec-kitty sync show --state dead_letter` lists them; mend the cause, then")
        say("    `spec-kitty sync retry --dead --terminal`.")
    rest = report.delivery_ledger.undelivered
    if rest:
        say(f"{plural(rest, 'event')} still to deliver.")
    elif not (report.legacy_sources.waiting or parked or conflicts):
        say(_when_nothing_waits(report))


def _when_nothing_waits(report: StatusReport) -> str:
    journal = report.event_journal
    if not journal.retained_event_count + journal.archived_event_count:
        # A journal that somebody removed looks like this too: no word of delivery then.
        return f"The journal in {visible(report.home)} is empty."
    if any(held.remedy for held in report.held):
        return "Everything that may leave is delivered."
    return "Everything delivered."


def preview(found: DrainPreview, *, as_json: bool) -> int:
    """Print what a drain would do; always 0."""
    if as_json:
        print_json({**plain(found), "dry_run": True})
        return 0
    say(f"{plural(found.would_send, 'event')} would go to {found.endpoint}")
    if found.retries:
        retried = plural(found.retries, "event")
        say(f"  {retried} of these failed before, or wait for an answer; sent when due")
    for reason, count in sorted(found.held.items()):
        say(f"  held: {count:,} {reason.replace('_', ' ')}")
    if found.redeliver:
        redelivery(found)
    say("Nothing was sent.")
    return 0


def redelivery(found: DrainPreview) -> None:
    """Say, before it begins, what a redelivery sends and what it cannot."""
    again = plural(found.would_send, "event")
    say(f"redelivery: {again} will be sent, under the same ids", err=True)
    if found.unsendable:
        gone = plural(found.unsendable, "event")
        say(f"redelivery: {gone} cannot be sent: gc or archive took their bytes", err=True)
