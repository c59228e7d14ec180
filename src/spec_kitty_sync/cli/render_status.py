"""How the status report looks: plain lines, because a table library takes longer to load."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from spec_kitty_sync._words import plural, verb
from spec_kitty_sync.cli.render import print_json
from spec_kitty_sync.cli.render_error import visible
from spec_kitty_sync.cli.render_words import columns, paint, size, when, wrapped

if TYPE_CHECKING:
    from spec_kitty_sync.sync.status_report import (
        Attention,
        ServiceSection,
        StatusReport,
        TargetSummary,
    )

_LABEL = 11
_LISTED = 5


def status(report: StatusReport, *, as_json: bool) -> int:
    """Print the status report and return its exit code."""
    if as_json:
        print_json(report)
    else:
        for line in status_lines(report):
            click.echo(line)
    return report.exit_code


def status_lines(report: StatusReport) -> Iterator[str]:
    """Yield what a person reads of the report."""
    yield from _where(report)
    yield ""
    yield from _journal(report)
    yield ""
    yield from _states(report)
    yield from _parked(report)
    yield from _earlier_targets(report)
    yield from _old_versions(report)
    yield ""
    yield from _verdict(report)


def _field(label: str, text: str) -> str:
    return wrapped(visible(text), indent=_LABEL, first=f"{label:<{_LABEL}}")


def _where(report: StatusReport) -> Iterator[str]:
    authority, auth = report.target_authority, report.auth
    yield _field("home", report.home)
    if authority.override_mode == "setup_only":
        yield _field("target", f"config.toml: {authority.configured_server_url}")
        yield _field("", f"environment: {authority.env_server_url}")
        yield _field("", "these differ, so nothing is sent")
    else:
        yield _field("target", authority.resolved_server_url or "none: events stay on this machine")
    chosen = "by default" if auth.mode_source == "default" else f"by {auth.mode_source}"
    yield _field("mode", f"{auth.mode} ({chosen})")
    if auth.user:
        team = f", team {auth.team}" if auth.team else ""
        yield _field("login", f"{auth.user}{team}{'' if auth.authenticated else ' (expired)'}")
    if authority.token_variable and authority.resolved_server_url:
        yield _field("token", f"from {authority.token_variable}; a login is not used")
    yield from _delivering(report)
    yield from _connection(report)


def _delivering(report: StatusReport) -> Iterator[str]:
    background, now = report.background, report.generated_at
    if report.target_authority.resolved_server_url is None:
        return
    yield _field("last sent", when(background.last_delivery_at, now))
    if background.last_stop:
        stopped = background.last_stop.replace("_", " ")
        tried = when(background.last_attempt_at, now)
        yield _field("", f"the last attempt, {tried}, stopped: {stopped}")
    if background.service.state != "none":
        beat = when(background.service.last_beat_at, now)
        yield _field("service", f"{_service(background.service)}, last sign of life {beat}")
    if background.drain_running:
        yield _field("", "a drain is running now")
    if background.next_retry_at:
        due = background.next_retry_at <= now
        yield _field("", f"next retry {'is due' if due else when(background.next_retry_at, now)}")
    if background.stalled_since:
        since = when(background.stalled_since, now)
        yield paint(_field("", f"stalled since {since}"), fg="yellow")


def _service(service: ServiceSection) -> str:
    doing = f", {service.activity}" if service.activity else ""
    live = ", live" if service.live else ""
    return f"{service.state} (process {service.pid}{doing}{live})"


def _connection(report: StatusReport) -> Iterator[str]:
    connection = report.connection
    if not connection.checked:
        return
    if not connection.reachable:
        yield _field("server", f"not reachable: {connection.error}")
        return
    name = connection.environment_name or connection.server_instance_id
    shown = f"reachable{f' ({name})' if name else ''}, token {connection.token or 'unknown'}"
    yield _field("server", shown.replace("_", " "))


def _journal(report: StatusReport) -> Iterator[str]:
    journal, now = report.event_journal, report.generated_at
    if not journal.retained_event_count and not journal.archived_event_count:
        yield _field("journal", "empty")
        return
    kept = plural(journal.retained_event_count, "event")
    text = f"{kept} kept, {size(journal.journal_size_bytes)}"
    if journal.growth_bytes_per_day:
        text += f", growing {size(journal.growth_bytes_per_day)} a day"
    yield _field("journal", text)
    if journal.oldest_retained_event_at:
        yield _field("", f"the first of them: {when(journal.oldest_retained_event_at, now)}")
    if report.background.oldest_undelivered_at:
        since = when(report.background.oldest_undelivered_at, now)
        yield _field("", f"the first to deliver: {since}")
    if journal.archived_event_count:
        yield _field("", f"{plural(journal.archived_event_count, 'event')} archived or collected")
    if journal.gc_suggestion:
        yield _field("", f"all is delivered. {journal.gc_suggestion}")


def _states(report: StatusReport) -> Iterator[str]:
    ledger = report.delivery_ledger
    rows = [
        (ledger.delivered_current_target, "delivered to this target"),
        (ledger.undelivered, "to deliver"),
    ]
    rows += [
        (count, words)
        for count, words in (
            (ledger.pending, "  of these accepted, not settled yet"),
            (ledger.rejected, "  of these rejected, tried again later"),
            (ledger.transient, "  of these failed for now, tried again later"),
        )
        if count
    ]
    rows += [(each.count, f"held: {each.meaning}") for each in report.held]
    rows += [
        (count, words)
        for count, words in (
            (ledger.dead_letter, "rejected too often (dead letter)"),
            (ledger.terminal_failed, "refused for good"),
        )
        if count
    ]
    yield from columns(rows)


def _parked(report: StatusReport) -> Iterator[str]:
    events = report.terminal_failures.events
    if not events:
        return
    yield ""
    for failed in events[:_LISTED]:
        reason = f"  {failed.last_error}" if failed.last_error else ""
        yield wrapped(visible(f"{failed.event_id}{reason}"), indent=28, first="  ")
    left = report.terminal_failures.count - min(len(events), _LISTED)
    if left > 0:
        yield f"  and {left:,} more: `spec-kitty sync show --state dead_letter`"


def _earlier_targets(report: StatusReport) -> Iterator[str]:
    others = report.delivery_targets.previous
    if not others:
        return
    yield ""
    yield "earlier targets"
    used = [each for each in others if each.last_delivery_at is not None or each.delivered_count]
    for other in used:
        yield wrapped(visible(_target(other)), indent=4, first="  ")
    unused = len(others) - len(used)
    if unused:
        yield f"  {unused:,} that never took an event: `spec-kitty sync targets list`"


def _target(target: TargetSummary) -> str:
    team = f", team {target.team}" if target.team else ""
    retired = "" if target.active else ", retired"
    return f"{target.url}{team}: {target.delivered_count:,} delivered{retired}"


def _old_versions(report: StatusReport) -> Iterator[str]:
    uploads = report.body_upload_compatibility.body_upload_queue_count
    if uploads:
        yield ""
        shown = plural(uploads, "document upload")
        yield f"{shown} of older versions: left to the CLI that owns them"


def _verdict(report: StatusReport) -> Iterator[str]:
    yield wrapped(visible(f"{report.summary[:1].upper()}{report.summary[1:]}."), indent=0)
    if report.attention:
        count = len(report.attention)
        yield ""
        needs = f"{plural(count, 'thing')} {verb(count, 'needs', 'need')} attention"
        yield paint(needs, fg="yellow", bold=True)
    for each in report.attention:
        yield from attention_lines(each)


def attention_lines(each: Attention) -> Iterator[str]:
    """Yield one thing to look at, and below it the command that clears it."""
    yield wrapped(visible(each.message), indent=4, first="  ! ")
    yield wrapped(visible(each.remedy), indent=6, first="    → ")
