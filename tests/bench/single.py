"""Calls of one row each, over more and more connections: what one process can send."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

from destinations.base import Request, Response, Secret
from destinations.delivery.transport import HttpTransport
from tests.bench import endpoint
from tests.bench.rows import CLOCK

CONNECTIONS = (1, 2, 4, 8, 16)
DELAYS = (0.0, 0.02)
BODY = (
    b'{"email":"user1@example.com","dataFields":{'
    + b'"field":"some value of it",' * 11
    + b'"x":1}}'
)


def single(seconds: float, connections: Any = CONNECTIONS) -> list[dict[str, Any]]:
    """Send for so long over each number of connections, to an endpoint that thinks or does not."""
    with endpoint.running() as url:
        return [_sent(url, delay, count, seconds) for delay in DELAYS for count in connections]


def _sent(url: str, delay: float, connections: int, seconds: float) -> dict[str, Any]:
    endpoint.begin(url, delay=delay)
    with closing(HttpTransport(url, {"Api-Key": Secret("bench-key")}, "bench")) as transport:
        until = CLOCK.monotonic() + seconds

        def send(_: int) -> int:
            sent = 0
            while CLOCK.monotonic() < until:
                answer = transport.send(Request("POST", "/api/users/update", BODY), timeout=30)
                assert isinstance(answer, Response), answer
                sent += 1
            return sent

        with ThreadPoolExecutor(connections) as pool:
            sent = sum(pool.map(send, range(connections)))
    return {"delay": delay, "connections": connections, "per_second": sent / seconds}
