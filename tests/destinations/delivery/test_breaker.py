"""An endpoint that is down is left alone, tried once in a while, and never hammered."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from destinations.base import Response
from destinations.delivery import breaker, policy
from destinations.delivery.steps import Incomplete
from destinations.delivery.transport import Failed
from tests.conftest import FakeClock
from tests.destinations.delivery.scripted import OK, Delivery, make_rows, script

LOST = Failed("connection lost", sent=True)
DOWN = Response(503, {}, b"")


@pytest.fixture
def delivery(tmp_path: Path, clock: FakeClock) -> Delivery:
    return Delivery(make_rows(300), tmp_path / "scripted.sqlite", clock)


def fails(delivery: Delivery) -> int:
    """Run into the outage; returns the calls that took."""
    with pytest.raises(Incomplete):
        delivery.run(lambda request: DOWN)
    return delivery.tally.calls


def test_after_an_outage_one_request_tries_once(delivery: Delivery, clock: FakeClock) -> None:
    assert fails(delivery) == policy.MAX_ATTEMPTS
    rests = []
    for _ in range(3):
        before = clock.passed
        assert fails(delivery) == 1
        rests.append(clock.passed - before)
    assert rests == pytest.approx([4, 8, 16], abs=0.2)
    assert delivery.run(script()).calls == 30
    clock.passed += 3600
    assert fails_after_success(delivery) == policy.MAX_ATTEMPTS, "the slate is clean"


def fails_after_success(delivery: Delivery) -> int:
    delivery.rows = make_rows(310)
    return fails(delivery)


def test_who_rests_for_more_than_a_minute_is_not_waited_for(
    delivery: Delivery, clock: FakeClock
) -> None:
    for _ in range(6):
        fails(delivery)
    before = clock.passed
    assert fails(delivery) == 0
    assert clock.passed == before


def test_hours_of_outage_cost_few_calls(delivery: Delivery, clock: FakeClock) -> None:
    """A scheduler that starts a run every minute, for six hours."""
    until, calls = clock.passed + 6 * 3600, 0
    while clock.passed < until:
        calls += fails(delivery)
        clock.passed += 60
    assert calls <= 6 + 8 + 6 * 3600 / breaker.LONGEST_REST
    assert len({len(body) for body in delivery.bodies}) == 1, "the same request all the time"
    clock.passed += 300
    delivery.run(script())
    assert set(delivery.outcomes().values()) == {"delivered"}


def test_another_process_knows_of_the_outage(delivery: Delivery, clock: FakeClock) -> None:
    fails(delivery)
    other = Delivery(make_rows(1), delivery.path, clock)
    before = clock.passed
    with pytest.raises(Incomplete):
        other.run(lambda request: LOST)
    assert other.tally.calls == 1
    assert clock.passed - before == pytest.approx(4, abs=0.1)


def test_runs_that_fail_at_the_same_time_count_once(delivery: Delivery, clock: FakeClock) -> None:
    fails(delivery)
    with delivery.journal() as journal, journal.transaction() as con:
        now = clock.now().timestamp()
        until = breaker.rest(con, "/track")
        breaker.gave_up(con, "/track", now)
        assert breaker.rest(con, "/track") == until


@pytest.mark.parametrize("share", [0.02, 0.05, 0.08])
def test_a_few_errors_are_repeated_and_no_more_than_that(delivery: Delivery, share: float) -> None:
    """Requests sent, by requests that were needed, under errors that come and go."""
    delivery.rows, random = make_rows(10_000), Random(3)
    tally = delivery.run(lambda request: DOWN if random.random() < share else OK)
    assert set(delivery.outcomes().values()) == {"delivered"}
    assert tally.calls <= 1000 * 1.15


def test_a_run_that_mostly_repeats_ends(delivery: Delivery) -> None:
    delivery.rows, random = make_rows(10_000), Random(3)
    with pytest.raises(Incomplete, match="503"):
        delivery.run(lambda request: DOWN if random.random() < 0.4 else OK)
    assert delivery.tally.retried <= breaker.MOST_RETRIES + 1 + 0.1 * delivery.tally.calls


def test_a_429_is_no_outage(delivery: Delivery, clock: FakeClock) -> None:
    throttled = Response(429, {"retry-after": "1"}, b"")
    delivery.run(lambda request: throttled if len(delivery.bodies) % 3 else OK)
    with delivery.journal() as journal, journal.transaction() as con:
        assert breaker.rest(con, "/track") == (0.0, 0)


def test_a_clock_that_is_set_back_prolongs_no_rest(delivery: Delivery, clock: FakeClock) -> None:
    fails(delivery)
    clock.back += 86_400
    before = clock.passed
    assert fails(delivery) == 1
    assert clock.passed - before <= 4.1


@pytest.mark.parametrize(("told", "rest"), [("300", 300), ("86400", policy.LONGEST_THROTTLE)])
def test_an_endpoint_that_is_down_and_says_until_when_is_left_alone_until_then(
    delivery: Delivery, clock: FakeClock, told: str, rest: float
) -> None:
    with pytest.raises(Incomplete, match="503"):
        delivery.run(script(Response(503, {"retry-after": told}, b"")))
    clock.passed += rest - 65
    with pytest.raises(Incomplete, match="no request for the next"):
        delivery.run(script())
    clock.passed += 65
    assert delivery.run(script()).calls == 30
