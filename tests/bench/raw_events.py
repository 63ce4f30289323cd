"""A warehouse with tens of millions of raw events, for `tests/bench/traits.py`."""

from __future__ import annotations

from pathlib import Path

from data.generate import generate
from destinations.clock import SystemClock
from orchestration.warehouse import Warehouse
from orchestration.warehouse.duckdb import open_duckdb
from orchestration.warehouse.raw import create_raw
from orchestration.warehouse.schema import create_tables

UNIT = 5_000_000
"""So many events are invented; more are the same once more, of other users."""
KEYS = ("id", "message_id", "user_id", "anonymous_id", "email")


def make_warehouse(path: Path, folder: Path, events: int) -> None:
    """Fill the raw tables of a new warehouse with about so many events."""
    made = min(events, UNIT)
    source = folder / f"events-{made}"
    if not (source / "pages.parquet").exists():
        generate(source, events=made, seed=7)
    with open_duckdb(path, clock=SystemClock()) as warehouse:
        create_raw(warehouse)
        create_tables(warehouse)
        for copy in range(-(-events // made)):
            for table in ("tracks", "identifies", "pages"):
                _append(warehouse, table, source / f"{table}.parquet", copy)


def _append(warehouse: Warehouse, table: str, file: Path, copy: int) -> None:
    there = warehouse.rows(f"select column_name from (describe select * from '{file}')")
    renamed = ", ".join(
        f"{column} || '-{copy}' as {column}" for (column,) in there if column in KEYS
    )
    warehouse.execute(f"insert into raw.{table} by name select * replace ({renamed}) from '{file}'")
