"""Somebody's own events: CSV, NDJSON or Parquet of any layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from destinations.clock import Clock
from destinations.errors import ConfigError
from orchestration.load.checking import Facts, check, check_ids, kept_sql
from orchestration.load.columns import ColumnMap, resolve
from orchestration.load.inserting import BATCH_ROWS, Inserted, insert_new
from orchestration.load.ledger import prepare, record
from orchestration.load.normalising import MACROS, rest_of, row_sql
from orchestration.load.reading import Source, open_source, readable
from orchestration.load.report import FileLoad, LoadReport
from orchestration.sql.names import aware_utc
from orchestration.warehouse import Warehouse
from orchestration.warehouse.raw import RAW_TABLES

if TYPE_CHECKING:
    import duckdb


def load_files(
    warehouse: Warehouse,
    files: Sequence[Path],
    *,
    clock: Clock,
    table: str = "tracks",
    columns: ColumnMap = ColumnMap(),  # noqa: B008 - frozen
    rename: Mapping[str, str] | None = None,
    replace: bool = False,
) -> LoadReport:
    """Load files into one raw table: all of them or, on any error, nothing.

    Rows that carry an id are loaded once, however often they come. Rows without one get an id
    made of their content and of how many such rows came before them in the file, so that a file
    twice is a file once, while equal rows within one file stay apart.

    Args:
        warehouse: where to.
        files: CSV, TSV, NDJSON, JSON (each also `.gz`) or Parquet.
        clock: for the record of loads.
        table: tracks, identifies, pages or aliases.
        columns: which column is which, where the name does not say it.
        rename: event names to change on the way in.
        replace: drop what is there first, with all that was computed from it.

    Raises:
        ConfigError: unknown table, file, format or column; or the sample is loaded.
        DataError: a file is empty or holds what cannot be read.
    """
    import duckdb

    if table not in RAW_TABLES:
        raise ConfigError(f"there is no raw table {table!r}", key="--table", accepted=RAW_TABLES)
    if not files:
        raise ConfigError("no file to load", key="FILE")
    loads: list[FileLoad] = []
    with warehouse.lock("load", 60.0), warehouse.transaction():
        prepare(warehouse, "own", replace=replace)
        for path in files:
            with duckdb.connect() as con:
                con.execute(MACROS)
                loads.append(_load_file(warehouse, con, path, table, columns, rename or {}))
        record(warehouse, "own", loads, now=clock.now())
    return LoadReport(tuple(loads), replaced=replace)


def _load_file(
    warehouse: Warehouse,
    con: duckdb.DuckDBPyConnection,
    path: Path,
    table: str,
    columns: ColumnMap,
    rename: Mapping[str, str],
) -> FileLoad:
    source = open_source(con, path)
    found = resolve(source, columns, table)
    with readable(path):
        facts = check(con, source, found, rename)
        shared = None
        if "id" in found:
            shared = check_ids(con, source, found, chosen=columns.id is not None)
        rest = rest_of(con, source, found) if columns.all_columns else None
        rows = row_sql(
            source, found, table, rest=rest, rename=rename, by_content=facts.without_id > 0
        )
        kept = " and ".join(kept_sql(source, found))
        reader = con.sql(f"{rows} where {kept}").to_arrow_reader(BATCH_ROWS)
        expected = source.rows - facts.nobody - facts.nameless
        inserted = insert_new(warehouse, table, reader, expected=expected)
    notes = ([shared] if shared else []) + _notes(facts, inserted, table)
    return _result(source, table, facts, inserted.new, notes)


def _result(
    source: Source, table: str, facts: Facts, loaded: int, notes: Sequence[str]
) -> FileLoad:
    skipped = facts.nobody + facts.nameless
    return FileLoad(
        file=source.file,
        table=table,
        read=source.rows,
        loaded=loaded,
        known=source.rows - skipped - loaded,
        skipped=skipped,
        first_at=None if facts.first_at is None else aware_utc(facts.first_at),
        last_at=None if facts.last_at is None else aware_utc(facts.last_at),
        notes=tuple(notes),
    )


def _notes(facts: Facts, inserted: Inserted, table: str) -> list[str]:
    said = []
    if facts.nobody:
        said.append(f"rows of nobody, skipped since they can belong to no user: {facts.nobody:,}")
    if facts.nameless:
        missing = "a previous id" if table == "aliases" else "an event name"
        said.append(f"rows without {missing}, skipped: {facts.nameless:,}")
    if facts.without_id:
        said.append(f"rows without an id, told apart by their content: {facts.without_id:,}")
    if inserted.otherwise:
        said.append(
            "rows that are there already and say something else (another file, or columns chosen "
            f"otherwise), left as they are: {inserted.otherwise:,}; --replace begins anew"
        )
    for name, rows in facts.renamed.items():
        if rows == 0:
            said.append(f"no event is named {name!r}, so --rename changed nothing for it")
    return said
