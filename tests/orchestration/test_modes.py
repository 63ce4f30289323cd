"""Plans that somebody asked for: said again, assumed, another mapping, gone users."""

from __future__ import annotations

from typing import Any

import pytest

from destinations.delivery.transport import Failed
from destinations.errors import ConfigError
from orchestration.desired.scope import Mode
from tests.support.faults import down
from tests.support.world import World

pytestmark = pytest.mark.slow

TRACK: dict[str, Any] = {"as": "track"}
IDENTIFY: dict[str, Any] = {"as": "identify"}


def day(world: World, users: dict[str, dict[str, Any]], members: set[str] | None = None) -> None:
    at = world.step()
    world.users(users, at)
    if members is not None:
        world.members("lapsed", members, at)
        assert world.evaluate("lapsed").status == "committed"


def op_ids(world: World, sync: str) -> list[tuple[str, str]]:
    return world.rows(
        "select o.op, o.op_id from tailrace.plan_ops as o inner join tailrace.plans as p "
        "on o.plan_id = p.plan_id where p.sync = ? order by p.planned_at, o.seq",
        [sync],
    )


def test_traits_are_reasserted_under_their_last_ids(world: World) -> None:
    world.sync("points", sends="traits", fields={"points": "score"})
    day(world, {"u": {"score": 1.0}, "v": {"score": 2.0}})
    world.run("points")
    first = op_ids(world, "points")
    assert world.run("points", mode=Mode.REASSERT).delivered == 2
    assert sorted(op_ids(world, "points")) == sorted(first + first)
    assert world.plan("points").verdict == "empty"
    day(world, {"u": {"score": 9.0}, "v": {"score": 2.0}})
    world.run("points", mode=Mode.REASSERT)
    assert world.fields("u@example.com")["points"] == 9.0, "what changed goes as a change"
    assert len(set(op_ids(world, "points"))) == 3


def test_memberships_are_reasserted_in_and_out(world: World) -> None:
    world.audience("lapsed")
    world.sync("said", audience="lapsed", sends="membership", **IDENTIFY)
    world.sync("told", audience="lapsed", sends="membership", fields={"level": "level"}, **TRACK)
    users: dict[str, dict[str, Any]] = {"u": {}, "v": {}, "never": {}}
    for members in ({"u", "v"}, {"v"}):
        day(world, users, members)
        world.run_all()
    assert world.run("said", mode=Mode.REASSERT).delivered == 2
    assert world.run("told", mode=Mode.REASSERT).delivered == 1
    assert world.fields("u@example.com")["lapsed"] is False
    assert "lapsed" not in world.fields("never@example.com")
    (event,) = world.profile("v@example.com")["events"]
    assert event["times_received"] == 2
    assert [world.plan(key).verdict for key in world.syncs] == ["empty", "empty"]


def test_a_lost_answer_to_a_reassertion_leaves_no_doubt(world: World) -> None:
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", **TRACK)
    day(world, {"u": {}}, {"u"})
    world.run("told")
    down(world, Failed("connection lost", sent=True), apply=True)
    assert world.run("told", mode=Mode.REASSERT).status == "incomplete"
    world.wrap = None
    world.step(7)
    assert world.run("told").status == "nothing"
    (event,) = world.profile("u@example.com")["events"]
    assert event["eventName"] == "Audience Entered"


def test_events_are_not_reasserted(world: World) -> None:
    world.sync("happened", sends="events", events=["Order"])
    at = world.step()
    world.users({"u": {}}, at)
    world.events([("e1", "u", "Order", at)], at)
    world.run("happened")
    with pytest.raises(ConfigError, match="sent once"):
        world.run("happened", mode=Mode.REASSERT)


def test_what_is_assumed_sent_is_not_sent(world: World) -> None:
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", max_first=0, **TRACK)
    world.sync("happened", sends="events", events=["Order"], max_first=0)
    at = world.step()
    day(world, {"u": {}, "v": {}}, {"u", "v"})
    world.events([("e1", "u", "Order", at)], world.clock.now())
    for key in ("told", "happened"):
        run = world.run(key, mode=Mode.ASSUME_SENT)
        assert (run.status, run.calls, run.silent) == ("done", 0, 2 if key == "told" else 1)
        assert world.plan(key).verdict == "empty"
    assert not world.calls()
    day(world, {"u": {}, "v": {}, "w": {}}, {"v", "w"})
    assert world.run("told").delivered == 2, "the next plan is no first one"
    assert world.event_names("u@example.com") == ["Audience Exited"]


