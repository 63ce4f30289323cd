"""One request budget per endpoint, shared by every process of the host.

GCRA: the theoretical arrival time of each window is a row in the journal; a permit needs all
windows. The rate stays under the vendor's limit by the jitter that requests pick up on the way,
so that no window at the vendor ever holds more than its limit.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from destinations.base import Endpoint
from destinations.clock import Clock
from destinations.delivery.journal import Journal

JITTER_SECONDS = 0.1
_LATEST = "latest"
"""Row of the budget that holds the latest reading of the clock; endpoints begin with a slash."""


@dataclass(frozen=True, slots=True)
class Limiter:
    """Hands out permits to send."""

    journal: Journal
    clock: Clock

    def acquire(self, name: str, endpoint: Endpoint) -> float:
        """Wait until one request may go; returns the seconds waited."""
        start = self._reserve(name, endpoint)
        wait = max(0.0, start - self.clock.now().timestamp())
        if wait:
            self.clock.sleep(wait)
        return wait

    def _reserve(self, name: str, endpoint: Endpoint) -> float:
        """Take the next free instant of all windows and move them on, in one commit."""
        with self.journal.transaction() as con:
            now = self.clock.now().timestamp()
            _follow_the_clock(con, now)
            start = now
            spacings: list[tuple[str, float]] = []
            for window in endpoint.windows:
                key = f"{name}/{window.seconds:g}"
                spacing = (window.seconds + JITTER_SECONDS) / window.requests
                found = con.execute("select tat from budget where name = ?", [key]).fetchone()
                if found:
                    start = max(start, found[0])
                spacings.append((key, spacing))
            con.executemany(
                "insert into budget values (?, ?) on conflict (name) do update set tat = ?2",
                [(key, start + spacing) for key, spacing in spacings],
            )
            return start


def _follow_the_clock(con: sqlite3.Connection, now: float) -> None:
    """Move all windows back with a clock that was set back, so that nobody waits for the old time.

    A cap on how far ahead a window may be would do the same, and let a burst through as soon as
    more processes wait than the window has permits.
    """
    found = con.execute("select tat from budget where name = ?", [_LATEST]).fetchone()
    if found and now < found[0]:
        con.execute("update budget set tat = tat - ?", [found[0] - now])
    con.execute(
        "insert into budget values (?, ?) on conflict (name) do update set tat = ?2", [_LATEST, now]
    )
