"""One value to JSON text and to canonical text, by type; the only place that renders scalars.

Strings are escaped by the engine; everything else is explicit text, so that engines agree after
parsing. A value that has no JSON form (NaN, infinity) or no meaning (a year outside 1..9999)
makes its row a reject rather than a wrong value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from destinations.errors import ConfigError
from orchestration.sql.names import text

HASH_FORMAT = 1
"""Part of every row_hash; raised when canonical text changes, so that hashes can be re-based."""


class Type(StrEnum):
    """What a column is, whatever the engine calls it."""

    STRING = "string"
    BOOLEAN = "boolean"
    INTEGER = "integer"
    DOUBLE = "double"
    DECIMAL = "decimal"
    DATE = "date"
    TIMESTAMP = "timestamp"
    JSON = "json"


_DUCKDB = {
    Type.STRING: ("varchar", "uuid", "enum"),
    Type.BOOLEAN: ("boolean",),
    Type.INTEGER: (
        "tinyint", "smallint", "integer", "bigint", "hugeint",
        "utinyint", "usmallint", "uinteger", "ubigint", "uhugeint",
    ),
    Type.DOUBLE: ("double", "float"),
    Type.DECIMAL: ("decimal",),
    Type.DATE: ("date",),
    Type.TIMESTAMP: (
        "timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamp with time zone",
    ),
    Type.JSON: ("json",),
}  # fmt: skip
_JSON_STRING = r'"(\\.|[^"\\])*"'
_BY_NAME = {name: kind for kind, names in _DUCKDB.items() for name in names}


@dataclass(frozen=True, slots=True)
class Column:
    """A typed SQL expression: a column, or anything else that yields one value per row."""

    sql: str
    type: Type


def column_type(engine_type: str, column: str, *, file: str | None = None) -> Type:
    """Return the type of a column from the engine's name for it.

    Raises:
        ConfigError: the type cannot be sent (lists, structs, bytes, intervals).
    """
    name = re.sub(r"\(.*", "", engine_type.lower(), flags=re.DOTALL).strip()
    if name not in _BY_NAME or engine_type.endswith("]"):
        raise ConfigError(
            f"column {column} has type {engine_type}, which cannot be sent; cast it (a list or a "
            "struct to json)",
            file=file,
            key=column,
            accepted=[kind.value for kind in Type],
        )
    return _BY_NAME[name]


def json_text(column: Column, timestamps: str) -> str:
    """Render a value as JSON text; SQL null stays null.

    Args:
        column: the value.
        timestamps: strftime format of instants, UTC.
    """
    sql = column.sql
    if column.type is Type.STRING:
        return f"cast(to_json(cast({sql} as varchar)) as varchar)"
    if column.type is Type.DECIMAL:
        return _with_point(f"cast({sql} as varchar)")
    if column.type is Type.JSON:
        return _strict_json(sql)
    if column.type is Type.DATE:
        return f"strftime({sql}, '\"%Y-%m-%d\"')"
    if column.type is Type.TIMESTAMP:
        escaped = text(f'"{timestamps}"')
        return f"strftime(try_cast({sql} as timestamp), {escaped})"
    return f"cast({sql} as varchar)"


def canonical_text(column: Column) -> str:
    """Render a value for hashing: equal values, and only those, give equal text."""
    if column.type is Type.TIMESTAMP:
        return f"cast(epoch_us(try_cast({column.sql} as timestamp)) as varchar)"
    if column.type is Type.DOUBLE:
        return f"cast(cast({column.sql} as double) + 0.0 as varchar)"
    return f"cast({column.sql} as varchar)"


def unsendable(column: Column) -> str | None:
    """Return a condition true for values that have no JSON form, or None if all have one."""
    if column.type is Type.DOUBLE:
        return f"not isfinite({column.sql})"
    sql = column.sql
    if column.type is Type.DATE:
        return f"(not isfinite({sql}) or year({sql}) not between 1 and 9999)"
    if column.type is Type.TIMESTAMP:
        # Null where a coarser type holds an instant that a timestamp cannot.
        year = f"year(try_cast({sql} as timestamp))"
        return f"({sql} is not null and coalesce({year} not between 1 and 9999, true))"
    if column.type is Type.JSON:
        # DuckDB takes NaN and Infinity for JSON; outside of strings nothing else has these letters.
        outside = f"regexp_replace({_strict_json(sql)}, {text(_JSON_STRING)}, '', 'g')"
        strange = f"coalesce(regexp_matches({outside}, '(?i)nan|inf'), true)"
        return f"({sql} is not null and {strange})"
    return None


def row_hash(columns: list[Column]) -> str:
    """Return the hash of a row: length-prefixed canonical text, null apart from empty."""
    parts = [f"'{HASH_FORMAT}'"]
    for column in columns:
        value = canonical_text(column)
        parts.append(f"coalesce(length({value}) || ':' || {value}, '-')")
    return f"md5({' || '.join(parts)})"


def uuid_of(*parts: str) -> str:
    """Return a UUID (RFC 9562 version 8) from sha256 over length-prefixed text expressions."""
    joined = " || ".join(f"length({part}) || ':' || {part}" for part in parts)
    digest = f"sha256({joined})"
    return (
        f"substr({digest}, 1, 8) || '-' || substr({digest}, 9, 4) || '-8' || "
        f"substr({digest}, 14, 3) || '-' || "
        f"substr('89ab', (strpos('0123456789abcdef', substr({digest}, 17, 1)) - 1) % 4 + 1, 1) || "
        f"substr({digest}, 18, 3) || '-' || substr({digest}, 21, 12)"
    )


def _with_point(number: str) -> str:
    # DuckDB writes a decimal whose digits are all behind the point without the zero before it.
    return (
        f"case when starts_with({number}, '.') then '0' || {number} "
        f"when starts_with({number}, '-.') then '-0' || substr({number}, 2) "
        f"when contains({number}, '.') then {number} else {number} || '.0' end"
    )


def _strict_json(sql: str) -> str:
    """Write JSON anew: DuckDB keeps the text as it came and takes commas before a bracket."""
    return f"cast(try(json(cast({sql} as varchar))) as varchar)"
