"""Rows that were refused alone, by an answer that blames nothing: the row, or the request as such?

As long as the endpoint has taken no row in this run, either may be true. Once it takes one, the
others are to blame; if it refuses ten one by one, nobody is, and no row is rejected for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from destinations.base import Outcome
from destinations.delivery.calling import Claimed
from destinations.delivery.journal import Journal
from destinations.delivery.steps import Stopped

MOST_DOUBTED = 10


@dataclass(slots=True)
class _Doubt:
    claimed: Claimed
    seq: int
    http_status: int
    outcome: Outcome


@dataclass(slots=True)
class Doubts:
    """What one run has yet to decide, by the path of the endpoint."""

    journal: Journal
    open: dict[str, list[_Doubt]] = field(default_factory=dict)
    served: set[str] = field(default_factory=set)

    def taken(self, path: str) -> int:
        """The endpoint took a row; returns how many rows are rejected by that."""
        self.served.add(path)
        return self._reject(path)

    def refused(self, claimed: Claimed, seq: int, http_status: int, outcome: Outcome) -> int:
        """A row was refused alone; returns how many rows are rejected by now.

        Raises:
            Stopped: so were all the others that were tried.
        """
        path = claimed.endpoint.path
        listed = self.open.setdefault(path, [])
        listed.append(_Doubt(claimed, seq, http_status, outcome))
        if path in self.served:
            return self._reject(path)
        if len(listed) >= MOST_DOUBTED:
            raise Stopped(
                f"{path} refused each of {len(listed)} rows that were sent alone, and took none "
                f"({outcome.code}): see to what the sync sends and to the account's settings"
            )
        return 0

    def confirm(self) -> int:
        """The run ends, and what was refused alone is too little to doubt the request."""
        return sum(self._reject(path) for path in list(self.open))

    def drop(self) -> None:
        """The account is to be seen to: what is in doubt is left for the next run."""
        for doubts in self.open.values():
            for doubt in doubts:
                self.journal.settle(doubt.claimed.claim, "refused", doubt.http_status)
        self.open.clear()

    def _reject(self, path: str) -> int:
        doubts = self.open.pop(path, [])
        for doubt in doubts:
            told = {doubt.seq: doubt.outcome}
            self.journal.settle(
                doubt.claimed.claim,
                "delivered",
                doubt.http_status,
                told,
                doubt.claimed.quiet_until,
            )
        return len(doubts)
