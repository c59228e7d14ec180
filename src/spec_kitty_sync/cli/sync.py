"""`spec-kitty sync …`: where the operator lives."""

from __future__ import annotations

import click

from spec_kitty_sync.cli.main import LazyGroup

_DELIVER = "spec_kitty_sync.cli.sync_delivery"
_STATUS = "spec_kitty_sync.cli.sync_status"


@click.group(
    cls=LazyGroup,
    lazy={
        "migrate": (
            "spec_kitty_sync.cli.migrate",
            "migrate",
            "Import the queues that older versions left behind.",
        ),
        "now": (_DELIVER, "now", "Deliver every event that may leave."),
        "server": (_DELIVER, "server", "Show or choose the server events go to."),
        "status": (_STATUS, "status", "What is delivered, what waits, and why."),
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
