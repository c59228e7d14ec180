"""When to ask again. Pure: times come in and go out as epoch milliseconds or seconds."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime

HOUR_MS = 3_600_000
_PENDING_FIRST_MS = 30_000
_TRANSIENT_FIRST_MS = 10_000
_RETRY_AFTER_MIN_S = 1.0
_RETRY_AFTER_MAX_S = 3600.0


def pending_delay_ms(attempts: int) -> int:
    """Return how long to wait after the *attempts*-th `pending`: 30 s, doubling to 1 h."""
    return min(HOUR_MS, _PENDING_FIRST_MS << min(max(attempts - 1, 0), 20))


def transient_delay_ms(attempts: int, jitter: float) -> int:
    """Return the back-off after the *attempts*-th failure: 10 s, doubling to 1 h.

    *jitter* in 0 … 1 takes up to a quarter off, so that many homes don't return at once.
    """
    full = min(HOUR_MS, _TRANSIENT_FIRST_MS << min(max(attempts - 1, 0), 20))
    return int(full * (1 - jitter / 4))


def retry_after_s(value: str | None, now_ms: int) -> float | None:
    """Return the seconds that a Retry-After header asks for, clamped to 1 s … 1 h.

    None when there is no header, or none that can be understood.
    """
    if value is None:
        return None
    text = value.strip()
    if text.removeprefix("-").isdecimal() and text.isascii():
        # No int() of a thousand digits.
        seconds = float(text[:20])
    else:
        asked = _http_date_s(text)
        if asked is None:
            return None
        seconds = asked - now_ms / 1000
    return min(_RETRY_AFTER_MAX_S, max(_RETRY_AFTER_MIN_S, seconds))


def throttle_delay_s(rounds: int) -> float:
    """Return the wait when the receiver names none: 1 s, doubling to 1 h."""
    return min(_RETRY_AFTER_MAX_S, float(1 << min(max(rounds - 1, 0), 12)))


def _http_date_s(text: str) -> float | None:
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (ValueError, IndexError, OverflowError):  # the latter: a zone of a hundred digits
        return None
