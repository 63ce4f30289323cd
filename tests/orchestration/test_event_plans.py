"""Events: each once, none lost, none too old."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

import pytest

from destinations.base import Request, Response
from destinations.delivery.transport import Failed, Transport
from destinations.errors import DataError
from orchestration.approvals import approve
from tests.support.faults import down
from tests.support.world import World, expected_id, make_world


@pytest.fixture
def events(world: World) -> World:
    world.sync("events", sends="events", events=["Opened"])
    world.users({"a": {}, "b": {}, "n": {"email": None}}, world.clock.now())
    return world


def add(world: World, *events: tuple[str, str, float], hours: float = 1) -> None:
    """Add (event_id, user_id, hours ago) and build an hour later."""
    at = world.step(hours)
    listed = [(i, u, "Opened", at - timedelta(hours=ago)) for i, u, ago in events]
    world.events(listed, at)
    with world.connect() as warehouse:
        world._built(warehouse, "user_traits", at)


def test_each_event_is_sent_once_in_order(events: World) -> None:
    add(events, ("e2", "a", 2), ("e1", "a", 3), ("e3", "b", 1))
    assert events.run("events").delivered == 3
    sent = events.profile("a@example.com")["events"]
    assert [e["times_received"] for e in sent] == [1, 1]
    assert events.run("events").status == "nothing"
    add(events, ("e4", "a", 0.5))
    assert events.run("events").delivered == 1


def test_an_event_id_gives_its_op_id(events: World) -> None:
    add(events, ("e1", "a", 1))
    events.run("events")
    (event,) = events.profile("a@example.com")["events"]
    assert event["id"] == expected_id("event", "events", "a@example.com", "e1")


def test_the_first_plan_begins_a_week_back(events: World) -> None:
    add(events, ("old", "a", 24 * 8), ("new", "a", 24 * 6))
    assert events.run("events").delivered == 1


def test_a_user_held_twice_makes_no_event_come_twice(events: World) -> None:
    add(events, ("e1", "a", 1))
    with events.connect() as warehouse:
        warehouse.execute("insert into analytics.user_traits select * from analytics.user_traits")
    with pytest.raises(DataError, match="one row per"):
        events.run("events")
    assert not events.calls()


def test_duplicates_of_an_event_id_are_one(events: World) -> None:
    add(events, ("e1", "a", 1), ("e1", "a", 1))
    assert events.run("events").delivered == 1


def test_an_event_that_arrives_late_is_sent(events: World) -> None:
    add(events, ("e1", "a", 1))
    events.run("events")
    add(events, ("late", "a", 24 * 2))
    assert events.run("events").delivered == 1


@pytest.mark.parametrize(("days", "sent", "late"), [(6, 2, 0), (8, 1, 1)])
def test_events_of_a_first_plan_that_waits_are_counted_once_since_has_passed_them(
    events: World, days: int, sent: int, late: int
) -> None:
    events.sync("events", sends="events", events=["Opened"], max_first=0)
    add(events, ("e1", "a", 1))
    assert events.run("events").status == "held"
    add(events, ("e2", "a", 1), hours=24 * days)
    plan = events.plan("events")
    assert (plan.verdict, plan.ops, plan.too_late) == ("held", sent, late)


def test_events_older_than_the_look_back_are_counted_not_sent(events: World) -> None:
    add(events, ("e1", "a", 1))
    events.run("events")
    add(events, ("missed", "a", 0), hours=24)
    add(events, ("now", "a", 0), hours=24 * 8)
    plan = events.plan("events")
    assert (plan.ops, plan.too_late) == (1, 1)


def test_users_without_an_address_are_skipped(events: World) -> None:
    add(events, ("e1", "n", 1), ("e2", "n", 1), ("e3", "a", 1))
    run = events.run("events")
    assert (run.delivered, run.skipped) == (1, 1)


def test_events_of_a_plan_given_up_are_planned_again(events: World) -> None:
    add(events, ("e1", "a", 1))
    down(events, Failed("connection lost", sent=True), apply=True)
    events.run("events")
    events.wrap = None
    add(events, ("e2", "a", 1), hours=7)
    assert events.run("events").delivered == 2
    sent = events.profile("a@example.com")["events"]
    assert len(sent) == 2
    assert sent[0]["times_received"] > 1


def test_events_of_a_held_plan_are_not_lost(world: World) -> None:
    world.sync("events", sends="events", events=["Opened"], max_first=0)
    world.users({"a": {}}, world.clock.now())
    add(world, ("e1", "a", 1))
    assert world.run("events").status == "held"
    add(world, ("e2", "a", 1))
    run = world.run("events")
    assert run.status == "held"
    with world.connect() as warehouse:
        approve(warehouse, str(run.plan_id), expect_exits=None, by="me", now=world.clock.now())
    assert world.run("events").delivered == 2
    assert world.run("events").status == "nothing"


@pytest.mark.slow
def test_events_outlive_an_outage_longer_than_the_look_back(events: World) -> None:
    add(events, ("e1", "a", 1))
    down(events, Response(503, {}, b""))
    for _ in range(8):
        events.run("events")
        add(events, hours=24)
    events.wrap = None
    assert events.run("events").delivered == 1
    assert events.run("events").calls == 0


def test_an_event_refused_under_one_address_is_sent_once_under_the_next(tmp_path: Path) -> None:
    with make_world(tmp_path, track_creates_users=False) as world:
        world.sync("events", sends="events", events=["Opened"])
        world.sync("traits", sends="traits", fields={"points": "score"})
        world.users({"a": {"email": "old@example.com"}}, world.clock.now())
        add(world, ("e1", "a", 1))
        assert world.run("events").rejected == 1
        world.users({"a": {"email": "new@example.com"}}, world.clock.now())
        world.run("traits")
        assert world.run("events").delivered == 1
        assert world.run("events").calls == 0


def test_since_reaches_as_far_as_it_says_on_the_first_plan(world: World) -> None:
    world.sync("events", sends="events", events=["Opened"], since="30d")
    world.users({"a": {}}, world.clock.now())
    add(world, ("old", "a", 24 * 20), ("older", "a", 24 * 40))
    assert world.run("events").delivered == 1


@pytest.mark.parametrize("properties", ['{"n":1,}', None, '{"n": NaN}'])
def test_odd_properties_stop_nobody_else(events: World, properties: str | None) -> None:
    add(events, ("e1", "a", 1), ("e2", "b", 1))
    with events.connect() as warehouse:
        warehouse.execute(
            "update analytics.events set properties = ? where event_id = 'e1'", [properties]
        )
    run = events.run("events")
    assert run.status == "done"
    assert len(events.profile("b@example.com")["events"]) == 1


def test_a_row_that_the_refusal_names_costs_two_more_calls(events: World) -> None:
    add(events, *[(f"e{n:02}", "a", 1) for n in range(40)])
    with events.connect() as warehouse:
        warehouse.execute(
            "update analytics.events set properties = '{\"n\":\"x\"}' where event_id = 'e20'"
        )
    run = events.run("events")
    assert (run.status, run.delivered, run.rejected, run.calls) == ("done", 39, 1, 3)
    assert events.rows("select code, field from tailrace.rejects") == [
        ("RequestFieldsTypesMismatched", "n")
    ]
    assert events.run("events").calls == 0


def test_a_held_plan_that_is_replaced_keeps_its_events(world: World) -> None:
    world.sync("events", sends="events", events=["Opened"], max_first=0)
    world.users({"a": {}, "b": {}}, world.clock.now())
    for event_id, user_id in (("e1", "a"), ("e2", "b")):
        add(world, (event_id, user_id, 0))
        assert world.run("events").status == "held"
    assert world.rows("select ops from tailrace.plans where status = 'held'") == [(2,)]


def test_an_owed_event_is_not_forgotten_with_a_held_plan(events: World) -> None:
    """It arrived long before the look-back, and the plan that carries it is held and replaced."""
    add(events, ("e1", "a", 0))
    down(events, Response(503, {}, b""))
    events.run("events")
    add(events, ("e2", "b", 1), hours=24 * 10)
    plan_id = events.run("events").plan_id
    with events.connect() as warehouse:
        warehouse.execute(
            "update tailrace.plans set status = 'held', ready_at = null where plan_id = ?",
            [plan_id],
        )
    events.wrap = None
    add(events, ("e3", "b", 0.5))
    assert events.run("events").delivered == 3


@pytest.mark.parametrize(("order", "in_line"), [("time", True), ("none", False)])
def test_only_events_without_an_order_may_be_on_the_wire_together(
    world: World, order: str, in_line: bool
) -> None:
    """Those are carried by threads; what has an order is sent by the one that decides."""
    carriers: set[threading.Thread] = set()

    class Noting:
        def __init__(self, real: Transport) -> None:
            self.real = real

        def send(self, request: Request, *, timeout: float) -> Response | Failed:
            carriers.add(threading.current_thread())
            return self.real.send(request, timeout=timeout)

        def close(self) -> None:
            self.real.close()

    world.sync("events", sends="events", events=["Opened"], order=order)
    world.users({"a": {}, "b": {}}, world.clock.now())
    add(world, ("e1", "a", 2), ("e2", "b", 1))
    world.wrap = Noting
    assert world.run("events").delivered == 2
    assert (threading.main_thread() in carriers) is in_line
