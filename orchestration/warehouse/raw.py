"""The raw tables, in the shape in which Segment writes them to a warehouse.

Source: Segment's "Warehouse schemas" documentation, with custom traits and properties kept as
one JSON column so that a new property needs no new column.
"""

from __future__ import annotations

from collections.abc import Mapping

from orchestration.sql.names import ident
from orchestration.warehouse import Warehouse

_WHO = {"id": "varchar", "message_id": "varchar", "user_id": "varchar", "anonymous_id": "varchar"}
_WHEN = {"timestamp": "timestamp", "received_at": "timestamp", "context": "json"}

RAW_TABLES: Mapping[str, Mapping[str, str]] = {
    "tracks": {**_WHO, "event": "varchar", "properties": "json", **_WHEN},
    "identifies": {
        **_WHO,
        "email": "varchar",
        "phone": "varchar",
        "country": "varchar",
        "region": "varchar",
        "time_zone": "varchar",
        "plan": "varchar",
        "signup_at": "timestamp",
        **_WHEN,
    },
    "pages": {
        **_WHO,
        "name": "varchar",
        "path": "varchar",
        "url": "varchar",
        "title": "varchar",
        "referrer": "varchar",
        "properties": "json",
        **_WHEN,
    },
    "aliases": {
        "id": "varchar",
        "message_id": "varchar",
        "user_id": "varchar",
        "previous_id": "varchar",
        **_WHEN,
    },
}
"""Columns and types of `raw.<table>`; every `timestamp` holds UTC."""


def columns_sql(table: str) -> str:
    """Return the columns of a raw table as DDL."""
    return ", ".join(f"{ident(name)} {kind}" for name, kind in RAW_TABLES[table].items())


def create_raw(warehouse: Warehouse) -> None:
    """Create schema `raw` and its tables where they are missing; empty is fine for dbt."""
    warehouse.execute("create schema if not exists raw")
    for table in RAW_TABLES:
        warehouse.execute(f"create table if not exists raw.{table} ({columns_sql(table)})")


def has_table(warehouse: Warehouse, schema: str, table: str) -> bool:
    """Return whether the warehouse has that table."""
    found = warehouse.rows(
        "select 1 from information_schema.tables where table_schema = ? and table_name = ?",
        [schema, table],
    )
    return bool(found)


def raw_counts(warehouse: Warehouse) -> dict[str, int]:
    """Return the rows of each raw table; a missing table counts 0."""
    return {
        table: int(warehouse.rows(f"select count(*) from raw.{table}")[0][0])
        if has_table(warehouse, "raw", table)
        else 0
        for table in RAW_TABLES
    }
