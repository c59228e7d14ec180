"""One JSON object per line on standard error: what happened, never a payload or a token."""

from __future__ import annotations

import json
import logging
import sys
import traceback

from spec_kitty_sync._clock import utc_iso

FIELDS = "fields"
"""The name under which a record carries its structured fields (`extra={FIELDS: {…}}`)."""


class JsonLines(logging.Formatter):
    """Formats records; of exceptions only type and place, for their text may quote an event."""

    def __init__(self, worker: int) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": utc_iso(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "worker": self._worker,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = record.exc_info[0].__name__
            frames = traceback.extract_tb(record.exc_info[2])
            line["where"] = [f"{each.filename}:{each.lineno} {each.name}" for each in frames[-12:]]
        return json.dumps(line, ensure_ascii=True)


def log_to_stderr(level: str, *, worker: int = 0) -> None:
    """Send this process's log records of *level* and above to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(worker))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # It counts every connection at this level.
    logging.getLogger("websockets").setLevel(logging.WARNING)
