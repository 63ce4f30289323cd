"""How far long work is: in place on a terminal, elsewhere a line now and then, on stderr."""

from __future__ import annotations

from collections.abc import Callable

from destinations.clock import Clock
from orchestration.cli.common import console

SECONDS_BETWEEN_LINES = 10.0


def teller(clock: Clock, unit: str) -> Callable[[str, int, int], None]:
    """Return a function that says how many units of a named work are done, of how many."""
    err = console(stderr=True)
    said: dict[str, float] = {}

    def tell(name: str, done: int, total: int) -> None:
        now = clock.monotonic()
        since = now - said.setdefault(name, now)
        if err.is_terminal:
            end = "\n" if done >= total else "\r"
            err.print(f"{name}: {done:,} of {total:,} {unit}", end=end, highlight=False)
        elif since >= SECONDS_BETWEEN_LINES:
            said[name] = now
            err.print(f"{name}: {done:,} of {total:,} {unit}", highlight=False)

    return tell
