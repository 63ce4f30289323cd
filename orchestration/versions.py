"""Version, op_id and time of each op, and its place in the plan.

A version is issued, not counted: the same content planned again keeps its version, op_id and
occurred_at; other content gets the next. Nothing lowers a version.
"""

from __future__ import annotations

from datetime import datetime

from orchestration.desired.scope import Mode, Scope, op_key
from orchestration.sql.names import instant, text
from orchestration.sql.scalars import uuid_of
from orchestration.warehouse.schema import workspace_id

LATER_DAYS = 7


def number(scope: Scope, now: datetime) -> None:
    """Turn `tailrace_rendered` into `tailrace_keyed` (all ops) and `tailrace_ops` (to be sent).

    Neither has the payloads, which are most of a plan and would be copied and sorted with each
    step; `tailrace_payloads` has the ops with them.
    """
    scope.warehouse.execute(_versioned(scope, now))
    scope.warehouse.execute(_keyed(scope, now))
    for statement in _TO_BE_SENT:
        scope.warehouse.execute(statement)


def still_later(scope: Scope, now: datetime) -> str:
    """Select the op_ids that the destination may take yet: `later`, for a week, and retried."""
    return (
        f"select op_id from tailrace.rejects where sync = {scope.key} and (state = 'retry' or "
        "(state = 'open' and class = 'later' "
        f"and rejected_at > {instant(now)} - interval {LATER_DAYS} day))"
    )


def _versioned(scope: Scope, now: datetime) -> str:
    """Give each op its version, op_id and time.

    Content is the same if it is the same change: somebody who left and came back has a later one.
    A later version never carries an earlier time: a stay that an address takes over from another
    began before what was last said about it, and so changes as of now. A row sent once more
    (`repeats`) is the op that was acknowledged. Any other waits until no request of an op
    before it can change the profile any more: `unsure_until` is about the op issued last,
    `quiet_until` about those before.
    """
    key, workspace = text(op_key(scope.warehouse, scope.sync)), workspace_id(scope.warehouse)
    event_id = uuid_of("'event'", key, "dest_key", "event_id")
    state_id = uuid_of(text(workspace), key, "dest_key", "cast(version as varchar)")
    is_events = scope.sync.options.sends == "events"
    once = scope.destination.endpoints[scope.kind].one_per_key
    nth = "row_number() over (partition by dest_key order by moment, event_id)"
    reassert = "true" if scope.mode is Mode.REASSERT else "false"
    return f"""
create or replace temp table tailrace_versioned as
with matched as (
    select *,
        coalesce({reassert} and is_same and version_issued = version_acked, false) as repeats,
        coalesce(version_issued > coalesce(version_acked, 0) and issued_op = op
            and (issued_row_hash = row_hash or (unsure_until is not null and kind = 'track'))
            and (unsure_until is not null or moment is null or moment <= issued_occurred_at),
            false) as reused
    from tailrace_rendered
),
versioned as (
    select *,
        case when event_id is not null then 0 when repeats then version_acked
            when reused then version_issued else coalesce(version_issued, 0) + 1 end as version,
        case when repeats then known_occurred_at when reused then issued_occurred_at
            when event_id is null and (moment is null or moment <= issued_occurred_at)
                then {instant(scope.as_of)}
            else moment end as occurred_at,
        case when repeats then known_op_id when reused then issued_op_id end as kept_op_id
    from matched
)
select dest_key, user_id, kind, op, version, occurred_at, row_hash, bad_field, event_id,
    strlen(payload) as bytes, received_at, unsure_until, known_op is null as is_new, is_gone, quick,
    reused,
    case when not repeats then greatest(
        case when not reused then unsure_until end,
        case when quiet_until > {instant(now)} then quiet_until end) end as not_before,
    {event_id if is_events else f"coalesce(kept_op_id, {state_id})"} as op_id,
    {nth if is_events and once else "1"} as nth
from versioned
"""


def _keyed(scope: Scope, now: datetime) -> str:
    """Number what can be sent; the rest has no seq.

    A request holds one kind and, where the endpoint needs it, one row per dest_key: so seq goes
    by kind, then by the how-many-eth op of its dest_key, then by time. What has to wait for a
    request in doubt comes last.
    """
    return f"""
create or replace temp table tailrace_keyed as
with refused as (
    select op_id from tailrace.rejects where sync = {scope.key} and state = 'open'
        and op_id not in ({still_later(scope, now)})
),
numbered as (
    select op_id, row_number() over (
        order by not_before is not null, kind, nth, not_before, occurred_at, dest_key, op_id) as seq
    from tailrace_versioned
    where bad_field is null and kind is not null and op_id not in (select op_id from refused)
)
select v.*, n.seq
from tailrace_versioned as v
left join numbered as n on v.op_id = n.op_id
"""


_TO_BE_SENT = (
    "drop table tailrace_versioned",
    """
    create or replace temp view tailrace_ops as
    select * from tailrace_keyed where seq is not null
    """,
    """
    create or replace temp view tailrace_payloads as
    select o.*, 1 as objects, r.payload
    from tailrace_ops as o
    inner join tailrace_rendered as r
        on o.dest_key = r.dest_key and o.event_id is not distinct from r.event_id
    """,
)
