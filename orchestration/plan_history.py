"""A plan in the light of those before it: the facts that its guard goes by."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median

from destinations.base import Kind
from orchestration.desired.columns import mapped_members, mapped_traits, mapping_of
from orchestration.desired.membership import TOLD, repeats_are_events
from orchestration.desired.scope import Mode, Scope
from orchestration.plan_guard import Facts, Limits
from orchestration.project import Sync
from orchestration.sql.names import aware_utc, naive_utc, text
from orchestration.sql.scalars import Column, Type
from orchestration.sync_identity import orphans, shape_of
from orchestration.warehouse import Warehouse

APPROVED_DAYS = 7
"""So long a plan that was approved and not sent in time may be planned again without asking."""

DAY = timedelta(days=1)
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
THROUGH = "ready_at is not null and coalesce(mode, 'normal') = 'normal'"


def first_at(warehouse: Warehouse, sync: Sync) -> datetime | None:
    """Return the as_of of the first plan that was let through, None before there is one."""
    ((found,),) = warehouse.rows(
        "select min(as_of) from tailrace.plans where sync = ? and ready_at is not null", [sync.key]
    )
    return aware_utc(found) if found else None


def put_unapproved(scope: Scope, now: datetime) -> None:
    """Leave the view `tailrace_unapproved`: ops that are no part of an approved, unsent plan."""
    since = naive_utc(now - timedelta(days=APPROVED_DAYS))
    approved = scope.warehouse.rows(
        "select plan_id from tailrace.plans where sync = ? and approved_by is not null "
        "and status = 'superseded' and planned_at > ?",
        [scope.sync.key, since],
    )
    where = ""
    if approved:
        plans = ", ".join(text(plan_id) for (plan_id,) in approved)
        where = (
            f" where op_id not in (select op_id from tailrace.plan_ops where plan_id in ({plans}))"
        )
    scope.warehouse.execute(
        "create or replace temp view tailrace_unapproved as select seq, dest_key, user_id, op, "
        f"is_new, is_gone from tailrace_ops{where}"
    )


def put_fields(scope: Scope) -> None:
    """Leave `tailrace_fields`: how many profiles have nothing, or zero, in each mapped field."""
    options, relations = scope.sync.options, scope.relations
    fields: dict[str, Column] = {}
    whose = f"{relations.traits} as t"
    ((ops,),) = scope.warehouse.rows("select count(*) from tailrace_ops")
    if options.sends == "traits" and ops:
        fields = mapped_traits(scope, "t")
    elif options.send_updates and ops:
        fields = mapped_members(scope)
        whose = f"{relations.model} as a left join {whose} on a.user_id = t.user_id"
    counts = [f"count(*) filter ({_is_empty(column)})" for column in fields.values()]
    names = [text(name) for name in fields]
    scope.warehouse.execute(
        "create or replace temp table tailrace_fields as "
        f"with counted as (select count(*) as total, [{', '.join(counts)}]::bigint[] as empties "
        f"from {whose}) "
        f'select unnest([{", ".join(names)}]::varchar[]) as field, total as "rows", '
        "unnest(empties) as empty from counted"
    )


def _is_empty(column: Column) -> str:
    nothing = {
        Type.STRING: f"{column.sql} = ''",
        Type.BOOLEAN: f"not {column.sql}",
        Type.INTEGER: f"{column.sql} = 0",
        Type.DOUBLE: f"{column.sql} = 0",
        Type.DECIMAL: f"{column.sql} = 0",
        Type.JSON: f"cast({column.sql} as varchar) in ('[]', '{{}}', 'null', '\"\"')",
    }.get(column.type, "false")
    return f"{column.sql} is null or {nothing}"


def gather(scope: Scope, began: datetime | None, limits: Limits) -> Facts:
    """Return what the guard has to know of the plan left in this connection."""
    warehouse, sync = scope.warehouse, scope.sync
    ((ops, new, gone, updates),) = warehouse.rows(
        "select count(*), count(*) filter (is_new and op <> 'exit'), count(*) filter (is_gone), "
        "count(*) filter (op = 'event' or (op = 'update' and not is_new and not is_gone)) "
        "from tailrace_unapproved"
    )
    ((told,),) = warehouse.rows(
        f"select count(*) from tailrace.acked where sync = ? and op in {TOLD}", [sync.key]
    )
    usual, changed = _usual(scope, limits)
    facts = Facts(
        sends=sync.options.sends,
        first=began is None,
        ops=ops,
        max_first=sync.max_first,
        renamed=_renamed(scope) if began is None else None,
        new=new,
        told=told,
        gone=gone,
        updates=updates,
        usual=usual,
        mapping_changed=changed,
        empties=_empties(scope),
        profiles=_profiles(warehouse),
        destination=sync.options.destination,
    )
    return _with_membership(scope, facts) if sync.options.sends == "membership" else facts


def _with_membership(scope: Scope, facts: Facts) -> Facts:
    warehouse, sync = scope.warehouse, scope.sync
    audience = sync.audience.key if sync.audience else ""
    lost = 0
    if scope.mode is Mode.NORMAL:
        ((lost,),) = warehouse.rows(
            "select count(*) from tailrace_unapproved as o where o.op = 'exit' and o.user_id in ("
            "select user_id from tailrace.membership_intervals "
            "where audience = ? and exited_at is null)",
            [audience],
        )
    last = _last_as_of(warehouse, [sync.key])
    ((counted, new),) = warehouse.rows(
        "select count(*), count(*) filter (is_new and op <> 'exit') from tailrace_unapproved "
        "where op in ('enter', 'exit') and user_id not in ("
        "select d.user_id from tailrace.deltas as d "
        "inner join tailrace.evaluations as e on d.evaluation_id = e.evaluation_id "
        "where e.audience = $audience and e.status = 'committed' and e.approved_at is not null "
        "and e.as_of > $last)",
        {"audience": audience, "last": last or naive_utc(LONG_AGO)},
    )
    there = [
        other.key
        for other in scope.project.syncs
        if other.options.destination == sync.options.destination
        and other.options.sends == "membership"
    ]
    ((told_there,),) = warehouse.rows(
        f"select count(*) from tailrace.acked where sync in (select unnest(?)) and op in {TOLD}",
        [there],
    )
    ((of_the_day,),) = warehouse.rows(
        "select coalesce(sum(unapproved), 0) from tailrace.plans where sync in (select unnest(?)) "
        f"and {THROUGH} and approved_by is null and status <> 'superseded' and as_of > ?",
        [there, naive_utc(scope.as_of - DAY)],
    )
    latest = _last_as_of(warehouse, there)
    days = (naive_utc(scope.as_of) - latest) / DAY if latest else 1.0
    doubt = sync.options.on_ambiguous == "hold" and repeats_are_events(scope)
    ((doubtful,),) = warehouse.rows(
        "select count(*) from tailrace_keyed "
        f"where {str(doubt).lower()} and reused and unsure_until is not null "
        f"and kind = '{Kind.TRACK}'"
    )
    return replace(
        facts,
        new=new,
        lost=lost,
        counted=0 if facts.first or scope.mode is not Mode.NORMAL else counted,
        of_the_day=int(of_the_day),
        told_there=told_there,
        days=max(1.0, days),
        doubtful=doubtful,
    )


def _last_as_of(warehouse: Warehouse, keys: list[str]) -> datetime | None:
    ((last,),) = warehouse.rows(
        f"select max(as_of) from tailrace.plans where sync in (select unnest(?)) and {THROUGH}",
        [keys],
    )
    return last if isinstance(last, datetime) else None


def _renamed(scope: Scope) -> str | None:
    """Return a sync of the same shape that the project no longer has: perhaps its old name."""
    shape = shape_of(scope.sync)
    alike = [
        key for key, other in orphans(scope.warehouse, scope.project).items() if other == shape
    ]
    return alike[0] if alike else None


def _usual(scope: Scope, limits: Limits) -> tuple[float | None, bool]:
    """Return (median ops of the last plans for as long a time, whether the mapping changed)."""
    found = scope.warehouse.rows(
        f"select as_of, ops, mapping from tailrace.plans where sync = ? and {THROUGH} "
        "and ops > 0 order by as_of desc, planned_at desc limit ?",
        [scope.sync.key, limits.plans_needed + 1],
    )
    if not found:
        return None, False
    changed = found[0][2] is not None and found[0][2] != mapping_of(scope)
    if len(found) < limits.plans_needed:
        return None, changed
    instants = [aware_utc(row[0]) for row in found]
    gaps = [(later - earlier) / DAY for later, earlier in pairwise(instants)]
    passed = (scope.as_of - instants[0]) / DAY
    longer = max(1.0, passed / median(gaps)) if median(gaps) else 1.0
    usual = float(median(row[1] for row in found[: limits.plans_needed]))
    return usual * longer, changed


def _profiles(warehouse: Warehouse) -> int:
    ((profiles,),) = warehouse.rows('select coalesce(max("rows"), 0) from tailrace_fields')
    return int(profiles)


def _empties(scope: Scope) -> tuple[tuple[str, float, float], ...]:
    """Return (field, lowest share of null or zero of late, share now) where it rose.

    Of late is the last plan and those of the 24 hours before this one, so that a slow rise is
    seen too; what somebody approved is where counting begins anew.
    """
    found = scope.warehouse.rows(
        """
        with through as (
            select plan_id, as_of, approved_by,
                row_number() over (order by as_of desc, planned_at desc) as nth
            from tailrace.plans
            where sync = $sync and ready_at is not null
                and plan_id in (select plan_id from tailrace.plan_fields)
        ),
        recent as (
            select plan_id from through
            where (nth = 1 or as_of > $day_ago) and as_of >= coalesce(
                (select max(as_of) from through where approved_by is not null), as_of)
        ),
        before as (
            select field, min(empty / greatest("rows", 1)) as share from tailrace.plan_fields
            where plan_id in (select plan_id from recent) group by field
        )
        select n.field, b.share, n.empty / greatest(n."rows", 1) as now_share
        from tailrace_fields as n
        inner join before as b on n.field = b.field
        where now_share > b.share
        order by n.field
        """,
        {"sync": scope.sync.key, "day_ago": naive_utc(scope.as_of - DAY)},
    )
    return tuple((name, float(before), float(now)) for name, before, now in found)
