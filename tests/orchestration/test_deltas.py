"""Intervals are a function of the evaluated points, and stored deltas replay to the members."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.deltas import apply_deltas, delta_hash, store_deltas, store_suppressed
from orchestration.history import members_at
from orchestration.sql.names import naive_utc
from orchestration.warehouse.duckdb import DuckDBWarehouse, open_duckdb
from orchestration.warehouse.schema import create_tables
from tests.conftest import FakeClock

T0 = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
USERS = ["ada", "bob", 'it\'s "cy"', "dee:exited,3", "日本"]
numbers = count()

Stay = tuple[str, datetime, datetime | None]
point = st.tuples(
    st.integers(0, 2),  # hours since the point before
    st.frozensets(st.sampled_from(USERS)),
    st.sampled_from(["committed", "committed", "committed", "held"]),
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBWarehouse]:
    path: Path = tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb"
    with open_duckdb(path, clock=FakeClock()) as opened:
        create_tables(opened)
        yield opened


def evaluate(
    warehouse: DuckDBWarehouse,
    audience: str,
    members: frozenset[str],
    as_of: datetime,
    status: str = "committed",
) -> tuple[str, int, int, str]:
    evaluation = f"e-{next(numbers):06}"
    warehouse.execute("create or replace temp table members (user_id varchar)")
    warehouse.append("members", pa.table({"user_id": pa.array(sorted(members), pa.string())}))
    with warehouse.transaction():
        diff = store_deltas(warehouse, evaluation, audience, "members", as_of)
        if status == "committed":
            apply_deltas(warehouse, evaluation, audience, as_of)
    assert (diff.candidates, diff.members) == (len(members), len(members))
    assert (diff.nameless, diff.repeated) == (0, 0)
    return evaluation, diff.entered, diff.exited, diff.digest


def stays(warehouse: DuckDBWarehouse, audience: str) -> list[Stay]:
    return warehouse.rows(
        "select user_id, entered_at, exited_at from tailrace.membership_intervals "
        "where audience = ? order by all",
        [audience],
    )


def derived(points: dict[datetime, frozenset[str]]) -> list[Stay]:
    """A stay is a maximal run of consecutive points at which the user is in."""
    found: list[Stay] = []
    for user in USERS:
        entered = None
        for as_of, members in sorted(points.items()):
            if user in members and entered is None:
                entered = as_of
            elif user not in members and entered is not None:
                found.append((user, naive_utc(entered), naive_utc(as_of)))
                entered = None
        if entered is not None:
            found.append((user, naive_utc(entered), None))
    return found


@settings(max_examples=60)
@given(st.lists(point, min_size=1, max_size=10))
@pytest.mark.slow
def test_intervals_follow_from_the_points_alone(
    shared: DuckDBWarehouse, steps: list[tuple[int, frozenset[str], str]]
) -> None:
    audience = f"a_{next(numbers)}"
    neighbour = f"{audience}_b"
    evaluate(shared, neighbour, frozenset(USERS), T0)
    points: dict[datetime, frozenset[str]] = {}
    evaluations, committed, as_of = [], [], T0
    for hours, members, status in steps:
        as_of += timedelta(hours=hours)
        before = points[max(points)] if points else frozenset()
        made, entered, exited, _ = evaluate(shared, audience, members, as_of, status)
        assert (entered, exited) == (len(members - before), len(before - members))
        if status == "committed":
            points[as_of] = members  # the last answer for an as_of is the one that counts
            evaluations.append(made)
            committed.append(as_of)
    expected = sorted(derived(points), key=lambda stay: (stay[0], stay[1]))
    found = sorted(stays(shared, audience), key=lambda stay: (stay[0], stay[1]))
    assert found == expected
    for n, as_of in enumerate(committed):
        if as_of not in committed[n + 1 :]:
            assert replayed(shared, evaluations[: n + 1]) == points[as_of]
            assert frozenset(members_at(shared, audience, as_of)) == points[as_of]
    assert len(stays(shared, neighbour)) == len(USERS), "another audience is left alone"


def replayed(warehouse: DuckDBWarehouse, evaluations: list[str]) -> frozenset[str]:
    members: set[str] = set()
    for evaluation in evaluations:
        for user, change in warehouse.rows(
            "select user_id, change from tailrace.deltas where evaluation_id = ? "
            "and change in ('entered', 'exited')",
            [evaluation],
        ):
            assert (change == "entered") is (user not in members)
            (members.add if change == "entered" else members.remove)(user)
    return frozenset(members)


def test_the_hash_is_of_the_changes_and_nothing_else(shared: DuckDBWarehouse) -> None:
    ada_bob, cy = frozenset(USERS[:2]), frozenset(USERS[2:3])
    *_, first = evaluate(shared, "hash_a", ada_bob, T0)
    *_, other_audience = evaluate(shared, "hash_b", ada_bob, T0 + timedelta(hours=1), "held")
    *_, again = evaluate(shared, "hash_b", ada_bob, T0 + timedelta(hours=2))
    *_, fewer = evaluate(shared, "hash_c", USERS[:1] and frozenset(USERS[:1]), T0)
    *_, others = evaluate(shared, "hash_d", cy, T0)
    *_, left = evaluate(shared, "hash_a", frozenset(), T0 + timedelta(hours=1))
    *_, nothing = evaluate(shared, "hash_e", frozenset(), T0)
    assert first == other_audience == again
    assert len({first, fewer, others, left, nothing}) == 5


def test_numbers_as_user_ids_are_text(shared: DuckDBWarehouse) -> None:
    shared.execute("create or replace temp table members as select 7 as user_id")
    for hour, expected in [(0, (1, 0)), (1, (0, 0))]:
        with shared.transaction():
            as_of = T0 + timedelta(hours=hour)
            diff = store_deltas(shared, f"n-{hour}", "numbers", "members", as_of)
            apply_deltas(shared, f"n-{hour}", "numbers", as_of)
        assert (diff.entered, diff.exited) == expected
    assert stays(shared, "numbers") == [("7", naive_utc(T0), None)]


rows = st.lists(st.sampled_from([*USERS, *USERS[:2], None, "", "  "]), max_size=8)


@settings(max_examples=80)
@given(st.frozensets(st.sampled_from(USERS)), rows)
def test_names_missing_or_repeated_are_counted_by_the_diff_itself(
    shared: DuckDBWarehouse, before: frozenset[str], found: list[str | None]
) -> None:
    audience = f"k_{next(numbers)}"
    evaluate(shared, audience, before, T0)
    shared.execute("create or replace temp table members (user_id varchar)")
    shared.append("members", pa.table({"user_id": pa.array(found, pa.string())}))
    shared.execute("begin")
    later = T0 + timedelta(hours=1)
    diff = store_deltas(shared, f"k-{audience}", audience, "members", later)
    shared.execute("rollback")
    named = [name for name in found if name and name.strip()]
    assert (diff.candidates, diff.nameless) == (len(found), len(found) - len(named))
    assert diff.repeated == len(named) - len(set(named))


def test_who_is_kept_out_leaves_and_is_written_down(shared: DuckDBWarehouse) -> None:
    evaluate(shared, "kept", frozenset(USERS[:3]), T0)
    later, values = T0 + timedelta(hours=1), (shared, "k-1", "kept", "members")
    shared.execute("create or replace temp table members (user_id varchar)")
    shared.append("members", pa.table({"user_id": pa.array([*USERS[1:4], None], pa.string())}))
    with shared.transaction():
        condition = "user_id in ('bob', 'dee:exited,3')"
        diff = store_deltas(*values, later, kept_out=condition)
        store_suppressed(*values, later, condition)
    assert (diff.candidates, diff.members, diff.nameless) == (4, 2, 1)
    assert shared.rows(
        "select user_id, change from tailrace.deltas where evaluation_id = 'k-1' order by all"
    ) == [
        ("ada", "exited"),
        ("bob", "exited"),
        ("bob", "suppressed"),
        ("dee:exited,3", "suppressed"),
        (None, "entered"),
    ]
    shared.execute("delete from tailrace.deltas where change = 'suppressed'")
    assert diff.digest == delta_hash(shared, "k-1"), "the hash is of what takes effect"
