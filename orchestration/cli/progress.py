"""How far long work is: in place on a terminal, elsewhere JSON lines now and then, on stderr."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from destinations.clock import Clock
from orchestration.cli.common import console
from orchestration.log_lines import log_line
from orchestration.progress import SECONDS_BETWEEN_LINES, LogLines, Progress, Watch

if TYPE_CHECKING:
    from rich.console import Console

    from orchestration.sync_runs import SyncRun

SECONDS_BETWEEN_FRAMES = 0.1


@dataclass(slots=True)
class InPlace:
    """Keeps one line of a terminal up to date."""

    out: Console
    clock: Clock
    _drawn_at: float | None = None
    _wide: int = 0

    def started(self, sync: str) -> None:  # noqa: ARG002 - as `Watch` asks
        """Begin with nothing drawn."""
        self._drawn_at = None

    def progress(self, told: Progress) -> None:
        """Say how far a sync is."""
        share = f"{told.share_of_limit:.0%}".replace("%", " %")
        rate = f"{told.rows_per_s:,.0f} rows/s · {share} of the limit"
        done = told.rows >= told.of
        self.draw(
            f"{told.sync}  {told.rows:,} of {told.of:,} rows · {rate}{_left(told.seconds_left)}",
            at_once=done,
        )

    def finished(self, run: SyncRun) -> None:  # noqa: ARG002 - as `Watch` asks
        """Leave the line as it is and go on below it."""
        self.end()

    def draw(self, line: str, *, at_once: bool = False) -> None:
        """Draw over the line, unless it was drawn a moment ago."""
        now = self.clock.monotonic()
        last = self._drawn_at
        if not at_once and last is not None and now - last < SECONDS_BETWEEN_FRAMES:
            return
        shown = line[: max(1, self.out.width - 1)]
        padded = shown.ljust(min(self._wide, self.out.width - 1))
        self.out.print(padded, end="\r", highlight=False, markup=False, no_wrap=True, crop=False)
        self._drawn_at, self._wide = now, len(shown)

    def end(self) -> None:
        """Go to the next line if anything was drawn."""
        if self._drawn_at is not None:
            self.out.print()
        self._drawn_at, self._wide = None, 0


def watch(clock: Clock) -> Watch:
    """Return what is told of deliveries: a line for a person, or lines for a log."""
    err = console(stderr=True)
    return InPlace(err, clock) if err.is_terminal else LogLines(clock)


@dataclass(slots=True)
class Days:
    """Tells how far a backfill is; called with (days done, days in all)."""

    audience: str
    clock: Clock
    out: Console = field(default_factory=lambda: console(stderr=True))
    _line: InPlace = field(init=False)
    _began: float = field(init=False)
    _told_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self._told_at = self.clock.monotonic()
        self._line = InPlace(self.out, self.clock)

    def __call__(self, done: int, total: int) -> None:
        """Tell it, if it is time to."""
        now = self.clock.monotonic()
        rate = done / (now - self._began) if now > self._began else 0.0
        left = (total - done) / rate if rate else None
        if self.out.is_terminal:
            line = f"{self.audience}  {done:,} of {total:,} days · {rate:,.1f} days/s{_left(left)}"
            self._line.draw(line, at_once=done >= total)
            if done >= total:
                self._line.end()
        elif now - self._told_at >= SECONDS_BETWEEN_LINES:
            self._told_at = now
            told = {"audience": self.audience, "days": done, "of": total}
            times = {"days_per_s": round(rate, 2), "seconds_left": left and round(left, 1)}
            log_line(self.clock, "backfill.progress", {**told, **times})


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 120:
        return f" · {seconds:,.0f} s left"
    minutes = seconds / 60
    return f" · {minutes:,.0f} min left" if minutes < 120 else f" · {minutes / 60:,.1f} h left"
