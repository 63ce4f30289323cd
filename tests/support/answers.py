"""Answers in the test's time: each arrives when the test says, in that order."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from destinations.base import Response
from destinations.delivery.transport import Failed
from tests.conftest import FakeClock


@dataclass
class Answers:
    """What is on its way back; `most` is how many were at once."""

    clock: FakeClock
    out: list[tuple[float, int, Response | Failed]] = field(default_factory=list)
    most: int = 0

    def send_back(self, number: int, answer: Response | Failed, seconds: float) -> None:
        """Let the answer of a call arrive after so many seconds."""
        heapq.heappush(self.out, (self.clock.passed + seconds, number, answer))
        self.most = max(self.most, len(self.out))

    def next(self, seconds: float | None) -> tuple[int, Response | Failed] | None:
        """Move the clock to the next answer, or on by at most that many seconds."""
        due = self.out[0][0] if self.out else float("inf")
        if seconds is not None and due > self.clock.passed + seconds:
            self.clock.passed += seconds
            return None
        assert self.out, "nobody waits for an answer that cannot come"
        self.clock.passed = max(self.clock.passed, due)
        _, number, answer = heapq.heappop(self.out)
        return number, answer
