"""A refusal that blames nothing: the row's fault, or the request's as such?"""

from __future__ import annotations

from math import ceil, log2
from pathlib import Path

import pytest

from destinations.base import Kind, Request, Response
from destinations.delivery.doubts import MOST_DOUBTED
from destinations.delivery.steps import Incomplete, Stopped
from destinations.delivery.transport import Failed
from tests.conftest import FakeClock
from tests.destinations.delivery.scripted import OK, Delivery, endpoint, make_rows, script, seqs

BAD = Response(400, {}, b"{}")
LOST = Failed("connection lost", sent=True)
BULK = {Kind.TRACK: endpoint(max_rows=1000, max_bytes=10**6)}


@pytest.fixture
def delivery(tmp_path: Path, clock: FakeClock) -> Delivery:
    path = tmp_path / "scripted.sqlite"
    return Delivery(make_rows(5000), path, clock, endpoints=BULK)


def refusing(delivery: Delivery, *bad: int) -> None:
    delivery.run(lambda request: BAD if set(bad) & set(seqs(request.body)) else OK)


def rejected(delivery: Delivery) -> set[int]:
    return {seq for seq, what in delivery.outcomes().items() if what == "rejected:http_400"}


def test_a_request_that_is_wrong_as_such_costs_no_row(delivery: Delivery) -> None:
    with pytest.raises(Stopped, match=r"/track refused each of 10 rows .* \(http_400\)"):
        delivery.run(lambda request: BAD)
    assert delivery.tally.calls <= ceil(log2(1000)) + 2 * MOST_DOUBTED + 2
    assert rejected(delivery) == set()
    assert delivery.tally.rows == 0
    delivery.run(script())
    assert set(delivery.outcomes().values()) == {"delivered"}


def test_bad_rows_at_the_front_are_rejected_once_one_is_taken(delivery: Delivery) -> None:
    bad = range(1, MOST_DOUBTED)
    refusing(delivery, *bad)
    assert rejected(delivery) == set(bad)
    assert delivery.tally.rows == 5000


def test_once_a_row_was_taken_any_number_may_be_bad(delivery: Delivery) -> None:
    bad = range(2, 60)
    refusing(delivery, *bad)
    assert rejected(delivery) == set(bad)
    assert delivery.tally.rows == 5000


def test_a_plan_too_small_to_tell_is_rejected(delivery: Delivery) -> None:
    delivery.rows = make_rows(MOST_DOUBTED - 1)
    delivery.run(lambda request: BAD)
    assert len(rejected(delivery)) == MOST_DOUBTED - 1


def test_who_was_refused_alone_stays_refused_if_the_endpoint_then_goes_down(
    delivery: Delivery,
) -> None:
    delivery.rows = make_rows(2)
    with pytest.raises(Incomplete):
        delivery.run(lambda request: BAD if 1 in seqs(request.body) else LOST)
    assert rejected(delivery) == {1}


def test_a_row_that_is_too_large_is_no_doubt(delivery: Delivery) -> None:
    delivery.rows = make_rows(20)
    large = Response(413, {}, b"")
    delivery.run(lambda request: large)
    assert set(delivery.outcomes().values()) == {"rejected:http_413"}


def test_a_crash_in_doubt_asks_again(delivery: Delivery) -> None:
    """Nothing of what was in doubt is settled, so all of it is sent again."""
    delivery.rows = make_rows(4)

    class CrashError(Exception):
        pass

    def answer(request: Request) -> Response:
        if seqs(request.body) == [3]:
            raise CrashError
        return BAD

    with pytest.raises(CrashError):
        delivery.run(answer)
    assert rejected(delivery) == set()
    delivery.run(script())
    assert set(delivery.outcomes().values()) == {"delivered"}
