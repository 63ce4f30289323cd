"""Faults between the sender and the sandbox."""

from __future__ import annotations

from destinations.base import Request, Response
from destinations.delivery.transport import Failed, Transport
from tests.support.world import World


class Down:
    """A destination that answers nothing but errors, or loses its answers."""

    def __init__(self, real: Transport, answer: Response | Failed, apply: bool = False) -> None:
        self.real, self.answer, self.apply = real, answer, apply

    def send(self, request: Request, *, timeout: float) -> Response | Failed:
        if self.apply:
            self.real.send(request, timeout=timeout)
        return self.answer

    def close(self) -> None:
        self.real.close()


def down(world: World, answer: Response | Failed, *, apply: bool = False) -> None:
    world.wrap = lambda real: Down(real, answer, apply)
