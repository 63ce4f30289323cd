"""What may have arrived, and what was issued and never left: both are told again as they are."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any

import pytest

from destinations.delivery.transport import Failed
from destinations.errors import DataError
from orchestration import delivering
from orchestration.acks import fold
from orchestration.delivering import account_journal
from orchestration.suppression import suppress
from tests.support.faults import down
from tests.support.world import World

pytestmark = pytest.mark.slow

TRACK: dict[str, Any] = {"as": "track"}
LOST = Failed("connection lost", sent=True)


@pytest.fixture
def traits(world: World) -> World:
    world.sync("traits", sends="traits", fields={"points": "score"})
    return world


@pytest.fixture
def track(world: World) -> World:
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", on_rekey="send", **TRACK)
    return world


def put(world: World, score: float, hours: float = 1, **others: float) -> None:
    users = {"a": {"score": score}, **{key: {"score": value} for key, value in others.items()}}
    world.users(users, world.step(hours))


def day(world: World, users: dict[str, dict[str, Any]], members: set[str]) -> datetime:
    at = world.step()
    world.users(users, at)
    world.members("lapsed", members, at)
    assert world.evaluate("lapsed").status == "committed"
    return at.replace(tzinfo=None)


def lost(world: World, key: str) -> str:
    """Run while answers are lost, although what was sent arrives."""
    down(world, LOST, apply=True)
    run = world.run(key)
    world.wrap = None
    assert run.status == "incomplete"
    return str(run.plan_id)


def refused(world: World, key: str) -> None:
    """Run while no connection can be opened: issued, and nothing was on the wire."""

    def refuses(*_: Any) -> Any:
        raise DataError("no connection today")

    with pytest.raises(DataError, match="no connection"):
        world.run(key, transport=refuses)


def arrived(world: World, plan_id: str) -> None:
    """Let the journal know, since the last fold, that all of a plan was delivered."""
    with closing(sqlite3.connect(world.folder / "state" / "iterable.sqlite")) as journal, journal:
        changed = journal.execute(
            "update claims set exported = 0, outcome = 'delivered', "
            "settled_at = coalesce(settled_at, claimed_at) where plan_id = ?",
            [plan_id],
        )
        assert changed.rowcount > 0


def folded(world: World, key: str) -> tuple[Any, ...]:
    """Fold, and return what is acknowledged, under which id, and since when it is in doubt."""
    engine, sync = world.engine(), world.syncs[key]
    with (
        world.connect() as warehouse,
        closing(account_journal(engine, warehouse, sync, engine.destination(sync))) as journal,
    ):
        fold(warehouse, journal)
    (row,) = world.rows("select version_acked, op_id, unsure_until from tailrace.acked")
    return row


def occurred(world: World, address: str) -> list[datetime]:
    found = world.rows(
        "select occurred_at from tailrace.plan_ops where dest_key = ? order by version", [address]
    )
    return [at for (at,) in found]


@pytest.mark.parametrize("journal", ["kept", "lost"])
def test_a_value_that_is_as_before_is_said_again_if_another_may_have_arrived(
    traits: World, journal: str
) -> None:
    put(traits, 1.0)
    traits.run("traits")
    put(traits, 2.0)
    lost(traits, "traits")
    assert traits.fields("a@example.com")["points"] == 2.0, "it did arrive"
    put(traits, 1.0, hours=7)
    if journal == "lost":
        for part in (traits.folder / "state").iterdir():
            part.unlink()
    traits.run("traits", new_journal=journal == "lost")
    assert traits.fields("a@example.com")["points"] == 1.0


def test_a_value_that_never_left_is_no_known_value(traits: World) -> None:
    put(traits, 1.0)
    traits.run("traits")
    put(traits, 2.0)
    refused(traits, "traits")
    put(traits, 2.0, hours=7)
    traits.run("traits")
    assert traits.fields("a@example.com")["points"] == 2.0


def test_doubt_outlives_the_next_plan_if_that_never_left(track: World) -> None:
    day(track, {"a": {}}, {"a"})
    lost(track, "told")
    day(track, {"a": {}}, set())
    refused(track, "told")
    track.step(7)
    track.run("told")
    assert track.event_names("a@example.com") == ["Audience Entered", "Audience Exited"]


def test_an_old_answer_that_comes_twice_takes_nothing_back(traits: World) -> None:
    plans = []
    for score in (1.0, 2.0):
        put(traits, score)
        plans.append(str(traits.run("traits").plan_id))
    ((op_id,),) = traits.rows("select op_id from tailrace.plan_ops where version = 2")
    arrived(traits, plans[0])
    assert folded(traits, "traits")[:2] == (2, op_id)


def test_nor_while_a_later_version_is_on_its_way(traits: World) -> None:
    plans = []
    for score in (1.0, 2.0):
        put(traits, score)
        plans.append(str(traits.run("traits").plan_id))
    put(traits, 3.0)
    lost(traits, "traits")
    arrived(traits, plans[0])
    assert folded(traits, "traits")[0] == 2


def test_the_late_answer_of_an_earlier_version_leaves_the_later_in_doubt(traits: World) -> None:
    put(traits, 1.0)
    first = lost(traits, "traits")
    put(traits, 2.0, hours=7)
    lost(traits, "traits")
    arrived(traits, first)
    acked, _, unsure_until = folded(traits, "traits")
    assert acked == 1
    assert unsure_until is not None


def test_what_the_journal_alone_knows_is_known_before_planning(
    traits: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(traits, 1.0)

    def stops(*args: Any) -> None:
        if traits.calls():
            raise KeyboardInterrupt
        fold(*args)

    with monkeypatch.context() as patch:
        patch.setattr(delivering, "fold", stops)
        with pytest.raises(KeyboardInterrupt):
            traits.run("traits")
    assert len(traits.calls()) == 1
    traits.step(7)
    assert traits.run("traits").calls == 0


def test_a_stay_that_an_address_takes_over_is_never_before_what_it_was_told(track: World) -> None:
    x = {"email": "x@example.com"}
    day(track, {"u": {}, "v": x}, {"u", "v"})
    track.run("told")
    left = day(track, {"u": {}, "v": x}, {"u"})
    track.run("told")
    taken_over = day(track, {"u": x}, {"u"})
    track.run("told")
    assert track.event_names("x@example.com")[2:] == ["Audience Entered"]
    assert occurred(track, "x@example.com")[-1] == taken_over == left + timedelta(days=1)


def test_an_address_entered_with_the_first_of_its_users(track: World) -> None:
    us = {"email": "us@example.com"}
    first = day(track, {"u": us, "v": us}, {"u"})
    day(track, {"u": us, "v": us}, {"u", "v"})
    track.run("told")
    assert occurred(track, "us@example.com") == [first]


def test_a_blank_user_id_selects_nobody(traits: World) -> None:
    traits.identifier = "user_id"
    traits.users({"  ": {}}, traits.step(1))
    run = traits.run("traits")
    assert (run.calls, run.skipped) == (0, 1)


@pytest.mark.parametrize("barred", ["a", "b"])
def test_one_suppressed_user_of_an_address_speaks_for_all(traits: World, barred: str) -> None:
    us = {"email": "us@example.com"}
    traits.users({"a": {**us, "score": 1.0}, "b": {**us, "score": 1.0}}, traits.step(1))
    traits.run("traits")
    with traits.connect() as warehouse:
        suppress(warehouse, [barred], "asked us to", traits.clock.now())
    traits.users({"a": {**us, "score": 2.0}, "b": {**us, "score": 2.0}}, traits.step(1))
    plan = traits.plan("traits")
    assert (plan.verdict, plan.suppressed) == ("empty", 1)
    assert traits.run("traits").calls == 0


def test_who_was_never_told_anything_is_not_cleared(world: World) -> None:
    world.sync("traits", sends="traits", fields={"points": "score"}, on_gone="clear")
    put(world, 1.0)
    world.run("traits")
    put(world, 1.0, never=1.0)
    refused(world, "traits")
    put(world, 1.0, hours=7)
    assert world.run("traits").calls == 0
