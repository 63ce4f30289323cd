"""Where nobody looked for longer than usual, who was in is unknown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from orchestration.history import unknown
from orchestration.sql.names import naive_utc
from orchestration.warehouse.duckdb import DuckDBWarehouse, open_duckdb
from orchestration.warehouse.schema import create_tables
from tests.conftest import FakeClock
from tests.support.world import T0


@pytest.fixture
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDBWarehouse]:
    with open_duckdb(tmp_path_factory.mktemp("w") / "w.duckdb", clock=FakeClock()) as opened:
        create_tables(opened)
        yield opened


def gaps(warehouse: DuckDBWarehouse, hours: list[float]) -> list[float]:
    """Evaluate at these hours; returns where the unknown gaps begin."""
    for n, hour in enumerate(hours):
        warehouse.execute(
            "insert into tailrace.evaluations (evaluation_id, audience, as_of, origin, status) "
            "values (?, 'lapsed', ?, 'live', 'committed')",
            [f"e{n}", naive_utc(T0 + timedelta(hours=hour))],
        )
    begin = [f"{T0 + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}" for hour in hours]
    return [hours[begin.index(str(gap["from"]))] for gap in unknown(warehouse, "lapsed")]


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        ([], []),
        ([0], []),
        ([0, 24, 48, 73, 96], []),  # a day of 25 hours
        ([0, 24, 72, 96], [24]),  # a day was left out
        ([0, 24 * 60], [0]),
        ([n * 168 + n % 3 for n in range(9)], []),  # every week, not quite on the hour
        ([*(n * 168 for n in range(8)), 9 * 168], [7 * 168]),  # a week was left out
        ([*range(24), 30], []),  # every hour, but for a few: still the same day
        ([*range(24), 24 + 40], [23]),
    ],
)
def test_gaps(warehouse: DuckDBWarehouse, hours: list[float], expected: list[float]) -> None:
    assert gaps(warehouse, hours) == expected
