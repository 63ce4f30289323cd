"""The fault policy: what an answer, or the lack of one, means for the request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum


class Verdict(StrEnum):
    """What to do with a request after an answer."""

    READ = "read"  # the connector says what became of each row
    RETRY = "retry"  # back off and send the same bytes again
    THROTTLED = "throttled"  # wait as told; costs no attempt
    STOP = "stop"  # the account or the route is wrong: no row is to blame


MAX_ATTEMPTS = 6
SERVER_ERROR = 500
BACKOFF_BASE = 1.0
BACKOFF_CAP = 30.0
LONGEST_WAIT = 60.0
LONGEST_THROTTLE = 900.0
"""Seconds that one request may be put off altogether before the run ends incomplete."""

QUIESCENCE = 60.0
"""Seconds for which a request without an answer may still be applied, or two timeouts if longer."""

_BY_STATUS = {
    401: Verdict.STOP,
    403: Verdict.STOP,
    404: Verdict.STOP,
    408: Verdict.RETRY,
    425: Verdict.RETRY,
    429: Verdict.THROTTLED,
}


def verdict(status: int) -> Verdict:
    """Return what a status means; redirects are never followed (they would carry the key)."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if 200 <= status < 300 or 400 <= status < 500:
        return Verdict.READ
    if status >= 500:
        return Verdict.RETRY
    return Verdict.STOP


def quiescence(timeouts: Iterable[float]) -> float:
    """Return how long a request with one of these timeouts may be under way, in seconds."""
    return max(QUIESCENCE, *(2 * timeout for timeout in timeouts))


def backoff(attempt: int, draw: float) -> float:
    """Return seconds to wait before attempt + 1: full jitter, `draw` in [0, 1)."""
    return float(draw * min(BACKOFF_CAP, BACKOFF_BASE * 2 ** min(attempt, 16)))


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110 section 10.2.3), or None."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
