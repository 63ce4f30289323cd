from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from math import ceil, log2
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from destinations.base import Kind, Locates, Request, Response, Window
from destinations.delivery import policy
from destinations.delivery.limiter import Limiter
from destinations.delivery.steps import Incomplete, Stopped
from destinations.delivery.transport import Failed
from tests.conftest import FakeClock
from tests.destinations.delivery.scripted import (
    OK,
    Delivery,
    Scripted,
    endpoint,
    make_rows,
    script,
    seqs,
)

Deliver = Callable[..., Delivery]
LOST = Failed("connection lost", sent=True)
BAD = Response(400, {}, b"{}")


@pytest.fixture
def deliver(tmp_path: Path, clock: FakeClock) -> Deliver:
    def make(count: int, **more: object) -> Delivery:
        return Delivery(make_rows(count), tmp_path / "scripted.sqlite", clock, **more)

    return make


def said(**body: object) -> Response:
    return Response(200, {}, json.dumps({"ok": True, **body}).encode())


def throttled(**headers: str) -> Response:
    return Response(429, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


def everything(delivery: Delivery, outcome: str = "delivered") -> bool:
    return delivery.outcomes() == {row.seq: outcome for row in delivery.rows}


def test_all_rows_in_order_within_the_limits(deliver: Deliver) -> None:
    delivery = deliver(25)
    tally = delivery.run(script())
    assert [seqs(body) for body in delivery.bodies] == [
        [*range(1, 11)],
        [*range(11, 21)],
        [*range(21, 26)],
    ]
    assert everything(delivery)
    assert (tally.calls, tally.rows, tally.retried) == (3, 25, 0)


def test_nothing_left_is_nothing_sent(deliver: Deliver) -> None:
    delivery = deliver(25)
    delivery.run(script())
    assert delivery.run(script()).calls == 0
    assert deliver(0).run(script()).calls == 0


def test_kinds_never_share_a_request(deliver: Deliver) -> None:
    kinds = dict.fromkeys((1, 2, 3, 7), Kind.IDENTIFY)
    delivery = deliver(9, kinds=kinds)
    delivery.run(script())
    assert [seqs(body) for body in delivery.bodies] == [[1, 2, 3], [4, 5, 6], [7], [8, 9]]


@pytest.mark.parametrize("told", ["header", "date", "body"])
def test_a_429_waits_as_told_and_costs_no_attempt(
    deliver: Deliver, clock: FakeClock, told: str
) -> None:
    def answer(request: Request) -> Response:
        if len(delivery.bodies) > 20:
            return OK
        at = format_datetime(clock.now() + timedelta(seconds=7), usegmt=True)
        return {
            "header": throttled(retry_after="7"),
            "date": throttled(retry_after=at),
            "body": Response(429, {}, b'{"pause": 7}'),
        }[told]

    delivery = deliver(3)
    tally = delivery.run(answer)
    assert len(set(delivery.bodies)) == 1
    assert tally.calls == 21
    assert everything(delivery)
    assert clock.slept == [pytest.approx(7, abs=1)] * 20  # a date has whole seconds
    assert tally.throttled_s == pytest.approx(sum(clock.slept))


@pytest.mark.parametrize("value", ["61", "86400", "1e400", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_nobody_waits_for_more_than_a_minute(
    deliver: Deliver, clock: FakeClock, value: str
) -> None:
    delivery = deliver(3)
    with pytest.raises(Incomplete, match="429"):
        delivery.run(script(throttled(retry_after=value)))
    assert sum(clock.slept) == 0
    assert delivery.claims() == [(1, 3, "retry")]
    with pytest.raises(Incomplete, match="/track: no request for the next"):
        delivery.run(script())
    assert len(delivery.bodies) == 1, "no other run asks before that"
    clock.passed += 61 if value == "61" else 900
    delivery.run(script())
    assert everything(delivery)
    assert len(set(delivery.bodies)) == 1


def test_a_pause_that_another_process_was_told_of_costs_no_call(
    deliver: Deliver, clock: FakeClock
) -> None:
    delivery = deliver(3)
    with delivery.journal() as journal:
        Limiter(journal, clock).throttled("/track", Scripted.endpoints[Kind.TRACK], 300.0)
    with pytest.raises(Incomplete, match="/track: no request for the next 300 s"):
        delivery.run(script())
    assert delivery.bodies == []
    assert delivery.claims() == [(1, 3, "refused")], "it may be framed anew"
    clock.passed += 250
    tally = delivery.run(script())
    assert tally.throttled_s == pytest.approx(50, abs=1)
    assert everything(delivery)


@pytest.mark.parametrize(
    "answer",
    [
        throttled(),
        throttled(retry_after="0"),
        throttled(retry_after="0.001"),
        throttled(retry_after="60"),
    ],
)
def test_a_429_for_ever_ends_the_run(deliver: Deliver, clock: FakeClock, answer: Response) -> None:
    delivery = deliver(3)
    with pytest.raises(Incomplete, match="429"):
        delivery.run(lambda request: answer)
    assert sum(clock.slept) <= policy.LONGEST_THROTTLE
    assert len(delivery.bodies) <= policy.LONGEST_THROTTLE + 1
    assert delivery.claims() == [(1, 3, "retry")]


@pytest.mark.parametrize(
    "answer", [Response(500, {}, b"oops"), Response(503, {}, b""), Response(408, {}, b""), LOST]
)
def test_an_outage_backs_off_and_ends_incomplete(
    deliver: Deliver, clock: FakeClock, answer: Response | Failed
) -> None:
    delivery = deliver(25)
    with pytest.raises(Incomplete):
        delivery.run(lambda request: answer)
    assert len(delivery.bodies) == policy.MAX_ATTEMPTS
    assert len(set(delivery.bodies)) == 1
    assert len(clock.slept) == policy.MAX_ATTEMPTS - 1
    assert clock.slept != sorted(clock.slept)[:1] * len(clock.slept), "jitter"
    assert all(0 < wait <= policy.BACKOFF_CAP for wait in clock.slept)
    assert delivery.claims() == [(1, 10, "retry")]
    assert delivery.run(script()).calls == 3
    assert delivery.bodies[-3] == delivery.bodies[0]
    assert everything(delivery)


def test_an_outage_in_the_middle_is_survived(deliver: Deliver) -> None:
    delivery = deliver(25)
    tally = delivery.run(script(OK, LOST, Response(502, {}, b""), OK))
    assert (tally.calls, tally.retried) == (5, 2)
    assert everything(delivery)


def test_what_is_sent_again_is_the_same_bytes_whatever_the_limits_are_now(
    deliver: Deliver,
) -> None:
    delivery = deliver(25)
    with pytest.raises(Incomplete):
        delivery.run(lambda request: OK if 1 in seqs(request.body) else LOST)
    before = delivery.bodies[-1]
    delivery.endpoints = {Kind.TRACK: endpoint(max_rows=4)}
    sent = len(delivery.bodies)
    delivery.run(script())
    assert delivery.bodies[sent] == before
    assert [len(seqs(body)) for body in delivery.bodies[sent:]] == [10, 4, 1]
    with delivery.journal() as journal:
        hashes = journal._con.execute(
            "select body_sha256 from claims where seq_from = 11 order by attempt"
        ).fetchall()
    assert len(hashes) == 2
    assert len(set(hashes)) == 1
    assert everything(delivery)


@pytest.mark.parametrize("status", [401, 403, 404, 301, 302, 308])
def test_a_refused_account_rejects_no_row(deliver: Deliver, status: int) -> None:
    delivery = deliver(25)
    with pytest.raises(Stopped, match=str(status)):
        delivery.run(script(OK, Response(status, {"location": "https://evil.example"}, b"")))
    assert len(delivery.bodies) == 2
    found = delivery.outcomes()
    assert [found.get(seq, "never") for seq in (1, 10, 11, 20, 21)] == [
        "delivered",
        "delivered",
        "refused",
        "refused",
        "never",
    ]
    with delivery.journal() as journal:
        assert journal.unexported()[1] == []
    delivery.run(script())
    assert everything(delivery)


@pytest.mark.parametrize("first", [LOST, Response(500, {}, b"")])
def test_a_request_that_may_have_arrived_keeps_its_boundaries_when_the_account_is_refused(
    deliver: Deliver, first: Response | Failed
) -> None:
    delivery = deliver(25)
    with pytest.raises(Stopped):
        delivery.run(script(first, Response(401, {}, b"")))
    assert delivery.claims() == [(1, 10, "retry")]
    with pytest.raises(Stopped):
        delivery.run(script(Response(401, {}, b"")))
    assert delivery.claims() == [(1, 10, "retry"), (1, 10, "retry")]


@settings(max_examples=25)
@given(st.integers(1, 1000), st.data())
def test_one_bad_row_is_found_by_halving(
    tmp_path_factory: pytest.TempPathFactory, count: int, data: st.DataObject
) -> None:
    bad = data.draw(st.integers(1, count))
    path = tmp_path_factory.mktemp("state") / "scripted.sqlite"
    delivery = Delivery(make_rows(count), path, FakeClock())
    delivery.endpoints = {Kind.TRACK: endpoint(max_rows=1000, max_bytes=10**6)}
    delivery.run(lambda request: BAD if bad in seqs(request.body) else OK)
    outcomes = delivery.outcomes()
    assert outcomes.pop(bad) == "rejected:http_400"
    assert set(outcomes.values()) <= {"delivered"}
    assert len(outcomes) == count - 1
    assert len(delivery.bodies) <= 1 + 2 * ceil(log2(count))


def test_several_bad_rows_and_only_they_are_rejected(deliver: Deliver) -> None:
    bad = {1, 2, 40, 64}
    delivery = deliver(64, endpoints={Kind.TRACK: endpoint(max_rows=64)})
    delivery.run(lambda request: BAD if bad & set(seqs(request.body)) else OK)
    rejected = {seq for seq, what in delivery.outcomes().items() if what == "rejected:http_400"}
    assert rejected == bad
    assert delivery.outcomes().keys() == set(range(1, 65))


def test_a_request_too_large_is_halved(deliver: Deliver) -> None:
    delivery = deliver(10)
    too_large = Response(413, {}, b"")
    delivery.run(lambda request: too_large if len(seqs(request.body)) > 3 else OK)
    assert everything(delivery)


def test_a_crash_between_a_split_and_its_parts_is_framed_anew(deliver: Deliver) -> None:
    delivery = deliver(10)
    with pytest.raises(Incomplete):
        delivery.run(lambda request: BAD if len(seqs(request.body)) == 10 else LOST)
    delivery.run(lambda request: BAD if 7 in seqs(request.body) else OK)
    outcomes = delivery.outcomes()
    assert outcomes.pop(7) == "rejected:http_400"
    assert set(outcomes.values()) == {"delivered"}


def test_named_failures_become_exceptions(deliver: Deliver) -> None:
    delivery = deliver(10)
    tally = delivery.run(
        script(said(failed={"op-3": "bad"}, later={"op-9": "quota"}, warnings={"dropped": 2}))
    )
    outcomes = delivery.outcomes()
    assert (outcomes.pop(3), outcomes.pop(9)) == ("rejected:bad", "later:quota")
    assert set(outcomes.values()) == {"delivered"}
    assert tally.calls == 1
    assert tally.warnings == {"dropped": 2}


def test_a_delivered_row_is_no_failure_even_where_the_rest_failed(deliver: Deliver) -> None:
    delivery = deliver(4)
    delivery.run(script(said(ok=False, delivered=["op-2"])))
    with delivery.journal() as journal:
        _, failures = journal.unexported()
    assert {failure.seq: failure.status for failure in failures} == dict.fromkeys(
        (1, 3, 4), "rejected"
    )
    assert delivery.outcomes()[2] == "delivered"


def test_a_2xx_that_leaves_rows_open_is_asked_about_each(deliver: Deliver) -> None:
    """Down to one row; a row alone that stays unexplained is tried again later, not rejected."""
    delivery = deliver(8)

    def answer(request: Request) -> Response:
        return said(unknown=["op-5"]) if 5 in seqs(request.body) else OK

    delivery.run(answer)
    outcomes = delivery.outcomes()
    assert outcomes.pop(5) == "later:unnamed"
    assert set(outcomes.values()) == {"delivered"}


@pytest.mark.parametrize("body", [b"", b"<html>hello</html>", b"{}", b"[]"[:1]])
@pytest.mark.parametrize("count", [1, 10])
def test_an_unreadable_2xx_never_counts_as_delivered(
    deliver: Deliver, body: bytes, count: int
) -> None:
    delivery = deliver(count)
    with pytest.raises(Incomplete, match="cannot be read"):
        delivery.run(script(Response(200, {}, body)))
    assert everything(delivery, "retry")
    delivery.run(script())
    assert everything(delivery)
    assert delivery.bodies[0] == delivery.bodies[1]


def test_a_row_too_large_is_rejected_without_a_call(deliver: Deliver) -> None:
    delivery = deliver(3)
    delivery.rows[1] = replace_payload(delivery.rows[1], 200_000)
    tally = delivery.run(script())
    assert [seqs(body) for body in delivery.bodies] == [[1], [3]]
    assert delivery.outcomes() == {1: "delivered", 2: "rejected:too_large", 3: "delivered"}
    assert tally.calls == 2


def replace_payload(row: object, size: int) -> object:
    return row._replace(payload=json.dumps("x" * size).encode())  # type: ignore[attr-defined]


def test_no_user_comes_twice_in_a_request_that_names_failures_by_identity(
    deliver: Deliver,
) -> None:
    delivery = deliver(6, endpoints={Kind.TRACK: endpoint(locates=Locates.IDENTITY)})
    delivery.rows = [row._replace(dest_key=f"u{row.seq % 2}") for row in delivery.rows]
    delivery.run(script())
    assert [seqs(body) for body in delivery.bodies] == [[1, 2], [3, 4], [5, 6]]


def test_every_attempt_takes_a_permit(deliver: Deliver, clock: FakeClock) -> None:
    slow = {Kind.TRACK: endpoint(windows=(Window(1, 10.0),))}
    delivery = deliver(10, endpoints=slow)
    delivery.run(script(throttled(retry_after="1"), throttled(retry_after="1")))
    assert clock.passed >= 20


def test_a_job_is_asked_about_until_it_has_ended(deliver: Deliver, clock: FakeClock) -> None:
    delivery = deliver(3)
    running = Response(202, {}, b'{"job": 5}')
    tally = delivery.run(script(running, running, said(failed={"op-2": "bad"})))
    assert tally.calls == 3
    assert clock.slept == [5, 5]
    assert delivery.bodies[1:] == [b"", b""]
    assert delivery.outcomes() == {1: "delivered", 2: "rejected:bad", 3: "delivered"}


@pytest.mark.parametrize("seconds", [0, 5, 61, 10**9])
def test_a_job_without_end_ends_the_run(deliver: Deliver, clock: FakeClock, seconds: float) -> None:
    delivery = deliver(3)
    with pytest.raises(Incomplete, match="job"):
        delivery.run(lambda request: Response(202, {}, json.dumps({"job": seconds}).encode()))
    assert sum(clock.slept) <= policy.LONGEST_THROTTLE
    assert everything(delivery, "retry")


def test_a_job_that_was_taken_is_never_refused(deliver: Deliver) -> None:
    delivery = deliver(3)
    with pytest.raises(Stopped):
        delivery.run(script(Response(202, {}, b'{"job": 5}'), Response(404, {}, b"")))
    assert everything(delivery, "retry")


def test_the_scripted_connector_is_one(deliver: Deliver) -> None:
    """The tests above mean something only if its requests hold what was given."""
    rows = make_rows(3)
    request = Scripted().encode(Kind.TRACK, rows, None)  # type: ignore[arg-type]
    assert [row[1] for row in json.loads(request.body)["rows"]] == ["op-1", "op-2", "op-3"]
    assert replace(endpoint(), max_rows=3).max_rows == 3
