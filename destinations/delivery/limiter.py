"""One request budget per endpoint, shared by every process of the host.

GCRA: the theoretical arrival time of each window is a row in the journal; a permit needs all
windows. The rate stays under the vendor's limit by the jitter that requests pick up on the way,
so that no window at the vendor ever holds more than its limit. An endpoint that throttles one
process is left alone by all of them for as long as it asks, and is asked less often after that.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from functools import lru_cache

from destinations.base import Endpoint, Window
from destinations.clock import Clock
from destinations.delivery import breaker
from destinations.delivery.journal import Journal
from destinations.delivery.policy import LONGEST_THROTTLE, LONGEST_WAIT

JITTER_SECONDS = 0.1
LOWERED = 0.7
RAISED = 0.05
LEAST = 0.1
"""A throttled window lowers the rate to 0.7 of it, down to 0.1; a clean one gives 0.05 back."""

LONGEST_STEP = 60.0
BUSY = 50.0
"""Requests a second from which on permits are taken several at a time."""

MOST_PERMITS = 10
CLOCK_STEP = 0.001
"""Seconds by which two readings of the clock may seem to go back; more is a clock that was set."""

_LATEST = "latest"
"""Row of the budget that holds the latest reading of the clock; endpoints begin with a slash."""


class Ahead(Exception):  # noqa: N818 - an answer, not a mistake
    """The next permit is further ahead than anybody should wait; none was taken."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no request for the next {seconds:,.0f} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Pace:
    """How an endpoint's windows are kept: permits taken at once, and the seconds of each."""

    permits: int
    spacings: tuple[float, ...]

    @property
    def spacing(self) -> float:
        """Return the seconds from one permit to the next."""
        return max(self.spacings, default=0.0)


@dataclass(slots=True)
class _Permits:
    """Permits `taken` together at `since`: each is good from its instant to that of the last."""

    since: float
    start: float
    spacing: float
    taken: int
    used: int = 0

    @property
    def due(self) -> float:
        return self.start + self.used * self.spacing

    def is_good(self, now: float) -> bool:
        last = self.start + (self.taken - 1) * self.spacing
        return self.used < self.taken and self.since - CLOCK_STEP <= now <= last


@dataclass(frozen=True, slots=True)
class Limiter:
    """Hands out permits to send."""

    journal: Journal
    clock: Clock
    _held: dict[str, _Permits] = field(default_factory=dict)
    _tried: set[str] = field(default_factory=set)

    def take(self, name: str, endpoint: Endpoint) -> float:
        """Take the permit for one request; returns the seconds until it is good.

        Raises:
            Ahead: that is more than 15 minutes, or more than one for an endpoint that is
                throttled or down.
        """
        held = self._held.get(name)
        if held is None or not held.is_good(self._now()):
            held = self._held[name] = self._reserve(name, endpoint, held)
        start = held.due
        held.used += 1
        return max(0.0, start - self._now())

    def is_trial(self, name: str) -> bool:
        """Tell whether the endpoint was down: its next request is to be tried only once."""
        return name in self._tried

    def gave_up(self, name: str, told: float) -> None:
        """Leave an endpoint alone that ended a run, as it `told` (15 minutes at most) or longer."""
        self._held.pop(name, None)
        with self.journal.transaction() as con:
            breaker.gave_up(con, name, self._now(), min(told, LONGEST_THROTTLE))

    def recovered(self, name: str) -> None:
        """Take an endpoint that was tried to be up again."""
        self._tried.discard(name)
        with self.journal.transaction() as con:
            breaker.recovered(con, name)

    def throttled(self, name: str, endpoint: Endpoint, seconds: float) -> None:
        """Leave the endpoint alone for as long as it asks, and be slower after that.

        What it asks is bounded by 15 minutes. Answers of one window lower the rate once.
        """
        self._held.pop(name, None)
        with self.journal.transaction() as con:
            now = self._now()
            _follow_the_clock(con, now)
            until, factor, changed = _throttle(con, name, endpoint, now)
            until = max(until, now + min(seconds, LONGEST_THROTTLE))
            if factor == 1.0 or now - changed >= _step(endpoint):
                factor, changed = max(LEAST, factor * LOWERED), now
            con.execute(
                "insert or replace into throttle values (?, ?, ?, ?)",
                [name, until, factor, changed],
            )

    def _reserve(self, name: str, endpoint: Endpoint, last: _Permits | None) -> _Permits:
        """Take the next free instants of all windows and move them on, in one commit."""
        with self.journal.transaction() as con:
            now = self._now()
            _follow_the_clock(con, now)
            until, factor, _ = _throttle(con, name, endpoint, now)
            resting, failures = breaker.rest(con, name)
            until = max(until, resting)
            if until - now > LONGEST_WAIT:
                raise Ahead(until - now)
            self._tried.add(name) if failures else self._tried.discard(name)
            pace = paced(endpoint.windows, factor)
            # As many as were used in time: what one process takes and does not use, all lack.
            count = min(pace.permits, 1 if last is None or failures else _wanted(last))
            keys = [f"{name}/{window.seconds:g}" for window in endpoint.windows]
            found = con.execute(
                f"select max(tat) from budget where name in ({','.join('?' * len(keys))})", keys
            ).fetchone()
            start = max(now, until, found[0] or 0.0)
            if start - now > LONGEST_THROTTLE:
                raise Ahead(start - now)
            con.executemany(
                "insert into budget values (?, ?) on conflict (name) do update set tat = ?2",
                [
                    (key, start + count * spacing)
                    for key, spacing in zip(keys, pace.spacings, strict=True)
                ],
            )
            return _Permits(now, start, pace.spacing, count)

    def _now(self) -> float:
        return self.clock.now().timestamp()


