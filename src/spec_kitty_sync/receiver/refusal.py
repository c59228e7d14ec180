"""An answer to the whole request that is not 200 (CONTRACT 5: a JSON object with `error`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Refusal(Exception):
    """The request is answered with *status*; nothing of it was stored.

    Every 400 carries `details`. `close` ends the connection after the answer.
    """

    def __init__(
        self,
        status: int,
        error: str,
        *,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})
        self.close = close

    def content(self) -> dict[str, Any]:
        """Return the JSON object of the answer."""
        details = {"details": self.error} if self.status == 400 else {}
        return {"error": self.error, **details, **self.extra}


def malformed(error: str) -> Refusal:
    """Return the 400 for a body that is no batch."""
    return Refusal(400, error)


def too_large(error: str) -> Refusal:
    """Return the 413 that makes a sender halve its batch."""
    return Refusal(413, error)
