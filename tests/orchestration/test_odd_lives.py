"""What happens to real syncs over months: renames, outages, repairs, odd data. Each was a fault once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from destinations.base import Request, Response
from destinations.delivery.transport import Failed, Transport
from destinations.errors import ConfigError, DataError
from orchestration.activate import run_syncs
from orchestration.approvals import approve
from tests.support.faults import down
from tests.support.world import World, make_world

pytestmark = pytest.mark.slow

MANY = {f"m{n}": {} for n in range(20)}


def day(world: World, members: set[str], users: dict[str, dict[str, object]] | None = None) -> str:
    """Build and evaluate an audience a day later; returns the evaluation's status."""
    at = world.step()
    world.users(users or {key: {} for key in ("a", "b")}, at)
    world.members("lapsed", members, at)
    return world.evaluate("lapsed").status


@pytest.fixture
def told(world: World) -> World:
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", **{"as": "track"})
    return world


def test_a_repair_at_the_same_as_of_lifts_the_hold(world: World) -> None:
    world.audience("lapsed")
    world.sync("said", audience="lapsed", sends="membership", **{"as": "identify"})
    assert day(world, set(MANY), MANY) == "committed"
    at = world.clock.now()
    world.members("lapsed", set(), at)
    held = world.evaluate("lapsed")
    assert held.status == "held"
    world.members("lapsed", set(MANY), at)
    assert world.evaluate("lapsed").status == "committed"
    assert world.run("said").delivered == 20
    with world.connect() as warehouse, pytest.raises(ConfigError, match="superseded"):
        approve(warehouse, str(held.evaluation_id), expect_exits=20, by="me", now=at)


def test_a_hold_that_comes_while_an_old_plan_is_sent_stops_the_next_one(world: World) -> None:
    world.audience("lapsed")
    world.sync("said", audience="lapsed", sends="membership", **{"as": "identify"})
    day(world, set(MANY), MANY)
    down(world, Response(503, {}, b""))
    world.run("said")

    class Meanwhile:
        def __init__(self, real: Transport) -> None:
            self.real = real

        def send(self, request: Request, *, timeout: float) -> Response | Failed:
            assert day(world, set(), MANY) == "held"
            return self.real.send(request, timeout=timeout)

        def close(self) -> None:
            self.real.close()

    world.wrap = Meanwhile
    run = world.run("said")
    assert (run.status, run.delivered) == ("held", 20)


def test_a_user_held_twice_is_refused_not_sent_twice(told: World) -> None:
    day(told, {"a"})
    with told.connect() as warehouse:
        warehouse.execute("insert into analytics.user_traits select * from analytics.user_traits")
    with pytest.raises(DataError, match="one row per"):
        told.run("told")
    assert not told.calls()


@pytest.mark.parametrize("change", ["audience", "as", "identifier"])
def test_a_name_that_stands_for_something_else_is_refused(told: World, change: str) -> None:
    day(told, {"a"})
    told.run("told")
    if change == "audience":
        told.audience("other")
        told.members("other", {"b"}, told.clock.now())
        told.sync("told", audience="other", sends="membership", **{"as": "track"})
    elif change == "as":
        told.sync("told", audience="lapsed", sends="membership", **{"as": "identify"})
    else:
        told.identifier = "user_id"
    with pytest.raises(ConfigError, match="another name"):
        told.run("told")


def test_a_relation_that_was_never_built_is_said_so(told: World) -> None:
    told.users({"a": {}}, told.clock.now())
    (run,) = told.run_all()
    assert run.status == "failed"
    assert "tailrace build" in run.reasons[0]


def test_the_order_of_fields_is_no_change_and_their_names_are(world: World) -> None:
    world.sync("traits", sends="traits", fields={"points": "score", "label": "label"})
    world.users({"a": {}}, world.step())
    world.run("traits")
    world.sync("traits", sends="traits", fields={"label": "label", "points": "score"})
    assert world.plan("traits").ops == 0
    world.sync("traits", sends="traits", fields={"label": "label", "score": "score"})
    assert world.plan("traits").ops == 1


def test_addresses_that_vanish_hold_the_plan(world: World) -> None:
    world.audience("lapsed")
    world.sync("said", audience="lapsed", sends="membership", **{"as": "identify"})
    day(world, set(MANY), MANY)
    world.run("said")
    nobody: dict[str, dict[str, object]] = {user: {"email": None} for user in MANY}
    assert day(world, set(MANY), nobody) == "committed"
    run = world.run("said")
    assert (run.status, run.calls, run.held_exits) == ("held", 0, 20)
    assert "addresses" in run.reasons[0]


