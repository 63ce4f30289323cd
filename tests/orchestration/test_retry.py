"""What was refused is sent once more when somebody asks, and only then."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from destinations.base import Request, Response
from destinations.delivery.transport import Failed, Transport
from orchestration.retrying import Retried, retry
from tests.support.faults import down
from tests.support.world import World, make_world

pytestmark = pytest.mark.slow

REFUSED = Response(400, {}, json.dumps({"code": "BadParams", "msg": "no"}).encode())


class Answers:
    """Answers some requests itself, by what is in them; the rest is the real thing."""

    def __init__(self, real: Transport, answer: Callable[[bytes], Response | None]) -> None:
        self.real, self.answer = real, answer

    def send(self, request: Request, *, timeout: float) -> Response | Failed:
        return self.answer(request.body) or self.real.send(request, timeout=timeout)

    def close(self) -> None:
        self.real.close()


def answers(world: World, answer: Callable[[bytes], Response | None]) -> None:
    world.wrap = lambda real: Answers(real, answer)


def take_up(world: World, *keys: str, **options: Any) -> list[Retried]:
    with world.connect() as warehouse:
        return retry(warehouse, [world.syncs[key] for key in keys or world.syncs], **options)


def states(world: World) -> list[tuple[str, ...]]:
    return sorted(world.rows("select code, state from tailrace.rejects"))


def op_ids(world: World, user: str = "a") -> set[str]:
    found = world.rows("select op_id from tailrace.plan_ops where user_id = ?", [user])
    return {row[0] for row in found}


@pytest.fixture
def traits(world: World) -> World:
    world.sync("traits", sends="traits", fields={"points": "score"})
    world.users({"a": {}, "b": {}}, world.clock.now())
    return world


@pytest.fixture
def refused(traits: World) -> World:
    """Both rows are refused for good, and the endpoint would take them now."""
    down(traits, REFUSED)
    assert traits.run("traits").rejected == 2
    traits.wrap = None
    assert traits.run("traits").calls == 0
    return traits


def test_what_is_refused_for_good_is_sent_once_more(refused: World) -> None:
    before = op_ids(refused)
    (found,) = take_up(refused)
    assert (found.class_, found.code, found.count, found.too_old) == ("rejected", "BadParams", 2, 0)
    run = refused.run("traits")
    assert (run.status, run.delivered, run.rejected) == ("done", 2, 0)
    assert op_ids(refused) == before, "the same op, so the same id"
    assert states(refused) == [("BadParams", "resolved")] * 2
    assert refused.run("traits").calls == 0
    assert refused.fields("a@example.com")["points"] == 1.0


def test_refused_again_it_is_open_again_and_rests(refused: World) -> None:
    first = refused.rows("select min(rejected_at) from tailrace.rejects")
    take_up(refused)
    refused.step(1)
    down(refused, REFUSED)
    assert refused.run("traits").rejected == 2
    assert states(refused) == [("BadParams", "open")] * 2
    assert refused.rows("select min(rejected_at) from tailrace.rejects") == first
    assert refused.run("traits").calls == 0
    assert len(take_up(refused)) == 1, "and can be taken up again"


def test_nothing_to_retry_is_nothing(traits: World) -> None:
    assert take_up(traits) == []
    traits.run("traits")
    assert take_up(traits) == []


def test_a_second_retry_before_the_run_finds_nothing(refused: World) -> None:
    take_up(refused)
    assert take_up(refused) == []
    assert refused.run("traits").delivered == 2


def test_only_what_was_chosen_is_taken_up(world: World) -> None:
    for key in ("one", "two"):
        world.sync(key, sends="traits", fields={key: "score"})
    world.users({"a": {}, "b": {"score": float("nan")}}, world.clock.now())
    down(world, REFUSED)
    world.run_all()
    assert take_up(world, "one", code="NoSuchCode") == []
    assert take_up(world, "one", class_="later") == []
    (found,) = take_up(world, "one", code="BadParams", class_="rejected")
    assert (found.sync, found.count) == ("one", 1)
    open_now = world.rows("select sync, code from tailrace.rejects where state = 'open'")
    assert sorted(open_now) == [("one", "unsendable"), ("two", "BadParams"), ("two", "unsendable")]


def test_a_plan_that_is_still_open_is_finished_first(traits: World) -> None:
    def answer(body: bytes) -> Response | None:
        return REFUSED if b"a@example" in body else Response(503, {}, b"")

    answers(traits, answer)
    assert traits.run("traits").status == "incomplete"
    assert states(traits) == [("BadParams", "open")]
    take_up(traits)
    traits.wrap = None
    run = traits.run("traits")
    assert (run.status, run.delivered) == ("done", 2)
    assert [row[0] for row in traits.rows("select status from tailrace.plans")] == ["done"] * 2
    assert states(traits) == [("BadParams", "resolved")]


def test_a_changed_value_goes_out_under_its_own_op(refused: World) -> None:
    take_up(refused)
    at = refused.step(1)
    refused.users({"a": {"score": 2.0}, "b": {}}, at)
    assert refused.run("traits").delivered == 2
    assert len(op_ids(refused)) == 2
    assert states(refused) == [("BadParams", "resolved"), ("BadParams", "superseded")]


def test_a_value_without_a_json_form_stays_one_open_reject(traits: World) -> None:
    traits.users({"a": {"score": float("nan")}, "b": {}}, traits.clock.now())
    traits.run("traits")
    assert take_up(traits)[0].count == 1
    assert traits.run("traits").calls == 0
    assert states(traits) == [("unsendable", "open")]


def test_what_the_journal_tells_twice_does_not_undo_a_retry(refused: World) -> None:
    take_up(refused)
    journal = sqlite3.connect(refused.folder / "state" / "iterable.sqlite")
    journal.execute("update claims set exported = 0")
    journal.execute("update exceptions set exported = 0")
    journal.commit()
    journal.close()
    assert refused.run("traits").delivered == 2


def test_later_is_sent_once_more_after_its_week(tmp_path: Path) -> None:
    with make_world(tmp_path, track_creates_users=False) as world:
        world.audience("lapsed")
        world.sync("told", audience="lapsed", sends="membership", **{"as": "track"})
        world.users({"a": {}}, world.clock.now())
        world.members("lapsed", {"a"}, world.clock.now())
        world.evaluate("lapsed")
        assert world.run("told").rejected == 1
        world.step(24 * 8)
        assert world.run("told").calls == 0
        assert take_up(world, class_="later")[0].count == 1
        assert (world.run("told").calls, world.run("told").calls) == (1, 0)
        assert [state for _, state in states(world)] == ["open"]


@pytest.fixture
def events(world: World) -> World:
    world.sync("events", sends="events", events=["Opened"])
    world.users({"a": {}, "b": {}}, world.clock.now())
    add(world, "e1", "a")
    return world


def add(world: World, event_id: str, user: str, hours: float = 1) -> None:
    at = world.step(hours)
    world.events([(event_id, user, "Opened", at - timedelta(minutes=1))], at)
    with world.connect() as warehouse:
        world._built(warehouse, "user_traits", at)


def test_an_event_is_due_again(events: World) -> None:
    down(events, REFUSED)
    assert events.run("events").rejected == 1
    events.wrap = None
    assert events.run("events").calls == 0
    take_up(events)
    run = events.run("events")
    assert (run.delivered, run.rejected) == (1, 0)
    assert states(events) == [("BadParams", "resolved")]
    (sent,) = events.profile("a@example.com")["events"]
    assert {sent["id"]} == op_ids(events)
    assert events.run("events").calls == 0


def test_an_event_refused_again_rests_again(events: World) -> None:
    down(events, REFUSED)
    events.run("events")
    take_up(events)
    assert events.run("events").rejected == 1
    events.wrap = None
    assert events.run("events").calls == 0
    assert states(events) == [("BadParams", "open")]


def test_an_event_beyond_the_look_back_is_still_sent(events: World) -> None:
    down(events, REFUSED)
    events.run("events")
    events.wrap = None
    add(events, "e2", "b", hours=24 * 10)
    assert events.run("events").delivered == 1
    take_up(events)
    assert events.run("events").delivered == 1


def test_an_event_that_nobody_remembers_stays_refused(events: World) -> None:
    down(events, REFUSED)
    events.run("events")
    events.wrap = None
    with events.connect() as warehouse:  # as the pruning of old ids does
        warehouse.execute("delete from tailrace.sent_events")
    (found,) = take_up(events)
    assert (found.count, found.too_old) == (0, 1)
    assert states(events) == [("BadParams", "open")]


def test_an_event_under_another_address_is_sent_once(events: World) -> None:
    down(events, REFUSED)
    events.run("events")
    take_up(events)
    events.users({"a": {"email": "new@example.com"}}, events.clock.now())
    events.wrap = None
    assert events.run("events").delivered == 1
    assert events.run("events").calls == 0
    assert states(events) == [("BadParams", "superseded")]


def test_an_event_that_waits_for_an_address_is_not_forgotten(events: World) -> None:
    down(events, REFUSED)
    events.run("events")
    events.wrap = None
    take_up(events)
    events.users({"a": {"email": None}, "b": {}}, events.clock.now())
    add(events, "e2", "b", hours=24 * 20)
    assert events.run("events").delivered == 1
    events.users({"a": {}, "b": {}}, events.clock.now())
    assert events.run("events").delivered == 1
    assert states(events) == [("BadParams", "resolved")]


def test_an_event_that_could_not_be_sent_goes_out_once_it_is_mended(events: World) -> None:
    mend = "update analytics.events set properties = ? where event_id = 'e1'"
    with events.connect() as warehouse:
        warehouse.execute(mend, ['{"n": NaN}'])
    events.run("events")
    assert states(events) == [("unsendable", "open")]
    with events.connect() as warehouse:
        warehouse.execute(mend, ['{"n": 1}'])
    assert events.run("events").calls == 0
    assert take_up(events)[0].count == 1
    assert events.run("events").delivered == 1
    assert states(events) == [("unsendable", "resolved")]
