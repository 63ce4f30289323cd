"""What is copied while a plan is on its way, and what of that `acked` knows, and when."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from destinations.base import Outcome, Status
from destinations.delivery.journal import Journal
from orchestration import plan_store
from orchestration.acks import copy, fold
from orchestration.delivering import account_journal
from orchestration.plan_store import supersede_open
from orchestration.sync_runs import settled
from tests.support.world import T0, World, make_world

ACKED = """
select dest_key, op, version_acked, op_id = issued_op_id, row_hash = issued_row_hash
from tailrace.acked order by dest_key
"""
OUTCOMES = "select seq, outcome, attempt from tailrace.op_outcomes order by seq"


@pytest.fixture(params=[1, 3, plan_store.SLICE_ROWS])
def world(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    """A plan of four is acknowledged as a whole, or by slices as one of millions is."""
    monkeypatch.setattr(plan_store, "SLICE_ROWS", request.param)
    with make_world(tmp_path) as made:
        made.sync("traits", sends="traits", fields={"score": "score"})
        made.users({f"u{n}": {"score": float(n)} for n in range(1, 5)}, T0)
        yield made


@contextmanager
def stored(world: World) -> Iterator[tuple[Journal, str, Any]]:
    """Store a plan of four ops; yields the journal, the plan and an open warehouse."""
    plan = world.store("traits")
    engine, sync = world.engine(), world.syncs["traits"]
    with (
        world.connect() as warehouse,
        closing(account_journal(engine, warehouse, sync, engine.destination(sync))) as journal,
    ):
        assert plan.plan_id
        yield journal, plan.plan_id, warehouse


def sent(journal: Journal, plan_id: str, first: int, last: int, **refused: Status) -> None:
    claim = journal.claim(plan_id, first, last, "identify", "")
    exceptions = {int(seq[1:]): Outcome(status, "code") for seq, status in refused.items()}
    journal.settle(claim, "delivered", 200, exceptions)


def test_copies_are_acknowledged_by_the_next_fold_even_without_news(world: World) -> None:
    with stored(world) as (journal, plan_id, warehouse):
        sent(journal, plan_id, 1, 2)
        copy(warehouse, journal)
        assert settled(warehouse, plan_id) == {"delivered": 2, "rejected": 0, "later": 0}
        assert [row[2] for row in world.rows(ACKED)] == [0, 0, 0, 0]
        fold(warehouse, journal)
        told = [(key, "update", 1, True, True) for key in ("u1@example.com", "u2@example.com")]
        assert world.rows(ACKED)[:2] == told
        assert [row[2] for row in world.rows(ACKED)] == [1, 1, 0, 0]
        assert not world.rows("select * from tailrace.destination_state where name like 'behind/%'")


def test_a_plan_that_was_superseded_since_is_acknowledged_all_the_same(world: World) -> None:
    with stored(world) as (journal, plan_id, warehouse):
        sent(journal, plan_id, 1, 4)
        copy(warehouse, journal)
        with warehouse.transaction():
            supersede_open(warehouse, "traits")
        fold(warehouse, journal)
        assert [row[2] for row in world.rows(ACKED)] == [1, 1, 1, 1]


def test_copies_and_folds_repeated_change_nothing(world: World) -> None:
    with stored(world) as (journal, plan_id, warehouse):
        sent(journal, plan_id, 1, 4, s2=Status.REJECTED, s3=Status.LATER)
        for bring in (copy, copy, fold, fold, copy, fold):
            bring(warehouse, journal)
            journal._con.execute("update claims set exported = 0")
            journal._con.execute("update exceptions set exported = 0")
        assert world.rows(OUTCOMES) == [
            (1, "delivered", 1), (2, "rejected", 1), (3, "later", 1), (4, "delivered", 1),
        ]  # fmt: skip
        assert [row[2] for row in world.rows(ACKED)] == [1, 0, 0, 1]
        assert world.rows("select count(*) from tailrace.receipts") == [(3,)]
        assert world.rows("select count(*) from tailrace.rejects") == [(2,)]


def test_the_latest_attempt_counts_and_of_it_the_narrowest_range(world: World) -> None:
    with stored(world) as (journal, plan_id, warehouse):
        claim = journal.claim(plan_id, 1, 4, "identify", "")
        journal.settle(claim, "split", 400)
        sent(journal, plan_id, 1, 2)
        sent(journal, plan_id, 3, 4, s4=Status.LATER)
        sent(journal, plan_id, 4, 4)
        copy(warehouse, journal)
        assert world.rows(OUTCOMES) == [
            (1, "delivered", 2), (2, "delivered", 2), (3, "delivered", 2), (4, "delivered", 3),
        ]  # fmt: skip


def test_somebody_who_changed_hands_since_the_plan_is_acknowledged_whole(world: World) -> None:
    """What was delivered is not what stands in the row: the op's own values are taken."""
    with stored(world) as (journal, plan_id, warehouse):
        warehouse.execute("update tailrace.issued set user_id = 'other', issued_plan = 'later'")
        sent(journal, plan_id, 1, 4)
        fold(warehouse, journal)
        found = world.rows("select user_id, version_acked from tailrace.acked order by user_id")
        assert found == [("u1", 1), ("u2", 1), ("u3", 1), ("u4", 1)]
