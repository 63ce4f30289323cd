"""The same traits and audiences as somebody would write them by hand: `by_hand/*.sql`.

The traits are one statement over the raw rows, in four files; the audiences are a statement each
over the traits. It is what dbt's build is measured beside, and must answer the same to the last bit.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from orchestration.warehouse.duckdb import SETTINGS

STATEMENTS = Path(__file__).with_name("by_hand")
MEMORY = os.environ.get("TAILRACE_MEMORY_LIMIT", "6GB")
"""As in dbt_project/profiles.yml; there, as here, DuckDB takes a thread for each core."""


def copy_raw(source: Path, target: Path) -> None:
    """Make a database that has the raw rows of `source`, and nothing else."""
    with closing(duckdb.connect(str(target))) as connection:
        connection.execute(f"{SETTINGS}; attach '{source}' as source (read_only)")
        connection.execute("create schema raw")
        for table in ("tracks", "identifies"):
            connection.execute(f"create table raw.{table} as from source.raw.{table}")


def build_by_hand(warehouse: str, as_of: datetime) -> dict[str, Any]:
    """Make the tables in the schema by_hand; returns the seconds of the traits and of them all."""
    started = time.perf_counter()
    with closing(duckdb.connect(warehouse)) as connection:
        connection.execute(f"{SETTINGS}; set memory_limit = '{MEMORY}'")
        connection.execute("drop schema if exists by_hand cascade; create schema by_hand")
        connection.execute(f"set variable as_of = timestamp '{as_of:%Y-%m-%d %H:%M:%S}'")
        connection.execute(_sql("traits_*.sql"))
        traits = time.perf_counter() - started
        connection.execute(_sql("audiences.sql"))
    return {"seconds": time.perf_counter() - started, "traits": traits}


def _sql(pattern: str) -> str:
    files = sorted(STATEMENTS.glob(pattern))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def differences(built: Path, by_hand: Path) -> dict[str, int]:
    """Compare all that was made by hand with dbt's table of the same name, row by row.

    Returns by `table.column` in how many rows they differ, where they do. A user whom one of the
    two does not have differs in user_id.
    """
    with closing(duckdb.connect(str(built), read_only=True)) as connection:
        connection.execute(f"attach '{by_hand}' as other (read_only)")
        tables = connection.execute(
            "select table_name from duckdb_tables() "
            "where database_name = 'other' and schema_name = 'by_hand' order by 1"
        ).fetchall()
        return {
            f"{table}.{column}": rows
            for (table,) in tables
            for column, rows in _differing(connection, table)
            if rows
        }


def _differing(connection: duckdb.DuckDBPyConnection, table: str) -> Iterator[tuple[str, int]]:
    """Yield each column that either of the two has, and in how many rows they differ."""
    columns = [
        set(connection.execute(f"select column_name from (describe {one})").fetchall())
        for one in (f"analytics.{table}", f"other.by_hand.{table}")
    ]
    for (name,) in columns[0] ^ columns[1]:
        yield f"{name} (of one only)", 1
    shared = sorted(name for (name,) in columns[0] & columns[1])
    differ = ", ".join(
        f"count(*) filter (ours.{name} is distinct from theirs.{name})" for name in shared
    )
    [rows] = connection.execute(
        f"select {differ} from analytics.{table} as ours "
        f"full join other.by_hand.{table} as theirs on ours.user_id = theirs.user_id"
    ).fetchall()
    yield from zip(shared, rows, strict=True)