@lru_cache(maxsize=64)  # asked several times for each request
def paced(windows: tuple[Window, ...], factor: float = 1.0) -> Pace:
    """Return how to keep windows whose limits are lowered to `factor` of them.

    Of a limit L per W seconds, (L - b) / (W + jitter) requests a second are made, where b + 1
    permits are taken at once: a process that is late may use them all at the instant of the last.
    """
    limits = [window.requests * factor for window in windows]
    slowest = min((limit / w.seconds for limit, w in zip(limits, windows, strict=True)), default=0)
    permits = 1
    if slowest >= BUSY:
        permits = min(MOST_PERMITS, *(1 + int(limit / 20) for limit in limits))
    return Pace(
        permits,
        tuple(
            (window.seconds + JITTER_SECONDS) / (limit - permits + 1)
            for limit, window in zip(limits, windows, strict=True)
        ),
    )


def _wanted(last: _Permits) -> int:
    return 2 * last.taken if last.used == last.taken else max(1, last.used)


def _step(endpoint: Endpoint) -> float:
    """Return the seconds after which a rate may be lowered again, or is raised by a step."""
    return min(LONGEST_STEP, max((window.seconds for window in endpoint.windows), default=1.0))


def _throttle(
    con: sqlite3.Connection, name: str, endpoint: Endpoint, now: float
) -> tuple[float, float, float]:
    """Return until when the endpoint is left alone, its factor by now, and when that was set."""
    found = con.execute(
        "select blocked_until, factor, changed_at from throttle where name = ?", [name]
    ).fetchone()
    if not found:
        return 0.0, 1.0, now
    until, factor, changed = found
    steps = int(max(0.0, now - max(changed, until)) / _step(endpoint))
    return until, min(1.0, factor + RAISED * steps), changed


def _follow_the_clock(con: sqlite3.Connection, now: float) -> None:
    """Move all windows back with a clock that was set back, so that nobody waits for the old time.

    A cap on how far ahead a window may be would do the same, and let a burst through as soon as
    more processes wait than the window has permits.
    """
    found = con.execute("select tat from budget where name = ?", [_LATEST]).fetchone()
    if found and now < found[0]:
        back = found[0] - now
        con.execute("update budget set tat = tat - ?", [back])
        con.execute(
            "update throttle set blocked_until = blocked_until - ?1, changed_at = changed_at - ?1",
            [back],
        )
        con.execute("update breaker set open_until = open_until - ?", [back])
    con.execute(
        "insert into budget values (?, ?) on conflict (name) do update set tat = ?2", [_LATEST, now]
    )