def test_assuming_closes_what_was_on_its_way(world: World) -> None:
    world.sync("points", sends="traits", fields={"points": "score"})
    day(world, {"u": {}})
    down(world, Failed("connection lost", sent=True))
    world.run("points")
    world.wrap = None
    assert world.run("points", mode=Mode.ASSUME_SENT).calls == 0
    assert world.plan("points").verdict == "empty"
    assert not world.calls()


def test_a_new_mapping_sends_what_changed_all_or_nothing(world: World) -> None:
    users: dict[str, dict[str, Any]] = {"u": {"label": "x"}, "v": {}}
    world.sync("points", sends="traits", fields={"points": "score"})
    day(world, users)
    world.run("points")
    both = {"points": "score", "label": {"column": "label", "nulls": "omit"}}
    world.sync("points", sends="traits", fields=both)
    assert world.run("points", mode=Mode.NONE).calls == 0
    assert world.plan("points").verdict == "empty"
    world.sync("points", sends="traits", fields={"points": "score"})
    assert world.run("points", mode=Mode.ALL).delivered == 2
    assert world.run("points", mode=Mode.ALL).delivered == 2
    assert world.plan("points").verdict == "empty"


def test_a_field_that_is_left_out_where_it_is_null_changes_no_payload(world: World) -> None:
    users: dict[str, dict[str, Any]] = {"u": {"label": "x"}, "v": {}}
    world.sync("points", sends="traits", fields={"points": "score"})
    day(world, users)
    world.run("points")
    both = {"points": "score", "label": {"column": "label", "nulls": "omit"}}
    world.sync("points", sends="traits", fields=both)
    assert world.plan("points").counts == {"update": 1}


def test_hashes_of_another_format_are_no_change(world: World) -> None:
    world.audience("lapsed")
    fields = {"points": "score"}
    world.sync("points", sends="traits", fields=fields)
    world.sync(
        "said", audience="lapsed", sends="membership", send_updates=True, fields=fields, **IDENTIFY
    )
    day(world, {"u": {}, "v": {}}, {"u", "v"})
    world.run_all()
    with world.connect() as warehouse:
        warehouse.execute("update tailrace.issued set issued_row_hash = md5(issued_row_hash)")
    assert [run.calls for run in world.run_all()] == [0, 0]
    day(world, {"u": {"score": 5.0}, "v": {}}, {"u", "v"})
    assert [run.delivered for run in world.run_all()] == [1, 1], "and is compared again from there"


def test_users_who_are_gone_are_cleared(world: World) -> None:
    fields = {"points": "score", "kind": {"value": "person"}}
    world.sync("points", sends="traits", fields=fields, on_gone="clear")
    day(world, {"u": {}, "v": {}})
    world.run("points")
    day(world, {"v": {}})
    plan = world.plan("points")
    assert (plan.counts, plan.gone) == ({"update": 1}, 1)
    world.run("points")
    assert not {"points", "kind"} & set(world.fields("u@example.com"))
    assert world.fields("v@example.com")["points"] == 1.0
    assert world.plan("points").verdict == "empty"
    day(world, {"u": {}, "v": {}})
    assert world.run("points").delivered == 1, "and told again when they come back"


def test_a_mass_of_gone_users_is_held(world: World) -> None:
    world.sync("points", sends="traits", fields={"points": "score"}, on_gone="clear")
    day(world, {f"u{n}": {} for n in range(30)})
    world.run("points")
    day(world, {f"u{n}": {} for n in range(15)})
    run = world.run("points")
    assert (run.status, run.calls) == ("held", 0)
    assert "15 of 30 profiles would be cleared" in run.reasons[0]


def test_a_destination_that_cannot_delete_is_said_so(world: World) -> None:
    world.sync("points", sends="traits", fields={"points": "score"}, on_gone="delete")
    day(world, {"u": {}})
    with pytest.raises(ConfigError, match="no call to delete") as refused:
        world.plan("points")
    assert refused.value.accepted == ("leave", "clear")
