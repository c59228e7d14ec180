"""What an operator should look at now: a message, and the command that clears it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import TYPE_CHECKING

from spec_kitty_sync._clock import utc_iso
from spec_kitty_sync._words import plural, verb
from spec_kitty_sync.delivery.targets import Deployment, Target, looks_reset
from spec_kitty_sync.sync.status_report import (
    Attention,
    BackgroundSection,
    ConnectionSection,
    Held,
    LedgerSection,
    LegacySection,
    MigrationSection,
    TerminalSection,
)
from spec_kitty_sync.sync.target_authority import OverrideMode, ResolvedSyncTarget

if TYPE_CHECKING:
    from spec_kitty_sync.sync.auth_status import AuthStanding

_NOW = "Run `spec-kitty sync now`."
# What the operator chose, or what is said elsewhere in the report.
_BY_CHOICE = frozenset({"local_retention", "target_conflict", "offline"})
_ADDRESS = "Check the address; `spec-kitty sync server URL` changes it. Then `spec-kitty sync now`."
_NETWORK = "Check the network and the server, then run `spec-kitty sync now`."
_TOKEN_REFUSED = frozenset({"auth_expired", "forbidden"})
_AFTER_STOP = MappingProxyType(
    {
        **dict.fromkeys(("not_found", "redirected", "unexpected_answer", "target_url"), _ADDRESS),
        **dict.fromkeys(("offline", "tls", "server_down"), _NETWORK),
    }
)
_HELD_ELSEWHERE = frozenset({"migration_conflict", "other_team"})


def target_attention(resolved: ResolvedSyncTarget) -> Iterator[Attention]:
    """Yield the conflict between configuration and environment, if there is one."""
    if resolved.override_mode is OverrideMode.SETUP_ONLY:
        yield Attention(
            "target_conflict",
            f"config.toml names {resolved.configured_server_url}, SPEC_KITTY_SAAS_URL names "
            f"{resolved.env_server_url}; nothing is sent",
            f"Run `spec-kitty sync server {resolved.env_server_url}`, or "
            "`unset SPEC_KITTY_SAAS_URL`.",
        )


def auth_attention(standing: AuthStanding, ledger: LedgerSection) -> Iterator[Attention]:
    """Yield the closed gate that keeps events here, and what opens it."""
    auth, remedy = standing.section, standing.remedy
    if auth.blocked == "no_target":
        remedy += " If they are to stay here: `spec-kitty sync mode LOCAL_RETENTION`."
    if auth.blocked is None or auth.blocked in _BY_CHOICE:
        return
    waiting, what = ledger.undelivered, "nothing is sent"
    if waiting:
        what = f"{plural(waiting, 'event')} {verb(waiting, 'waits', 'wait')}"
    if waiting or standing.retired:
        yield Attention(f"blocked_{auth.blocked}", f"{what}: {standing.in_the_way}", remedy)


def connection_attention(connection: ConnectionSection, remedy: str) -> Iterator[Attention]:
    """Yield what the server's answer, or its silence, calls for."""
    if connection.reachable is False:
        yield Attention(
            "server_unreachable",
            connection.error or "the server does not answer",
            "Check the network, and the address; `spec-kitty sync server URL` changes it.",
        )
    elif connection.token in ("refused", "forbidden"):
        yield Attention(
            f"token_{connection.token}",
            connection.error or "the server does not accept the token",
            remedy,
        )
    elif connection.token == "unknown":
        yield Attention(
            "unexpected_answer",
            connection.error or "the server answers something else",
            "Check the address; `spec-kitty sync server URL` changes it.",
        )


def stop_attention(
    background: BackgroundSection, ledger: LedgerSection, token_remedy: str
) -> Iterator[Attention]:
    """Yield why the last attempt ended early, if events still wait and nobody stopped it."""
    stop = background.last_stop
    if stop in (None, "interrupted") or not ledger.undelivered or background.drain_running:
        return
    waiting = f"{plural(ledger.undelivered, 'event')} {verb(ledger.undelivered, 'waits', 'wait')}"
    words = stop.replace("_", " ")
    yield Attention(
        "last_attempt_stopped",
        f"{waiting}: the last attempt stopped: {words}",
        token_remedy
        if stop in _TOKEN_REFUSED
        else _AFTER_STOP.get(stop, "Run `spec-kitty sync now`; it says what is in the way."),
    )


