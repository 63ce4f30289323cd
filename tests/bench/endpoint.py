"""An endpoint that costs next to nothing, in a process of its own.

One loop over raw sockets reads bodies of a known length, counts their rows and answers as Iterable
does. It can hold an answer back and keep a limit: so many requests in any so many seconds, counted
as they arrive, and 429 for whatever is above it.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

READ = 1 << 20
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
ROW = b'"email":'  # once in each row, whoever wrote it


@dataclass
class Connection:
    sock: socket.socket
    data: bytearray = field(default_factory=bytearray)


@dataclass
class Served:
    """What came since `begin`, and how it is treated."""

    requests: float = 0  # in any `seconds`; 0 is no limit
    seconds: float = 1.0
    delay: float = 0.0
    rows: int = 0
    throttled: int = 0
    arrivals: list[float] = field(default_factory=list)
    recent: deque[float] = field(default_factory=deque)

    def is_over(self, now: float) -> bool:
        if not self.requests:
            return False
        while self.recent and self.recent[0] <= now - self.seconds:
            self.recent.popleft()
        if len(self.recent) >= self.requests:
            return True
        self.recent.append(now)
        return False


class Endpoint:
    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.served = Served()
        self.late: deque[tuple[float, socket.socket, bytes]] = deque()

    def run(self) -> None:
        while True:
            wait = max(0.0, self.late[0][0] - time.monotonic()) if self.late else None
            for key, _ in self.selector.select(wait):
                if key.data is None:
                    self.accept()
                else:
                    self.read(key.data)
            while self.late and self.late[0][0] <= time.monotonic():
                _, sock, answer = self.late.popleft()
                sock.sendall(answer)

    def accept(self) -> None:
        sock, _ = self.listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.selector.register(sock, selectors.EVENT_READ, Connection(sock))

    def read(self, connection: Connection) -> None:
        try:
            part = connection.sock.recv(READ)
        except ConnectionError:
            part = b""
        if not part:
            self.selector.unregister(connection.sock)
            connection.sock.close()
            return
        connection.data += part
        end = connection.data.find(b"\r\n\r\n")
        if end < 0:
            return
        length = LENGTH.search(connection.data, 0, end)
        whole = end + 4 + int(length[1] if length else 0)
        if len(connection.data) >= whole:
            self.answer(connection, end + 4)
            connection.data.clear()

    def answer(self, connection: Connection, body: int) -> None:
        if connection.data.startswith(b"GET "):
            target = connection.data.split(b" ", 2)[1].decode()
            connection.sock.sendall(_framed(b"200 OK", self.control(urlsplit(target))))
            return
        now = time.monotonic()
        if self.served.is_over(now):
            self.served.throttled += 1
            framed = _framed(b"429 Too Many Requests", b"{}")
        else:
            rows = connection.data.count(ROW, body)
            self.served.rows += rows
            self.served.arrivals.append(now)
            framed = _framed(b"200 OK", b'{"successCount": %d, "failCount": 0}' % rows)
        if self.served.delay:
            self.late.append((now + self.served.delay, connection.sock, framed))
        else:
            connection.sock.sendall(framed)

    def control(self, target: Any) -> bytes:
        if target.path == "/begin":
            given = {name: float(values[0]) for name, values in parse_qs(target.query).items()}
            self.served = Served(**given)
        served = self.served
        told = {"rows": served.rows, "throttled": served.throttled, "arrivals": served.arrivals}
        return json.dumps(told).encode()


def _framed(status: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        status,
        len(body),
        body,
    )


def begin(url: str, *, requests: float = 0, seconds: float = 1.0, delay: float = 0.0) -> None:
    """Forget what came, and from now on keep this limit."""
    with urlopen(f"{url}/begin?requests={requests}&seconds={seconds}&delay={delay}"):
        pass


def seen(url: str) -> dict[str, Any]:
    """Return what came since `begin`: rows, the instants of the requests taken, and the 429s."""
    with urlopen(f"{url}/seen") as answer:
        return dict(json.load(answer))


@contextmanager
def running() -> Iterator[str]:
    """Run an endpoint; yields its address."""
    command = [sys.executable, "-m", "tests.bench.endpoint"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


if __name__ == "__main__":
    served = Endpoint()
    print(f"http://127.0.0.1:{served.listener.getsockname()[1]}", flush=True)
    served.run()
