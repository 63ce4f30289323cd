"""A fault of DuckDB 2.0.0 that our settings must keep away."""

from __future__ import annotations

from pathlib import Path

from orchestration.warehouse.duckdb import open_duckdb
from tests.support.world import TestClock


def test_a_large_insert_after_an_empty_one_keeps_its_rows(tmp_path: Path) -> None:
    with open_duckdb(tmp_path / "w.duckdb", clock=TestClock()) as warehouse:
        warehouse.execute("create table source as select i as x from range(300000) as r(i)")
        warehouse.execute("create table target (x bigint)")
        with warehouse.transaction():
            warehouse.execute("insert into target select x from source where x < 0")
            warehouse.execute("insert into target select x from source")
        assert warehouse.rows("select count(x), max(x) from target") == [(300000, 299999)]
