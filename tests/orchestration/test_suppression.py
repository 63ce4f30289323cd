"""Nobody who is suppressed is in any request, whenever it happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from destinations import iterable
from destinations.base import Request, Response
from destinations.delivery.transport import Failed, Transport
from orchestration import ops
from orchestration.approvals import approve
from orchestration.suppression import note_merges, suppress, unsuppress
from tests.support.world import World, make_world

Act = Callable[[int, Request], Response | Failed | None]
LOST = Failed("connection lost", sent=True)


@dataclass
class Wire:
    """Keeps every body; `act` is called before each request and may answer in its place."""

    act: Act = lambda number, request: None
    apply_lost: bool = True
    bodies: list[bytes] = field(default_factory=list)

    def wrap(self, real: Transport) -> Transport:
        return _Tap(self, real)


@dataclass
class _Tap:
    wire: Wire
    real: Transport

    def send(self, request: Request, *, timeout: float) -> Response | Failed:
        self.wire.bodies.append(request.body)
        instead = self.wire.act(len(self.wire.bodies), request)
        if instead is None or (self.wire.apply_lost and isinstance(instead, Failed)):
            answer = self.real.send(request, timeout=timeout)
        return instead if instead is not None else answer

    def close(self) -> None:
        self.real.close()


FEW = {kind: replace(end, max_rows=3) for kind, end in iterable._ENDPOINTS.items()}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests of three rows."""
    monkeypatch.setattr(iterable, "_ENDPOINTS", FEW)


@pytest.fixture
def traits(world: World) -> World:
    world.sync("traits", sends="traits", fields={"points": "score"})
    return world


def put(world: World, count: int, score: float = 1.0) -> None:
    """Users u00, u01 ... with an address each, as a build would an hour later."""
    users = {f"u{n:02}": {"score": score} for n in range(count)}
    world.users(users, world.step(1))


def bar(world: World, *values: str) -> int:
    with world.connect() as warehouse:
        return suppress(warehouse, values, "asked us to", world.clock.now()).ops


def lift(world: World, *values: str) -> int:
    with world.connect() as warehouse:
        return unsuppress(warehouse, values)


def tap(world: World, act: Act = lambda number, request: None, **options: bool) -> Wire:
    wire = Wire(act, **options)
    world.wrap = wire.wrap
    return wire


def outcomes(world: World) -> dict[str, str | None]:
    found = world.rows(
        "select user_id, arg_max(outcome, plan_id) from tailrace.op_outcomes group by 1"
    )
    return dict(found)


def said(wire: Wire, who: str) -> list[int]:
    """Return which requests name somebody."""
    return [n for n, body in enumerate(wire.bodies, 1) if f"{who}@".encode() in body]


# Between planning and sending.


def test_between_plan_and_send(traits: World) -> None:
    put(traits, 4)
    traits.store("traits")
    assert bar(traits, "u01", "U02@Example.com") == 2
    wire = tap(traits)
    run = traits.run("traits")
    assert (run.status, run.delivered) == ("done", 2)
    assert said(wire, "u01") == said(wire, "u02") == []
    assert outcomes(traits) == {
        "u00": "delivered", "u01": "suppressed", "u02": "suppressed", "u03": "delivered",
    }  # fmt: skip
    assert traits.rows("select status from tailrace.plans") == [("done",)]
    assert traits.run("traits").status == "nothing"


def test_a_merge_between_plan_and_send(traits: World) -> None:
    put(traits, 4)
    assert bar(traits, "before") == 0
    traits.clock.sleep(7200)  # chunks are looked at again for an hour
    traits.store("traits")
    traits.merges({"before": "u01"})
    with traits.connect() as warehouse:
        note_merges(warehouse, "analytics.user_merges")
    wire = tap(traits)
    assert traits.run("traits").delivered == 3
    assert (said(wire, "u01"), outcomes(traits)["u01"]) == ([], "suppressed")


@pytest.mark.parametrize("who", [["u00"], ["u03"], ["u00", "u01", "u02", "u03"]])
def test_a_plan_whose_first_last_or_only_rows_are_missing_ends_done(
    traits: World, who: list[str]
) -> None:
    put(traits, 4)
    traits.store("traits")
    bar(traits, *who)
    run = traits.run("traits")
    assert (run.status, run.delivered) == ("done", 4 - len(who))
    assert traits.rows("select status from tailrace.plans") == [("done",)]


def test_a_row_stored_after_the_suppression_is_left_out_of_its_chunk(traits: World) -> None:
    """A plan may have been made from what was true a moment before."""
    put(traits, 3)
    bar(traits, "u01")
    traits.store("traits")
    with traits.connect() as warehouse:  # as if planned before, stored after
        warehouse.execute(
            "insert into tailrace.plan_ops by name select * replace ("
            "99 as seq, 'u01' as user_id, 'u01@example.com' as dest_key) "
            "from tailrace.plan_ops limit 1"
        )
        warehouse.execute("update tailrace.plans set ops = 99")
    wire = tap(traits)
    assert traits.run("traits").status == "done"
    assert b"u00@" in wire.bodies[0]
    assert outcomes(traits)["u01"] == "suppressed"


