"""How far a guard's caps reach: what counts for them, what does not, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from destinations.base import Response
from destinations.errors import ConfigError
from orchestration.approvals import approve
from orchestration.desired.scope import Mode
from orchestration.sync_runs import SyncRun
from tests.support.faults import down
from tests.support.world import World, make_world

pytestmark = pytest.mark.slow

TRACK: dict[str, Any] = {"as": "track"}
IDENTIFY: dict[str, Any] = {"as": "identify"}
WIDE: dict[str, Any] = {
    "max_exits": 10_000, "max_enters": 10_000, "min_members": "0%", "max_week_drop": "100%",
}  # fmt: skip
DOWN = Response(503, {}, b"")
Users = dict[str, dict[str, Any]]


def people(count: int, **row: Any) -> Users:
    return {f"u{n}": dict(row) for n in range(count)}


def some(count: int) -> set[str]:
    return set(people(count))


def day(world: World, users: Users, hours: float = 24, **members: set[str]) -> None:
    at = world.step(hours)
    world.users(users, at)
    for audience, inside in members.items():
        world.members(audience, inside, at)
        assert world.evaluate(audience).status == "committed"


def scores(world: World, score: str, days: int = 1) -> None:
    """Give each of 1,100 users, numbered `i`, a score, as a build some days later would."""
    user = f"'u' || i as user_id, 'u' || i || '@example.com' as email, {score}::double as score"
    world.relation("user_traits", f"select {user} from range(1100) as r(i)", world.step(24 * days))


def told(world: World, *keys: str, **options: Any) -> None:
    """Add audiences whose own guards let everything through, and a sync of each."""
    for key in keys:
        world.audience(key, **WIDE)
        world.sync(key, audience=key, sends="membership", **{**IDENTIFY, **options})


def let_through(world: World, run: SyncRun) -> SyncRun:
    with world.connect() as warehouse:
        approve(warehouse, str(run.plan_id), expect_exits=None, by="me", now=world.clock.now())
    return world.run(run.sync)


def rules(world: World, run: SyncRun) -> str:
    ((found,),) = world.rows("select rules from tailrace.plans where plan_id = ?", [run.plan_id])
    return str(found)


# What was approved.


def test_a_first_plan_made_anew_each_hour_is_held_each_time(world: World) -> None:
    """Most of its ops were in a plan before, but nobody said yes to that one."""
    world.sync("points", sends="traits", fields={"points": "score"}, max_first=5)
    for score in (1.0, 2.0, 3.0):
        day(world, {**people(8), "u0": {"score": score}}, hours=1)
        run = world.run("points")
        assert (run.status, run.calls) == ("held", 0), score


@pytest.mark.parametrize(("hours", "status"), [(7, "done"), (24 * 8, "held")])
def test_an_approval_lasts_a_week(world: World, hours: float, status: str) -> None:
    world.sync("points", sends="traits", fields={"points": "score"}, on_gone="clear")
    day(world, people(30))
    world.run("points")
    day(world, people(15))
    run = world.run("points")
    assert run.status == "held"
    down(world, DOWN)
    assert let_through(world, run).status == "incomplete"
    world.wrap = None
    world.step(hours)
    assert world.run("points").status == status


def test_a_field_that_becomes_null_for_everybody_is_held(world: World) -> None:
    world.sync("points", sends="traits", fields={"kind": "label"})
    day(world, people(40, label="x"))
    assert world.run("points").status == "done"
    day(world, people(40, label=None))
    run = world.run("points")
    assert (run.status, run.calls, rules(world, run)) == ("held", 0, '["empty kind"]')


# What a destination takes in a day.


def test_an_approved_plan_leaves_the_others_their_day(world: World) -> None:
    told(world, "big", "small", max_first=1)
    day(world, people(901), big=some(1), small=some(1))
    assert [run.status for run in world.run_all()] == ["done", "done"]
    day(world, people(901), big=some(901))
    run = world.run("big")
    assert (run.status, rules(world, run)) == ("held", '["new"]')
    assert let_through(world, run).delivered == 900
    day(world, people(901), hours=2, small=some(201))
    assert world.run("small").status == "done"


def test_a_plan_that_was_given_up_does_not_count_for_the_day(world: World) -> None:
    told(world, "lapsed")
    day(world, people(601), lapsed=some(601))
    world.run("lapsed")
    day(world, people(601), lapsed=some(1))
    down(world, DOWN)
    assert world.run("lapsed").status == "incomplete"
    world.wrap = None
    world.step(7)
    run = world.run("lapsed")
    assert (run.status, run.delivered) == ("done", 600)


def test_what_went_two_hours_ago_counts_for_the_day(world: World) -> None:
    told(world, "one", "two")
    day(world, people(601), one=some(601), two=some(601))
    world.run_all()
    day(world, people(601), one=some(1))
    assert world.run("one").delivered == 600
    day(world, people(601), hours=2, two=some(1))
    run = world.run("two")
    assert (run.status, run.calls, rules(world, run)) == ("held", 0, '["daily"]')


def test_three_days_without_a_plan_may_bring_what_three_days_bring(world: World) -> None:
    told(world, "lapsed")
    day(world, people(1200), lapsed=some(1200))
    world.run("lapsed")
    day(world, people(1200), hours=72, lapsed=some(100))
    run = world.run("lapsed")
    assert (run.status, run.delivered) == ("done", 1100)


def test_a_long_pause_may_bring_more_updates_than_usual(world: World) -> None:
    """Twenty a day are 400 in 20 days, and three times that is more than 1,100."""
    world.sync("points", sends="traits", fields={"points": "score"})
    scores(world, "1.0")
    world.run("points")
    for n in range(10):
        scores(world, f"case when i < 20 then {n} + 2.0 else 1.0 end")
        assert world.run("points").delivered == 20
    scores(world, "99.0", days=20)
    run = world.run("points")
    assert (run.status, run.delivered) == ("done", 1100)


# What is not asked for, and what is not tried for ever.


@pytest.mark.parametrize("mode", [Mode.ALL, Mode.NONE])
def test_a_journey_is_not_begun_again_for_a_mapping(world: World, mode: Mode) -> None:
    told(world, "lapsed", **TRACK)
    day(world, people(1), lapsed=some(1))
    world.run("lapsed")
    with pytest.raises(ConfigError, match="only what comes next"):
        world.run("lapsed", mode=mode)


def test_later_is_seven_days_and_not_more(tmp_path: Path) -> None:
    with make_world(tmp_path, track_creates_users=False) as world:
        told(world, "lapsed", **TRACK)
        day(world, people(1), lapsed=some(1))
        assert world.run("lapsed").rejected == 1
        world.step(24 * 7 - 1)
        assert world.run("lapsed").calls == 1
        world.step(2)
        assert world.run("lapsed").calls == 0
