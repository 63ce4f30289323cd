"""Versions, op_ids, holds, rejects and events: what a plan holds and what it must not."""

from __future__ import annotations

from datetime import timedelta

import pytest

from destinations.base import Response
from destinations.delivery.transport import Failed
from destinations.errors import ConfigError, DataError
from orchestration.approvals import approve
from orchestration.warehouse.schema import workspace_id
from tests.support.faults import down
from tests.support.world import World, expected_id, make_world


@pytest.fixture
def traits(world: World) -> World:
    world.sync("traits", sends="traits", fields={"points": "score", "label": "label"})
    return world


def put(world: World, users: dict[str, dict[str, object]], hours: float = 1) -> None:
    world.users(users, world.step(hours))


def acked(world: World, key: str) -> dict[str, tuple[object, ...]]:
    found = world.rows(
        "select dest_key, op, version_issued, version_acked, op_id, row_hash from tailrace.acked "
        "where sync = ?",
        [key],
    )
    return {row[0]: row[1:] for row in found}


def test_a_plan_after_a_delivered_plan_is_empty(traits: World) -> None:
    put(traits, {"a": {}, "b": {"label": "x"}})
    assert traits.plan("traits").counts == {"update": 2}
    assert traits.run("traits").delivered == 2
    assert traits.plan("traits").verdict == "empty"


def test_a_dry_plan_writes_nothing_and_equals_what_is_sent(traits: World) -> None:
    put(traits, {"a": {}, "b": {}})
    before = traits.rows("select count(*) from tailrace.plans")
    dry = traits.plan("traits")
    assert traits.rows("select count(*) from tailrace.plans") == before
    stored = traits.store("traits")
    assert (dry.plan_hash, dry.counts) == (stored.plan_hash, stored.counts)


def test_only_changed_traits_are_sent(traits: World) -> None:
    put(traits, {"a": {"score": 1.0}, "b": {"score": 1.0}})
    traits.run("traits")
    put(traits, {"a": {"score": 2.0}, "b": {"score": 1.0}, "c": {}})
    assert traits.run("traits").delivered == 2
    assert traits.fields("a@example.com")["points"] == 2.0


def test_a_trait_that_becomes_null_is_cleared(traits: World) -> None:
    put(traits, {"a": {"label": "x"}})
    traits.run("traits")
    put(traits, {"a": {"label": None}})
    traits.run("traits")
    assert "label" not in traits.fields("a@example.com")


def test_a_user_who_disappears_is_left_alone_and_counted(traits: World) -> None:
    put(traits, {"a": {}, "b": {}})
    traits.run("traits")
    put(traits, {"a": {}})
    plan = traits.plan("traits")
    assert (plan.verdict, plan.gone) == ("empty", 1)


def test_op_ids_follow_from_workspace_sync_key_and_version(traits: World) -> None:
    put(traits, {"a": {}})
    traits.run("traits")
    put(traits, {"a": {"score": 9.0}})
    traits.run("traits")
    with traits.connect() as warehouse:
        workspace = workspace_id(warehouse)
    ((_, issued, acknowledged, op_id, _),) = acked(traits, "traits").values()
    assert (issued, acknowledged) == (2, 2)
    assert op_id == expected_id(workspace, "traits", "a@example.com", "2")


def test_the_golden_op_id_never_changes() -> None:
    """A deploy between an attempt and its repeat must not change the key."""
    assert expected_id("w", "s", "a@example.com", "1") == "2778cac9-f607-8f1a-9fe3-6de8eba74de2"


def test_content_planned_again_keeps_version_id_and_time(traits: World) -> None:
    put(traits, {"a": {}})
    first = traits.store("traits")
    traits.step()
    with traits.connect() as warehouse:
        warehouse.execute("update tailrace.plans set status = 'superseded'")
    second = traits.store("traits")
    ops = traits.rows(
        "select plan_id, version, op_id, occurred_at from tailrace.plan_ops order by plan_id"
    )
    assert first.plan_id != second.plan_id
    assert len({row[1:] for row in ops}) == 1


def test_other_content_gets_the_next_version_even_if_nothing_was_sent(traits: World) -> None:
    for score in (1.0, 2.0):
        put(traits, {"a": {"score": score}})
        traits.store("traits")
    assert [v for (v,) in traits.rows("select version from tailrace.plan_ops order by 1")] == [1, 2]


