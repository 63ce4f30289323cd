"""Who was in an audience, and when: read from evaluations and intervals."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median_low

from orchestration.sql.names import naive_utc
from orchestration.warehouse import Warehouse

DAY = timedelta(days=1)
FEWEST_GAPS = 7
LATE = 1.5
"""A point that comes later than so many times the usual gap was left out."""


def _iso(value: datetime | None) -> str | None:
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if value else None


def points(warehouse: Warehouse, audience: str) -> list[dict[str, object]]:
    """Return the committed points of an audience, oldest first."""
    found = warehouse.rows(
        "select as_of, members, entered, exited, origin from tailrace.evaluations "
        "where audience = ? and status = 'committed' and replaced_at is null "
        "order by as_of, evaluated_at",
        [audience],
    )
    names = ("as_of", "members", "entered", "exited", "origin")
    return [dict(zip(names, (_iso(row[0]), *row[1:]), strict=True)) for row in found]


def unknown(warehouse: Warehouse, audience: str) -> list[dict[str, object]]:
    """Return the gaps {from, to} in which nobody looked: longer than from one point to the next.

    Usual is the median gap, or a day where that is longer or there are hardly any points.
    """
    found = warehouse.rows(
        "select distinct as_of from tailrace.evaluations "
        "where audience = ? and status = 'committed' and replaced_at is null order by as_of",
        [audience],
    )
    gaps = [(before, after) for (before,), (after,) in pairwise(found)]
    lengths = [after - before for before, after in gaps]
    usual = max(DAY, median_low(lengths)) if len(lengths) >= FEWEST_GAPS else DAY
    return [
        {"from": _iso(before), "to": _iso(after)}
        for before, after in gaps
        if after - before > LATE * usual
    ]


def stays(warehouse: Warehouse, audience: str, user_id: str) -> list[dict[str, object]]:
    """Return the stays of a user in an audience, oldest first; an open one has no end."""
    found = warehouse.rows(
        "select entered_at, exited_at from tailrace.membership_intervals "
        "where audience = ? and user_id = ? order by entered_at",
        [audience, user_id],
    )
    return [{"entered_at": _iso(start), "exited_at": _iso(end)} for start, end in found]


def members_at(warehouse: Warehouse, audience: str, as_of: datetime) -> list[str]:
    """Return who was in at an instant, as far as the evaluated points tell."""
    found = warehouse.rows(
        "select user_id from tailrace.membership_intervals where audience = ? "
        "and entered_at <= ? and (exited_at is null or exited_at > ?) order by user_id",
        [audience, naive_utc(as_of), naive_utc(as_of)],
    )
    return [row[0] for row in found]
