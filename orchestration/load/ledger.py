"""Who loaded what: the sample and somebody's own events never mix by accident."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from destinations.errors import ConfigError, DataError
from orchestration.load.report import FileLoad
from orchestration.sql.names import naive_utc
from orchestration.warehouse import Warehouse
from orchestration.warehouse.raw import RAW_TABLES, create_raw, raw_counts
from orchestration.warehouse.schema import start_again

Origin = Literal["sample", "own"]

LEDGER = """
create table if not exists raw._loads (source varchar, file varchar, table_name varchar,
    "rows" bigint, end_at timestamp, loaded_at timestamp)
"""
"""`file` is a name without its folder; `end_at` is where the sample's last event was put."""

WAYS = (
    "load the sample with `tailrace load --sample`, or your own events with "
    "`tailrace load FILE --user COL --event COL --time COL`"
)


def prepare(warehouse: Warehouse, origin: Origin, *, replace: bool) -> None:
    """Make the raw tables ready for rows of this origin, in the open transaction.

    With `replace`, what they hold is dropped together with the schemas `analytics` and
    `tailrace`, whose models, history and plans were computed from it.

    Raises:
        ConfigError: they hold rows of the other origin and `replace` is not said.
    """
    create_raw(warehouse)
    warehouse.execute(LEDGER)
    if replace:
        for table in (*RAW_TABLES, "_loads"):
            warehouse.execute(f"delete from raw.{table}")
        start_again(warehouse)
        return
    there = _origin_there(warehouse)
    if there is not None and there != origin:
        holds, wanted = ("the sample", "your own events")
        if there == "own":
            holds, wanted = ("your own events", "the sample")
        raise ConfigError(
            f"the raw tables hold {holds}; {wanted} would mix with them. Add --replace to drop "
            "what is there, with the audiences and the history computed from it",
            key="--replace",
        )


def sample_end(warehouse: Warehouse) -> datetime | None:
    """Return where the loaded sample's last event was put (naive UTC), None without a sample."""
    [(end,)] = warehouse.rows("select max(end_at) from raw._loads where source = 'sample'")
    return end if isinstance(end, datetime) else None


def record(
    warehouse: Warehouse,
    origin: Origin,
    loads: Sequence[FileLoad],
    *,
    now: datetime,
    end: datetime | None = None,
) -> None:
    """Write down what was loaded, in the open transaction."""
    end_at = None if end is None else naive_utc(end)
    for load in loads:
        name = load.file.rsplit("/", 1)[-1]
        warehouse.execute(
            "insert into raw._loads values (?, ?, ?, ?, ?, ?)",
            [origin, name, load.table, load.loaded, end_at, naive_utc(now)],
        )


def require_events(warehouse: Warehouse) -> None:
    """Say so when there is nothing to work with.

    Raises:
        DataError: raw.tracks and raw.identifies are empty or missing; names both ways to load.
    """
    counts = raw_counts(warehouse)
    if counts["tracks"] + counts["identifies"] == 0:
        raise DataError(f"there are no events yet: {WAYS}")


def _origin_there(warehouse: Warehouse) -> Origin | None:
    said = warehouse.rows("select distinct source from raw._loads")
    if said:
        return "sample" if said[0][0] == "sample" else "own"
    # rows that something else wrote (a pipeline ...) are the owner's
    return "own" if sum(raw_counts(warehouse).values()) else None