def rejected_attention(ledger: LedgerSection) -> Iterator[Attention]:
    """Yield events that the server rejected and that are not parked yet."""
    if ledger.rejected:
        yield Attention(
            "rejected_events",
            f"{plural(ledger.rejected, 'event')} {verb(ledger.rejected, 'was', 'were')} rejected, "
            "and will be tried again",
            "`spec-kitty sync show --state rejected` lists them; correct one with `spec-kitty sync "
            "replace EVENT_ID --file F`, or give it up with `spec-kitty sync discard EVENT_ID "
            "--reason TEXT`.",
        )


def reset_attention(
    target: Target, seen_at: int | None, *, now: ConnectionSection, this_run: bool
) -> Iterator[Attention]:
    """Yield that the server may have lost what was delivered to it.

    *seen_at*: a drain met another deployment and nobody acted since. *now* is what the server says
    to `--check`. *this_run*: the target is that of one run only, and has to be named.
    """
    answer = Deployment(now.server_instance_id, now.deployment_id, now.environment_name)
    changed_now = looks_reset(target.deployment, answer) and target.last_delivery_at is not None
    if seen_at is None and not changed_now:
        return
    since = f" since {utc_iso(seen_at)}" if seen_at is not None else ""
    again = "`spec-kitty sync now --redeliver`"
    if this_run:
        again = f"`spec-kitty sync now --redeliver --target {target.target_id}`"
    way = "else the next `spec-kitty sync now` goes on where it stood."
    if seen_at is not None:
        way = f"if it is still there, `spec-kitty sync targets confirm {target.target_id}`."
    yield Attention(
        "server_reset",
        f"{target.url} answers as another deployment{since}: what was delivered before may be gone",
        f"If its data is gone, run {again}; {way}",
    )


def delivery_attention(
    background: BackgroundSection, terminal: TerminalSection
) -> Iterator[Attention]:
    """Yield deliveries that stalled and events that are parked."""
    if background.stalled_since is not None:
        hours = background.stalled_after_hours
        yield Attention(
            "stalled",
            f"events could leave, but none was delivered for more than {hours} hours "
            f"(since {background.stalled_since})",
            _NOW,
        )
    if background.service.state in ("stalled", "dead"):
        yield Attention(
            f"service_{background.service.state}",
            f"the background service (process {background.service.pid}) gave its last sign of "
            f"life at {background.service.last_beat_at}",
            _NOW,
        )
    if background.pending_stalled_count:
        yield Attention(
            "pending_stalled",
            f"{plural(background.pending_stalled_count, 'event')} accepted over a day ago, and "
            "still not settled",
            "Run `spec-kitty sync now` to ask again; `spec-kitty sync show --state pending` "
            "lists them.",
        )
    if terminal.count:
        yield Attention(
            "parked_events",
            f"{plural(terminal.count, 'event')} {verb(terminal.count, 'is', 'are')} not sent again "
            "without a command",
            "Mend the cause, then run `spec-kitty sync retry --dead --terminal`.",
        )


def migration_attention(legacy: LegacySection, migration: MigrationSection) -> Iterator[Attention]:
    """Yield what waits in old queues, and what a migration left to decide."""
    if legacy.waiting:
        yield Attention(
            "legacy_rows_waiting",
            f"{plural(legacy.waiting, 'event')} {verb(legacy.waiting, 'waits', 'wait')} in queues "
            "of older versions",
            "Run `spec-kitty sync migrate`.",
        )
    for source in legacy.sources:
        if source.problem:
            yield Attention(
                "legacy_source_unreadable",
                f"{source.path}: {source.problem}",
                source.remedy or "Run `spec-kitty sync migrate`; it says more.",
            )
    if migration.count:
        yield Attention(
            "migration_conflicts",
            f"{migration.count} events have other content in another source",
            "Run `spec-kitty sync migrate conflicts list`.",
        )
    if migration.quarantined:
        yield Attention(
            "quarantine",
            f"{migration.quarantined} rows of old queues could not become events",
            "Run `spec-kitty sync migrate quarantine list`.",
        )


def ledger_attention(unaccounted: int) -> Iterator[Attention]:
    """Yield events that nobody can say anything about."""
    if unaccounted:
        yield Attention(
            "unaccounted",
            f"journal and ledger differ by {unaccounted} events: the file is damaged",
            "Run `spec-kitty sync verify`; it says more.",
        )


def hold_attention(held: tuple[Held, ...]) -> Iterator[Attention]:
    """Yield every hold that is nobody's choice and that somebody can lift."""
    for each in held:
        if each.remedy and each.reason not in _HELD_ELSEWHERE:
            yield Attention(
                f"held_{each.reason}", f"{each.count} events {each.meaning}", each.remedy
            )
