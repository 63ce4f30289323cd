"""The diff of an audience with its open stays, and taking effect of that diff.

Intervals are a function of the evaluated points: a stay is a maximal run of consecutive points at
which the user is in. So a change at an instant that was already evaluated mends the stay rather
than adding one of no length.
"""

from __future__ import annotations

from datetime import datetime

from orchestration.sql.names import naive_utc
from orchestration.warehouse import Warehouse

_DIFF = """
insert into tailrace.deltas by name
with candidates as (select cast(user_id as varchar) as user_id from {relation}),
stays as (
    select user_id from tailrace.membership_intervals
    where audience = $audience and exited_at is null
)
select $evaluation as evaluation_id, coalesce(c.user_id, s.user_id) as user_id,
    $audience as audience, $as_of as as_of,
    case when s.user_id is null then 'entered' else 'exited' end as change
from candidates as c
full outer join stays as s on c.user_id = s.user_id
where c.user_id is null or s.user_id is null
"""

_COUNTS = """
select count(*) filter (where change = 'entered'), count(*) filter (where change = 'exited'),
    sha256(coalesce(string_agg(
        length(user_id) || ':' || user_id || change, ',' order by user_id, change), ''))
from tailrace.deltas where evaluation_id = ?
"""


def store_deltas(
    warehouse: Warehouse, evaluation_id: str, audience: str, relation: str, as_of: datetime
) -> tuple[int, int, str]:
    """Store who entered and who left; returns (entered, exited, hash over sorted changes)."""
    values = {"evaluation": evaluation_id, "audience": audience, "as_of": naive_utc(as_of)}
    warehouse.execute(_DIFF.format(relation=relation), values)
    ((entered, exited, digest),) = warehouse.rows(_COUNTS, [evaluation_id])
    return entered, exited, digest


def apply_deltas(warehouse: Warehouse, evaluation_id: str, audience: str, as_of: datetime) -> None:
    """Close and open stays as the stored deltas of an evaluation say."""
    values = {"evaluation": evaluation_id, "audience": audience, "as_of": naive_utc(as_of)}
    for statement in _APPLY:
        warehouse.execute(statement, values)


_APPLY = (
    """
    update tailrace.membership_intervals as i set exited_at = $as_of
    where i.audience = $audience and i.exited_at is null and i.user_id in (
        select user_id from tailrace.deltas
        where evaluation_id = $evaluation and change = 'exited')
    """,
    """
    delete from tailrace.membership_intervals
    where audience = $audience and entered_at = $as_of and exited_at = $as_of
    and $evaluation is not null
    """,
    """
    update tailrace.membership_intervals as i set exited_at = null
    where i.audience = $audience and i.exited_at = $as_of and i.user_id in (
        select user_id from tailrace.deltas
        where evaluation_id = $evaluation and change = 'entered')
    """,
    """
    insert into tailrace.membership_intervals by name
    select d.audience, d.user_id, $as_of as entered_at, null::timestamp as exited_at,
        'live' as origin, d.evaluation_id
    from tailrace.deltas as d
    where d.evaluation_id = $evaluation and d.change = 'entered' and not exists (
        select 1 from tailrace.membership_intervals as i
        where i.audience = $audience and i.user_id = d.user_id and i.exited_at is null)
    """,
)
