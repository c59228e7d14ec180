"""What failed in one drain: one remedy for each kind, and the report file with every event."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from spec_kitty_sync._clock import utc_iso
from spec_kitty_sync._files import write_atomic
from spec_kitty_sync.delivery.history import failed_events
from spec_kitty_sync.delivery.report import DrainReport
from spec_kitty_sync.delivery.states import DeliveryState
from spec_kitty_sync.errors import UsageError
from spec_kitty_sync.sync.config import Settings
from spec_kitty_sync.sync.workspace import read_workspace

_FAILED = ("rejected", "transient", "dead_letter", "terminal_failed")
_PAGE = 1000
SUMMED = (
    "delivered", "duplicates", "pending", "rejected", "dead", "terminal", "transient", "not_sent",
)  # fmt: skip


def remedy_for(state: DeliveryState, category: str) -> str:
    """Return what helps with events that ended in *state* for a reason of *category*."""
    if state is DeliveryState.TRANSIENT:
        return "Tried again by the next `spec-kitty sync now`."
    if category == "auth_expired":
        return "Run `spec-kitty auth login`, then `spec-kitty sync now`."
    if category == "id_conflict":
        return (
            "The server holds other content under this id. See ours with `spec-kitty sync show "
            "EVENT_ID`, give it up with `spec-kitty sync discard EVENT_ID --reason TEXT`."
        )
    if category == "team_scope":
        return (
            "The token may not write for that team: run `spec-kitty auth login` as one of its "
            "members, then `spec-kitty sync now`."
        )
    if category == "data_tier":
        return (
            "The server does not take this data tier. Put a lower one in with `spec-kitty sync "
            "replace EVENT_ID --file FILE`, or give it up with `spec-kitty sync discard EVENT_ID "
            "--reason TEXT`."
        )
    if category == "server_error":
        return "Run `spec-kitty sync retry --dead --terminal` when the server is mended."
    if state is DeliveryState.REJECTED:
        return (
            "Run `spec-kitty diagnose`; correct one with `spec-kitty sync replace EVENT_ID "
            "--file FILE`. It is tried again a few times."
        )
    return (
        "Correct one with `spec-kitty sync replace EVENT_ID --file FILE`, or send as it is with "
        "`spec-kitty sync retry EVENT_ID`."
    )


def check_writable(path: Path) -> None:
    """Refuse a report file that could not be written, before anything is done.

    Raises:
        UsageError: its folder is missing, or it is a folder.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise UsageError(f"{path} cannot be written", remedy="Name a file in a folder that exists.")


def write_report(settings: Settings, drain: DrainReport, path: Path) -> int:
    """Write generated_at, summary and every failure of *drain*; return how many failed.

    Raises:
        UsageError: the file cannot be written.
    """
    failures = list(_failures(settings, drain))
    document = {
        "generated_at": utc_iso(drain.ended_at),
        "summary": {
            "endpoint": drain.endpoint,
            "selected": drain.selected,
            **{name: getattr(drain, name) for name in SUMMED},
            "held": drain.held,
            "stop": drain.stop.code if drain.stop else None,
        },
        "failures": failures,
    }
    text = json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(text)  # a device or a pipe is written to, never replaced by a file
        else:
            write_atomic(path, text)
    except OSError as exc:
        raise UsageError(f"{path}: {exc.strerror}", remedy="Choose another file.") from exc
    return len(failures)


def _failures(settings: Settings, drain: DrainReport) -> Iterator[dict[str, str | None]]:
    with read_workspace(settings) as workspace:
        if workspace is None:
            return
        target, after = workspace.targets.get(drain.target_id), 0
        while True:
            page = failed_events(workspace.store, target, states=_FAILED, after=after, n=_PAGE)
            for each in page:
                if each.last_at is not None and each.last_at >= drain.started_at:
                    yield {
                        "event_id": each.event_id,
                        "error": each.reason or None,
                        "category": each.category or None,
                        "state": each.state,
                    }
            if len(page) < _PAGE:
                return
            after = page[-1].seq