@pytest.mark.usefixtures("small")
def test_within_a_chunk_that_was_read_already(traits: World) -> None:
    put(traits, 9)

    def act(number: int, request: Request) -> None:
        if number == 1:
            assert b"u00@" in request.body
            bar(traits, "u00", "u03", "u08")  # sent already, the next row, the last row

    wire = tap(traits, act)
    assert traits.run("traits").status == "done"
    assert said(wire, "u03") == said(wire, "u08") == []
    assert said(wire, "u00") == [1]
    found = outcomes(traits)
    assert {user for user, outcome in found.items() if outcome == "suppressed"} == {
        "u00", "u03", "u08",
    }  # fmt: skip
    assert list(found.values()).count("delivered") == 6


def test_between_two_chunks(traits: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops, "CHUNK_BYTES", 1)  # chunks of 1,000 rows
    with traits.connect() as warehouse:
        warehouse.execute(
            "create or replace table analytics.user_traits as select 'u' || (10000 + i) as user_id, "
            "'u' || (10000 + i) || '@example.com' as email, 1.0::double as score, "
            "null::varchar as label from range(2500) as r(i)"
        )
        traits._built(warehouse, "user_traits", traits.step(1))

    def act(number: int, request: Request) -> None:
        if number == 1:
            bar(traits, "u11500", "u12499")

    wire = tap(traits, act)
    run = traits.run("traits")
    assert (run.status, run.delivered, run.calls) == ("done", 2498, 3)
    assert said(wire, "u11500") == said(wire, "u12499") == []


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("who", ["u00", "u01", "u02"])
def test_after_a_lost_answer_the_rest_is_repeated_within_the_same_bounds(
    traits: World, who: str
) -> None:
    put(traits, 5)
    wire = tap(traits, lambda number, request: LOST)
    assert traits.run("traits").status == "incomplete"
    bar(traits, who)
    first, again = wire.bodies[0], tap(traits)
    run = traits.run("traits")
    assert (run.status, run.calls) == ("done", 2)
    assert said(again, who) == []
    others = [user for user in ("u00", "u01", "u02") if user != who]
    assert all(f"{user}@".encode() in first for user in (*others, who))
    assert all(f"{user}@".encode() in again.bodies[0] for user in others)
    assert outcomes(traits)[who] == "suppressed"
    ranges = traits.rows(
        "select distinct seq_from, seq_to from tailrace.receipts where outcome <> 'suppressed'"
    )
    assert sorted(ranges) == [(1, 3), (4, 5)]
    assert traits.run("traits").calls == 0


@pytest.mark.usefixtures("small")
def test_while_waiting_to_repeat_a_request(traits: World) -> None:
    """A 429 or a lost answer is repeated within one run: by then somebody may be suppressed."""
    put(traits, 3)

    def act(number: int, request: Request) -> Response | Failed | None:
        if number == 2:
            bar(traits, "u02")
        return {1: Response(429, {"retry-after": "5"}, b"{}"), 2: LOST}.get(number)

    wire = tap(traits, act)
    run = traits.run("traits")
    assert (run.status, run.calls, run.delivered) == ("done", 3, 2)
    assert said(wire, "u02") == [1, 2]
    assert traits.rows("select count(*) from tailrace.receipts where seq_to - seq_from = 2")[0][0]


def test_what_was_held_and_then_approved(world: World) -> None:
    world.sync("traits", sends="traits", fields={"points": "score"}, max_first=0)
    put(world, 3)
    held = str(world.run("traits").plan_id)
    assert bar(world, "u00") == 1, "while held"
    with world.connect() as warehouse:
        approve(warehouse, held, expect_exits=None, by="me", now=world.clock.now())
    assert bar(world, "u01") == 1, "after approval"
    wire = tap(world)
    run = world.run("traits")
    assert (run.status, run.delivered) == ("done", 1)
    assert said(wire, "u00") == said(wire, "u01") == []


def test_an_answer_that_comes_late_does_not_count_as_delivered(traits: World) -> None:
    """Settled in the journal, not yet folded, then suppressed: suppressed is the last word."""
    put(traits, 2)
    tap(traits, lambda number, request: bar(traits, "u00") and None)
    run = traits.run("traits")
    assert run.delivered == 1
    assert outcomes(traits) == {"u00": "suppressed", "u01": "delivered"}
    assert traits.rows("select dest_key from tailrace.acked where op is not null") == [
        ("u01@example.com",)
    ]


def test_a_journal_begun_anew_does_not_count_on_from_there(traits: World) -> None:
    put(traits, 2)
    traits.store("traits")
    bar(traits, "u00")
    assert traits.run("traits", new_journal=True).delivered == 1
    put(traits, 2, score=2.0)
    assert traits.run("traits").delivered == 1
    attempts = "select max(attempt) from tailrace.receipts where outcome = 'delivered'"
    assert traits.rows(attempts)[0][0] < 100


