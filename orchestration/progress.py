"""How far a delivery is, how fast, and how much of the destination's limit that is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Protocol

from destinations.base import Endpoint
from destinations.clock import Clock
from destinations.delivery.limiter import paced
from orchestration.log_lines import Write, log_line, to_stderr
from orchestration.sync_runs import SyncRun

SECONDS_BETWEEN_LINES = 10.0
TOLD = ("status", "calls", "delivered", "rejected", "throttled_s")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sync is in its plan; `share_of_limit` is 1.0 where the limit is the bottleneck."""

    sync: str
    rows: int
    of: int
    rows_per_s: float
    share_of_limit: float
    seconds_left: float | None


class Watch(Protocol):
    """Is told how a delivery goes; never of ids, addresses, payloads or keys."""

    def started(self, sync: str) -> None:
        """A sync begins."""
        ...

    def progress(self, told: Progress) -> None:
        """A request is settled."""
        ...

    def finished(self, run: SyncRun) -> None:
        """A sync came to its end, a good one or not."""
        ...


class Quiet:
    """Tells nobody."""

    def started(self, sync: str) -> None:
        """Tell nobody."""

    def progress(self, told: Progress) -> None:
        """Tell nobody."""

    def finished(self, run: SyncRun) -> None:
        """Tell nobody."""


@dataclass(slots=True)
class LogLines:
    """Writes one JSON object a line: at the start and end of each sync, and now and then."""

    clock: Clock
    write: Write = to_stderr
    _told_at: dict[str, float] = field(default_factory=dict)

    def started(self, sync: str) -> None:
        """Write that a sync begins."""
        self._told_at[sync] = self.clock.monotonic()
        log_line(self.clock, "sync.started", {"sync": sync}, self.write)

    def progress(self, told: Progress) -> None:
        """Write how far it is, every 10 seconds."""
        now = self.clock.monotonic()
        if now - self._told_at.setdefault(told.sync, now) >= SECONDS_BETWEEN_LINES:
            self._told_at[told.sync] = now
            log_line(self.clock, "sync.progress", asdict(told), self.write)

    def finished(self, run: SyncRun) -> None:
        """Write how it ended."""
        shape = run.as_dict()
        numbers = {"sync": run.sync, **{name: shape[name] for name in TOLD}}
        log_line(self.clock, "sync.finished", numbers, self.write)


def measured(
    sync: str, *, left: int, of: int, endpoint: Endpoint | None, clock: Clock
) -> Callable[[int, int], Progress]:
    """Return a function of (calls, rows) of a delivery that begins now, with `left` rows to send.

    The share is of the rate at which the limiter would let requests to `endpoint` through.
    """
    began = clock.monotonic()
    spacing = paced(endpoint.windows).spacing if endpoint else 0.0

    def measure(calls: int, rows: int) -> Progress:
        seconds = clock.monotonic() - began
        rate = rows / seconds if seconds > 0 else 0.0
        share = (calls - 1) * spacing / seconds if seconds > 0 and calls else 0.0
        return Progress(
            sync,
            rows=of - left + rows,
            of=of,
            rows_per_s=round(rate, 1),
            share_of_limit=round(share, 3),
            seconds_left=round(max(0, left - rows) / rate, 1) if rate else None,
        )

    return measure
