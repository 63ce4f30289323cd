"""What random lives (tests/orchestration/machine) found, each as short as it gets."""

from __future__ import annotations

from typing import Any

import pytest

from orchestration.approvals import approve
from orchestration.suppression import suppress
from tests.support.world import World

TRACK: dict[str, Any] = {"as": "track"}
IDENTIFY: dict[str, Any] = {"as": "identify"}


def day(world: World, users: dict[str, dict[str, Any]], members: set[str]) -> None:
    at = world.step()
    world.users(users, at)
    world.members("lapsed", members, at)
    assert world.evaluate("lapsed").status == "committed"


def test_a_held_plan_that_says_the_same_the_next_day_can_be_approved(world: World) -> None:
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", max_first=0, **TRACK)
    day(world, {"u": {}}, {"u"})
    first = world.run("told")
    day(world, {"u": {}}, {"u"})
    again = world.run("told")
    assert (again.status, again.plan_id) == ("held", first.plan_id)
    with world.connect() as warehouse:
        approve(warehouse, str(again.plan_id), expect_exits=0, by="me", now=world.clock.now())
    assert world.run("told").delivered == 1


def test_a_no_at_a_shared_address_is_no_move(world: World) -> None:
    """Whoever else has the address is still in, but not under any other."""
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", consent="agreed", **TRACK)
    us = {"email": "us@example.com"}
    day(world, {"u": {**us, "agreed": True}, "v": {**us, "agreed": True}}, {"u", "v"})
    world.run("told")
    day(world, {"u": {**us, "agreed": True}, "v": {**us, "agreed": False}}, {"u", "v"})
    world.run("told")
    assert world.event_names("us@example.com") == ["Audience Entered", "Audience Exited"]


@pytest.mark.parametrize("email", [None, "nobody", "barred@example.com"])
def test_who_moves_where_nothing_can_be_told_is_told_that_they_left(
    world: World, email: str | None
) -> None:
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", **TRACK)
    day(world, {"u": {}}, {"u"})
    world.run("told")
    with world.connect() as warehouse:
        suppress(warehouse, ["barred@example.com"], "asked us to", world.clock.now())
    day(world, {"u": {"email": email}}, {"u"})
    world.run("told")
    assert world.event_names("u@example.com") == ["Audience Entered", "Audience Exited"]


def test_nobody_suppressed_is_cleared_when_they_are_gone(world: World) -> None:
    world.sync("points", sends="traits", fields={"points": "score"}, on_gone="clear")
    world.users({"u": {}, "v": {}}, world.step())
    world.run("points")
    with world.connect() as warehouse:
        suppress(warehouse, ["u"], "asked us to", world.clock.now())
    world.users({"v": {}}, world.step())
    assert world.plan("points").verdict == "empty"
    assert world.run("points").calls == 0
    assert world.fields("u@example.com")["points"] == 1.0
