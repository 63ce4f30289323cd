"""A row that the destination fails on holds up nobody, and an outage refuses nobody."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from destinations.base import Kind, Request, Response
from destinations.delivery import breaker
from destinations.delivery.steps import Incomplete
from destinations.delivery.suspects import MOST_IN_A_ROW, SUSPECT_RUNS, SUSPECT_SECONDS
from tests.conftest import FakeClock
from tests.destinations.delivery.scripted import OK, Delivery, endpoint, make_rows, seqs

DOWN = Response(503, {}, b"")
BAD = 37


def fails_on(*bad: int) -> Callable[[Request], Response]:
    return lambda request: DOWN if set(bad) & set(seqs(request.body)) else OK


@pytest.fixture
def deliver(tmp_path: Path, clock: FakeClock) -> Callable[..., Delivery]:
    def make(count: int = 100, *, ordered: bool = False) -> Delivery:
        made = Delivery(make_rows(count), tmp_path / "s.sqlite", clock)
        made.endpoints = {Kind.TRACK: endpoint(max_rows=10)}
        made.ordered = ordered
        return made

    return make


def runs_until_done(
    delivery: Delivery, answer: Callable[[Request], Response], most: int = 50, every: float = 400.0
) -> int:
    for run in range(1, most + 1):
        try:
            delivery.run(answer)
        except Incomplete:
            delivery.clock.passed += every
        else:
            return run
    pytest.fail(f"not done in {most} runs: {delivery.outcomes()}")


def become_suspect(delivery: Delivery, answer: Callable[[Request], Response]) -> None:
    for _ in range(SUSPECT_RUNS):
        with pytest.raises(Incomplete):
            delivery.run(answer)
        delivery.clock.passed += 400.0


def serve_another(delivery: Delivery) -> None:
    """Another sync of the account finds the endpoint up."""
    with delivery.journal() as journal:
        journal.settle(journal.claim("other", 1, 1, Kind.TRACK, ""), "delivered", 200)
        with journal.transaction() as con:
            breaker.recovered(con, delivery.endpoints[Kind.TRACK].path)


def undelivered(delivery: Delivery) -> dict[int, str]:
    return {seq: told for seq, told in delivery.outcomes().items() if told != "delivered"}


@pytest.mark.parametrize("bad", [1, 10, BAD, 90])
def test_the_row_at_fault_is_refused_and_all_others_are_delivered(
    deliver: Callable[..., Delivery], bad: int
) -> None:
    delivery = deliver()
    assert runs_until_done(delivery, fails_on(bad)) <= SUSPECT_RUNS + 2
    assert undelivered(delivery) == {bad: "rejected:http_503"}


def test_several_rows_at_fault_are_all_found(deliver: Callable[..., Delivery]) -> None:
    delivery = deliver()
    runs_until_done(delivery, fails_on(31, BAD, 38, 95))
    assert undelivered(delivery) == dict.fromkeys((31, BAD, 38, 95), "rejected:http_503")


def test_others_go_first_once_a_request_is_suspected(deliver: Callable[..., Delivery]) -> None:
    delivery = deliver()
    become_suspect(delivery, fails_on(1))
    delivery.bodies.clear()
    delivery.run(fails_on(1))
    asked = [seqs(body) for body in delivery.bodies]
    assert [rows[0] for rows in asked[:9]] == list(range(11, 101, 10))
    assert asked[9] == list(range(1, 11)), "as it was, once"


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.slow
def test_an_outage_refuses_nobody(
    deliver: Callable[..., Delivery], clock: FakeClock, *, ordered: bool
) -> None:
    """However many runs fail, with the endpoint up for a while between two outages."""
    delivery = deliver(ordered=ordered)
    for hours in (5.0, 0.5, 30.0):
        until = clock.passed + hours * 3600
        up_for = 3

        def answer(request: Request) -> Response:
            nonlocal up_for
            up_for -= 1
            return OK if up_for >= 0 else DOWN

        while clock.passed < until:
            with pytest.raises(Incomplete):
                delivery.run(answer)
            clock.passed += 300.0
        assert not [told for told in delivery.outcomes().values() if "rejected" in told]
    delivery.run(lambda request: OK)
    assert not undelivered(delivery)


def test_an_outage_that_begins_among_the_parts_refuses_nobody(
    deliver: Callable[..., Delivery],
) -> None:
    delivery = deliver()
    become_suspect(delivery, fails_on(1))
    delivery.bodies.clear()
    with pytest.raises(Incomplete):
        delivery.run(lambda request: DOWN if len(delivery.bodies) > 9 else OK)
    assert len(delivery.bodies) <= 9 + 1 + MOST_IN_A_ROW + breaker.MOST_RETRIES
    assert not [told for told in delivery.outcomes().values() if "rejected" in told]
    delivery.clock.passed += 400.0
    delivery.run(lambda request: OK)
    assert not undelivered(delivery)


def test_an_ordered_plan_goes_on_when_somebody_else_is_served(
    deliver: Callable[..., Delivery],
) -> None:
    """In order, nothing passes the request at fault; but the account serves another sync."""
    delivery = deliver(ordered=True)
    become_suspect(delivery, fails_on(BAD))
    assert max(delivery.outcomes()) < 41, "nothing after it has gone"
    serve_another(delivery)
    delivery.clock.passed += 1.0
    delivery.run(fails_on(BAD))
    assert undelivered(delivery) == {BAD: "rejected:http_503"}
    sent = [row for body in delivery.bodies for row in seqs(body)]
    first = {row: sent.index(row) for row in range(41, 101)}
    assert list(first) == sorted(first, key=lambda row: first[row])


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize(("count", "bad"), [(10, 1), (10, 5), (10, 10), (30, 21), (30, 30)])
def test_a_request_that_is_left_over_is_tried_in_parts_after_hours(
    deliver: Callable[..., Delivery], clock: FakeClock, count: int, bad: int, *, ordered: bool
) -> None:
    """Nothing shows that the destination is up by now: until then its bytes stay as they are."""
    delivery = deliver(count, ordered=ordered)
    begun = clock.passed
    while clock.passed < begun + SUSPECT_SECONDS:
        with pytest.raises(Incomplete):
            delivery.run(fails_on(bad))
        clock.passed += 400.0
    assert len(set(delivery.bodies)) == count // 10
    assert runs_until_done(delivery, fails_on(bad)) <= 12
    assert undelivered(delivery) == {bad: "rejected:http_503"}


def test_a_lone_row_waits_as_long_as_nothing_is_taken(
    deliver: Callable[..., Delivery], clock: FakeClock
) -> None:
    delivery = deliver(1)
    for _ in range(100):
        with pytest.raises(Incomplete):
            delivery.run(fails_on(1))
        clock.passed += 400.0
    assert undelivered(delivery) == {1: "retry"}
    serve_another(delivery)
    delivery.run(fails_on(1))
    assert undelivered(delivery) == {1: "rejected:http_503"}


def test_who_is_suppressed_meanwhile_is_neither_tried_nor_refused(
    deliver: Callable[..., Delivery],
) -> None:
    delivery = deliver()
    become_suspect(delivery, fails_on(2))
    delivery.rows = [row for row in delivery.rows if row.seq != 1]
    delivery.read = lambda first, last: iter(  # type: ignore[method-assign]
        [(Kind.TRACK, [[row for row in delivery.rows if first <= row.seq <= last]])]
    )
    delivery.run(fails_on(2))
    told = undelivered(delivery)
    assert told.pop(2) == "rejected:http_503"
    assert set(told) <= {1}


def test_who_says_when_to_come_back_is_busy_and_not_failing(
    deliver: Callable[..., Delivery],
) -> None:
    delivery = deliver()
    busy = Response(503, {"retry-after": "30"}, b"")
    for _ in range(30):
        with pytest.raises(Incomplete):
            delivery.run(lambda request: busy if 1 in seqs(request.body) else OK)
        delivery.clock.passed += 400.0
    assert not [told for told in delivery.outcomes().values() if "rejected" in told]
    assert {len(seqs(body)) for body in delivery.bodies} == {10}
