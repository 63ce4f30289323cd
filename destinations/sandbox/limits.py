"""Rate limits: so many requests in any second, per call."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from math import ceil

from destinations.clock import Clock


class SlidingWindows:
    """Counts what was let through in the last second; what is refused does not count."""

    def __init__(self, rates: Mapping[str, int], clock: Clock) -> None:
        self._rates = rates
        self._clock = clock
        self._passed: dict[str, deque[float]] = {path: deque() for path in rates}

    def wait(self, path: str) -> int | None:
        """Let a call through and return None, or return whole seconds until one may pass."""
        now = self._clock.monotonic()
        passed = self._passed[path]
        while passed and passed[0] <= now - 1.0:
            passed.popleft()
        if len(passed) >= self._rates[path]:
            return max(1, ceil(passed[0] + 1.0 - now))
        passed.append(now)
        return None
