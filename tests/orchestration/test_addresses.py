"""Who a profile belongs to: changed and shared addresses, several of them, merges, consent."""

from __future__ import annotations

from typing import Any

import pytest

from destinations.errors import ConfigError
from orchestration.suppression import suppress
from tests.support.tiers import first
from tests.support.world import World

TRACK: dict[str, Any] = {"as": "track"}
IDENTIFY: dict[str, Any] = {"as": "identify"}
Users = dict[str, dict[str, Any]]


def day(world: World, users: Users, members: set[str]) -> None:
    """Build, evaluate and run everything a day later."""
    at = world.step()
    world.users(users, at)
    world.members("lapsed", members, at)
    assert world.evaluate("lapsed").status == "committed"
    for run in world.run_all():
        assert run.status in ("done", "nothing"), run.reasons


def told(world: World, address: str) -> list[str]:
    return [name for name in world.event_names(address) if name.startswith("Audience")]


@pytest.fixture
def track(world: World) -> World:
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", **TRACK)
    return world


def test_a_changed_address_is_not_worth_an_event(track: World) -> None:
    day(track, {"u": {"email": "old@example.com"}}, {"u"})
    day(track, {"u": {"email": "new@example.com"}}, {"u"})
    assert told(track, "old@example.com") == ["Audience Entered"]
    assert told(track, "new@example.com") == []
    day(track, {"u": {"email": "new@example.com"}}, set())
    assert told(track, "new@example.com") == ["Audience Exited"], "the exit goes where they are"
    assert told(track, "old@example.com") == ["Audience Entered"]


def test_on_rekey_send_tells_both(world: World) -> None:
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", on_rekey="send", **TRACK)
    day(world, {"u": {"email": "old@example.com"}}, {"u"})
    day(world, {"u": {"email": "new@example.com"}}, {"u"})
    assert told(world, "old@example.com") == ["Audience Entered", "Audience Exited"]
    assert told(world, "new@example.com") == ["Audience Entered"]


def test_a_changed_address_is_a_state_at_both_profiles(world: World) -> None:
    world.audience("lapsed")
    world.sync("said", audience="lapsed", sends="membership", **IDENTIFY)
    day(world, {"u": {"email": "old@example.com"}}, {"u"})
    day(world, {"u": {"email": "new@example.com"}}, {"u"})
    assert world.fields("old@example.com")["lapsed"] is False
    assert world.fields("new@example.com")["lapsed"] is True


def test_somebody_new_at_the_new_address_is_told(track: World) -> None:
    """The mover keeps quiet; who shares the new address enters for the first time."""
    day(track, {"u": {"email": "old@example.com"}, "v": {"email": "new@example.com"}}, {"u"})
    day(track, {"u": {"email": "new@example.com"}, "v": {"email": "new@example.com"}}, {"u", "v"})
    assert told(track, "new@example.com") == ["Audience Entered"]


def test_who_had_an_address_before_does_not_bar_who_has_it_now(track: World) -> None:
    """The one is suppressed by id, not by the address that is somebody else's by now."""
    day(track, {"u": {"email": "one@example.com"}, "v": {"email": "two@example.com"}}, {"u"})
    day(track, {"u": {"email": "one@example.com"}, "v": {"email": "two@example.com"}}, set())
    with track.connect() as warehouse:
        suppress(warehouse, ["u"], "asked", track.clock.now())
    day(track, {"v": {"email": "one@example.com"}}, {"v"})
    entered, exited = "Audience Entered", "Audience Exited"
    assert told(track, "one@example.com") == [entered, exited, entered]


def test_leaving_and_moving_at_once_is_leaving(track: World) -> None:
    day(track, {"u": {"email": "old@example.com"}}, {"u"})
    day(track, {"u": {"email": "new@example.com"}}, set())
    assert told(track, "old@example.com") == ["Audience Entered", "Audience Exited"]
    assert told(track, "new@example.com") == []


def test_who_shares_an_address_is_in_as_long_as_one_of_them_is(track: World) -> None:
    both: Users = {"u": {"email": "us@example.com"}, "v": {"email": "Us@Example.com "}}
    day(track, both, {"u", "v"})
    day(track, both, {"v"})
    assert told(track, "us@example.com") == ["Audience Entered"]
    left = track.clock.now()
    day(track, both, set())
    assert told(track, "us@example.com") == ["Audience Entered", "Audience Exited"]
    exited = track.rows("select occurred_at from tailrace.acked")[0][0]
    assert exited > left.replace(tzinfo=None), "when the last of them left, not the first"


@pytest.mark.parametrize("consent", first(1, ["agreed", "not_required"]))
def test_blanks_around_an_id_are_no_part_of_it(world: World, consent: str) -> None:
    world.identifier = "user_id"
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", consent=consent, **TRACK)
    both: Users = {"u": {"agreed": True}, " u ": {"agreed": True}}
    for members in ({" u "}, {" u ", "u"}, {"u"}, {" u "}):
        day(world, both, members)
        assert told(world, "u") == ["Audience Entered"]
        assert world.plan("told").verdict == "empty"
    day(world, both, set())
    assert told(world, "u") == ["Audience Entered", "Audience Exited"]
    day(world, both, {" u ", "u"})
    assert told(world, "u") == ["Audience Entered", "Audience Exited", "Audience Entered"]
    assert world.rows("select dest_key, version_acked from tailrace.acked") == [("u", 3)]


