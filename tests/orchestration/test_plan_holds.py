"""Plans that must not go by themselves, on a real engine: nothing sent, a reason, a way on."""

from __future__ import annotations

from typing import Any

import pytest

from destinations.base import Response
from orchestration.approvals import approve
from orchestration.sync_runs import SyncRun
from tests.support.faults import down
from tests.support.world import World

pytestmark = pytest.mark.slow

TRACK: dict[str, Any] = {"as": "track"}
IDENTIFY: dict[str, Any] = {"as": "identify"}
Users = dict[str, dict[str, Any]]
MANY: Users = {f"u{n}": {"score": 5.0, "label": "x"} for n in range(40)}


def day(world: World, users: Users, hours: float = 24, **members: set[str]) -> None:
    at = world.step(hours)
    world.users(users, at)
    for audience, inside in members.items():
        world.members(audience, inside, at)
        assert world.evaluate(audience).status == "committed"


def held(world: World, key: str, *words: str) -> SyncRun:
    before = len(world.calls())
    run = world.run(key)
    assert (run.status, run.calls, len(world.calls())) == ("held", 0, before), run.reasons
    said = "; ".join(run.reasons)
    assert all(word in said for word in words), said
    return run


def let_through(world: World, run: SyncRun) -> SyncRun:
    with world.connect() as warehouse:
        approve(
            warehouse,
            str(run.plan_id),
            expect_exits=run.held_exits or None,
            by="me",
            now=world.clock.now(),
        )
    return world.run(run.sync)


@pytest.fixture
def points(world: World) -> World:
    world.sync("points", sends="traits", fields={"points": "score", "kind": "label"})
    day(world, MANY)
    assert world.run("points").status == "done"
    return world


def test_a_trait_that_is_zeroed_is_held(points: World) -> None:
    day(points, {key: {"score": 0.0, "label": "x"} for key in MANY})
    run = held(points, "points", "field points would be null or zero for 100%", "0%")
    assert let_through(points, run).delivered == 40
    day(points, {key: {"score": 0.0, "label": "y"} for key in MANY})
    assert points.run("points").status == "done", "what was approved is where counting begins"


def test_a_column_of_members_that_is_zeroed_is_held(world: World) -> None:
    world.audience("lapsed")
    options = {"as": "identify", "send_updates": True, "fields": {"points": "score"}}
    world.sync("said", audience="lapsed", sends="membership", **options)
    for score, status in ((1.0, "done"), (2.0, "done"), (0.0, "held")):
        day(world, {key: {"score": score} for key in MANY}, lapsed=set(MANY))
        assert world.run("said").status == status
    held(world, "said", "field points would be null or zero for 100%", "0%")


def test_a_trait_that_bleeds_within_a_day_is_held(points: World) -> None:
    """Each step is 10 points; the second is 20 within the day."""
    for zeroed, status in ((4, "done"), (7, "done"), (12, "held")):
        users = {
            key: {**row, "label": "" if n < zeroed else "x"}
            for n, (key, row) in enumerate(MANY.items())
        }
        day(points, users, hours=2)
        assert points.run("points").status == status, zeroed


def test_updates_far_above_the_usual_are_held(world: World) -> None:
    world.sync("points", sends="traits", fields={"points": "score"})
    users: Users = {f"u{n}": {"score": 1.0} for n in range(1200)}
    day(world, users)
    world.run("points")
    for n in range(10):
        users[f"u{n}"] = {"score": 50.0 + n}
        day(world, users)
        assert world.run("points").status == "done"
    day(world, {key: {"score": 99.0} for key in users})
    held(world, "points", "1,200 ops would be sent", "median", "1,000 pass")


def test_a_tiny_first_plan_opens_no_door(world: World) -> None:
    world.sync("points", sends="traits", max_first=None, fields={"points": "score"})
    day(world, {"u1": {}})
    assert world.run("points").status == "done"
    day(world, {f"u{n}": {} for n in range(10_002)})
    held(world, "points", "10,001 profiles would hear", "1 have so far")


def test_a_column_of_consent_that_breaks_is_held(world: World) -> None:
    world.audience("lapsed")
    world.sync("said", audience="lapsed", sends="membership", consent="agreed", **IDENTIFY)
    yes: Users = {key: {"agreed": True} for key in MANY}
    day(world, yes, lapsed=set(MANY))
    assert world.run("said").delivered == 40
    day(world, {key: {"agreed": None} for key in MANY}, lapsed=set(MANY))
    held(world, "said", "40 of 40 profiles would be told that they left", "consent")


def test_many_small_audiences_add_up(world: World) -> None:
    """Each change is too small for its audience's own guard; together they are not."""
    names = [f"a{n}" for n in range(6)]
    for name in names:
        world.audience(name)
        world.sync(name, audience=name, sends="membership", **IDENTIFY)
    users: Users = {f"u{n}": {} for n in range(1200)}
    everybody = list(users)
    day(world, users, **{name: set(everybody[:1000]) for name in names})
    assert all(run.status == "done" for run in world.run_all())
    smaller = set(everybody[200:1000]) | set(everybody[1000:])
    day(world, users, **dict.fromkeys(names, smaller))
    runs = world.run_all()
    assert [run.status for run in runs] == ["done"] * 4 + ["held"] * 2
    assert "2,000 memberships would change at iterable within a day" in runs[4].reasons[0]


def test_what_was_approved_at_the_audience_is_not_held_again(world: World) -> None:
    world.audience("lapsed")
    world.sync("said", audience="lapsed", sends="membership", **IDENTIFY)
    users: Users = {f"u{n}": {} for n in range(3000)}
    day(world, users, lapsed=set(users))
    world.run("said")
    at = world.step()
    world.users(users, at)
    world.members("lapsed", set(list(users)[:100]), at)
    stopped = world.evaluate("lapsed")
    assert stopped.status == "held"
    with world.connect() as warehouse:
        approve(warehouse, str(stopped.evaluation_id), expect_exits=2900, by="me", now=at)
    assert world.run("said").delivered == 2900


def test_an_approved_plan_that_ran_out_of_time_needs_no_second_approval(points: World) -> None:
    day(points, {key: {"score": 0.0, "label": "x"} for key in MANY})
    run = held(points, "points", "points")
    down(points, Response(503, {}, b""))
    assert let_through(points, run).status == "incomplete"
    points.wrap = None
    points.step(7)
    again = points.run("points")
    assert (again.status, again.delivered) == ("done", 40)
    assert again.plan_id != run.plan_id


def test_a_plan_like_an_approved_one_but_for_another_row_counts_only_that(world: World) -> None:
    world.sync("points", sends="traits", max_first=5, fields={"points": "score"})
    day(world, MANY)
    run = held(world, "points", "40 ops")
    down(world, Response(503, {}, b""))
    let_through(world, run)
    world.wrap = None
    day(world, {**MANY, "late": {}}, hours=7)
    assert world.run("points").delivered == 41
