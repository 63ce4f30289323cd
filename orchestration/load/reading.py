"""One file as a view `source` in a DuckDB: columns c0, c1, ... in the file's order.

Positions instead of names, since a file may hold `ID` and `id`. CSV columns are text, NDJSON
columns are JSON, Parquet columns keep their type. Nothing is guessed from a sample of rows.
"""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from destinations.errors import ConfigError, DataError
from orchestration.sql.names import ident, text
from orchestration.sql.refusals import without_values

if TYPE_CHECKING:
    import duckdb

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".ndjson": "json",
    ".jsonl": "json",
    ".json": "json",
    ".parquet": "parquet",
}
DELIMITERS = ",\t;|"
_CSV_REASON = re.compile(r"^(Expected Number|Invalid unicode|Value with|Maximum line)[^\n]*", re.M)


@dataclass(frozen=True, slots=True)
class Source:
    """A file that is open as view `source`.

    Attributes:
        file: the path as it was given.
        names: column names, in order; column i is `c<i>`.
        types: DuckDB types, in order.
        whole: SQL of the row's content, for rows that have no id.
        rows: rows in the file.
    """

    file: str
    names: tuple[str, ...]
    types: tuple[str, ...]
    whole: str
    rows: int


def open_source(con: duckdb.DuckDBPyConnection, path: Path) -> Source:
    """Make the view `source` over a file.

    Raises:
        ConfigError: there is no such file, or its ending is not one of `FORMATS` (text formats
            may end in `.gz`).
        DataError: it is empty or cannot be read; the message names the line, never its content.
    """
    kind = _format(path)
    if not path.is_file():
        raise ConfigError(f"there is no file {path}", file=str(path))
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty: 0 rows", file=str(path))
    with readable(path):
        names, whole = {"csv": _csv, "json": _json, "parquet": _parquet}[kind](con, path)
        described = con.execute("describe source").fetchall()
        [(rows,)] = con.execute("select count(*) from source").fetchall()
    if rows == 0:
        raise DataError(f"{path} is empty: 0 rows below its header", file=str(path))
    types = tuple(str(row[1]) for row in described)[: len(names)]
    return Source(str(path), tuple(names), types, whole, rows)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what a reader complains about into a DataError without any of the file's content."""
    import duckdb

    try:
        yield
    except (duckdb.Error, UnicodeDecodeError, OSError, EOFError, csv.Error) as error:
        raise DataError(_complaint(path, error), file=str(path)) from None


def _format(path: Path) -> str:
    packed = path.suffix == ".gz"
    kind = FORMATS.get((path.with_suffix("") if packed else path).suffix.lower())
    if kind is None or (packed and kind == "parquet"):
        msg = f"{path}: cannot tell the format by the file's ending"
        raise ConfigError(msg, file=str(path), accepted=[*FORMATS, ".csv.gz", ".ndjson.gz"])
    return kind


def _open_text(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _csv(con: duckdb.DuckDBPyConnection, path: Path) -> tuple[list[str], str]:
    with _open_text(path) as handle:
        first = handle.readline()
        delimiter = max(DELIMITERS, key=first.count)
        handle.seek(0)
        names = next(csv.reader(handle, delimiter=delimiter), [])
    for name in names:
        if names.count(name) > 1:
            msg = f"{path} has two columns named {name!r}"
            raise DataError(msg, file=str(path), key=name)
    columns = ", ".join(f"'c{i}': 'varchar'" for i in range(len(names)))
    # detection may skip lines it does not like, so everything is said
    con.execute(
        f"create view source as from read_csv({text(str(path))}, auto_detect = false, "
        f"delim = {text(delimiter)}, quote = '\"', escape = '\"', header = true, "
        f"columns = {{{columns}}})"
    )
    return names, "cast(to_json(source) as varchar)"


def _json(con: duckdb.DuckDBPyConnection, path: Path) -> tuple[list[str], str]:
    read = f"read_json_objects({text(str(path))}, format = 'auto')"
    [(odd, total)] = con.execute(
        f"select count(*) filter (json_type(json) <> 'OBJECT'), count(*) from {read}"
    ).fetchall()
    if odd:
        msg = f"{path}: {odd} of {total} lines are not JSON objects"
        raise DataError(msg, file=str(path))
    keys = con.execute(
        f"select key from (select unnest(json_keys(json)) as key from {read}) "
        "group by key order by key"
    ).fetchall()
    names = [str(key) for (key,) in keys]
    pointers = ["/" + name.replace("~", "~0").replace("/", "~1") for name in names]
    columns = "".join(f"json -> {text(p)} as c{i}, " for i, p in enumerate(pointers))
    con.execute(f"create view source as select {columns}cast(json as varchar) as whole from {read}")
    return names, "whole"


def _parquet(con: duckdb.DuckDBPyConnection, path: Path) -> tuple[list[str], str]:
    read = f"read_parquet({text(str(path))})"
    names = [str(row[0]) for row in con.execute(f"describe select * from {read}").fetchall()]
    columns = ", ".join(f"{ident(name)} as c{i}" for i, name in enumerate(names))
    con.execute(f"create view source as select {columns} from {read}")
    return names, "cast(to_json(source) as varchar)"


def _complaint(path: Path, error: Exception) -> str:
    said = str(error)
    if line := re.search(r"CSV Error on Line: (\d+)", said):
        reason = _CSV_REASON.search(said)
        detail = reason.group(0) if reason else "not readable as CSV"
        return f"{path}, line {line.group(1)}: {detail}"
    if "Malformed JSON" in said:
        return f"{path}, line {_broken_line(path)}: not JSON"
    if isinstance(error, UnicodeDecodeError) or "unicode" in said.lower():
        return f"{path}: not encoded in UTF-8"
    return f"{path} cannot be read: {without_values(said).splitlines()[0]}"


def _broken_line(path: Path) -> str:
    with _open_text(path) as handle:
        for number, line in enumerate(handle, start=1):
            if line.startswith("[") and number == 1:  # an array over many lines
                break
            try:
                json.loads(line if line.strip() else "null")
            except ValueError:
                return str(number)
    return "?"
