"""How a drain looks: what was done, what failed and what helps, what waits."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spec_kitty_sync._words import plural, verb
from spec_kitty_sync.cli.render import plain, print_json, say
from spec_kitty_sync.cli.render_error import visible
from spec_kitty_sync.cli.render_words import columns, paint, size, when, wrapped
from spec_kitty_sync.delivery.answers import ADDRESS
from spec_kitty_sync.events.results import HTML_PAGE
from spec_kitty_sync.sync.failure_report import SUMMED, remedy_for
from spec_kitty_sync.sync.summary import unsettled

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
_NOW = "`spec-kitty sync now"
_NOTHING = "Nothing to send."
_GROUPS = 5
_EXAMPLES = 3


def delivery(
    result: DeliveryResult, *, report: Path | None, verbose: bool, as_json: bool, exit_code: int
) -> int:
    """Print what `sync now` did; return *exit_code*."""
    drain = result.drain
    if as_json:
        failures = [
            {**plain(group), "remedy": _aimed(_remedy(group), result.target)}
            for group in drain.failures
        ]
        stop = drain.stop and {
            **plain(drain.stop), "remedy": _aimed(drain.stop.remedy, result.target)
        }  # fmt: skip
        print_json(
            {
                **plain(drain),
                "failures": failures,
                "stop": stop,
                "adds_up": drain.adds_up,
                "exit_code": exit_code,
                "remaining": result.status.summary,
            }
        )
        return exit_code
    if drain.selected:
        _summary(drain, verbose=verbose)
    elif drain.stop is None:
        say("Nothing to send now." if result.status.delivery_ledger.undelivered else _NOTHING)
    _failures(drain, verbose=verbose, target=result.target)
    if report is not None:
        say(f"{plural(result.failed or 0, 'failure')} written to {report}")
    _why_it_stopped(drain, result.target)
    _what_waits(result.status, result.target)
    return exit_code


def announced(events: int, url: str) -> None:
    """Say before the first request what is about to go where."""
    if events:
        say(f"delivering {plural(events, 'event')} to {url}", err=True)


def _summary(drain: DrainReport, *, verbose: bool) -> None:
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


def _failures(drain: DrainReport, *, verbose: bool, target: str | None) -> None:
    shown = drain.failures if verbose else drain.failures[:_GROUPS]
    for group in shown:
        _failure(group, examples=len(group.example_ids) if verbose else _EXAMPLES)
        click.echo(wrapped(_aimed(_remedy(group), target), indent=6, first="    → "))
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


def _remedy(group: FailureGroup) -> str:
    if group.reason.endswith(HTML_PAGE):
        return ADDRESS
    return remedy_for(group.state, group.category)


def _aimed(remedy: str, target: str | None) -> str:
    """Return *remedy* for a run whose `--target` a plain `sync now` would not repeat."""
    if target is None:
        return remedy
    return remedy.replace(_NOW, f"{_NOW} --target {shlex.quote(target)}")


def _why_it_stopped(drain: DrainReport, target: str | None) -> None:
    if drain.stop is None:
        return
    click.echo(paint(wrapped(visible(f"Stopped: {drain.stop.message}."), indent=2), fg="yellow"))
    words = drain.stop.server_words
    shown = [drain.stop.message, *(group.reason for group in drain.failures)]
    if words and not any(words in each for each in shown):
        click.echo(wrapped(visible(words), indent=4, first="  the server says: "))
    click.echo(wrapped(visible(_aimed(drain.stop.remedy, target)), indent=4, first="  → "))


def _what_waits(report: StatusReport, target: str | None) -> None:
    for held in report.held:
        click.echo(f"held: {held.count:,} {held.meaning}")
        if held.remedy:
            click.echo(wrapped(held.remedy, indent=4, first="  → "))
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
    loose = unsettled(report)
    for each in loose:
        click.echo(wrapped(visible(each.message), indent=4, first="  ! "))
        click.echo(wrapped(each.remedy, indent=6, first="    → "))
    rest = report.delivery_ledger.undelivered
    if rest:
        say(f"{plural(rest, 'event')} still to deliver.")
        _when_asked_again(report, target)
    elif not (report.legacy_sources.waiting or parked or loose):
        say(_when_nothing_waits(report))


def _when_asked_again(report: StatusReport, target: str | None) -> None:
    """Say what became of events that the server has not settled, and when to ask for them."""
    pending, due = report.delivery_ledger.pending, report.background.next_retry_at
    if pending:
        say(f"  {pending:,} of these: the server has them, and has not decided yet.")
    if due is not None and due > report.generated_at:
        moment = when(due, report.generated_at)
        text = f"Run `spec-kitty sync now` again when they are due, {moment}."
        click.echo(wrapped(_aimed(text, target), indent=4, first="  → "))


def _when_nothing_waits(report: StatusReport) -> str:
    journal = report.event_journal
    if not journal.retained_event_count + journal.archived_event_count:
        # A journal that somebody removed looks like this too: no word of delivery then.
        return f"The journal in {visible(report.home)} is empty."
    if any(held.remedy or held.reason == "archived" for held in report.held):
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
