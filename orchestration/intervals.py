"""Stays as a function of the evaluated points, where points are put in between or before.

A stay is a maximal run of consecutive points at which the user is in. New points change only the
stays around them: those between the last point before and the first point after. So the order in
which points come makes no difference, nor whether they come twice.
"""

from __future__ import annotations

from datetime import datetime

from orchestration.project import Audience
from orchestration.sql.names import aware_utc, naive_utc
from orchestration.warehouse import Warehouse

# `nth` numbers the points of the window: 0 is the one before, the last is the one after.
_WINDOW = """
create or replace temp table tailrace_window as
with others as (
    select as_of, arg_max(evaluation_id, evaluated_at) as evaluation_id
    from tailrace.evaluations
    where audience = $audience and status = 'committed' and replaced_at is null
        and (as_of < $first or as_of > $last)
    group by as_of
),
around as (
    (select as_of, evaluation_id from others where as_of < $first order by as_of desc limit 1)
    union all
    (select as_of, evaluation_id from others where as_of > $last order by as_of limit 1)
    union all
    select as_of, evaluation_id from tailrace_points
)
select as_of, evaluation_id, row_number() over (order by as_of) as nth from around
"""

# The stays that reach into the window, with what they were outside of it.
_CUT = """
create or replace temp table tailrace_cut as
with bounds as (
    select
        max(as_of) filter (where as_of < $first) as before,
        min(as_of) filter (where as_of > $last) as after
    from tailrace_window
)
select i.user_id, i.entered_at, i.exited_at, i.origin, i.evaluation_id,
    coalesce(i.entered_at <= b.before and (i.exited_at is null or i.exited_at > b.before), false)
        as holds_before,
    coalesce(i.entered_at <= b.after and (i.exited_at is null or i.exited_at > b.after), false)
        as holds_after
from tailrace.membership_intervals as i
cross join bounds as b
where i.audience = $audience
    and (b.after is null or i.entered_at <= b.after)
    and (b.before is null or i.exited_at is null or i.exited_at > b.before)
"""

_STAYS = """
create or replace temp table tailrace_stays as
with members as (
    select w.nth, m.user_id
    from tailrace_points_members as m inner join tailrace_window as w on m.as_of = w.as_of
    union all
    select (select min(nth) from tailrace_window), user_id from tailrace_cut where holds_before
    union all
    select (select max(nth) from tailrace_window), user_id from tailrace_cut where holds_after
),
runs as (
    select user_id, nth - row_number() over (partition by user_id order by nth) as run, nth
    from members
),
islands as (
    select user_id, min(nth) as starts, max(nth) as ends from runs group by user_id, run
)
select i.user_id,
    case when b.user_id is null then s.as_of else b.entered_at end as entered_at,
    case when a.user_id is null then e.as_of else a.exited_at end as exited_at,
    case when b.user_id is null then s.evaluation_id else b.evaluation_id end as evaluation_id
from islands as i
inner join tailrace_window as s on i.starts = s.nth
left join tailrace_window as e on i.ends + 1 = e.nth
left join tailrace_cut as b on b.holds_before and i.user_id = b.user_id and s.as_of < $first
left join tailrace_cut as a
    on a.holds_after and i.user_id = a.user_id
    and i.ends = (select max(nth) from tailrace_window)
"""

_REPLACE = (
    """
    delete from tailrace.membership_intervals as i using tailrace_cut as c
    where i.audience = $audience and i.user_id = c.user_id and i.entered_at = c.entered_at
    """,
    """
    create or replace temp table tailrace_live as
    select distinct as_of from tailrace.evaluations
    where audience = $audience and origin = 'live' and status = 'committed'
        and replaced_at is null
    """,
    # Live is a stay that a live point is in: the first from its beginning on comes before its end.
    """
    insert into tailrace.membership_intervals by name
    select cast($audience as varchar) as audience, s.*,
        case when p.as_of < coalesce(s.exited_at, timestamp 'infinity') then 'live'
            else 'backfill' end as origin
    from tailrace_stays as s
    asof left join tailrace_live as p on s.entered_at <= p.as_of
    """,
)


KNOWN_STAYS = "tailrace_known_stays"
"""The stays as the days so far have them: what the SQL of an audience may read in a backfill."""

_KNOWN_STAYS = f"""
create or replace temp table {KNOWN_STAYS} as
select * from tailrace.membership_intervals as i
where i.audience <> $audience or not exists (
    select 1 from tailrace_cut as c where c.user_id = i.user_id and c.entered_at = i.entered_at
)
union all by name
select cast($audience as varchar) as audience, s.*, 'backfill' as origin from tailrace_stays as s
"""


