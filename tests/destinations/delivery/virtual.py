"""A wire in the test's time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from destinations.base import Request, Response
from destinations.delivery.transport import Failed, Transport
from tests.support.answers import Answers


@dataclass
class VirtualWire:
    """Asks the transport when a call begins; hands its answer over `latency` later."""

    transport: Transport
    answers: Answers
    latency: Callable[[], float]

    def start(self, number: int, request: Request, timeout: float) -> None:
        answer = self.transport.send(request, timeout=timeout)
        self.answers.send_back(number, answer, self.latency())

    def finished(self, seconds: float | None) -> tuple[int, Response | Failed] | None:
        return self.answers.next(seconds)

    def close(self) -> None:
        self.transport.close()