def test_every_address_of_a_member_is_told(world: World) -> None:
    world.audience("lapsed")
    world.emails({"u": ["a@example.com", "b@example.com"]})
    world.sync("said", audience="lapsed", sends="membership", emails="all", **IDENTIFY)
    world.sync("points", sends="traits", emails="all", fields={"points": "score"})
    day(world, {"u": {"email": "a@example.com", "score": 3.0}}, {"u"})
    for address in ("a@example.com", "b@example.com"):
        assert world.fields(address) == {"lapsed": True, "points": 3.0} | world.fields(address)
    world.emails({"u": ["a@example.com"]})
    day(world, {"u": {"email": "a@example.com", "score": 3.0}}, {"u"})
    assert world.fields("b@example.com")["lapsed"] is False
    assert world.fields("a@example.com")["lapsed"] is True


def test_all_emails_need_a_relation_and_profiles_by_email(track: World) -> None:
    track.sync("told", audience="lapsed", sends="membership", emails="all", **TRACK)
    track.users({"u": {}}, track.clock.now())
    track.members("lapsed", {"u"}, track.clock.now())
    track.evaluate("lapsed")
    with pytest.raises(ConfigError, match="user_emails"):
        track.plan("told")
    track.identifier = "user_id"
    with pytest.raises(ConfigError, match="by e-mail"):
        track.plan("told")


@pytest.mark.parametrize("identifier", ["email", "user_id"])
def test_two_who_become_one_neither_leave_nor_enter(world: World, identifier: str) -> None:
    world.identifier = identifier
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", **TRACK)
    day(world, {"phone-user": {}, "web-user": {}}, {"phone-user"})
    world.merges({"phone-user": "middle", "middle": "web-user"})
    day(world, {"web-user": {}}, {"web-user"})
    calls = world.calls()
    assert len(calls) == 1, "only the first day had anything to say"
    day(world, {"web-user": {}}, set())
    address = "web-user@example.com" if identifier == "email" else "web-user"
    assert told(world, address) == ["Audience Exited"]


def test_two_members_who_become_one_stay_one(track: World) -> None:
    day(track, {"phone-user": {}, "web-user": {}}, {"phone-user", "web-user"})
    track.merges({"phone-user": "web-user"})
    day(track, {"web-user": {}}, {"web-user"})
    assert told(track, "phone-user@example.com") == ["Audience Entered"]
    assert told(track, "web-user@example.com") == ["Audience Entered"]


def test_a_member_without_an_address_is_counted_not_sent(track: World) -> None:
    at = track.step()
    track.users({"u": {"email": None}, "v": {"email": "not an address"}, "w": {}}, at)
    track.members("lapsed", {"u", "v", "w"}, at)
    track.evaluate("lapsed")
    plan = track.plan("told")
    assert (plan.counts, plan.skipped) == ({"enter": 1}, 2)


@pytest.mark.parametrize("agreed", first(1, [False, None]))
def test_no_and_unknown_consent_is_no(world: World, agreed: bool | None) -> None:
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", consent="agreed", **TRACK)
    world.sync("points", sends="traits", consent="agreed", fields={"points": "score"})
    world.sync("happened", sends="events", consent="agreed", events=["Order"])
    users: Users = {"u": {"agreed": agreed}, "v": {"agreed": True}}
    at = world.step()
    orders = [("e1", "u", "Order", at), ("e2", "v", "Order", at)]
    world.users(users, at)
    world.events(orders, at)
    world.members("lapsed", {"u", "v"}, at)
    world.evaluate("lapsed")
    assert [world.plan(key).ops for key in world.syncs] == [1, 1, 1]
    assert [world.plan(key).no_consent for key in ("told", "points")] == [1, 1]
    world.run_all()
    assert world.profile("u@example.com")["profile"] is None
    assert world.event_names("v@example.com") == ["Audience Entered", "Order"] or set(
        world.event_names("v@example.com")
    ) == {"Audience Entered", "Order"}


def test_who_withdraws_consent_is_told_to_leave_and_nothing_more(world: World) -> None:
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", consent="agreed", **TRACK)
    world.sync("points", sends="traits", consent="agreed", fields={"points": "score"})
    day(world, {"u": {"agreed": True, "score": 1.0}}, {"u"})
    day(world, {"u": {"agreed": False, "score": 2.0}}, {"u"})
    assert told(world, "u@example.com") == ["Audience Entered", "Audience Exited"]
    assert world.fields("u@example.com")["points"] == 1.0


def test_one_no_at_a_shared_address_speaks_for_all(world: World) -> None:
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", consent="agreed", **TRACK)
    world.sync("points", sends="traits", consent="agreed", fields={"points": "score"})
    shared = {"email": "us@example.com"}
    day(world, {"u": {**shared, "agreed": True}, "v": {**shared, "agreed": False}}, {"u", "v"})
    assert not world.calls()


def test_a_consent_column_that_is_none_is_refused(world: World) -> None:
    world.sync("points", sends="traits", consent="score", fields={"points": "score"})
    world.users({"u": {}}, world.step())
    with pytest.raises(ConfigError, match="no boolean column 'score'") as refused:
        world.plan("points")
    assert refused.value.accepted == ("not_required", "agreed")
