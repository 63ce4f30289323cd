"""What a file holds, in one pass, before the first of its rows goes anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

from destinations.errors import DataError
from orchestration.load.columns import flag
from orchestration.load.normalising import filled_at, instant_at, object_at, text_of
from orchestration.load.reading import Source

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rows of a file are like.

    Attributes:
        nobody: rows with neither user id nor anonymous id, which can belong to no one.
        nameless: rows of somebody that name no event, or no previous id.
        without_id: rows that carry no id.
        first_at: earliest time of the rows that count, naive UTC.
        last_at: latest one.
        renamed: rows by the event name that `--rename` looks for.
    """

    nobody: int
    nameless: int
    without_id: int
    first_at: datetime | None
    last_at: datetime | None
    renamed: Mapping[str, int]


def kept_sql(source: Source, found: Mapping[str, int]) -> tuple[str, str]:
    """Return SQL conditions: the row is of somebody, and it says what it has to.

    That is an event of a track call, and the previous id of an alias call.
    """
    who = [text_of(source, found[role]) for role in ("user", "anonymous") if role in found]
    somebody = f"coalesce({', '.join(who)}) is not null"
    what = [text_of(source, found[role]) for role in ("event", "previous") if role in found]
    return somebody, " and ".join(f"{column} is not null" for column in what) or "true"


def check(
    con: duckdb.DuckDBPyConnection,
    source: Source,
    found: Mapping[str, int],
    rename: Mapping[str, str],
) -> Facts:
    """Read the whole file once.

    Raises:
        DataError: a time cannot be read (or is missing), or properties are not JSON objects; the
            message names file, column, how many rows of how many, and the first of them.
    """
    bad = _complaints(source, found)
    # each expression once per row, whatever number of counts needs it
    rows = f"select {', '.join(_per_row(source, found, bad))} from source"
    asked = [
        "count(*) filter (not somebody)",
        "count(*) filter (somebody and not named)",
        "count(*) filter (somebody and named and not has_id)",
        "min(t) filter (somebody and named)",
        "max(t) filter (somebody and named)",
        *("count(*) filter (somebody and event = ?)" for _ in rename),
        *(f"count(*) filter (somebody and named and bad_{role})" for role in bad),
    ]
    sql = f"select {', '.join(asked)} from ({rows})"
    [row] = con.execute(sql, list(rename)).fetchall()
    fixed = 5 + len(rename)
    for role, count in zip(bad, row[fixed:], strict=True):
        if count:
            first = f"select min(n) from ({rows}) where somebody and named and bad_{role}"
            _refuse(con, source, role, found[role], count, first)
    nobody, nameless, without_id, first_at, last_at = row[:5]
    renamed = dict(zip(rename, row[5:fixed], strict=True))
    return Facts(nobody, nameless, without_id, first_at, last_at, renamed)


def _per_row(source: Source, found: Mapping[str, int], bad: Mapping[str, str]) -> list[str]:
    somebody, named = kept_sql(source, found)
    ids = [text_of(source, found[role]) for role in ("id", "message") if role in found]
    event = text_of(source, found["event"]) if "event" in found else "null"
    return [
        f"{somebody} as somebody",
        f"{named} as named",
        f"coalesce({', '.join([*ids, 'null'])}) is not null as has_id",
        f"{instant_at(source, found['time'])} as t",
        f"{event} as event",
        "row_number() over () as n",
        *(f"{condition} as bad_{role}" for role, condition in bad.items()),
    ]


def check_ids(
    con: duckdb.DuckDBPyConnection, source: Source, found: Mapping[str, int], *, chosen: bool
) -> str | None:
    """Refuse a column that is known as the id by its name only and is not unique.

    Rows that say the same are doubles; rows that share an id and differ are a misreading. If it
    was `chosen`, that is returned as a sentence instead, since of each id one row will count.

    Raises:
        DataError: rows that differ in user, event or time share an id.
    """
    column = text_of(source, found["id"])
    [(filled, distinct)] = con.execute(
        f"select count({column}), count(distinct {column}) from source"
    ).fetchall()
    if filled == distinct:
        return None
    parts = [role for role in ("user", "anonymous", "event", "time") if role in found]
    content = ", ".join(f"c{found[role]}" for role in parts)
    [(ids, rows)] = con.execute(
        f"select count(*), coalesce(sum(rows), 0) from (select count(*) as rows from source "
        f"where {column} is not null group by {column} "
        f"having count(distinct row({content})) > 1)"
    ).fetchall()
    if ids and chosen:
        return f"rows that differ but share {ids:,} ids, of which one each counts: {rows:,}"
    if ids:
        name = source.names[found["id"]]
        raise DataError(
            f"{source.file}: column {name!r} does not tell rows apart: {rows} of {source.rows} "
            f"rows differ but share {ids} ids; name the column that does with --id COL, or say "
            "--id '' to go by the rows' content",
            file=source.file,
            key=name,
        )
    return None


def _complaints(source: Source, found: Mapping[str, int]) -> dict[str, str]:
    bad: dict[str, str] = {"time": f"({instant_at(source, found['time'])}) is null"}
    for role in ("received", "signup_at"):
        if role in found:
            at = found[role]
            blank = f"{text_of(source, at)} is null"
            bad[role] = f"not ({blank}) and ({instant_at(source, at)}) is null"
    if "properties" in found:
        at = found["properties"]
        bad["properties"] = f"{filled_at(source, at)} and ({object_at(source, at)}) is null"
    return bad


def _refuse(
    con: duckdb.DuckDBPyConnection, source: Source, role: str, position: int, count: int, first: str
) -> NoReturn:
    want = "not a time that can be read (ISO 8601, with offset or UTC, or epoch seconds or ms)"
    if role == "properties":
        want = "not a JSON object"
    name = source.names[position]
    [(row,)] = con.execute(first).fetchall()
    raise DataError(
        f"{source.file}: column {name!r} ({flag(role)}) is {want} in {count} of {source.rows} "
        f"rows; the first is row {row}. Nothing was loaded",
        file=source.file,
        key=name,
    )
