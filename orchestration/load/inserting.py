"""Rows into a raw table, those only whose id is not there yet."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

from destinations.errors import DataError
from orchestration.sql.names import ident
from orchestration.warehouse import Warehouse
from orchestration.warehouse.raw import RAW_TABLES, columns_sql

BATCH_ROWS = 100_000
_STAGED = "tailrace_staged"


class Inserted(NamedTuple):
    """How many rows are `new`, and how many of the others say `otherwise` than those there."""

    new: int
    otherwise: int


def insert_new(
    warehouse: Warehouse, table: str, rows: pa.RecordBatchReader, *, expected: int
) -> Inserted:
    """Insert rows whose id is new, in the open transaction; return how many they are.

    Of rows that share an id within `rows`, the one received first is kept.

    Args:
        warehouse: in a transaction.
        table: raw table.
        rows: with its columns.
        expected: how many `rows` gives; a warehouse that lost some on the way is found out.

    Raises:
        DataError: the warehouse does not hold what it was given.
    """
    # Not `create table as ... limit 0`: in one transaction of DuckDB 2.0.0 an insert of no rows
    # followed by one of more than 122,880 into the same table loses the latter. That is also why
    # nothing is inserted below when nothing is new, and why columns are counted, not rows.
    warehouse.execute(f"create temporary table {_STAGED} ({columns_sql(table)})")
    warehouse.append(_STAGED, rows)
    [(staged, ids)] = warehouse.rows(f"select count(id), count(distinct id) from {_STAGED}")
    _same(staged, expected, table)
    chosen = _STAGED
    if ids < staged:
        ordered = f'select distinct on (id) * from {_STAGED} order by id, received_at, "timestamp"'
        chosen = f"({ordered})"
    known = f"exists (select 1 from raw.{table} as r where r.id = s.id)"
    [(new,)] = warehouse.rows(f"select count(id) from {chosen} as s where not {known}")
    otherwise = _otherwise(warehouse, table, chosen) if new < ids else 0
    if new:
        _insert(warehouse, table, f"{chosen} as s" + (f" where not {known}" if new < ids else ""))
        _same(_matching(warehouse, table), ids, table)
    warehouse.execute(f"drop table {_STAGED}")
    return Inserted(int(new), otherwise)


def _otherwise(warehouse: Warehouse, table: str, chosen: str) -> int:
    """Count rows that are there with another user, event, time or property."""
    said = [name for name in RAW_TABLES[table] if name != "received_at"]
    row = {of: ", ".join(f"{of}.{ident(name)}" for name in said) for of in ("r", "s")}
    [(found,)] = warehouse.rows(
        f"select count(distinct s.id) from {chosen} as s "
        f"inner join raw.{table} as r on r.id = s.id "
        f"where row({row['s']}) is distinct from row({row['r']})"
    )
    return int(found)


def _insert(warehouse: Warehouse, table: str, chosen: str) -> None:
    columns = ", ".join(ident(column) for column in RAW_TABLES[table])
    picked = ", ".join(f"s.{ident(column)}" for column in RAW_TABLES[table])
    warehouse.execute(f"insert into raw.{table} ({columns}) select {picked} from {chosen}")


def _matching(warehouse: Warehouse, table: str) -> int:
    sql = f"select count(distinct id) from raw.{table} where id in (select id from {_STAGED})"
    return int(warehouse.rows(sql)[0][0])


def _same(found: int, expected: int, table: str) -> None:
    if found != expected:
        raise DataError(
            f"the warehouse holds {found} of the {expected} rows given to raw.{table}; nothing "
            "was loaded. This is a fault of the warehouse or of tailrace, not of the file"
        )
