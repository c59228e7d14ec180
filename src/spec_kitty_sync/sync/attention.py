"""What an operator should look at now: a message, and the command that clears it. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from spec_kitty_sync._words import plural, verb
from spec_kitty_sync.sync.status_report import (
    Attention,
    AuthSection,
    BackgroundSection,
    ConnectionSection,
    Held,
    LedgerSection,
    LegacySection,
    MigrationSection,
    TerminalSection,
)
from spec_kitty_sync.sync.target_authority import OverrideMode, ResolvedSyncTarget

_NOW = "Run `spec-kitty sync now`."
# What the operator chose, or what is said elsewhere in the report.
_BY_CHOICE = frozenset({"local_retention", "no_target", "target_conflict", "offline"})
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


def auth_attention(auth: AuthSection, ledger: LedgerSection, remedy: str) -> Iterator[Attention]:
    """Yield the closed gate that keeps events here; *remedy* opens it."""
    if auth.blocked is not None and auth.blocked not in _BY_CHOICE and ledger.undelivered:
        yield Attention(
            f"blocked_{auth.blocked}",
            f"{plural(ledger.undelivered, 'event')} "
            f"{verb(ledger.undelivered, 'waits', 'wait')}: {auth.blocked.replace('_', ' ')}",
            remedy,
        )


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
