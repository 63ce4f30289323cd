"""Whether dbt loads a seed as it is written: DuckDB guesses which quotes a CSV file has."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory

from orchestration.sql.names import ident
from orchestration.tracking_plan.asking import cursor


def misread(content: bytes, header: Sequence[str], rows: Sequence[Sequence[str]]) -> int | None:
    """Return the index of the first row that dbt would read otherwise, or None.

    The statement is that of dbt-duckdb's `seed.sql`, which leaves the quotes to be guessed. With
    2.0.0, a cell `''` in a file without double quotes is read as an empty one, and other files
    that are right have rows whose cells move.

    Args:
        content: the file.
        header: its columns.
        rows: the cells of its rows, as they are meant.
    """
    import duckdb

    columns = ", ".join(f"{ident(name)} varchar" for name in header)
    with TemporaryDirectory() as folder, cursor() as con:
        path = Path(folder) / "seed.csv"
        path.write_bytes(content)
        con.execute(f"create temp table seed ({columns})")
        try:
            con.execute("copy seed from $1 (format csv, header true, delimiter ',')", [str(path)])
        except duckdb.Error:
            return 0
        found = con.execute("from seed").fetchall()
    for index, (meant, read) in enumerate(zip_longest(rows, found)):
        if meant is None or read is None or list(meant) != [cell or "" for cell in read]:
            return index
    return None
