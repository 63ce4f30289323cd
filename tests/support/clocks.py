"""Clocks for tests that talk to real servers."""

from __future__ import annotations

from datetime import datetime, timedelta

from destinations.clock import SystemClock


class FastClock(SystemClock):
    """Real time, but waiting is skipped: rates are obeyed on paper."""

    skipped = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.skipped)

    def monotonic(self) -> float:
        return super().monotonic() + self.skipped

    def sleep(self, seconds: float) -> None:
        self.skipped += max(0.0, seconds)
