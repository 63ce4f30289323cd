"""A sync under another name, and the end of one."""

from __future__ import annotations

from typing import Any

import pytest

from destinations.base import Response
from destinations.errors import ConfigError
from orchestration.lifecycle import Adoption, Retirement, adopt, retire
from orchestration.sync_identity import orphans
from tests.support.faults import down
from tests.support.world import World

pytestmark = pytest.mark.slow

TRACK: dict[str, Any] = {"as": "track"}
IDENTIFY: dict[str, Any] = {"as": "identify"}


def day(world: World, users: set[str], members: set[str]) -> None:
    at = world.step()
    world.users({user: {} for user in users}, at)
    world.members("lapsed", members, at)
    assert world.evaluate("lapsed").status == "committed"


def rename(world: World, old: str, new: str, **options: Any) -> None:
    del world.syncs[old]
    world.sync(new, audience="lapsed", sends="membership", **options)


def adopted(world: World, old: str, new: str) -> Adoption:
    engine = world.engine()
    with world.connect() as warehouse:
        return adopt(engine, warehouse, old, new)


def retired(
    world: World, key: str, expect_exits: int | None = None, *, leave: bool = False
) -> Retirement:
    return retire(
        world.engine(), key, expect_exits=expect_exits, leave=leave, now=world.clock.now()
    )


@pytest.fixture
def told(world: World) -> World:
    world.audience("lapsed")
    world.sync("old", audience="lapsed", sends="membership", **TRACK)
    day(world, {"u", "v", "w"}, {"u", "v"})
    world.run("old")
    return world


def test_a_renamed_sync_is_held_and_says_how_to_go_on(told: World) -> None:
    rename(told, "old", "new", **TRACK)
    run = told.run("new")
    assert (run.status, run.calls) == ("held", 0)
    assert "`tailrace adopt old`" in run.reasons[0]
    with told.connect() as warehouse:
        assert list(orphans(warehouse, told.engine().project)) == ["old"]


def test_an_adopted_sync_goes_on_where_the_old_one_was(told: World) -> None:
    rename(told, "old", "new", **TRACK)
    told.run("new")
    assert adopted(told, "old", "new") == Adoption("old", "new", 2)
    assert told.run("new").calls == 0
    day(told, {"u", "v", "w"}, {"v", "w"})
    assert told.run("new").delivered == 2
    assert told.event_names("u@example.com") == ["Audience Entered", "Audience Exited"]
    with told.connect() as warehouse:
        assert not orphans(warehouse, told.engine().project)


def test_op_ids_go_on_and_the_old_name_begins_anew(told: World) -> None:
    rename(told, "old", "new", **TRACK)
    adopted(told, "old", "new")
    day(told, {"u", "v", "w"}, set())
    told.run("new")
    day(told, {"u", "v", "w"}, {"u", "v"})
    told.sync("old", audience="lapsed", sends="membership", **TRACK)
    told.run("old")
    told.run("new")
    ids = [row[0] for row in told.rows("select op_id from tailrace.plan_ops")]
    assert len(ids) == len(set(ids)) == 8


def test_an_op_in_doubt_keeps_its_id_under_the_new_name(world: World) -> None:
    world.audience("lapsed")
    world.sync("old", audience="lapsed", sends="membership", **TRACK)
    day(world, {"u"}, {"u"})
    down(world, Response(503, {}, b""))
    world.run("old")
    world.wrap = None
    rename(world, "old", "new", **TRACK)
    adopted(world, "old", "new")
    world.step(7)
    assert world.run("new").delivered == 1
    ((count,),) = world.rows("select count(distinct op_id) from tailrace.plan_ops")
    assert count == 1


def test_what_cannot_be_adopted_is_said(told: World) -> None:
    told.sync("new", audience="lapsed", sends="membership", **TRACK)
    with pytest.raises(ConfigError, match="still a sync"):
        adopted(told, "old", "new")
    rename(told, "old", "new", **IDENTIFY)
    with pytest.raises(ConfigError, match="of no use"):
        adopted(told, "old", "new")
    rename(told, "new", "new", **TRACK)
    with pytest.raises(ConfigError, match="nothing known") as unknown:
        adopted(told, "older", "new")
    assert unknown.value.accepted == ("old",)
    with pytest.raises(ConfigError, match="no sync 'newer'"):
        adopted(told, "old", "newer")


def test_retiring_is_dry_first(told: World) -> None:
    assert retired(told, "old") == Retirement("old", "dry", 2)
    assert len(told.calls()) == 1
    with pytest.raises(ConfigError, match="tell 2 profiles"):
        retired(told, "old", 3)
    assert told.run("old").status == "nothing", "nothing has happened yet"


def test_a_retired_sync_has_said_goodbye_and_is_silent(told: World) -> None:
    done = retired(told, "old", 2)
    assert (done.status, done.exits) == ("retired", 2)
    for user in ("u", "v"):
        names = told.event_names(f"{user}@example.com")
        assert names == ["Audience Entered", "Audience Exited"]
    assert told.event_names("w@example.com") == []
    day(told, {"u", "v", "w"}, {"u", "v", "w"})
    run = told.run("old")
    assert (run.status, run.calls) == ("nothing", 0)
    assert "retired" in run.reasons[0]
    assert retired(told, "old", 0).status == "retired"


def test_a_retirement_goes_on_after_an_outage(told: World) -> None:
    down(told, Response(503, {}, b""))
    assert retired(told, "old", 2).status == "incomplete"
    told.wrap = None
    day(told, {"u", "v", "w"}, {"u", "v", "w"})
    assert told.run("old").delivered == 2, "only goodbyes, although w is in by now"
    assert told.event_names("w@example.com") == []
    assert retired(told, "old", 0).status == "retired"


def test_a_retirement_sends_nothing_that_was_planned_before(told: World) -> None:
    day(told, {"u", "v", "w"}, {"u", "v", "w"})
    down(told, Response(503, {}, b""))
    told.run("old")
    told.wrap = None
    retired(told, "old", retired(told, "old").exits)
    assert "Audience Entered" not in told.event_names("w@example.com")


def test_leaving_sends_nothing(told: World) -> None:
    assert retired(told, "old", 0, leave=True).status == "retired"
    assert len(told.calls()) == 1
    assert told.run("old").calls == 0


def test_a_sync_that_left_the_project_can_only_be_left(told: World) -> None:
    del told.syncs["old"]
    with pytest.raises(ConfigError, match="--leave"):
        retired(told, "old")
    assert retired(told, "old", 0, leave=True).status == "retired"
    with told.connect() as warehouse:
        assert not orphans(warehouse, told.engine().project)
    with pytest.raises(ConfigError, match="no sync"):
        retired(told, "never")


def test_traits_and_events_take_their_leave_in_silence(world: World) -> None:
    world.sync("points", sends="traits", fields={"points": "score"})
    world.users({"u": {}}, world.step())
    world.run("points")
    assert retired(world, "points", 0).status == "retired"
    world.users({"u": {"score": 5.0}}, world.step())
    assert world.run("points").calls == 0
