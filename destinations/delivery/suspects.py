"""Telling a row that a destination fails on from a destination that is down.

Both answer 5xx for as long as it lasts. A request that ended several runs like that is suspected:
it is tried last where order does not matter, and once. If the destination has taken other requests
since, it is up: what it fails on is halved, down to one row, which gets three more tries at the end
of the run and is refused then. If nothing shows that it is up, the request is left as it is for
hours, and then smaller parts of it are tried.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from destinations.base import Kind, Outcome, Row, Status
from destinations.clock import Clock
from destinations.delivery.batcher import halves
from destinations.delivery.calling import Claimed
from destinations.delivery.journal import Journal
from destinations.delivery.limiter import Limiter
from destinations.delivery.ranges import Span
from destinations.delivery.steps import Incomplete

SUSPECT_RUNS = 2
SUSPECT_SECONDS = 6 * 3600.0
"""So long a request may fail before it is halved though nothing shows that the endpoint is up."""

TRIES_ALONE = 3
MOST_IN_A_ROW = 12
"""Parts that may fail one after the other: a thousand rows are halved ten times."""


def is_suspect(span: Span) -> bool:
    """Return whether the rows are looked at, rather than repeated until they are taken."""
    return len(span.failures) >= SUSPECT_RUNS


class Failure(NamedTuple):
    """A request of rows that are suspected, answered with 5xx again."""

    claimed: Claimed
    kind: Kind
    rows: Sequence[Row]
    span: Span
    status: int


@dataclass(slots=True)
class Suspects:
    """What one run of the sender finds out.

    `failures` counts requests that failed since something was taken; `taken_since` tells that
    something was after the first of them. `alone` holds the last failure of each row that failed
    alone, by seq; `known`, what of that `failed_again` has told; `waiting`, who had the last try.
    """

    plan_id: str
    journal: Journal
    limiter: Limiter
    clock: Clock
    failures: int = 0
    taken_since: bool = False
    alone: dict[int, Failure] = field(default_factory=dict)
    known: dict[int, Failure] = field(default_factory=dict)
    waiting: list[int] = field(default_factory=list)

    def failed(self, failure: Failure, served: Container[str]) -> list[tuple[Sequence[Row], Span]]:
        """Return the parts to try next, each with its place; none if a single row failed.

        `served` are the paths of the endpoints that took something in this run.

        Raises:
            Incomplete: the destination may be down; the next run goes on from here.
        """
        rows, span = failure.rows, failure.span
        self.journal.settle(failure.claimed.claim, "retry", failure.status)
        self.failures += 1
        if len(rows) == 1:
            self.alone[rows[0].seq] = failure
            if self.failures <= MOST_IN_A_ROW or rows[0].seq in self.known:
                return []
            raise self._is_down(failure)
        is_up = failure.claimed.endpoint.path in served or self._is_served(failure)
        if is_up or self.clock.now().timestamp() - span.failures[0] >= SUSPECT_SECONDS:
            self._halve(failure)
        if not is_up or self.failures > MOST_IN_A_ROW:
            raise self._is_down(failure)
        return [(part, _of(span, part)) for part in halves(rows)]

    def left(self) -> Iterator[Failure]:
        """Yield the rows that failed alone, when all others have been tried.

        Raises:
            Incomplete: nothing shows that the destination is not down.
        """
        self.known = dict(self.alone)
        for failure in self.known.values():
            if not (self.taken_since or self._is_served(failure)):
                raise self._is_down(failure)
            yield failure

    def failed_again(self, seq: int) -> bool:
        """Return whether a row that is left has failed since this was asked last."""
        found = self.alone[seq] is not self.known[seq]
        self.known[seq] = self.alone[seq]
        return found

    def taken(self) -> None:
        """The endpoint took something."""
        self.taken_since = self.taken_since or self.failures > 0
        self.failures = 0

    def refuse(self) -> int:
        """All else was taken: refuse what failed alone again and again; returns how many rows."""
        for seq in self.waiting:
            claimed, status = self.alone[seq].claimed, self.alone[seq].status
            refused = {seq: Outcome(Status.REJECTED, f"http_{status}")}
            self.journal.settle(claimed.claim, "delivered", status, refused, claimed.quiet_until)
        return len(self.waiting)

    def _is_served(self, failure: Failure) -> bool:
        """Return whether anybody was served since the rows failed last, before this run."""
        return self.journal.served_since(failure.kind, failure.span.failures[-1])

    def _halve(self, failure: Failure) -> None:
        """Have halves in the place of a request; they are no less suspect if the run ends here."""
        self.journal.settle(failure.claimed.claim, "split", failure.status)
        for part in halves(failure.rows):
            half = self.journal.claim(self.plan_id, part[0].seq, part[-1].seq, failure.kind, "")
            self.journal.settle(half, "retry", failure.status)

    def _is_down(self, failure: Failure) -> Incomplete:
        path = failure.claimed.endpoint.path
        self.limiter.gave_up(path, 0.0)
        return Incomplete(f"{path}: HTTP {failure.status}, again and again")


def _of(span: Span, rows: Sequence[Row]) -> Span:
    return replace(span, seq_from=rows[0].seq, seq_to=rows[-1].seq, sha256="")