def test_a_first_plan_above_max_first_waits_for_approval(world: World) -> None:
    world.sync("traits", sends="traits", fields={"points": "score"}, max_first=1)
    put(world, {"a": {}, "b": {}})
    run = world.run("traits")
    assert (run.status, run.calls) == ("held", 0)
    assert "max_first is 1" in run.reasons[0]
    assert world.run("traits").plan_id == run.plan_id, "the same plan is not held twice"
    with world.connect() as warehouse:
        approve(warehouse, str(run.plan_id), expect_exits=None, by="me", now=world.clock.now())
    assert world.run("traits").delivered == 2
    put(world, {"a": {}, "b": {}, "c": {}, "d": {}})
    assert world.run("traits").status == "done", "only the first plan is a first plan"


def test_a_held_plan_that_changes_is_another_plan(world: World) -> None:
    world.sync("traits", sends="traits", fields={"points": "score"}, max_first=0)
    put(world, {"a": {}})
    first = world.run("traits")
    put(world, {"a": {"score": 2.0}})
    second = world.run("traits")
    assert first.plan_id != second.plan_id
    with world.connect() as warehouse, pytest.raises(ConfigError, match="superseded"):
        approve(warehouse, str(first.plan_id), expect_exits=None, by="me", now=world.clock.now())


def test_membership_as_track_is_held_by_default_and_identify_is_not(world: World) -> None:
    world.audience("lapsed")
    for kind in ("track", "identify"):
        world.sync(kind, audience="lapsed", sends="membership", max_first=None, **{"as": kind})
    put(world, {"a": {}})
    world.members("lapsed", {"a"}, world.clock.now())
    world.evaluate("lapsed")
    assert {run.sync: run.status for run in world.run_all()} == {
        "identify": "done",
        "track": "held",
    }


def test_a_rejected_row_is_not_sent_again_until_it_changes(tmp_path: object) -> None:
    with make_world(tmp_path, forgotten=frozenset({"a@example.com"})) as world:  # type: ignore[arg-type]
        world.sync("traits", sends="traits", fields={"points": "score"})
        put(world, {"a": {}, "b": {}})
        run = world.run("traits")
        assert (run.delivered, run.rejected) == (1, 1)
        assert world.rows("select class, state from tailrace.rejects") == [("rejected", "open")]
        assert world.run("traits").calls == 0
        put(world, {"a": {"score": 5.0}, "b": {}})
        assert world.run("traits").rejected == 1
        assert sorted(world.rows("select state from tailrace.rejects")) == [
            ("open",), ("superseded",),
        ]  # fmt: skip


@pytest.mark.slow
def test_a_row_to_be_tried_later_is_tried_by_each_run_for_a_week(tmp_path: object) -> None:
    with make_world(tmp_path, track_creates_users=False) as world:  # type: ignore[arg-type]
        world.audience("lapsed")
        world.sync("lapsed_track", audience="lapsed", sends="membership", **{"as": "track"})
        world.sync("traits", sends="traits", fields={"points": "score"})
        put(world, {"a": {}})
        world.members("lapsed", {"a"}, world.clock.now())
        world.evaluate("lapsed")
        ids = set()
        for _ in range(3):
            run = world.run("lapsed_track")
            assert (run.calls, run.rejected) == (1, 1)
            ids |= {row[0] for row in world.rows("select op_id from tailrace.plan_ops")}
            world.step(24)
        assert len(ids) == 1
        world.run("traits")  # creates the profile
        assert world.run("lapsed_track").delivered == 1
        assert world.rows("select state from tailrace.rejects") == [("resolved",)]
        assert world.event_names("a@example.com") == ["Audience Entered"]


def test_later_ends_after_a_week(tmp_path: object) -> None:
    with make_world(tmp_path, track_creates_users=False) as world:  # type: ignore[arg-type]
        world.audience("lapsed")
        world.sync("lapsed_track", audience="lapsed", sends="membership", **{"as": "track"})
        put(world, {"a": {}})
        world.members("lapsed", {"a"}, world.clock.now())
        world.evaluate("lapsed")
        world.run("lapsed_track")
        world.step(24 * 8)
        assert world.run("lapsed_track").calls == 0


