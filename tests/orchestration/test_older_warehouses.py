"""A warehouse made by an earlier version goes on where it was; a backup of one is refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from destinations.errors import ConfigError
from orchestration.warehouse.schema import create_tables
from tests.support.world import World

pytestmark = pytest.mark.slow

KNOWN = """
select dest_key, op, version_issued, version_acked, op_id, row_hash, occurred_at, issued_op_id
from tailrace.acked order by dest_key
"""
BEFORE = (
    "create table tailrace.was as select * exclude (issued_plan, issued_seq) from tailrace.acked",
    "drop view tailrace.acked",
    "drop table tailrace.issued",
    "alter table tailrace.was rename to acked",
    "delete from tailrace.destination_state where name = 'schema'",
)


@pytest.fixture
def world(world: World) -> World:
    world.sync("traits", sends="traits", fields={"score": "score"})
    for score in (1.0, 2.0):
        world.users({"a": {"score": score}, "b": {"score": 0.0}}, world.step())
        world.run("traits")
    return world


def put_back(world: World) -> None:
    with world.connect() as warehouse:
        for statement in BEFORE:
            warehouse.execute(statement)
        create_tables(warehouse)


def test_what_was_known_is_known(world: World) -> None:
    known = world.rows(KNOWN)
    assert [(row[2], row[3]) for row in known] == [(2, 2), (1, 1)]
    put_back(world)
    assert world.rows(KNOWN) == known
    assert world.run("traits").status == "nothing"
    world.users({"a": {"score": 3.0}, "b": {"score": 0.0}}, world.step())
    assert world.run("traits").delivered == 1


def test_a_plan_of_before_is_acknowledged(world: World) -> None:
    world.users({"a": {"score": 3.0}, "b": {"score": 0.0}}, world.step())
    world.store("traits")
    put_back(world)
    assert [(row[2], row[3]) for row in world.rows(KNOWN)] == [(3, 2), (1, 1)]
    assert world.run("traits").delivered == 1
    (first, _) = world.rows(KNOWN)
    assert first[2:4] == (3, 3)
    assert first[4] == first[7], "what was acknowledged is what was issued"
    assert world.run("traits").status == "nothing"


def test_what_differs_from_what_was_issued_stays_so(world: World) -> None:
    """Rows acknowledged by other values than they were issued with are those values."""
    with world.connect() as warehouse:
        for statement in BEFORE:
            warehouse.execute(statement)
        warehouse.execute("update tailrace.acked set issued_row_hash = 'x' where op_id is not null")
    before = world.rows(KNOWN)
    with world.connect() as warehouse:
        create_tables(warehouse)
    assert world.rows(KNOWN) == before


def forget_last_plan(world: World) -> None:
    """What a backup of the warehouse does not have; the journal beside it is the newest."""
    with world.connect() as warehouse:
        last = "(select max(plan_id) from tailrace.plans)"
        for table in ("plan_ops", "receipts", "plans"):
            warehouse.execute(f"delete from tailrace.{table} where plan_id = {last}")
        warehouse.execute("update tailrace.issued set version_issued = 1, version_acked = 1")


@pytest.mark.parametrize("exported", [0, 1])
def test_a_backup_of_the_warehouse_is_refused(world: World, exported: int) -> None:
    """Also where the run after it was killed before the warehouse was told anything."""
    forget_last_plan(world)
    with closing(sqlite3.connect(world.folder / "state" / "iterable.sqlite")) as con, con:
        con.execute("update claims set exported = ?", [exported])
    sent = len(world.calls())
    with pytest.raises(ConfigError, match="the warehouse is an older copy") as refused:
        world.run("traits")
    assert "--new-journal" in refused.value.message
    assert len(world.calls()) == sent
    assert world.run("traits", new_journal=True).status in ("done", "nothing")
    assert world.run("traits").status == "nothing"


def test_what_the_warehouse_was_not_told_yet_is_no_alarm(world: World) -> None:
    """A crash before the fold leaves the journal ahead, and the plan is there."""
    world.users({"a": {"score": 9.0}, "b": {"score": 0.0}}, world.step())
    world.store("traits")
    world.run("traits")
    with closing(sqlite3.connect(world.folder / "state" / "iterable.sqlite")) as con, con:
        con.execute("update claims set exported = 0")
    assert world.run("traits").status == "nothing"
