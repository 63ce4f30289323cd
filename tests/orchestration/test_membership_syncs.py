"""Who is told what when they enter, leave and come back."""

from __future__ import annotations

import pytest

from tests.support.world import World


@pytest.fixture
def track(world: World) -> World:
    world.audience("lapsed")
    world.sync(
        "lapsed_track", audience="lapsed", sends="membership", fields={"level": "level"},
        **{"as": "track"},
    )  # fmt: skip
    world.users({"a": {}, "b": {}, "c": {}}, world.clock.now())
    return world


@pytest.fixture
def identify(world: World) -> World:
    world.audience("lapsed")
    world.sync("lapsed_identify", audience="lapsed", sends="membership", **{"as": "identify"})
    world.users({"a": {}, "b": {}, "c": {}}, world.clock.now())
    return world


def day(world: World, members: set[str], key: str) -> None:
    """One daily run in which those are the members."""
    at = world.step()
    with world.connect() as warehouse:
        world._built(warehouse, "user_traits", at)
    world.members("lapsed", members, at)
    assert world.evaluate("lapsed").status == "committed"
    assert world.run(key).status in ("done", "nothing")


def test_track_tells_entered_exited_and_entered_again(track: World) -> None:
    for members in ({"a"}, {"a"}, set(), set(), {"a"}):
        day(track, members, "lapsed_track")
    events = track.profile("a@example.com")["events"]
    assert [e["eventName"] for e in events] == [
        "Audience Entered", "Audience Exited", "Audience Entered",
    ]  # fmt: skip
    assert len({e["id"] for e in events}) == 3
    assert [e["dataFields"]["lapsed"] for e in events] == [True, False, True]
    assert events[0]["dataFields"]["audience_key"] == "lapsed"
    assert events[0]["dataFields"]["level"] == 1.0


def test_identify_tells_true_then_false(identify: World) -> None:
    day(identify, {"a", "b"}, "lapsed_identify")
    day(identify, {"b"}, "lapsed_identify")
    assert identify.fields("a@example.com")["lapsed"] is False
    assert identify.fields("b@example.com")["lapsed"] is True


@pytest.mark.parametrize("key", ["track", "identify"])
def test_somebody_who_never_was_in_gets_nothing(key: str, request: pytest.FixtureRequest) -> None:
    world: World = request.getfixturevalue(key)
    for members in ({"a"}, {"b"}, set()):
        day(world, members, f"lapsed_{key}")
    assert world.profile("c@example.com")["profile"] is None


def test_occurred_at_is_the_moment_of_the_change(track: World) -> None:
    day(track, {"a"}, "lapsed_track")
    entered = track.clock.now()
    day(track, set(), "lapsed_track")
    left = track.rows("select max(exited_at) from tailrace.membership_intervals")[0][0]
    events = track.profile("a@example.com")["events"]
    assert abs(events[0]["createdAt"] - entered.timestamp()) < 5
    assert events[1]["created_at"][:19] == left.isoformat()


def test_the_same_answer_again_makes_no_call(track: World) -> None:
    day(track, {"a", "b"}, "lapsed_track")
    calls = len(track.calls())
    assert track.run("lapsed_track").status == "nothing"
    assert track.evaluate("lapsed").entered == 0
    assert track.run("lapsed_track").calls == 0
    assert len(track.calls()) == calls


def test_two_users_of_one_address_are_in_as_long_as_one_is(identify: World) -> None:
    both = {"email": " Shared@Example.com "}
    identify.users({"a": both, "b": both}, identify.clock.now())
    day(identify, {"a", "b"}, "lapsed_identify")
    assert len(identify.rows("from tailrace.acked")) == 1
    day(identify, {"b"}, "lapsed_identify")
    assert identify.fields("shared@example.com")["lapsed"] is True
    day(identify, set(), "lapsed_identify")
    assert identify.fields("shared@example.com")["lapsed"] is False


def test_an_exit_goes_to_the_address_that_was_told(identify: World) -> None:
    day(identify, {"a"}, "lapsed_identify")
    identify.users({"b": {}, "c": {}}, identify.clock.now())  # a is deleted from the warehouse
    day(identify, set(), "lapsed_identify")
    assert identify.fields("a@example.com")["lapsed"] is False


def test_a_changed_address_is_an_exit_of_the_old_and_an_enter_of_the_new(identify: World) -> None:
    day(identify, {"a"}, "lapsed_identify")
    identify.users({"a": {"email": "new@example.com"}}, identify.clock.now())
    day(identify, {"a"}, "lapsed_identify")
    assert identify.fields("a@example.com")["lapsed"] is False
    assert identify.fields("new@example.com")["lapsed"] is True


@pytest.mark.parametrize("email", [None, "", "  ", "nobody", "a b@example.com", "@example.com"])
def test_users_without_a_usable_address_are_counted(identify: World, email: str | None) -> None:
    identify.users({"a": {"email": email}, "b": {}}, identify.clock.now())
    at = identify.clock.now()
    identify.members("lapsed", {"a", "b"}, at)
    identify.evaluate("lapsed")
    run = identify.run("lapsed_identify")
    assert (run.delivered, run.skipped) == (1, 1)


def test_user_ids_select_profiles_where_the_account_says_so(identify: World) -> None:
    identify.identifier = "user_id"
    identify.users({"a": {"email": None}}, identify.clock.now())
    day(identify, {"a"}, "lapsed_identify")
    assert identify.fields("a")["lapsed"] is True


def test_exited_event_null_sends_no_exit_but_knows_of_it(world: World) -> None:
    world.audience("lapsed")
    world.sync("quiet", audience="lapsed", sends="membership", exited_event=None, **{"as": "track"})
    world.users({"a": {}}, world.clock.now())
    for members in ({"a"}, set(), {"a"}):
        day(world, members, "quiet")
    assert world.event_names("a@example.com") == ["Audience Entered", "Audience Entered"]


def test_send_updates_sends_a_changed_column_and_nothing_else_does(world: World) -> None:
    world.audience("lapsed")
    for key, updates in (("still", False), ("moving", True)):
        world.sync(
            key, audience="lapsed", sends="membership", send_updates=updates,
            fields={key: "level"}, **{"as": "identify"},
        )  # fmt: skip
    world.users({"a": {}}, world.clock.now())
    for level in (1.0, 2.0):
        at = world.step()
        with world.connect() as warehouse:
            world._built(warehouse, "user_traits", at)
        world.members("lapsed", {"a": level}, at)
        world.evaluate("lapsed")
        world.run_all()
    assert world.fields("a@example.com") == {"lapsed": True, "still": 1.0, "moving": 2.0}
    assert all(run.status == "nothing" for run in world.run_all())
