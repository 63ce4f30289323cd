"""Models that are newer than the evaluation: a member who has been merged since is still in."""

from __future__ import annotations

import pytest

from orchestration.desired.scope import Mode
from tests.support.world import T0, World


def told(world: World, **options: object) -> None:
    world.audience("lapsed")
    world.sync("said", audience="lapsed", sends="membership", **options)
    world.users({"old": {"email": "a@x.com"}, "beside": {}}, T0)
    world.members("lapsed", {"old", "beside"}, T0)
    world.evaluate("lapsed")
    assert world.run("said").delivered == 2


@pytest.mark.parametrize("address", ["a@x.com", "b@x.com"])
def test_nothing_happened_to_who_was_merged(world: World, address: str) -> None:
    told(world, **{"as": "track"})
    now = world.step(1).replace(microsecond=0)
    world.merges({"old": "new"})
    world.users({"new": {"email": address}, "beside": {}}, now)
    calls = len(world.calls())
    world.run("said")  # the audience has not been evaluated since
    world.members("lapsed", {"new", "beside"}, now)
    world.evaluate("lapsed")
    world.run("said")
    assert len(world.calls()) == calls
    assert world.event_names("a@x.com") == ["Audience Entered"]


def test_a_field_that_says_in_stays_so(world: World) -> None:
    told(world, **{"as": "identify"})
    now = world.step(1).replace(microsecond=0)
    world.merges({"old": "new"})
    world.users({"new": {"email": "a@x.com"}, "beside": {}}, now)
    calls = len(world.calls())
    world.run("said")
    assert len(world.calls()) == calls


def test_members_who_are_one_by_now_are_one(world: World) -> None:
    told(world, **{"as": "track"})
    now = world.step(1).replace(microsecond=0)
    world.merges({"old": "beside"})
    world.users({"beside": {"email": "a@x.com"}}, now)
    calls = len(world.calls())
    assert world.run("said").rejected == 0
    assert len(world.calls()) == calls


def test_who_is_told_late_has_the_traits_of_today(world: World) -> None:
    """A member whom no sync has told of yet, and who is merged before one does."""
    world.audience("lapsed")
    world.users({"old": {"email": "a@x.com", "score": 1.0}}, T0)
    world.members("lapsed", {"old"}, T0)
    world.evaluate("lapsed")
    world.sync(
        "said", audience="lapsed", sends="membership", fields={"points": "score"}, **{"as": "track"}
    )
    now = world.step(1).replace(microsecond=0)
    world.merges({"old": "new"})
    world.users({"new": {"email": "b@x.com", "score": 2.0}}, now)
    assert world.run("said").delivered == 1
    (event,) = world.profile("b@x.com")["events"]
    assert event["dataFields"]["points"] == 2.0
    assert world.run("said").status == "nothing"


def test_said_again_a_merge_is_no_event_either(world: World) -> None:
    told(world, **{"as": "track"})
    now = world.step(1).replace(microsecond=0)
    world.merges({"old": "new"})
    world.users({"new": {"email": "b@x.com"}, "beside": {"email": "moved@x.com"}}, now)
    world.members("lapsed", {"new", "beside"}, now)
    world.evaluate("lapsed")
    calls = len(world.calls())
    world.run("said", mode=Mode.REASSERT)
    assert len(world.calls()) == calls
    assert world.run("said").status == "nothing"


@pytest.mark.parametrize("newer", ["merges", "traits"])
def test_it_does_not_matter_which_model_is_newer(world: World, newer: str) -> None:
    """Where user_traits failed to build, the merged user still has an address in it."""
    told(world, **{"as": "track"})
    now = world.step(1).replace(microsecond=0)
    if newer == "merges":
        world.merges({"old": "new"})
    else:
        world.users({"old": {"email": "a@x.com"}, "new": {"email": "a@x.com"}, "beside": {}}, now)
    calls = len(world.calls())
    world.run("said")
    assert len(world.calls()) == calls
