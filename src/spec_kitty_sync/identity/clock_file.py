"""`clock.json`: the clock's copy for other tools, and what older versions counted with."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from spec_kitty_sync._clock import utc_iso
from spec_kitty_sync._files import write_atomic

_LOG = logging.getLogger(__name__)


def read_clock_file(path: Path, *, limit: int, now_ms: int) -> int:
    """Return the value in the file, 0 without one; a damaged file is set aside and reported."""
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return 0
    except OSError as exc:
        _LOG.warning("%s cannot be read (%s); the journal's clock goes on", path, exc.strerror)
        return 0
    except (ValueError, RecursionError):
        document = None
    value = document.get("value") if isinstance(document, dict) else None
    if type(value) is int and 0 <= value <= limit:
        return value
    _set_aside(path, now_ms)
    return 0


def _set_aside(path: Path, now_ms: int) -> None:
    aside = path.with_name(f"{path.name}.damaged-{now_ms}")
    try:
        path.replace(aside)
    except OSError as exc:
        _LOG.warning("%s is damaged and cannot be moved away (%s)", path, exc.strerror)
    else:
        _LOG.warning("%s was damaged: it is now %s; the journal's clock goes on", path, aside.name)


def write_clock_file(path: Path, *, value: int, node_id: str, now_ms: int) -> None:
    """Replace the file; a home that cannot be written loses the copy, not the clock."""
    document = {"value": value, "node_id": node_id, "updated_at": utc_iso(now_ms)}
    try:
        write_atomic(path, json.dumps(document).encode(), durable=False)
    except OSError as exc:
        _LOG.warning("%s cannot be written (%s); the journal's clock goes on", path, exc.strerror)