# Lifting.


def test_lifting_plans_anew_from_the_truth_of_then(traits: World) -> None:
    put(traits, 2)
    traits.store("traits")
    bar(traits, "u00", "u00@example.com")
    traits.run("traits")
    assert lift(traits, "u00@EXAMPLE.com") == 1
    assert traits.run("traits").calls == 0, "the id is suppressed still"
    assert lift(traits, "u00") == 1
    assert traits.run("traits").delivered == 1
    assert traits.fields("u00@example.com")["points"] == 1.0
    assert lift(traits, "u00") == 0


def test_lifting_does_not_bring_back_what_an_open_plan_left_out(traits: World) -> None:
    put(traits, 2)
    traits.store("traits")
    bar(traits, "u00")
    lift(traits, "u00")
    run = traits.run("traits")
    assert run.delivered == 2, "one by the old plan, one planned anew after it"
    assert sorted(
        traits.rows("select outcome from tailrace.op_outcomes where user_id = 'u00'")
    ) == [("delivered",), ("suppressed",)]
    assert traits.rows("select count(*) from tailrace.plans") == [(2,)]


def test_who_may_have_been_told_is_unsure_when_lifted(world: World) -> None:
    """An enter that may have arrived is taken back once the user is out and not suppressed."""
    world.audience("lapsed")
    world.sync("lapsed", audience="lapsed", sends="membership", **{"as": "identify"})
    world.users({"a": {}, "b": {}}, world.step(1))
    world.members("lapsed", {"a", "b"}, world.clock.now())
    world.evaluate("lapsed")
    tap(world, lambda number, request: LOST)
    assert world.run("lapsed").status == "incomplete"
    assert world.fields("a@example.com")["lapsed"] is True, "it did arrive"
    bar(world, "a")
    tap(world)
    world.run("lapsed")
    lift(world, "a")
    world.users({"a": {}, "b": {}}, world.step(1))
    world.members("lapsed", {"b"}, world.clock.now())
    with world.connect() as warehouse:
        warehouse.execute("update tailrace.evaluations set members = 1")
    world.evaluate("lapsed")
    world.run("lapsed")
    assert world.fields("a@example.com")["lapsed"] is False


@pytest.mark.parametrize("late", [False, True], ids=["sent", "closed"])
def test_events_of_a_suppressed_time_are_not_sent_later(world: World, late: bool) -> None:
    world.sync("events", sends="events", events=("Seen",))
    now = world.step(1)
    world.users({"a": {}, "b": {}}, now)
    world.events([("e1", "a", "Seen", now), ("e2", "b", "Seen", now)], now)
    world.store("events")
    bar(world, "a")
    if late:  # the plan waited too long, and what it owes is planned anew
        world.step(7)
    assert world.run("events").delivered == 1
    lift(world, "a")
    world.users({"a": {}, "b": {}}, world.step(1))
    world.events([], world.clock.now())
    assert world.run("events").calls == 0


# At any moment.

MOMENTS = st.lists(st.tuples(st.integers(0, 14), st.integers(0, 11)), max_size=6)
ANSWERS = st.lists(st.sampled_from(["ok", "ok", "lost", "503", "429"]), max_size=12)
AGAIN = {"lost": LOST, "503": Response(503, {}, b""), "429": Response(429, {}, b"{}")}


@contextmanager
def fresh() -> Iterator[World]:
    """A world whose requests have three rows; for each example its own."""
    with (
        pytest.MonkeyPatch.context() as patch,
        TemporaryDirectory() as name,
        make_world(Path(name)) as world,
    ):
        patch.setattr(iterable, "_ENDPOINTS", FEW)
        world.sync("traits", sends="traits", fields={"points": "score"})
        yield world


@settings(max_examples=15)
@given(moments=MOMENTS, answers=ANSWERS, applied=st.booleans())
@pytest.mark.slow
def test_no_suppressed_key_is_in_any_request_after_the_suppression(
    moments: list[tuple[int, int]], answers: list[str], applied: bool
) -> None:
    with fresh() as world:
        barred: dict[str, int] = {}
        put(world, 12)
        world.store("traits")

        def act(number: int, request: Request) -> Response | Failed | None:
            for who in (f"u{who:02}" for moment, who in moments if moment == number):
                bar(world, who)
                barred.setdefault(who, number)
            return AGAIN.get(answers[number - 1] if 0 < number <= len(answers) else "ok")

        act(0, Request("GET", ""))
        wire = tap(world, act, apply_lost=applied)
        for _ in range(6):
            if world.run("traits").status == "done":
                break
            world.clock.sleep(60)
        assert world.rows("select status from tailrace.plans") == [("done",)]
        for who, since in barred.items():
            assert [number for number in said(wire, who) if number > since] == [], who
        found = outcomes(world)
        assert set(found.values()) <= {"delivered", "suppressed"}
        assert {user for user, outcome in found.items() if outcome == "suppressed"} <= set(barred)
