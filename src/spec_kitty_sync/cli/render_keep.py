"""How targets, gc, archive, export, verify, backup and restore look."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

from spec_kitty_sync._words import plural
from spec_kitty_sync.cli.render import print_json, say
from spec_kitty_sync.cli.render_error import visible
from spec_kitty_sync.cli.render_words import size

if TYPE_CHECKING:
    from pathlib import Path

    from spec_kitty_sync.event_journal.retention import Removed
    from spec_kitty_sync.sync.backup import BackupReport, RestoreReport
    from spec_kitty_sync.sync.retaining import Exported, GcResult, Verified
    from spec_kitty_sync.sync.status_report import TargetSummary
    from spec_kitty_sync.sync.target_list import TargetDetail

_KINDS = {
    "delivered": "delivered to every active target",
    "local_only": "local-only",
    "superseded": "replaced by a newer one",
    "dead": "refused for good",
}
_DAMAGED_SHOWN = 20
# The address stands last, so that a long one stays whole.
_TARGET_HEAD = ("no", "delivered", "last (UTC)", "state", "team", "address")


def targets(found: Sequence[TargetSummary], *, as_json: bool) -> int:
    """Print every target."""
    if as_json:
        print_json({"targets": found})
        return 0
    if not found:
        say("Nothing was delivered to any target yet.")
        return 0
    rows = [_TARGET_HEAD, *map(_target_row, found)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, delivered, *words in rows:
        numbers = (number.rjust(widths[0]), delivered.rjust(widths[1]))
        texts = (word.ljust(width) for word, width in zip(words, widths[2:], strict=True))
        say("  " + "  ".join((*numbers, *texts)).rstrip())
    return 0


def _target_row(each: TargetSummary) -> tuple[str, ...]:
    last = (each.last_delivery_at or "never")[:16].replace("T", " ")
    state = "active" if each.active else "retired"
    count = f"{each.delivered_count:,}"
    return (str(each.target_id), count, last, state, each.team or "", each.url)


def target(found: TargetDetail, *, as_json: bool) -> int:
    """Print one target and the deployments seen behind it."""
    if as_json:
        print_json(found)
        return 0
    each = found.summary
    say(f"target {each.target_id}: {each.url}")
    say(f"  user {each.user or 'none'}, team {each.team or 'none'}")
    state = "active" if each.active else "retired: nothing is sent, gc does not wait for it"
    say(f"  {state}")
    say(f"  {plural(each.delivered_count, 'event')} delivered in epoch {each.epoch}")
    say(f"  last attempt {each.last_attempt_at or 'never'}")
    say(f"  last delivery {each.last_delivery_at or 'never'}")
    for seen in found.deployments:
        named = ", ".join(
            f"{label} {value}"
            for label, value in (
                ("environment", seen.environment_name),
                ("deployment", seen.deployment_id),
                ("instance", seen.server_instance_id),
                ("git", seen.git_sha),
            )
            if value
        )
        say(f"  since {seen.since}: {named}")
    return 0


def target_changed(each: TargetSummary, *, as_json: bool) -> int:
    """Print that a target was retired or is used again."""
    if as_json:
        print_json(each)
    elif each.active:
        say(f"target {each.target_id} {each.url} is in use")
    else:
        say(f"target {each.target_id} {each.url} is retired; its history stays")
    return 0


def target_confirmed(each: TargetSummary, *, as_json: bool) -> int:
    """Print that a target's data was said to be there."""
    if as_json:
        print_json(each)
    else:
        say(f"target {each.target_id} {each.url} counts as having what was delivered")
    return 0


def gc(result: GcResult, *, as_json: bool) -> int:
    """Print what went, or would go."""
    if as_json:
        print_json(
            {
                "dry_run": result.dry_run,
                "events": result.events,
                "bytes": result.bytes,
                "freed_on_disk": result.freed_on_disk,
                "reasons": {
                    name: {"events": each.events, "bytes": each.bytes}
                    for name, each in result.reasons.items()
                },
            }
        )
        return 0
    _what_goes(result, "gc")
    if result.freed_on_disk is not None:
        say(f"the file is {size(result.freed_on_disk)} smaller")
    if result.dry_run and result.events:
        say("Nothing was removed. `spec-kitty sync gc --yes` removes the bytes; row, id and")
        say("hash stay. `spec-kitty sync archive FILE` writes them to a file before.")
    return 0


