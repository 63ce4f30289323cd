"""The diff of an audience with its open stays, and taking effect of that diff.

Intervals are a function of the evaluated points: a stay is a maximal run of consecutive points at
which the user is in. So a change at an instant that was already evaluated mends the stay rather
than adding one of no length.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from orchestration.sql.names import naive_utc
from orchestration.warehouse import Warehouse

NOBODY = "false"
"""The condition of controls that keep nobody out."""


@dataclass(frozen=True, slots=True)
class Diff:
    """What stands in `tailrace.deltas` for an evaluation, and what it was compared with.

    `nameless` rows of the audience have no user_id, and `repeated` have one that another row has;
    with either, the diff must be rolled back. `digest` is over the changes, in no order.
    """

    candidates: int
    members: int
    entered: int
    exited: int
    nameless: int
    repeated: int
    digest: str


# Only what differs is looked at again: every other candidate met exactly one open stay, which the
# counts prove. So the keys are checked without a second pass over the audience.
_DIFF = """
insert into tailrace.deltas by name
with candidates as (
    select cast(user_id as varchar) as user_id from {relation} where ({kept_out}) is not true
),
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

_SUPPRESSED = """
insert into tailrace.deltas by name
select $evaluation as evaluation_id, cast(user_id as varchar) as user_id,
    $audience as audience, $as_of as as_of, 'suppressed' as change
from {relation} where {kept_out}
"""

_COUNTS = """
select
    (select count(*) from {relation}),
    (select count(*) from {relation} where ({kept_out}) is not true),
    (select count(*) from tailrace.membership_intervals
        where audience = $audience and exited_at is null),
    count(*) filter (where change = 'entered'),
    count(*) filter (where change = 'exited'),
    count(*) filter (where user_id is null or trim(user_id) = ''),
    count(distinct user_id) filter (where change = 'entered' and trim(user_id) <> '')
from tailrace.deltas where evaluation_id = $evaluation and change in ('entered', 'exited')
"""

# Sums of hashes do not depend on the order, so that nothing is sorted or put in one long text.
_DIGEST = """
with changes as (
    select length(user_id) || ':' || user_id || change as said
    from tailrace.deltas where evaluation_id = ? and change in ('entered', 'exited')
)
select sha256(concat_ws(':', count(*), sum(md5_number_lower(said)), sum(md5_number_upper(said))))
from changes
"""


def store_deltas(
    warehouse: Warehouse,
    evaluation_id: str,
    audience: str,
    relation: str,
    as_of: datetime,
    *,
    kept_out: str = NOBODY,
) -> Diff:
    """Store who entered and who left.

    Args:
        warehouse: in a transaction, to be rolled back if the keys turn out to be wrong.
        evaluation_id: the id that the deltas will be read by.
        audience: its key.
        relation: the audience's relation, with a column user_id.
        as_of: the instant of the evaluation.
        kept_out: SQL condition on a candidate who is no member whatever the audience says.
    """
    values = {"evaluation": evaluation_id, "audience": audience}
    named = {"relation": relation, "kept_out": kept_out}
    warehouse.execute(_DIFF.format(**named), {**values, "as_of": naive_utc(as_of)})
    ((candidates, members, stays, entered, exited, nameless, newcomers),) = warehouse.rows(
        _COUNTS.format(**named), values
    )
    repeated = (entered - nameless - newcomers) + (members - entered) - (stays - exited)
    return Diff(
        candidates,
        members,
        entered,
        exited,
        nameless,
        repeated,
        delta_hash(warehouse, evaluation_id),
    )


def store_suppressed(
    warehouse: Warehouse,
    evaluation_id: str,
    audience: str,
    relation: str,
    as_of: datetime,
    kept_out: str,
) -> None:
    """Store who would be in, were they not suppressed."""
    values = {"evaluation": evaluation_id, "audience": audience, "as_of": naive_utc(as_of)}
    warehouse.execute(_SUPPRESSED.format(relation=relation, kept_out=kept_out), values)


def delta_hash(warehouse: Warehouse, evaluation_id: str) -> str:
    """Return a hash over the set of (user, change) stored for an evaluation."""
    return str(warehouse.rows(_DIGEST, [evaluation_id])[0][0])


def drop_deltas(warehouse: Warehouse, evaluation_id: str) -> None:
    """Forget what was stored for an evaluation that will not be recorded."""
    warehouse.execute("delete from tailrace.deltas where evaluation_id = ?", [evaluation_id])


def apply_deltas(warehouse: Warehouse, evaluation_id: str, audience: str, as_of: datetime) -> None:
    """Close and open stays as the stored deltas of an evaluation say."""
    values = {"evaluation": evaluation_id, "audience": audience, "as_of": naive_utc(as_of)}
    for statement in _APPLY:
        warehouse.execute(statement, values)


# Closing comes last: until then no block of the stays, but for what an evaluation at this very
# instant wrote, holds the instant, and the statements before it read next to nothing.
_APPLY = (
    """
    insert into tailrace.membership_intervals by name
    select d.audience, d.user_id, $as_of as entered_at, null::timestamp as exited_at,
        'live' as origin, d.evaluation_id
    from tailrace.deltas as d
    where d.evaluation_id = $evaluation and d.change = 'entered' and not exists (
        select 1 from tailrace.membership_intervals as i
        where i.audience = $audience and i.exited_at = $as_of and i.user_id = d.user_id)
    """,
    """
    update tailrace.membership_intervals as i set exited_at = null, origin = 'live'
    where i.audience = $audience and i.exited_at = $as_of and i.user_id in (
        select user_id from tailrace.deltas
        where evaluation_id = $evaluation and change = 'entered')
    """,
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
)
