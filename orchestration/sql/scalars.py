"""One value to JSON text and to canonical text, by type; the only place that renders scalars.

Strings are escaped by the engine; everything else is explicit text, so that engines agree after
parsing. A value that has no JSON form (NaN, infinity) or no meaning (a year outside 1..9999)
makes its row a reject rather than a wrong value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from destinations.errors import ConfigError
from orchestration.sql.names import text

HASH_FORMAT = 2
"""In front of every row_hash; raised when canonical text changes, so that hashes can be re-based.

Hashes of format 1 have nothing in front.
"""


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
# What stands behind a value in the text that is hashed: no text of another type has it inside.
_END = {Type.STRING: ":", Type.JSON: "~", Type.TIMESTAMP: "@"}
_EXACT = "1e12"  # from here on an integer has more digits than the 12 that a double is known by
_LARGEST = "1.7e38"  # of the engine's integers
_JSON_STRING = r'"(\\.|[^"\\])*"'
_BY_NAME = {name: kind for kind, names in _DUCKDB.items() for name in names}


@dataclass(frozen=True, slots=True)
class Column:
    """A typed SQL expression: a column, or anything else that yields one value per row.

    `failed` is a condition true where the value could not be computed; it is null there.
    """

    sql: str
    type: Type
    failed: str | None = None


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
    """Render a value for hashing; SQL null stays null.

    Values of one type have the same text exactly if they are equal. Numbers that are equal have
    it whatever their types, doubles being known by 12 significant digits: what is left to differ
    is noise on either side of half a digit. JSON has its keys in order.
    """
    sql = column.sql
    if column.type is Type.TIMESTAMP:
        return f"cast(epoch_us(try_cast({sql} as timestamp)) as varchar)"
    if column.type is Type.DOUBLE:
        return _double_text(f"cast({sql} as double)")
    if column.type is Type.DECIMAL:
        return _decimal_text(f"({sql})")
    if column.type is Type.JSON:
        return _sorted_json(sql)
    return f"cast({sql} as varchar)"


def unsendable(column: Column) -> str | None:
    """Return a condition true for values that cannot be sent, or None if all can."""
    strange = _without_json_form(column)
    if column.failed and strange:
        return f"({column.failed} or {strange})"
    return column.failed or strange


def _without_json_form(column: Column) -> str | None:
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


def row_hash(columns: Iterable[Column | str]) -> str:
    """Return SQL of the hash of a row, `<format>:<md5>`.

    Two rows have the same one exactly if their values are equal one by one; null is apart from
    empty.

    Args:
        columns: values; a bare string stands for itself, a name for instance.
    """
    return f"concat('{HASH_FORMAT}:', md5({row_text(columns)}))"


def row_text(columns: Iterable[Column | str]) -> str:
    """Return SQL of the text that is hashed: no two different rows have the same.

    Text is behind its length. What is not text never holds what ends it. Null leaves nothing
    before the end, which concat does by itself, so that no value is rendered twice.
    """
    pieces: list[str] = []
    said = ""
    for column in columns:
        if isinstance(column, str):
            said += f"{len(column.encode())}:{column}"
            continue
        value, end = canonical_text(column), _END.get(column.type, ";")
        behind_length = column.type in (Type.STRING, Type.JSON)
        first, *rest = (f"strlen({value})", text(end), value) if behind_length else (value,)
        pieces += [text(said)] * bool(said) + [first, *rest]
        said = "" if behind_length else end
    pieces += [text(said)] * bool(said)
    return f"concat({', '.join(pieces or [text('')])})"


def stale_format(hash_sql: str) -> str:
    """Return a condition true for a row_hash that another format made; a null is not stale."""
    return f"coalesce(not starts_with({hash_sql}, '{HASH_FORMAT}:'), false)"


def quick_hash(values: Iterable[str]) -> str:
    """Return a hash of the engine's own over a list of values: fast, and not for ever.

    Equal values give equal hashes within one version of the engine; a change of one value always
    changes it. Never compared across engines, never sent.
    """
    return f"hash({', '.join(values)})"


def set_hash(each: str) -> str:
    """Return an aggregate over texts that are all different: the same for the same set of them.

    Texts need not be brought into order, which costs more than all of the hashing.
    """
    return f"cast(bit_xor(md5_number({each})) as varchar)"


def uuid_of(*parts: str) -> str:
    """Return a UUID (RFC 9562 version 8) from sha256 over length-prefixed text expressions."""
    joined = " || ".join(f"length({part}) || ':' || {part}" for part in parts)
    digest = f"sha256({joined})"
    variant = f"substr('89ab89ab89ab89ab', strpos('0123456789abcdef', substr({digest}, 17, 1)), 1)"
    # concat, because it is faster; it makes a text of nulls, which is what the case is for.
    return (
        f"case when {digest} is not null then concat(substr({digest}, 1, 8), '-', "
        f"substr({digest}, 9, 4), '-8', substr({digest}, 14, 3), '-', {variant}, "
        f"substr({digest}, 18, 3), '-', substr({digest}, 21, 12)) end"
    )


def _with_point(number: str) -> str:
    # DuckDB writes a decimal whose digits are all behind the point without the zero before it.
    return (
        f"case when starts_with({number}, '.') then '0' || {number} "
        f"when starts_with({number}, '-.') then '-0' || substr({number}, 2) "
        f"when contains({number}, '.') then {number} else {number} || '.0' end"
    )


def _double_text(number: str) -> str:
    """Render a double by 12 significant digits, the way an integer or a decimal of them is."""
    rounded = f"format('{{:.12g}}', {number})"
    # Text of an integer costs half of what formatting does. Also makes -0.0 a zero.
    whole = f"{number} = trunc({number}) and abs({number}) < {_EXACT}"
    large = f"abs({number}) > {_EXACT} - 1 and abs({number}) < {_LARGEST}"
    return (
        f"case when {whole} then cast(cast({number} as bigint) as varchar) "
        f"when {large} then cast(cast({rounded} as hugeint) as varchar) else {rounded} end"
    )


def _decimal_text(number: str) -> str:
    digits = f"rtrim({_with_point(f'cast({number} as varchar)')}, '0')"
    # A double this small has an exponent; so has a decimal that a double is able to equal.
    few = f"length(ltrim({digits}, '-0.')) <= 12"
    return (
        f"case when {number} = trunc({number}) then cast(cast({number} as hugeint) as varchar) "
        f"when abs({number}) < 0.0001 and {few} "
        f"then format('{{:.12g}}', cast({number} as double)) else {digits} end"
    )


def _sorted_json(sql: str) -> str:
    """Write JSON with the keys of every object in order."""
    plain = f"coalesce({_strict_json(sql)}, cast({sql} as varchar))"
    # The engine's variant type sorts keys, but makes doubles of integers above 64 bits.
    keys = f"cast(try(cast(cast({sql} as variant) as json)) as varchar)"
    long = f"case when regexp_matches({plain}, '[0-9]{{19}}') then ' ' || {plain} else '' end"
    ordered = f"coalesce({keys} || {long}, {plain})"
    return f"case when contains({plain}, '{{') then {ordered} else {plain} end"


def _strict_json(sql: str) -> str:
    """Write JSON anew: DuckDB keeps the text as it came and takes commas before a bracket."""
    return f"cast(try(json(cast({sql} as varchar))) as varchar)"
