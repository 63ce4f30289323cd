"""Questions that DuckDB answers, so that Python and the SQL models cannot differ."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb


def answer(sql: str, value: str) -> Any:
    """Return the one value of a query with one parameter; no warehouse is opened.

    Raises:
        duckdb.Error: DuckDB refuses the query or the value.
    """
    with cursor() as opened:
        row = opened.execute(sql, [value]).fetchone()
    return row[0] if row else None


def cursor() -> duckdb.DuckDBPyConnection:
    """Return a connection of its own to one DuckDB in memory; temporary tables go with it."""
    return _memory().cursor()


@lru_cache(maxsize=100_000)
def refused_pattern(pattern: str) -> str | None:
    """Return why RE2 cannot search with this regular expression, or None if it can.

    RE2 has neither look-around nor back references: github.com/google/re2/wiki/Syntax.
    """
    import duckdb

    try:
        answer("select regexp_matches('', ?)", pattern)
    except duckdb.Error as error:
        return str(error).splitlines()[0].removeprefix("Invalid Input Error: ")
    return None


@cache
def _memory() -> duckdb.DuckDBPyConnection:
    import duckdb

    return duckdb.connect(":memory:", config={"threads": 1})
