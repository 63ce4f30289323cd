"""Several requests on the wire: as many as the rate needs, none lost, and an end when asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from destinations.base import Dedup, Kind, Request, Response, Window
from destinations.delivery.journal import Journal
from destinations.delivery.steps import Incomplete, Stopped
from destinations.delivery.transport import Failed, Transport
from destinations.delivery.wire import OneByOne, SideBySide, Wire
from tests.conftest import FakeClock
from tests.destinations.delivery.scripted import OK, Delivery, endpoint, make_rows, script, seqs
from tests.destinations.delivery.virtual import VirtualWire
from tests.support.answers import Answers

LOST = Failed("connection lost", sent=True)


class CrashError(Exception):
    """The process dies."""


@pytest.fixture
def deliver(tmp_path: Path, clock: FakeClock) -> Callable[..., Delivery]:
    def make(count: int, latency: float = 0.2, concurrency: int = 8, **windows: Window) -> Delivery:
        limits = tuple(windows.values()) or (Window(50, 1.0),)
        endpoints = {Kind.TRACK: endpoint(concurrency=concurrency, windows=limits)}
        made = Delivery(make_rows(count), tmp_path / "s.sqlite", clock, endpoints=endpoints)
        made.ordered = False
        made.make_wire = lambda real: VirtualWire(real, Answers(clock), lambda: latency)
        return made

    return make


@pytest.mark.parametrize(
    ("latency", "concurrency", "seconds"),
    # 100 requests at (50 - 2) / 1.1 a second take 2.3 s: one at a time, 100 latencies.
    [(0.2, 16, 3.5), (0.2, 4, 5.9), (0.2, 1, 20.0), (0.01, 16, 2.6)],
)
def test_as_many_are_in_flight_as_the_rate_needs(
    deliver: Callable[..., Delivery],
    clock: FakeClock,
    latency: float,
    concurrency: int,
    seconds: float,
) -> None:
    delivery = deliver(1000, latency, concurrency)
    wires: list[VirtualWire] = []

    def make(real: object) -> VirtualWire:
        wires.append(VirtualWire(real, Answers(clock), lambda: latency))  # type: ignore[arg-type]
        return wires[-1]

    delivery.make_wire = make
    delivery.run(script())
    assert set(delivery.outcomes().values()) == {"delivered"}
    assert clock.passed <= seconds + 0.01
    needed = -(-int(latency * 1.25 * 48 / 1.1 * 1000) // 1000)
    assert wires[0].answers.most <= min(concurrency, needed)


def test_an_ordered_plan_has_one_request_in_flight(
    deliver: Callable[..., Delivery], clock: FakeClock
) -> None:
    delivery = deliver(200)
    wires: list[VirtualWire] = []

    def make(real: object) -> VirtualWire:
        wires.append(VirtualWire(real, Answers(clock), Random(1).random))  # type: ignore[arg-type]
        return wires[-1]

    delivery.ordered, delivery.make_wire = True, make
    delivery.run(script())
    assert wires[0].answers.most == 1
    assert [seqs(body)[0] for body in delivery.bodies] == list(range(1, 200, 10))


def test_kinds_are_not_in_flight_together(deliver: Callable[..., Delivery]) -> None:
    delivery = deliver(300)
    delivery.endpoints = {
        kind: endpoint(f"/{kind}", concurrency=8) for kind in (Kind.IDENTIFY, Kind.TRACK)
    }
    delivery.kinds = dict.fromkeys(range(1, 101), Kind.IDENTIFY)
    delivery.run(script())
    firsts = [seqs(body)[0] for body in delivery.bodies]
    assert max(firsts[:10]) == 91, "all of the first kind before any of the second"
    assert set(delivery.outcomes().values()) == {"delivered"}


def test_who_is_halved_does_not_hold_up_the_others(deliver: Callable[..., Delivery]) -> None:
    delivery = deliver(500)
    bad = Response(400, {}, b"{}")
    delivery.run(lambda request: bad if 111 in seqs(request.body) else OK)
    outcomes = delivery.outcomes()
    assert outcomes.pop(111) == "rejected:http_400"
    assert set(outcomes.values()) == {"delivered"}


def test_one_refusal_ends_the_run_and_what_is_on_the_wire_is_settled(
    deliver: Callable[..., Delivery],
) -> None:
    delivery = deliver(1000)
    refused = Response(401, {}, b"")
    with pytest.raises(Stopped, match="401"):
        delivery.run(lambda request: refused if 301 in seqs(request.body) else OK)
    outcomes = [outcome for _, _, outcome in delivery.claims()]
    assert None not in outcomes, "no answer that came was thrown away"
    assert set(outcomes) == {"delivered", "refused"}
    assert len(delivery.bodies) < 50, "nothing new begins"
    delivery.run(script())
    assert set(delivery.outcomes().values()) == {"delivered"}
    assert len(delivery.bodies) <= 101 + 8, "nothing that was delivered goes again"


def test_an_outage_is_one_for_all_that_are_in_flight(deliver: Callable[..., Delivery]) -> None:
    delivery = deliver(1000)
    with pytest.raises(Incomplete, match="connection lost"):
        delivery.run(lambda request: OK if len(delivery.bodies) <= 30 else LOST)
    assert len(delivery.bodies) <= 30 + 8 + 6, "not six attempts for each of them"
    assert None not in {outcome for _, _, outcome in delivery.claims()}
    delivery.run(script())
    assert set(delivery.outcomes().values()) == {"delivered"}


def test_an_end_that_is_asked_for_waits_for_the_answers_and_begins_nothing(
    deliver: Callable[..., Delivery],
) -> None:
    delivery = deliver(1000)

    def answer(request: Request) -> Response:
        delivery.ending.asked = delivery.ending.asked or len(delivery.bodies) == 40
        assert delivery.ending.sending
        return OK

    with pytest.raises(Incomplete, match="asked to end"):
        delivery.run(answer)
    assert not delivery.ending.sending
    assert len(delivery.bodies) == 40
    outcomes = [outcome for _, _, outcome in delivery.claims()]
    assert outcomes.count("delivered") == 40
    assert set(outcomes) <= {"delivered", "refused"}
    delivery.ending.asked = False
    delivery.run(script())
    assert len(delivery.bodies) == 100
    assert set(delivery.outcomes().values()) == {"delivered"}


@pytest.mark.parametrize("first", [LOST, Response(503, {}, b""), Response(429, {}, b"")])
def test_asked_to_end_nobody_waits_to_try_again(
    deliver: Callable[..., Delivery], clock: FakeClock, first: Response | Failed
) -> None:
    delivery = deliver(10)

    def answer(request: Request) -> Response | Failed:
        delivery.ending.asked = True
        return first

    with pytest.raises(Incomplete, match="asked to end"):
        delivery.run(answer)
    assert clock.passed <= 0.2
    arrived = getattr(first, "status", 0) != 429
    assert delivery.claims() == [(1, 10, "retry" if arrived else "refused")]


def test_asked_to_end_after_the_last_request_is_done(deliver: Callable[..., Delivery]) -> None:
    delivery = deliver(30)

    def answer(request: Request) -> Response:
        delivery.ending.asked = len(delivery.bodies) == 3
        return OK

    delivery.run(answer)
    assert set(delivery.outcomes().values()) == {"delivered"}


def test_a_plan_that_cannot_be_read_on_ends_after_what_is_on_the_wire(
    deliver: Callable[..., Delivery],
) -> None:
    delivery = deliver(1000)
    real = delivery.read

    def until_it_fails(chunks: object) -> object:
        for chunk in chunks:  # type: ignore[attr-defined]
            for row in chunk:
                if row.seq == 305:
                    raise CrashError
                yield [row]

    def read(seq_from: int, seq_to: int) -> object:
        for kind, rows in real(seq_from, seq_to):
            yield kind, until_it_fails(rows)

    delivery.read = read  # type: ignore[method-assign, assignment]
    with pytest.raises(CrashError):
        delivery.run(script())
    assert len(delivery.bodies) == 30, "the request that this row ends was never full"
    assert [outcome for _, _, outcome in delivery.claims()] == ["delivered"] * 30


def test_threads_carry_calls_at_the_same_time(tmp_path: Path, clock: FakeClock) -> None:
    """Four requests are on the wire before any of them is answered."""
    together = threading.Barrier(4, timeout=20)

    class Waiting:
        def send(self, request: Request, *, timeout: float) -> Response:
            if 1 not in seqs(request.body):
                together.wait()
            return OK

        def close(self) -> None:
            closed.append(self)

    closed: list[Waiting] = []
    endpoints = {Kind.TRACK: endpoint(concurrency=4, windows=())}
    delivery = Delivery(make_rows(90), tmp_path / "s.sqlite", clock, endpoints=endpoints)
    delivery.ordered = False
    wire = SideBySide(Waiting(), Waiting)
    delivery.make_wire = lambda _: wire
    delivery.run(script())
    wire.close()
    assert set(delivery.outcomes().values()) == {"delivered"}
    assert len(closed) == 4


@pytest.mark.parametrize("many", [False, True])
def test_what_a_call_raises_is_raised(tmp_path: Path, clock: FakeClock, many: bool) -> None:
    class Broken:
        def send(self, request: Request, *, timeout: float) -> Response:
            raise CrashError

        def close(self) -> None:
            return

    delivery = Delivery(make_rows(30), tmp_path / "s.sqlite", clock)
    delivery.make_wire = lambda _: SideBySide(Broken(), Broken) if many else OneByOne(Broken())
    with pytest.raises(CrashError):
        delivery.run(script())
    assert delivery.claims() == [(1, 10, None)]


def test_what_is_repeated_with_other_bytes_is_told(tmp_path: Path, clock: FakeClock) -> None:
    delivery = Delivery(make_rows(10), tmp_path / "s.sqlite", clock)
    with pytest.raises(Incomplete):
        delivery.run(lambda request: LOST)
    assert delivery.run(script()).warnings == {}
    other = Delivery(make_rows(10), tmp_path / "t.sqlite", clock)
    with pytest.raises(Incomplete):
        other.run(lambda request: LOST)
    other.rows[3] = other.rows[3]._replace(payload=json.dumps("other").encode())
    assert other.run(script()).warnings == {"repeated_with_other_bytes": 1}


@pytest.mark.parametrize("ordered", [True, False])
def test_no_answer_waits_to_be_written_while_another_is_out(
    deliver: Callable[..., Delivery], *, ordered: bool
) -> None:
    """A process that dies while it waits has written all it knows."""
    delivery = deliver(200)
    delivery.ordered = ordered
    journals: list[Journal] = []
    delivery.wrap = lambda journal: journals.append(journal) or journal  # type: ignore[func-returns-value]
    make_wire, waits = delivery.make_wire, []

    def make(real: Transport) -> Wire:
        wire = make_wire(real)
        finished = wire.finished

        def look(seconds: float | None) -> object:
            waits.append(len(journals[-1]._settled))
            return finished(seconds)

        wire.finished = look  # type: ignore[method-assign, assignment]
        return wire

    delivery.make_wire = make
    delivery.run(script())
    assert len(waits) >= 20
    assert set(waits) == {0}


@pytest.mark.parametrize(
    ("requests", "dedup", "shared"),
    [(500, Dedup.UPSERT, True), (10, Dedup.UPSERT, False), (500, Dedup.NONE, False)],
)
def test_an_answer_shares_a_commit_where_that_is_worth_it(
    deliver: Callable[..., Delivery], requests: int, dedup: Dedup, *, shared: bool
) -> None:
    delivery = deliver(100, 0.001)
    limits = (Window(requests, 1.0),)
    delivery.endpoints = {Kind.TRACK: endpoint(windows=limits, dedup=dedup)}
    delivery.ordered = True
    pending: list[int] = []

    def watched(journal: Journal) -> Journal:
        claim = journal.claim

        def look(*values: Any) -> int:
            pending.append(len(journal._settled))
            return claim(*values)

        journal.claim = look  # type: ignore[method-assign]
        return journal

    delivery.wrap = watched
    delivery.run(script())
    assert len(pending) == 10
    assert set(pending[1:]) == {int(shared)}
