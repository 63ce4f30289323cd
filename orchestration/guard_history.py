"""The evaluated points of an audience that the guard looks back on."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestration.guard import Window
from orchestration.sql.names import aware_utc, naive_utc
from orchestration.warehouse import Warehouse

DAY = timedelta(days=1)
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Point:
    """A live evaluation that was committed, held, or held and superseded.

    `entered` and `exited` are all changes; of those the guard does not judge `excused_entered`
    and `excused_exited`.
    """

    evaluation_id: str
    as_of: datetime
    status: str
    members: int
    base: int
    entered: int
    exited: int
    excused_entered: int
    excused_exited: int
    approved: bool
    rules: str

    def held_by(self, rules: Collection[str]) -> bool:
        """Return whether one of these rules held it."""
        return any(f'"{rule}"' in self.rules for rule in rules)

    def counted(self, change: str) -> int:
        """Return how many entered or exited, of those that are judged."""
        if change == "entered":
            return self.entered - self.excused_entered
        return self.exited - self.excused_exited


_HALF_LOADED = re.compile(r'"half_loaded (\d{4}-\d\d-\d\d)"')

# One point from before the week tells how many there were a week ago.
_POINTS = """
with live as (
    select * from tailrace.evaluations where audience = $audience and origin = 'live'
),
last as (select max(as_of) as as_of from live where status = 'committed'),
first as (
    select max(live.as_of) as as_of from live, last
    where live.status = 'committed' and live.as_of <= last.as_of - interval '7 days'
)
select l.evaluation_id, l.as_of, l.status, l.members, l.base, l.entered, l.exited,
    coalesce(l.excused_entered, 0), coalesce(l.excused_exited, 0), l.approved_at is not null,
    coalesce(cast(l.rules as varchar), '[]')
from live as l, first as f
where l.status in ('committed', 'held', 'superseded') and (f.as_of is null or l.as_of >= f.as_of)
order by l.as_of, l.evaluated_at
"""


@dataclass(frozen=True, slots=True)
class History:
    """The points of the last week and the one before it, oldest first; at least one committed."""

    committed: Sequence[Point]
    held: Sequence[Point]
    """Held since the last committed point."""

    @property
    def last(self) -> Point:
        """Return where the audience stands."""
        return self.committed[-1]

    def moment(self, as_of: datetime, rules: Collection[str]) -> datetime:
        """Return the as_of, or that of the first hold by these rules since the last point."""
        return min([as_of, *(point.as_of for point in self.held if point.held_by(rules))])

    def held_days(self) -> set[str]:
        """Return the days (2026-03-01) whose events an evaluation was held for since then."""
        return {day for point in self.held for day in _HALF_LOADED.findall(point.rules)}

    def window(self, since: datetime, until: datetime, change: str) -> tuple[Window, Point]:
        """Return what was committed by itself after the last point at `since`, and that point.

        An audience that is younger has its first point instead, whose members count for nothing.
        """
        before = [point for point in self.committed if point.as_of <= since]
        start = before[-1] if before else self.committed[0]
        later = self.committed[self.committed.index(start) + 1 :]
        approved = sum(point.entered - point.exited for point in later if point.approved)
        changes = sum(point.counted(change) for point in later if not point.approved)
        return Window(start.members + approved, changes, days=days(start.as_of, until)), start

    def highest_base(self, until: datetime) -> int:
        """Return the most users of the 7 days before; a loss that was approved starts again."""
        recent = [
            point for point in self.committed if point.as_of > until - WEEK or point is self.last
        ]
        approved = [
            n for n, point in enumerate(recent) if point.approved and point.held_by(["base"])
        ]
        return max(point.base for point in recent[approved[-1] if approved else 0 :])


def days(since: datetime, until: datetime) -> float:
    """Return the days between two instants, at least one."""
    return max(1.0, (until - since) / DAY)


def read_history(warehouse: Warehouse, audience: str) -> History | None:
    """Return what there is to look back on, None before the first committed point."""
    found = [
        Point(row[0], aware_utc(row[1]), *row[2:])
        for row in warehouse.rows(_POINTS, {"audience": audience})
    ]
    committed = [n for n, point in enumerate(found) if point.status == "committed"]
    if not committed:
        return None
    return History([found[n] for n in committed], found[committed[-1] + 1 :])


def users_of(
    warehouse: Warehouse, audience: str, change: str, start: Point, evaluation_id: str
) -> int:
    """Return how many different users changed by themselves since a point, with those of now."""
    ((users,),) = warehouse.rows(
        _USERS,
        {
            "audience": audience,
            "change": change,
            "start": naive_utc(start.as_of),
            "first": start.evaluation_id,
            "evaluation": evaluation_id,
        },
    )
    return int(users)


_USERS = """
select count(distinct user_id) from tailrace.deltas
where audience = $audience and change = $change and as_of >= $start and (
    evaluation_id = $evaluation or evaluation_id in (
        select evaluation_id from tailrace.evaluations
        where audience = $audience and origin = 'live' and status = 'committed'
            and approved_at is null and evaluation_id <> $first))
"""
