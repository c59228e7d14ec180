"""`spec-kitty sync …`: where the operator lives."""

from __future__ import annotations

import click

from spec_kitty_sync.cli.main import LazyGroup

_DELIVER = "spec_kitty_sync.cli.sync_delivery"
_PRODUCE = "spec_kitty_sync.cli.sync_mode"
_STATUS = "spec_kitty_sync.cli.sync_status"


@click.group(
    cls=LazyGroup,
    lazy={
        "migrate": (
            "spec_kitty_sync.cli.migrate",
            "migrate",
            "Import the queues that older versions left behind.",
        ),
        "mode": (_PRODUCE, "mode", "Show or choose whether events leave."),
        "now": (_DELIVER, "now", "Deliver every event that may leave."),
        "server": (_DELIVER, "server", "Show or choose the server events go to."),
        "status": (_STATUS, "status", "What is delivered, what waits, and why."),
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
