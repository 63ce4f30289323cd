"""From a file's own columns to the raw table's, as SQL over the view `source`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from orchestration.load.columns import raw_name
from orchestration.load.reading import Source
from orchestration.sql.names import ident, text
from orchestration.warehouse.raw import RAW_TABLES

if TYPE_CHECKING:
    import duckdb

# Numbers are epochs: 9-10 digits are seconds, 12-13 milli-, 15-16 micro-, 18-19 nanoseconds
# (years 1973 to 2286). A cast of text to `timestamp` would drop the offset; timestamptz keeps it.
MACROS = r"""
set TimeZone = 'UTC';
create macro micros(t, power) as
    make_timestamp(cast(floor(cast(t as decimal(38, 6)) * power) as bigint));
create macro instant_of(t) as case
    when regexp_full_match(t, '\d{9,10}(\.\d+)?') then micros(t, 1000000)
    when regexp_full_match(t, '\d{12,13}(\.\d+)?') then micros(t, 1000)
    when regexp_full_match(t, '\d{15,16}(\.0)?') then micros(t, 1)
    when regexp_full_match(t, '\d{18,19}') then make_timestamp(cast(t as bigint) // 1000)
    when t not like '%:%' and t not like '____-__-__' then null
    when isfinite(try_cast(t as timestamptz)) then try_cast(t as timestamptz) at time zone 'UTC'
    end;
create macro object_of(t) as case when json_valid(t) then
    case when json_type(t) = 'OBJECT' then t end end;
create macro filled(t) as nullif(trim(t), '');
"""

_INSTANTS = ("time", "received", "signup_at")
_OBJECTS = ("properties", "context")
_NUMBER = r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?"


def text_of(source: Source, position: int) -> str:
    """Return SQL of a column as text, null where it is blank.

    A whole number that a float column holds (pandas does that to ids with gaps) reads as one.
    """
    column, kind = f"c{position}", source.types[position]
    if kind == "JSON":
        return f"filled({column} ->> '$')"
    if kind in {"DOUBLE", "FLOAT"}:
        whole = f"cast(try_cast({column} as bigint) as varchar)"
        return f"case when {column} = trunc({column}) then {whole} else {column}::varchar end"
    return f"filled(cast({column} as varchar))"


def instant_at(source: Source, position: int) -> str:
    """Return SQL of a column as a UTC timestamp, null where it is blank or unreadable."""
    kind = source.types[position]
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"case when isfinite(c{position}) then c{position} at time zone 'UTC' end"
    if kind.startswith("TIMESTAMP") or kind == "DATE":
        return f"case when isfinite(c{position}) then cast(c{position} as timestamp) end"
    return f"instant_of({text_of(source, position)})"


def object_at(source: Source, position: int) -> str:
    """Return SQL of a column as a JSON object, null where it is blank or something else."""
    kind = source.types[position]
    if kind.startswith(("STRUCT", "MAP")):
        return f"to_json(c{position})"
    return f"object_of({_json_text(source, position)})"


def filled_at(source: Source, position: int) -> str:
    """Return SQL that says whether a column that should hold an object holds anything."""
    return f"coalesce({_json_text(source, position)}, 'null') <> 'null'"


def row_sql(
    source: Source,
    found: Mapping[str, int],
    table: str,
    *,
    rest: str | None,
    rename: Mapping[str, str],
    by_content: bool,
) -> str:
    """Return a select of the raw table's columns from `source`.

    Args:
        source: the open file.
        found: position of the column of each role.
        table: raw table.
        rest: SQL of an object with the columns that have no role, see `rest_of`.
        rename: event names to change.
        by_content: whether rows need an id made of their content.
    """
    parts = {raw_name(role): _value(source, role, at) for role, at in found.items()}
    parts.setdefault("received_at", parts["timestamp"])
    if rest is not None:
        own = parts.get("properties", "cast('{}' as json)")
        parts["properties"] = f"json_merge_patch({rest}, coalesce({own}, '{{}}'))"
    if rename and "event" in parts:
        cases = " ".join(f"when {text(old)} then {text(new)}" for old, new in rename.items())
        parts["event"] = f"case {parts['event']} {cases} else {parts['event']} end"
    parts["id"] = _id(source, parts, by_content=by_content)
    columns = ", ".join(
        f"cast({parts.get(column, 'null')} as {'varchar' if kind == 'json' else kind}) "
        f"as {ident(column)}"
        for column, kind in RAW_TABLES[table].items()
    )
    return f"select {columns} from source"


def rest_of(con: duckdb.DuckDBPyConnection, source: Source, found: Mapping[str, int]) -> str:
    """Return SQL of a JSON object with every column without a role, blanks left out.

    A text column becomes numbers (or booleans) where every value of the file is one; `007` stays
    text.
    """
    free = [i for i in range(len(source.names)) if i not in found.values()]
    if not free:
        return "cast('{}' as json)"
    texts = [i for i in free if source.types[i] == "VARCHAR"]
    plain: set[int] = set()
    if texts:
        asked = ", ".join(
            f"bool_and(regexp_full_match({text_of(source, i)}, '{_NUMBER}|true|false'))"
            for i in texts
        )
        [answers] = con.execute(f"select {asked} from source").fetchall()
        plain = {i for i, yes in zip(texts, answers, strict=True) if yes}
    pairs = ", ".join(
        f"{text(source.names[i])}, {_rest_value(source, i, plain=i in plain)}" for i in free
    )
    return f"json_merge_patch('{{}}', json_object({pairs}))"


def _rest_value(source: Source, position: int, *, plain: bool) -> str:
    kind = source.types[position]
    if kind == "JSON":
        return f"c{position}"
    if kind != "VARCHAR":
        return f"to_json(c{position})"
    value = text_of(source, position)
    return f"cast({value} as json)" if plain else f"to_json({value})"


def _value(source: Source, role: str, position: int) -> str:
    if role in _INSTANTS:
        return instant_at(source, position)
    if role in _OBJECTS:
        return object_at(source, position)
    return text_of(source, position)


def _json_text(source: Source, position: int) -> str:
    if source.types[position].startswith(("STRUCT", "MAP")):
        return f"cast(to_json(c{position}) as varchar)"
    # a JSON column may hold an object, or (double encoded) the text of one
    return text_of(source, position)


def _id(source: Source, parts: Mapping[str, str], *, by_content: bool) -> str:
    ways = [parts[name] for name in ("id", "message_id") if name in parts]
    if by_content:
        digest = f"md5({source.whole})"
        ways.append(f"concat('row-', {digest}, '-', row_number() over (partition by {digest}))")
    return f"coalesce({', '.join(ways)})"
