"""The only module that reads the time or sleeps; everything else is handed a Clock."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Protocol

_BOOT: int | None = getattr(time, "CLOCK_BOOTTIME", None)  # Linux has it


class Clock(Protocol):
    """Time as the engine sees it; tests pass their own."""

    def now(self) -> datetime:
        """Return the current instant, UTC and aware."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary start that never go back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds."""
        ...


class SystemClock:
    """The machine's clock."""

    def __init__(self) -> None:
        self._wakes: SimpleQueue[None] = SimpleQueue()

    def now(self) -> datetime:
        """Return the current instant, UTC and aware."""
        return datetime.now(UTC)  # noqa: TID251 - the one place that reads the time

    def monotonic(self) -> float:
        """Return seconds since boot, the same for all processes of the host.

        The time that the machine was suspended counts: a permit taken before it is late after it.
        """
        if _BOOT is None:
            return time.monotonic()
        return time.clock_gettime(_BOOT)

    def sleep(self, seconds: float) -> None:
        """Wait that many seconds, or until `wake`."""
        with suppress(Empty):
            self._wakes.get(timeout=max(0.0, seconds))

    def wake(self) -> None:
        """End the sleep that is under way, or else the next one; a signal handler may ask it."""
        self._wakes.put(None)


def whole_second(instant: datetime) -> datetime:
    """Return the instant in UTC without its fraction of a second."""
    return instant.astimezone(UTC).replace(microsecond=0)
