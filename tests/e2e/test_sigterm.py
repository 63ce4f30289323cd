"""A process manager ends a sync: what is on the wire is finished, the rest waits for the next."""

from __future__ import annotations

import json
import signal
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from destinations.clock import SystemClock
from tests.e2e.conftest import Shell
from tests.support.serving import served

pytestmark = pytest.mark.slow

SYNC = ("sync", "iterable_user_traits", "--reassert", "--json")
CLOCK = SystemClock()


@dataclass
class Gate:
    """In front of the sandbox: keeps each request until it is let through."""

    upstream: str
    bodies: list[bytes] = field(default_factory=list)
    came: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    through: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    url: str = ""

    def take(self, path: str, body: bytes, key: str) -> bytes:
        self.bodies.append(body)
        self.came.release()
        assert self.through.acquire(timeout=60)
        headers = {"Api-Key": key, "Content-Type": "application/json"}
        request = urllib.request.Request(self.upstream + path, body, headers)
        with urllib.request.urlopen(request) as answer:
            return bytes(answer.read())


@contextmanager
def gate(upstream: str) -> Iterator[Gate]:
    kept = Gate(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            answer = kept.take(self.path, body, self.headers["Api-Key"])
            try:
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            except BrokenPipeError:
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with served(Handler) as kept.url:
        yield kept


@pytest.fixture
def gated(ran: Shell) -> Iterator[tuple[Shell, Gate]]:
    with gate(ran.url) as kept:
        yield Shell(ran.folder, kept.url), kept


def claims(folder: Path) -> list[str | None]:
    import sqlite3

    with sqlite3.connect(folder / "state" / "iterable.sqlite") as con:
        found = con.execute("select outcome from claims order by claim_id desc limit 3")
        return [outcome for (outcome,) in found]


def test_a_request_on_the_wire_is_finished_and_recorded(gated: tuple[Shell, Gate]) -> None:
    shell, kept = gated
    process = shell.start(*SYNC)
    kept.through.release()
    for _ in range(2):
        assert kept.came.acquire(timeout=60)
    process.send_signal(signal.SIGTERM)
    asked = CLOCK.monotonic()
    kept.through.release(10)
    out, err = process.communicate(timeout=30)
    assert CLOCK.monotonic() - asked < 10
    assert process.returncode == 4, err
    (run,) = json.loads(out)["syncs"]
    assert (run["status"], run["calls"], run["delivered"]) == ("incomplete", 2, 2000)
    assert run["reasons"] == ["asked to end; the next run goes on from here"]
    assert None not in claims(shell.folder)
    ((folded,),) = shell.rows(
        "select count(*) from tailrace.op_outcomes where outcome = 'delivered' and plan_id = ?",
        [run["plan_id"]],
    )
    assert folded == 2000, "the warehouse knows"
    before = list(kept.bodies)
    kept.through.release(100)
    (rest,) = shell.json(*SYNC[:2])["syncs"]
    assert rest["status"] == "done"
    assert rest["plan_id"] == run["plan_id"]
    assert not set(before) & set(kept.bodies[2:]), "nothing goes twice"


@pytest.mark.slow
def test_an_endpoint_that_does_not_answer_is_left_after_ten_seconds(
    gated: tuple[Shell, Gate],
) -> None:
    shell, kept = gated
    process = shell.start(*SYNC)
    assert kept.came.acquire(timeout=60)
    process.send_signal(signal.SIGTERM)
    asked = CLOCK.monotonic()
    process.communicate(timeout=30)
    assert 9 < CLOCK.monotonic() - asked < 12
    assert process.returncode == 4
    assert claims(shell.folder)[0] is None, "it may have arrived"
    kept.through.release(100)
    (rest,) = shell.json(*SYNC[:2])["syncs"]
    assert rest["status"] == "done"
    assert kept.bodies[1] == kept.bodies[0], "the same bytes again"


def test_before_it_sends_a_sync_is_broken_off(ran: Shell) -> None:
    """Nothing is on its way: there is nothing to finish."""
    with ran.connect():
        process = ran.start(*SYNC)
        assert process.stderr is not None
        assert "waiting" in process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert json.loads(out)["error"]["kind"] == "interrupted"
