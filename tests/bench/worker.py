"""One process that drains a limit: `worker JOURNAL URL REQUESTS SECONDS FOR`; starts when told.

It imports as little as it can, so that eight of them are ready soon.
"""

from __future__ import annotations

import socket
import sys
from contextlib import closing
from pathlib import Path

from destinations.base import Dedup, Endpoint, Locates, Window
from destinations.clock import SystemClock
from destinations.delivery.journal import Journal
from destinations.delivery.limiter import Limiter
from destinations.delivery.opening import open_journal

CLOCK = SystemClock()
REQUEST = b"POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"


def open_account(path: Path) -> Journal:
    return open_journal(path, warehouse_id="bench", known_id=None, clock=CLOCK)


def work(path: str, url: str, requests: str, seconds: str, duration: str) -> None:
    limited = Endpoint(
        "/x", (Window(float(requests), float(seconds)),), max_rows=1, max_bytes=1, max_objects=1,
        dedup=Dedup.NONE, locates=Locates.NOTHING,
    )  # fmt: skip
    host, port = url.removeprefix("http://").split(":")
    with (
        closing(open_account(Path(path))) as journal,
        socket.create_connection((host, int(port))) as sock,
    ):
        limiter = Limiter(journal, CLOCK)
        print("ready", flush=True)
        sys.stdin.readline()
        until = CLOCK.monotonic() + float(duration)
        while CLOCK.monotonic() < until:
            CLOCK.sleep(limiter.take("/x", limited))
            sock.sendall(REQUEST)
            sock.recv(4096)


if __name__ == "__main__":
    work(*sys.argv[1:])