def test_somebody_who_came_back_before_the_first_send_came_now(world: World) -> None:
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", max_first=0, **{"as": "track"})
    for members in ({"a"}, set(), {"a"}):
        day(world, members)
        run = world.run("told")
    with world.connect() as warehouse:
        approve(warehouse, str(run.plan_id), expect_exits=None, by="me", now=world.clock.now())
    world.run("told")
    (event,) = world.profile("a@example.com")["events"]
    ((entered,),) = world.rows("select max(entered_at) from tailrace.membership_intervals")
    assert event["created_at"][:19] == entered.isoformat()[:19]


def test_later_counts_from_the_change_it_is_about(tmp_path: object) -> None:
    with make_world(tmp_path, track_creates_users=False) as world:  # type: ignore[arg-type]
        world.audience("lapsed")
        world.sync("told", audience="lapsed", sends="membership", **{"as": "track"})
        world.sync("traits", sends="traits", fields={"points": "score"})
        day(world, {"a"})
        world.run("told")
        day(world, set())
        world.step(24 * 9)
        day(world, {"a"})
        assert world.run("told").rejected == 1
        world.run("traits")
        assert world.run("told").delivered == 1


def test_a_plan_older_than_the_models_is_not_approved(world: World) -> None:
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", max_first=0, **{"as": "track"})
    day(world, {"a"})
    run = world.run("told")
    day(world, set())
    with world.connect() as warehouse, pytest.raises(DataError, match="tailrace sync told"):
        approve(warehouse, str(run.plan_id), expect_exits=None, by="me", now=world.clock.now())


def test_who_was_never_on_the_wire_is_not_told_to_leave(told: World) -> None:
    day(told, {"a"})
    with pytest.raises(DataError):  # before the first claim
        told.run("told", transport=_refuses)
    told.step(8)
    day(told, set())
    told.run("told")
    assert told.profile("a@example.com")["profile"] is None


def _refuses(_: object) -> Transport:
    raise DataError("no way out")


def test_a_new_journal_is_begun_once_per_account_and_its_receipts_count(world: World) -> None:
    world.sync("traits", sends="traits", fields={"points": "score"})
    world.sync("more", sends="traits", fields={"label": "label"})
    world.users({"a": {"label": "x"}}, world.step())
    down(world, Failed("connection lost", sent=True), apply=True)
    for _ in range(2):
        world.run_all()
    world.wrap = None
    runs = run_syncs(replace(world.engine(), new_journal=True), world.syncs.values(), None)
    assert [run.delivered for run in runs] == [1, 1]
    assert len(list((world.folder / "state").glob("iterable.*.sqlite"))) == 1
    assert all(run.calls == 0 for run in world.run_all())


def test_what_a_resumed_plan_delivered_is_told_even_if_planning_fails(world: World) -> None:
    world.sync("traits", sends="traits", fields={"points": "score"})
    world.users({"a": {}}, world.step())
    down(world, Response(503, {}, b""))
    world.run("traits")
    world.wrap = None
    with world.connect() as warehouse:
        warehouse.execute(
            "update tailrace.builds set relations = replace(relations::varchar, 'success', 'error')::json"
        )
    run = world.run("traits")
    assert (run.status, run.delivered) == ("failed", 1)


def test_time_does_not_go_back_after_an_empty_plan_either(world: World) -> None:
    world.sync("traits", sends="traits", fields={"points": "score"})
    for hours in (1, 48):
        world.users({"a": {"score": 1.0}}, world.step(hours))
        world.run("traits")
    world.users({"a": {"score": 5.0}}, world.clock.now() - timedelta(days=1))
    with pytest.raises(DataError, match="does not go back"):
        world.run("traits")


def test_send_updates_clears_a_column_that_became_null(world: World) -> None:
    world.audience("lapsed")
    world.sync(
        "said", audience="lapsed", sends="membership", send_updates=True,
        fields={"label": "label"}, **{"as": "identify"},
    )  # fmt: skip
    for label in ("x", None):
        day(world, {"a"}, {"a": {"label": label}})
        world.run("said")
    assert world.fields("a@example.com") == {"lapsed": True}
