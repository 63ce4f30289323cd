"""Clocks for tests that talk to real servers, or to real processes."""

from __future__ import annotations

import mmap
import struct
from datetime import datetime, timedelta
from pathlib import Path

from destinations.clock import SystemClock

_SECONDS = struct.Struct("d")


class FastClock(SystemClock):
    """Real time, but waiting is skipped: rates are obeyed on paper."""

    skipped = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.skipped)

    def monotonic(self) -> float:
        return super().monotonic() + self.skipped

    def sleep(self, seconds: float) -> None:
        self.skipped += max(0.0, seconds)


class SharedClock(FastClock):
    """The same for several processes: what one of them skips, has passed for all of them.

    What was skipped is kept in a file; a process that is killed leaves it as it was.
    """

    def __init__(self, path: Path, start: datetime | None = None) -> None:
        if not path.exists():
            path.write_bytes(_SECONDS.pack(0.0))
        with path.open("r+b") as file:
            self._kept = mmap.mmap(file.fileno(), _SECONDS.size)
        if start:
            self.skipped = (start - SystemClock.now(self)).total_seconds()

    @property
    def skipped(self) -> float:
        (seconds,) = _SECONDS.unpack(self._kept[:])
        return float(seconds)

    @skipped.setter
    def skipped(self, seconds: float) -> None:
        self._kept[:] = _SECONDS.pack(seconds)
