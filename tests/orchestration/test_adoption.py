"""What goes with a sync that is adopted under another name, and what of the new one does not."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from destinations.errors import ConfigError, DataError
from orchestration.approvals import approve
from orchestration.lifecycle import adopt
from tests.support.world import World, make_world

POINTS: dict[str, Any] = {"sends": "traits", "fields": {"points": "score"}}
SEEN: dict[str, Any] = {"sends": "events", "events": ["Seen"]}


def rename(world: World, **options: Any) -> None:
    del world.syncs["old"]
    world.sync("new", **options)


def adopted(world: World) -> None:
    engine = world.engine()
    with world.connect() as warehouse:
        adopt(engine, warehouse, "old", "new")


@pytest.fixture
def points(world: World) -> World:
    world.sync("old", **POINTS)
    world.users({"a": {}, "b": {}}, world.step())
    assert world.run("old").delivered == 2
    rename(world, **POINTS)
    return world


def test_events_that_were_sent_are_not_sent_under_the_new_name(world: World) -> None:
    world.sync("old", **SEEN)
    at = world.step()
    world.users({"a": {}, "b": {}}, at)
    world.events([("e1", "a", "Seen", at), ("e2", "b", "Seen", at)], at)
    assert world.run("old").delivered == 2
    rename(world, **SEEN)
    adopted(world)
    assert world.run("new").calls == 0
    for user in ("a", "b"):
        (event,) = world.profile(f"{user}@example.com")["events"]
        assert event["times_received"] == 1


def test_what_was_refused_for_good_is_not_tried_under_the_new_name(tmp_path: Path) -> None:
    with make_world(tmp_path, forgotten=frozenset({"a@example.com"})) as world:
        world.sync("old", **POINTS)
        world.users({"a": {}, "b": {}}, world.step())
        assert world.run("old").rejected == 1
        rename(world, **POINTS)
        adopted(world)
        assert world.run("new").calls == 0
        assert world.rows("select sync, state from tailrace.rejects") == [("new", "open")]


def test_time_does_not_go_back_under_the_new_name(points: World) -> None:
    adopted(points)
    points.users({"a": {"score": 3.0}, "b": {}}, points.clock.now() - timedelta(hours=6))
    with pytest.raises(DataError, match="does not go back"):
        points.run("new")
    assert points.fields("a@example.com")["points"] == 1.0


def test_what_the_new_name_waited_for_can_no_longer_be_approved(points: World) -> None:
    run = points.run("new")
    assert run.status == "held"
    adopted(points)
    assert points.rows(
        "select count(*) from tailrace.plans where sync = 'new' and status = 'held'"
    ) == [(0,)]
    with points.connect() as warehouse, pytest.raises(ConfigError, match="superseded"):
        approve(warehouse, str(run.plan_id), expect_exits=None, by="me", now=points.clock.now())
    assert points.run("new").calls == 0
