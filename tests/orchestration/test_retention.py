"""Payloads of plans that are over are dropped after a week; what is open keeps them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from orchestration.retention import drop_old_payloads
from tests.support.world import World


@pytest.fixture
def sent(world: World) -> World:
    world.sync("traits", sends="traits", fields={"points": "score"})
    world.users({"a": {}, "b": {}}, world.step(1))
    assert world.run("traits").status == "done"
    return world


def drop(world: World, days: float = 0.0) -> int:
    with world.connect() as warehouse:
        return drop_old_payloads(warehouse, world.clock.now() + timedelta(days=days))


def payloads(world: World) -> list[tuple[object, ...]]:
    return world.rows(
        "select count(*), count(payload), count(user_id), count(dest_key) from tailrace.plan_ops"
    )


def test_after_a_week_and_not_before(sent: World) -> None:
    assert drop(sent, days=6.9) == 0
    assert payloads(sent) == [(2, 2, 2, 2)]
    outcomes = sent.rows("select * from tailrace.op_outcomes order by all")
    assert drop(sent, days=7.1) == 1
    assert payloads(sent) == [(2, 0, 2, 2)]
    assert sent.rows("select * from tailrace.op_outcomes order by all") == outcomes
    assert drop(sent, days=8) == 0, "once per plan"


@pytest.mark.parametrize("status", ["held", "ready", "delivering"])
def test_what_is_held_or_open_keeps_them_until_it_is_over(sent: World, status: str) -> None:
    with sent.connect() as warehouse:
        warehouse.execute("update tailrace.plans set status = ?", [status])
    assert drop(sent, days=30) == 0
    assert payloads(sent) == [(2, 2, 2, 2)]
    with sent.connect() as warehouse:
        warehouse.execute("update tailrace.plans set status = 'superseded'")
    assert drop(sent, days=30) == 1
    assert payloads(sent) == [(2, 0, 2, 2)]


def test_other_plans_are_left_alone(sent: World) -> None:
    sent.step(24 * 8)
    sent.users({"a": {"score": 2.0}, "b": {}}, sent.clock.now())
    sent.store("traits")
    assert drop(sent) == 1
    assert payloads(sent) == [(3, 1, 3, 3)]
    assert sent.run("traits").delivered == 1


def test_nothing_depends_on_a_dropped_payload(sent: World) -> None:
    drop(sent, days=8)
    sent.users({"a": {"score": 2.0}, "b": {}}, sent.step(24))
    assert sent.run("traits").delivered == 1
    assert sent.plan("traits").verdict == "empty"
