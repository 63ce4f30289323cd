"""The committed sample, moved in time by one constant so that it ends when you want it to."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from destinations.clock import Clock, whole_second
from destinations.errors import ConfigError
from orchestration.load.inserting import BATCH_ROWS, insert_new
from orchestration.load.ledger import prepare, record, sample_end
from orchestration.load.report import FileLoad, LoadReport
from orchestration.sql.names import aware_utc, ident, instant, naive_utc, text
from orchestration.warehouse import Warehouse
from orchestration.warehouse.raw import RAW_TABLES

if TYPE_CHECKING:
    import duckdb

SAMPLE_TABLES = ("tracks", "identifies", "pages")
SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample"


def load_sample(
    warehouse: Warehouse,
    *,
    clock: Clock,
    end: datetime | None = None,
    until: datetime | None = None,
    replace: bool = False,
    folder: Path = SAMPLE,
) -> LoadReport:
    """Load the sample so that its last event falls exactly at `end`.

    Loading it again adds only the rows that are missing; so a load `until` some day and another
    one without it make the days between arrive.

    Args:
        warehouse: where to.
        clock: now, for the default of `end` and for the record of loads.
        end: a whole second is used; default: where a sample that is there ends, else now.
        until: only rows that had been received by then.
        replace: drop what is there first, with all that was computed from it.
        folder: holds tracks.parquet, identifies.parquet and pages.parquet.

    Raises:
        ConfigError: the sample is not there (an installed package has none), own events are
            loaded, or the sample is loaded with another end.
    """
    import duckdb

    missing = [table for table in SAMPLE_TABLES if not (folder / f"{table}.parquet").is_file()]
    if missing:
        raise ConfigError(
            f"the sample is not there: data/sample/{missing[0]}.parquet is part of a clone of "
            "the repository; make it there with `make data`",
            file=f"data/sample/{missing[0]}.parquet",
        )
    with warehouse.lock("load", 60.0), warehouse.transaction():
        prepare(warehouse, "sample", replace=replace)
        ends = _end(warehouse, clock, end)
        with duckdb.connect() as con:
            shift = _shift(con, folder, ends)
            loads = tuple(
                _load(warehouse, con, folder / f"{table}.parquet", table, shift, until)
                for table in SAMPLE_TABLES
            )
        record(warehouse, "sample", loads, now=clock.now(), end=ends)
    return LoadReport(loads, replaced=replace, end=ends)


def _end(warehouse: Warehouse, clock: Clock, end: datetime | None) -> datetime:
    there = sample_end(warehouse)
    if there is None:
        return whole_second(end or clock.now())
    if end is not None and naive_utc(whole_second(end)) != there:
        raise ConfigError(
            f"the sample is loaded with its end at {there:%Y-%m-%dT%H:%M:%SZ}; its rows cannot "
            "move. Use that end, or add --replace to start again",
            key="--end",
        )
    return aware_utc(there)


def _shift(con: duckdb.DuckDBPyConnection, folder: Path, end: datetime) -> str:
    times = " union all ".join(
        f'select max("timestamp") as t from {_file(folder / f"{table}.parquet")}'
        for table in SAMPLE_TABLES
    )
    [(micros,)] = con.execute(
        f"select epoch_us({instant(end)}) - epoch_us(max(t)) from ({times})"
    ).fetchall()
    return f"to_microseconds({micros})"


def _load(
    warehouse: Warehouse,
    con: duckdb.DuckDBPyConnection,
    path: Path,
    table: str,
    shift: str,
    until: datetime | None,
) -> FileLoad:
    columns = ", ".join(
        f"{ident(name)} + {shift} as {ident(name)}" if kind == "timestamp" else ident(name)
        for name, kind in RAW_TABLES[table].items()
    )
    arrived = "true" if until is None else f"received_at + {shift} <= {instant(until)}"
    where = f"{_file(path)} where {arrived}"
    [(total,)] = con.execute(f"select count(*) from {_file(path)}").fetchall()
    [(rows, first, last)] = con.execute(
        f'select count(*), min("timestamp") + {shift}, max("timestamp") + {shift} from {where}'
    ).fetchall()
    reader = con.sql(f"select {columns} from {where}").to_arrow_reader(BATCH_ROWS)
    loaded, _ = insert_new(warehouse, table, reader, expected=rows)
    return FileLoad(
        file=f"data/sample/{path.name}",
        table=table,
        read=total,
        loaded=loaded,
        known=rows - loaded,
        skipped=0,
        first_at=None if first is None else aware_utc(first),
        last_at=None if last is None else aware_utc(last),
        later=total - rows,
    )


def _file(path: Path) -> str:
    return f"read_parquet({text(str(path))})"
