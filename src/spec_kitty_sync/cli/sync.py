"""`spec-kitty sync …`: where the operator lives."""

from __future__ import annotations

import click

from spec_kitty_sync.cli.main import LazyGroup

_CLI = "spec_kitty_sync.cli"
_DELIVER = f"{_CLI}.sync_delivery"
_EVENTS = f"{_CLI}.sync_events"
_KEEP = f"{_CLI}.sync_keep"
_PRODUCE = f"{_CLI}.sync_mode"


@click.group(
    cls=LazyGroup,
    lazy={
        "archive": (_KEEP, "archive", "Move delivered events to a file."),
        "backup": (_KEEP, "backup", "Copy the journal to a file."),
        "discard": (_EVENTS, "discard", "Give up events that no target accepted."),
        "doctor": (f"{_CLI}.sync_doctor", "doctor", "Everything for a bug report on one page."),
        "export": (_KEEP, "export", "Write every event to a file, held ones too."),
        "gc": (_KEEP, "gc", "Remove the bytes of events that every target has."),
        "log": (_EVENTS, "log", "The last answers of servers."),
        "migrate": (
            f"{_CLI}.migrate",
            "migrate",
            "Import the queues that older versions left behind.",
        ),
        "mode": (_PRODUCE, "mode", "Show or choose whether events leave."),
        "now": (_DELIVER, "now", "Deliver every event that may leave."),
        "replace": (_EVENTS, "replace", "Correct an event that no target accepted."),
        "restore": (_KEEP, "restore", "Put a backup in place of the journal."),
        "retry": (_EVENTS, "retry", "Put parked events back, to be sent again."),
        "server": (_DELIVER, "server", "Show or choose the server events go to."),
        "show": (_EVENTS, "show", "All about one event, or those that do not get through."),
        "status": (f"{_CLI}.sync_status", "status", "What is delivered, what waits, and why."),
        "targets": (f"{_CLI}.sync_targets", "targets", "Where events were and are delivered to."),
        "verify": (_KEEP, "verify", "Compare every stored event with its hash."),
        "watch": (_PRODUCE, "watch", "Deliver in the foreground until interrupted."),
    },
)
def sync() -> None:
    """Deliver events, see what is delivered, migrate old queues.

    \b
    Examples:
      spec-kitty sync server https://sync.example.org
      spec-kitty sync now
      spec-kitty sync status --json
    """
