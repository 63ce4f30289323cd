"""What receipts say of each op, beside the plain way of looking at them one by one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.warehouse.duckdb import DuckDBWarehouse, open_duckdb
from orchestration.warehouse.schema import create_tables, told
from tests.conftest import FakeClock

OPS = 12


class Receipt(NamedTuple):
    seq_from: int
    seq_to: int
    attempt: int
    outcome: str


claims = st.lists(
    st.tuples(
        st.integers(1, OPS),
        st.integers(1, 5),
        st.sampled_from(["delivered", "delivered", "retry", "split"]),
        st.sets(st.integers(0, 4), max_size=2),
    ),
    max_size=8,
)


def receipts_of(made: Sequence[tuple[int, int, str, set[int]]]) -> list[Receipt]:
    """As the journal and the fold make them: an attempt is above all before of the same rows."""
    found: dict[tuple[int, int, int], str] = {}
    for first, length, outcome, failed in made:
        last = min(OPS, first + length - 1)
        over = [a for (begin, end, a) in found if end >= first and begin <= last]
        attempt = max(over, default=0) + 1
        found[first, last, attempt] = outcome
        for place in failed if outcome == "delivered" else ():
            if first + place <= last:
                found[first + place, first + place, attempt] = "rejected"
    return [Receipt(*key, outcome) for key, outcome in found.items()]


def one_by_one(receipts: Sequence[Receipt]) -> Mapping[int, tuple[str, int]]:
    outcomes: dict[int, tuple[str, int]] = {}
    for seq in range(1, OPS + 1):
        over = [r for r in receipts if r.seq_from <= seq <= r.seq_to]
        if over:
            last = max(over, key=lambda r: (r.attempt, r.seq_from - r.seq_to))
            outcomes[seq] = (last.outcome, last.attempt)
    return outcomes


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBWarehouse]:
    path = tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb"
    with open_duckdb(path, clock=FakeClock()) as opened:
        create_tables(opened)
        yield opened


@settings(deadline=None)
@given(st.tuples(claims, claims))
def test_each_op_has_the_outcome_of_its_last_and_narrowest_receipt(
    warehouse: DuckDBWarehouse,
    plans: tuple[list[tuple[int, int, str, set[int]]], list[tuple[int, int, str, set[int]]]],
) -> None:
    warehouse.execute("delete from tailrace.receipts")
    expected = {}
    for plan, made in zip(("p1", "p2"), plans, strict=True):
        receipts = receipts_of(made)
        for receipt in receipts:
            warehouse.execute(
                "insert into tailrace.receipts values (?, ?, ?, ?, ?, 200, null)",
                [plan, receipt.seq_from, receipt.seq_to, receipt.attempt, receipt.outcome],
            )
        for seq, (outcome, attempt) in one_by_one(receipts).items():
            expected[plan, seq] = (outcome, attempt)
    found = warehouse.rows(f"select plan_id, seq, outcome, attempt from ({told()})")
    assert len(found) == len(expected)
    assert {(plan, seq): (outcome, attempt) for plan, seq, outcome, attempt in found} == expected
