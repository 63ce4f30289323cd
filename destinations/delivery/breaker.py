"""When an endpoint is taken to be down, and who may try it again.

Kept in the journal, so that all processes of the host know. After an outage nobody asks for a
while, twice as long each time; then one request tries, once, and its answer is the end of it.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

FIRST_REST = 4.0
LONGEST_REST = 300.0
"""Seconds for which an endpoint that is down is left alone: at first, and at most."""

MOST_RETRIES = 20.0
RETRIES_PER_ANSWER = 0.1
"""Requests that a run may repeat beyond a tenth of those that were answered."""


@dataclass(slots=True)
class Health:
    """What one run saw of one endpoint.

    `failures` in a row, over all its requests; `seconds` that one takes, None before the first.
    """

    failures: int = 0
    retries: float = MOST_RETRIES
    seconds: float | None = None

    def failed(self) -> None:
        """Count an answer that is to be asked for again."""
        self.failures += 1
        self.retries -= 1

    def answered(self, seconds: float) -> None:
        """Count an answer that can be read, and how long it took."""
        self.failures = 0
        self.retries = min(MOST_RETRIES, self.retries + RETRIES_PER_ANSWER)
        known = seconds if self.seconds is None else self.seconds
        self.seconds = 0.8 * known + 0.2 * seconds


def rest(con: sqlite3.Connection, name: str) -> tuple[float, int]:
    """Return until when an endpoint is left alone, and how many runs in a row it failed."""
    found = con.execute("select open_until, failures from breaker where name = ?", [name])
    until, failures = found.fetchone() or (0.0, 0)
    return until, failures


def gave_up(con: sqlite3.Connection, name: str, now: float, told: float = 0.0) -> None:
    """Leave the endpoint alone, for as long as it `told` at least: it ended a run.

    Runs that end while it rests count as one.
    """
    until, failures = rest(con, name)
    if now < until:
        return
    seconds = max(told, min(LONGEST_REST, FIRST_REST * 2.0 ** min(failures, 16)))
    con.execute(
        "insert or replace into breaker values (?, ?, ?)", [name, now + seconds, failures + 1]
    )


def recovered(con: sqlite3.Connection, name: str) -> None:
    """Take the endpoint to be up again."""
    con.execute("delete from breaker where name = ?", [name])
