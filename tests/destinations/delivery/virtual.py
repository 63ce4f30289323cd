"""A wire in the test's time: answers arrive after as long as the test says, in that order."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

from destinations.base import Request, Response
from destinations.delivery.transport import Failed, Transport
from tests.conftest import FakeClock


@dataclass
class VirtualWire:
    """Asks the transport when a call begins; hands its answer over `latency` later."""

    transport: Transport
    clock: FakeClock
    latency: Callable[[], float]
    out: list[tuple[float, int, Response | Failed]] = field(default_factory=list)
    most: int = 0

    def start(self, number: int, request: Request, timeout: float) -> None:
        answer = self.transport.send(request, timeout=timeout)
        heapq.heappush(self.out, (self.clock.passed + self.latency(), number, answer))
        self.most = max(self.most, len(self.out))

    def finished(self, seconds: float | None) -> tuple[int, Response | Failed] | None:
        due = self.out[0][0] if self.out else float("inf")
        if seconds is not None and due > self.clock.passed + seconds:
            self.clock.passed += seconds
            return None
        assert self.out, "nobody waits for an answer that cannot come"
        self.clock.passed = max(self.clock.passed, due)
        _, number, answer = heapq.heappop(self.out)
        return number, answer

    def close(self) -> None:
        self.transport.close()