def keep_known_stays(
    warehouse: Warehouse, audience: Audience, first: datetime, last: datetime
) -> None:
    """Make `KNOWN_STAYS` of the stays there are and the points set aside, as `store_points` would.

    A day of a backfill may ask who left before it: the answer is in the days before, which are
    not stored yet, and not in those that are being replaced.
    """
    values = {
        "audience": audience.key, "first": naive_utc(first), "last": naive_utc(last),
    }  # fmt: skip
    for statement in (_WINDOW, _CUT, _STAYS, _KNOWN_STAYS):
        used = {name: value for name, value in values.items() if f"${name}" in statement}
        warehouse.execute(statement, used)


def begin_points(warehouse: Warehouse) -> None:
    """Make room, on this connection, for the points of a backfill."""
    warehouse.execute(
        "create or replace temp table tailrace_points (as_of timestamp, evaluation_id varchar, "
        "base bigint, candidates bigint, members bigint)"
    )
    warehouse.execute(
        "create or replace temp table tailrace_points_members (as_of timestamp, user_id varchar)"
    )


def add_point(
    warehouse: Warehouse,
    evaluation_id: str,
    as_of: datetime,
    members: str,
    *,
    candidates: int,
    base: int | None,
) -> None:
    """Set aside who was in at an instant; `members` is a SELECT of user_id."""
    values = {"as_of": naive_utc(as_of)}
    warehouse.execute(
        f"insert into tailrace_points_members select $as_of, user_id from ({members})", values
    )
    warehouse.execute(
        "insert into tailrace_points select $as_of, $id, $base, $candidates, count(*) "
        "from tailrace_points_members where as_of = $as_of",
        {**values, "id": evaluation_id, "base": base, "candidates": candidates},
    )


def store_points(
    warehouse: Warehouse, audience: Audience, first: datetime, last: datetime, now: datetime
) -> None:
    """Commit the points set aside, in the open transaction.

    Args:
        warehouse: the connection that `add_point` was called on.
        audience: whose points they are.
        first: from here on they take the place of the points there were,
        last: up to here. Stays that reach over these bounds go on beyond them as they did.
        now: when this is.
    """
    values = {
        "audience": audience.key,
        "first": naive_utc(first),
        "last": naive_utc(last),
        "now": naive_utc(now),
        "fingerprint": audience.sql_fingerprint,
    }
    for statement in (_WINDOW, _CUT, _STAYS, *_SET_ASIDE, *_REPLACE, _INSERT, _COUNT):
        used = {name: value for name, value in values.items() if f"${name}" in statement}
        warehouse.execute(statement, used)


# What was live stays on record, for the guard and for what was sent; it is no point any more.
_SET_ASIDE = (
    """
    update tailrace.evaluations set status = 'superseded'
    where audience = $audience and origin = 'backfill' and status = 'committed'
        and as_of between $first and $last
    """,
    """
    update tailrace.evaluations set replaced_at = $now
    where audience = $audience and origin = 'live' and status = 'committed'
        and as_of between $first and $last
    """,
)

_INSERT = """
insert into tailrace.evaluations by name
select evaluation_id, $audience as audience, as_of, 'backfill' as origin, 'committed' as status,
    base, candidates, members, '[]'::json as reasons, '[]'::json as rules,
    $fingerprint as sql_fingerprint, $now::timestamp as evaluated_at
from tailrace_points
"""

# Of the new points, and of the one after them, which is compared with another one now.
_COUNT = """
update tailrace.evaluations as e set
    entered = (
        select count(*) from tailrace.membership_intervals as i
        where i.audience = $audience and i.entered_at = e.as_of),
    exited = (
        select count(*) from tailrace.membership_intervals as i
        where i.audience = $audience and i.exited_at = e.as_of)
where e.audience = $audience and e.origin = 'backfill' and e.status = 'committed'
    and e.as_of >= $first and e.as_of in (select as_of from tailrace_window)
"""


def last_backfilled(warehouse: Warehouse, audience: str) -> datetime | None:
    """Return the last point that was filled in, None without any."""
    ((found,),) = warehouse.rows(
        "select max(as_of) from tailrace.evaluations "
        "where audience = ? and origin = 'backfill' and status = 'committed'",
        [audience],
    )
    return aware_utc(found) if found else None


def close_backfilled(warehouse: Warehouse, audience: str, as_of: datetime) -> None:
    """End the open stays of a backfill at the first live point, in the open transaction.

    Live answers begin from nothing, so that their deltas are complete; whoever is in at this
    point enters at it, which opens a stay that ended there again.
    """
    warehouse.execute(
        "update tailrace.membership_intervals set exited_at = ? "
        "where audience = ? and exited_at is null",
        [naive_utc(as_of), audience],
    )
