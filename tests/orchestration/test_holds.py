"""What is held sends nothing, is said, and takes effect once, by whoever knows the number."""

from __future__ import annotations

from datetime import timedelta

import pytest

from destinations.base import Response
from destinations.errors import ConfigError, DataError
from orchestration.approvals import approve
from orchestration.memberships import Evaluation
from tests.support.faults import down
from tests.support.world import World

MEMBERS = {f"m{n}" for n in range(20)}


@pytest.fixture
def held(world: World) -> World:
    """A delivered audience of 20; nothing is held yet."""
    world.audience("lapsed")
    world.sync("lapsed_identify", audience="lapsed", sends="membership", **{"as": "identify"})
    world.users({user: {} for user in MEMBERS}, world.clock.now())
    point(world, MEMBERS)
    assert world.run("lapsed_identify").delivered == 20
    return world


def point(world: World, members: set[str]) -> Evaluation:
    at = world.step()
    world.users({user: {} for user in MEMBERS}, at)
    world.members("lapsed", members, at)
    return world.evaluate("lapsed")


def let_through(world: World, evaluation: Evaluation, exits: int | None) -> None:
    with world.connect() as warehouse:
        approve(
            warehouse,
            str(evaluation.evaluation_id),
            expect_exits=exits,
            by="me",
            now=world.clock.now(),
        )


@pytest.mark.parametrize("left", [0, 1, 2])
def test_empty_or_a_tenth_is_held_and_sends_nothing(held: World, left: int) -> None:
    calls = len(held.calls())
    evaluation = point(held, set(sorted(MEMBERS)[:left]))
    assert evaluation.status == "held"
    assert evaluation.reasons
    run = held.run("lapsed_identify")
    assert (run.status, run.calls) == ("held", 0)
    assert str(evaluation.evaluation_id) in run.reasons[0]
    assert held.plan("lapsed_identify").verdict == "held"
    assert len(held.calls()) == calls
    assert held.rows(
        "select count(*) from tailrace.membership_intervals where exited_at is null"
    ) == [(20,)]


def test_ten_may_leave_however_many_that_are(held: World) -> None:
    assert point(held, set(sorted(MEMBERS)[:10])).status == "committed"
    assert held.run("lapsed_identify").delivered == 10


def test_a_small_audience_may_become_empty(world: World) -> None:
    world.audience("lapsed")
    world.users({user: {} for user in MEMBERS}, world.clock.now())
    point(world, set(sorted(MEMBERS)[:9]))
    assert point(world, set()).status == "committed"


def test_an_interrupted_plan_waits_while_its_audience_is_held(held: World) -> None:
    point(held, MEMBERS - {"m1"})
    down(held, Response(503, {}, b""))
    assert held.run("lapsed_identify").status == "incomplete"
    held.wrap = None
    evaluation = point(held, set())
    calls = len(held.calls())
    assert held.run("lapsed_identify").status == "held"
    assert len(held.calls()) == calls
    let_through(held, evaluation, evaluation.exited)
    held.run("lapsed_identify")
    assert {held.fields(f"{user}@example.com")["lapsed"] for user in MEMBERS} == {False}


def test_approval_needs_the_right_number_and_works_once(held: World) -> None:
    evaluation = point(held, set())
    for wrong in (None, 19):
        with pytest.raises(ConfigError, match="20"):
            let_through(held, evaluation, wrong)
    let_through(held, evaluation, 20)
    with pytest.raises(ConfigError, match="is committed; me approved it at 2026-"):
        let_through(held, evaluation, 20)
    assert held.run("lapsed_identify").delivered == 20
    assert held.rows(
        "select approved_by from tailrace.evaluations where approved_by is not null"
    ) == [("me",)]


def test_a_newer_evaluation_supersedes_a_held_one(held: World) -> None:
    evaluation = point(held, set())
    assert point(held, MEMBERS).status == "committed"
    with pytest.raises(ConfigError, match="superseded"):
        let_through(held, evaluation, 20)
    assert held.run("lapsed_identify").status == "nothing"


def test_an_unknown_id_lists_what_is_held(held: World) -> None:
    evaluation = point(held, set())
    with held.connect() as warehouse, pytest.raises(ConfigError) as refused:
        approve(warehouse, "e-1", expect_exits=None, by="me", now=held.clock.now())
    assert refused.value.accepted == (evaluation.evaluation_id,)


def test_live_evaluations_go_forward(held: World) -> None:
    at = held.clock.now() - timedelta(days=2)
    held.users({}, at)
    held.members("lapsed", MEMBERS, at)
    evaluation = held.evaluate("lapsed")
    assert evaluation.status == "failed"
    assert "backfill" in evaluation.reasons[0]


def test_relations_of_different_instants_are_refused(held: World) -> None:
    held.members("lapsed", MEMBERS, held.step())
    evaluation = held.evaluate("lapsed")
    assert evaluation.status == "failed"
    assert "different instants" in evaluation.reasons[0]


def test_a_sync_refuses_models_that_were_not_built(held: World) -> None:
    with held.connect() as warehouse:
        warehouse.execute("delete from tailrace.builds")
    with pytest.raises(DataError, match="has not been built"):
        held.run("lapsed_identify")


def test_an_approval_of_exits_does_not_excuse_a_loss_of_users(world: World) -> None:
    world.audience("lapsed")
    members = [f"m{n}" for n in range(100)]
    for users, inside, status in ((100, 100, "committed"), (90, 60, "held"), (79, 59, "held")):
        at = world.step()
        world.users({f"u{n}": {} for n in range(users)}, at)
        world.members("lapsed", set(members[:inside]), at)
        evaluation = world.evaluate("lapsed")
        assert evaluation.status == status
        if users == 90:
            let_through(world, evaluation, 40)
    assert "21% fewer than the 100" in evaluation.reasons[0]
