"""One request budget per endpoint, shared by every process of the host.

GCRA: the theoretical arrival time of each window is a row in the journal; a permit needs all
windows. The rate stays under the vendor's limit by the jitter that requests pick up on the way,
so that no window at the vendor ever holds more than its limit.
"""

from __future__ import annotations

from dataclasses import dataclass

from destinations.base import Endpoint
from destinations.clock import Clock
from destinations.delivery.journal import Journal

JITTER_SECONDS = 0.1


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
            start = now
            spacings: list[tuple[str, float]] = []
            for window in endpoint.windows:
                key = f"{name}/{window.seconds:g}"
                spacing = (window.seconds + JITTER_SECONDS) / window.requests
                found = con.execute("select tat from budget where name = ?", [key]).fetchone()
                if found:
                    # A clock set back must not stop us for longer than the window is.
                    start = max(start, min(found[0], now + window.seconds + spacing))
                spacings.append((key, spacing))
            con.executemany(
                "insert into budget values (?, ?) on conflict (name) do update set tat = ?2",
                [(key, start + spacing) for key, spacing in spacings],
            )
            return start