def test_values_without_a_json_form_are_rejected_before_sending(traits: World) -> None:
    put(traits, {"a": {"score": float("nan")}, "b": {}})
    assert traits.run("traits").delivered == 1
    assert traits.rows("select code, field from tailrace.rejects") == [("unsendable", "points")]
    assert traits.run("traits").calls == 0
    put(traits, {"a": {"score": 1.0}, "b": {}})
    assert traits.run("traits").delivered == 1


def test_an_interrupted_plan_goes_on_with_the_same_ids(traits: World) -> None:
    put(traits, {"a": {}, "b": {}})
    down(traits, Response(503, {}, b""))
    run = traits.run("traits")
    assert run.status == "incomplete"
    traits.wrap = None
    again = traits.run("traits")
    assert (again.plan_id, again.delivered) == (run.plan_id, 2)


def test_a_plan_that_waited_too_long_is_made_anew(traits: World) -> None:
    put(traits, {"a": {"score": 1.0}})
    down(traits, Response(503, {}, b""))
    old = traits.run("traits").plan_id
    put(traits, {"a": {"score": 2.0}}, hours=7)
    traits.wrap = None
    run = traits.run("traits")
    assert run.plan_id != old
    assert traits.fields("a@example.com")["points"] == 2.0
    assert traits.rows("select status from tailrace.plans where plan_id = ?", [old]) == [
        ("superseded",)
    ]


def test_a_lost_answer_makes_the_row_unsure_and_the_truth_is_sent(world: World) -> None:
    """Entered may have arrived; the user is out again by the time we know: so we say so."""
    world.audience("lapsed")
    world.sync("lapsed_track", audience="lapsed", sends="membership", **{"as": "track"})
    put(world, {"a": {}})
    world.members("lapsed", {"a"}, world.clock.now())
    world.evaluate("lapsed")
    down(world, Failed("connection lost", sent=True), apply=True)
    assert world.run("lapsed_track").status == "incomplete"
    world.wrap = None
    put(world, {"a": {}}, hours=7)
    world.members("lapsed", set(), world.clock.now())
    world.evaluate("lapsed")
    world.run("lapsed_track")
    assert world.event_names("a@example.com") == ["Audience Entered", "Audience Exited"]
    assert world.run("lapsed_track").status == "nothing"


def test_a_track_op_in_doubt_is_repeated_under_the_same_id(world: World) -> None:
    world.audience("lapsed")
    world.sync(
        "lapsed_track", audience="lapsed", sends="membership", fields={"level": "level"},
        **{"as": "track"},
    )  # fmt: skip
    put(world, {"a": {}})
    world.members("lapsed", {"a": 1.0}, world.clock.now())
    world.evaluate("lapsed")
    down(world, Failed("connection lost", sent=True), apply=True)
    world.run("lapsed_track")
    world.wrap = None
    put(world, {"a": {}}, hours=7)
    world.members("lapsed", {"a": 2.0}, world.clock.now())
    world.evaluate("lapsed")
    world.run("lapsed_track")
    (event,) = world.profile("a@example.com")["events"]
    assert event["times_received"] > 1


def test_a_lost_journal_is_refused_and_a_new_one_loses_nothing(traits: World) -> None:
    put(traits, {"a": {}, "b": {}})
    down(traits, Failed("connection lost", sent=True), apply=True)
    traits.run("traits")
    traits.wrap = None
    for part in (traits.folder / "state").iterdir():
        part.unlink()
    with pytest.raises(ConfigError, match="--new-journal"):
        traits.run("traits")
    run = traits.run("traits", new_journal=True)
    assert run.delivered == 2
    assert traits.plan("traits").verdict == "empty"


def test_another_account_under_the_same_name_is_refused(traits: World) -> None:
    put(traits, {"a": {}})
    traits.run("traits")
    traits.url = "https://api.example.com"
    with pytest.raises(ConfigError, match="knows nothing"):
        traits.run("traits")


def test_time_does_not_go_back(traits: World) -> None:
    put(traits, {"a": {}}, hours=48)
    traits.run("traits")
    traits.users({"a": {"score": 3.0}}, traits.clock.now() - timedelta(days=1))
    with pytest.raises(DataError, match="does not go back"):
        traits.run("traits")