def before_archive(result: GcResult) -> None:
    """Print, on stderr, what archive is about to take, and what it leaves for whom."""
    _what_goes(result, "archive", err=True)


def _what_goes(result: GcResult, command: str, *, err: bool = False) -> None:
    for name, each in result.reasons.items():
        verb = "could go" if result.dry_run else "removed"
        counted = plural(each.events, "event")
        say(f"{counted} {_KINDS.get(name, name)}: {size(each.bytes)} {verb}", err=err)
    for waiting in result.waits_for:
        number, has = waiting.target_id, plural(waiting.delivered_count, "event")
        say(f"{command} waits for target {number} {waiting.url}, which has {has};", err=err)
        say(f"  where it is gone for good: `spec-kitty sync targets retire {number}`", err=err)
    for url in result.not_begun:
        say(f"{command} waits for {visible(url)}, which has nothing yet:", err=err)
        say("  `spec-kitty sync now` sends it what it lacks", err=err)


def archived(done: Removed, *, as_json: bool) -> int:
    """Print what was moved to a file."""
    if as_json:
        print_json({"events": done.events, "bytes": done.bytes, "file": done.export})
    else:
        say(f"{plural(done.events, 'event')} ({size(done.bytes)}) moved to {done.export}")
    return 0


def exported(done: Exported) -> int:
    """Print, on stderr, what was exported."""
    say(f"{plural(done.events, 'event')} written to {done.path}", err=True)
    if done.gone:
        say(f"{plural(done.gone, 'event')} left out: archived, collected or discarded", err=True)
    return 0


def verified(found: Verified, *, as_json: bool) -> int:
    """Print what is damaged; 3 if anything is."""
    code = 0 if found.ok else 3
    if as_json:
        print_json({"ok": found.ok, "exit_code": code, **vars(found)})
        return code
    if found.ok:
        say(f"{plural(found.events, 'event')} as they were stored; every count is right")
        return code
    for each in found.damaged[:_DAMAGED_SHOWN]:
        say(f"damaged: {each.event_id} (number {each.seq}): {each.reason}")
    if len(found.damaged) > _DAMAGED_SHOWN:
        say(f"and {len(found.damaged) - _DAMAGED_SHOWN} more")
    for fault in found.faults:
        say(f"wrong: {fault}")
    say("Run `spec-kitty sync restore FILE` with a backup. Without one, give up a damaged event")
    say("with `spec-kitty sync discard EVENT_ID --reason TEXT`; it is never sent.")
    return code


def backed_up(done: BackupReport, *, as_json: bool) -> int:
    """Print what the backup holds."""
    if as_json:
        print_json(done)
    else:
        say(f"{plural(done.events, 'event')} in {done.path} ({size(done.size)}), verified")
    return 0


def restored(done: RestoreReport, *, as_json: bool) -> int:
    """Print what a restore did."""
    if as_json:
        print_json(done)
        return 0
    say(f"{plural(done.events, 'event')} restored from {done.source}")
    if done.carried_over:
        say(f"{plural(done.carried_over, 'newer event')} kept")
    if done.replaced:
        say(f"{plural(done.replaced, 'event')} replaced since the backup: the new bytes are kept")
    if done.discarded:
        say(f"{plural(done.discarded, 'event')} discarded since the backup: not brought back")
    if done.set_aside is not None:
        _set_aside(done.set_aside, damaged=done.damaged)
    say("Every target is delivered to anew; what it has already, it calls a duplicate.")
    return 0


def _set_aside(path: Path, *, damaged: bool) -> None:
    """Say where the journal as it was before is, and what only that may hold."""
    say(f"the journal as it was before is in {path}")
    if damaged:
        say("It was damaged: events that are newer than the backup may be in that file alone.")
        say(f"  → `spec-kitty sync migrate --from {shlex.quote(str(path))}` brings those that can")
        say("    still be read.")
