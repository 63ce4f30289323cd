"""Plans in the warehouse: stored, approved, closed. The status of the `plans` row is the commit."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pyarrow as pa

from orchestration.ids import new_id
from orchestration.plan import OPS, Plan
from orchestration.project import Sync
from orchestration.sql.names import aware_utc, ident, naive_utc
from orchestration.warehouse import Warehouse

_CLAIMED = pa.schema([("seq_from", pa.int64()), ("seq_to", pa.int64())])

FINAL = "('delivered', 'rejected', 'later', 'suppressed')"
"""Outcomes after which an op is not sent again by its plan."""

SLICE_ROWS = 250_000
OF_SLICE = "plan_id = $plan and seq_to >= $from and seq_from <= $to"
"""Which receipts reach into a slice of a plan; they may tell of ops outside of it."""

KEEP_EVENTS = timedelta(days=14)
"""Twice the look-back, so that no event within it is ever forgotten and sent twice."""


@dataclass(frozen=True, slots=True)
class OpenPlan:
    """A plan that may be sent: `ready`, or `delivering` and interrupted."""

    plan_id: str
    status: str
    as_of: datetime
    ready_at: datetime
    ops: int
    bytes: int
    mode: str


def store_plan(warehouse: Warehouse, sync: Sync, plan: Plan, now: datetime) -> Plan:
    """Store what `make_plan` left in this connection, and return it with its id.

    A held plan with the same content as the one already held is that plan. Rows that cannot be
    sent become rejects; a plan without ops leaves no row, unless somebody asked for it.
    """
    with warehouse.transaction():
        held = warehouse.rows(
            "select plan_id, plan_hash from tailrace.plans where sync = ? and status = 'held'",
            [sync.key],
        )
        if plan.verdict == "held" and held and held[0][1] == plan.plan_hash:
            # The answer of now, so that it can be approved after the models were built again.
            warehouse.execute(
                "update tailrace.plans set as_of = ? where plan_id = ?",
                [naive_utc(plan.as_of), held[0][0]],
            )
            return replace(plan, plan_id=held[0][0])
        supersede_open(warehouse, sync.key, ("held", "ready"))
        warehouse.execute(_REBASE, {"sync": sync.key})
        stored = replace(plan, plan_id=new_id("p", now))
        if sync.options.sends != "events":
            _issue_versions(warehouse, sync, stored.plan_id)
        else:
            _close_moved_rejects(warehouse, sync)
        _record_unsendable(warehouse, sync, now)
        if not plan.ops and plan.mode != "assume-sent":
            return plan
        if sync.options.sends == "events":
            _carry_events(warehouse, sync, stored)
        warehouse.execute(_INSERT_OPS, {"plan": stored.plan_id})
        warehouse.execute(_INSERT_FIELDS, {"plan": stored.plan_id})
        _insert_plan(warehouse, stored, now)
        return stored


_REBASE = """
update tailrace.issued as k set row_hash = r.row_hash, quick = r.quick,
    issued_row_hash = case when k.version_acked = k.version_issued then r.row_hash
        else k.issued_row_hash end
from tailrace_rebased as r
where k.sync = $sync and k.dest_key = r.dest_key
"""

_INSERT_FIELDS = """
insert into tailrace.plan_fields by name
select cast($plan as varchar) as plan_id, field, "rows", empty from tailrace_fields
"""

_INSERT_OPS = """
insert into tailrace.plan_ops by name
select $plan as plan_id, seq, dest_key, user_id, kind, op, version, op_id, occurred_at, row_hash,
    not_before, objects, payload
from tailrace_payloads
order by seq
"""
# In order, so that a chunk of them is read from one place.


def _carry_events(warehouse: Warehouse, sync: Sync, plan: Plan) -> None:
    """Note which events a plan carries, so that no later plan carries them again."""
    values = {"sync": sync.key, "plan": plan.plan_id, "oldest": naive_utc(plan.as_of - KEEP_EVENTS)}
    for statement in _CARRY:
        used = {name: value for name, value in values.items() if f"${name}" in statement}
        warehouse.execute(statement, used)


_CARRY = (
    """
    create or replace temp table tailrace_carried as
    select event_id, op_id, received_at from tailrace_keyed
    where kind is null or op_id in (select op_id from tailrace_ops)
    """,
    """
    delete from tailrace.sent_events
    where sync = $sync and event_id in (select event_id from tailrace_carried)
    """,
    """
    insert into tailrace.sent_events by name
    select cast($sync as varchar) as sync, event_id, op_id, received_at,
        cast($plan as varchar) as plan_id
    from tailrace_carried
    """,
    """
    delete from tailrace.sent_events
    where sync = $sync and received_at < $oldest and plan_id is not null
    """,
)


def _insert_plan(warehouse: Warehouse, plan: Plan, now: datetime) -> None:
    quiet = plan.mode == "assume-sent"
    row = {
        "plan_id": plan.plan_id,
        "sync": plan.sync,
        "as_of": naive_utc(plan.as_of),
        "plan_hash": plan.plan_hash,
        "status": "done" if quiet else plan.verdict,
        "mode": plan.mode,
        "mapping": plan.mapping,
        "reasons": json.dumps(plan.reasons),
        "rules": json.dumps(plan.rules),
        "ready_at": naive_utc(now) if quiet or plan.verdict == "ready" else None,
        "planned_at": naive_utc(now),
        "ops": plan.ops,
        **{op: plan.counts.get(op, 0) for op in OPS},
        "unapproved": plan.unapproved,
        "skipped": plan.skipped,
        "no_consent": plan.no_consent,
        "suppressed": plan.suppressed,
        "gone": plan.gone,
        "too_late": plan.too_late,
        "calls": plan.calls,
        "bytes": plan.bytes,
    }
    columns = ", ".join(ident(name) for name in row)
    values = ", ".join("?" for _ in row)
    warehouse.execute(
        f"insert into tailrace.plans ({columns}) values ({values})", list(row.values())
    )


def _issue_versions(warehouse: Warehouse, sync: Sync, plan_id: str | None) -> None:
    """Raise `acked` to what this plan issues; an exit that sends nothing is acknowledged here."""
    warehouse.execute(_ISSUED, {"sync": sync.key, "plan": plan_id})
    warehouse.execute(
        "delete from tailrace.issued where sync = ? "
        "and dest_key in (select dest_key from tailrace_issued)",
        [sync.key],
    )
    # In order, so that a slice of the plan is acknowledged in one place.
    warehouse.execute(
        "insert into tailrace.issued by name select * from tailrace_issued order by issued_seq"
    )
    warehouse.execute(
        "update tailrace.rejects set state = 'superseded' where sync = ? "
        "and state in ('open', 'retry') and op_id not in (select op_id from tailrace_keyed)",
        [sync.key],
    )


_ISSUED = """
create or replace temp table tailrace_issued as
select $sync as sync, n.dest_key, n.user_id,
    case when n.kind is null then n.op else k.op end as op,
    n.version as version_issued,
    case when n.kind is null then n.version else coalesce(k.version_acked, 0) end
        as version_acked,
    case when n.kind is null then n.op_id else k.op_id end as op_id,
    case when n.kind is null then n.row_hash else k.row_hash end as row_hash,
    case when n.kind is null then n.occurred_at else k.occurred_at end as occurred_at,
    case when n.kind is not null then k.unsure_until end as unsure_until,
    n.op as issued_op, n.op_id as issued_op_id, n.row_hash as issued_row_hash,
    n.occurred_at as issued_occurred_at, $plan as issued_plan, n.seq as issued_seq, n.quick,
    greatest(k.quiet_until, case when not n.reused then k.unsure_until end) as quiet_until
from tailrace_keyed as n
left join tailrace.acked as k on k.sync = $sync and n.dest_key = k.dest_key
"""


def _close_moved_rejects(warehouse: Warehouse, sync: Sync) -> None:
    """An event refused under one address and planned again under another has a new op_id."""
    warehouse.execute(
        "update tailrace.rejects set state = 'superseded' where sync = $sync "
        "and state in ('open', 'retry') and op_id in ("
        "select s.op_id from tailrace.sent_events as s "
        "inner join tailrace_ops as o on s.event_id = o.event_id "
        "where s.sync = $sync and s.op_id <> o.op_id)",
        {"sync": sync.key},
    )


def _record_unsendable(warehouse: Warehouse, sync: Sync, now: datetime) -> None:
    warehouse.execute(
        "update tailrace.rejects set state = 'open' where sync = ? and state = 'retry' "
        "and op_id in (select op_id from tailrace_keyed where bad_field is not null)",
        [sync.key],
    )
    warehouse.execute(
        "insert into tailrace.rejects by name "
        "select $sync as sync, dest_key, op_id, cast(null as varchar) as plan_id, "
        "cast(null as bigint) as seq, 'rejected' as class, 'unsendable' as code, "
        "bad_field as field, 'no value that JSON has' as detail, row_hash, "
        "cast($now as timestamp) as rejected_at, 'open' as state from tailrace_keyed "
        "where bad_field is not null and op_id not in "
        "(select op_id from tailrace.rejects where sync = $sync and state = 'open')",
        {"sync": sync.key, "now": naive_utc(now)},
    )


def open_plan(warehouse: Warehouse, sync: Sync) -> OpenPlan | None:
    """Return the plan of a sync that may be sent, if there is one."""
    found = warehouse.rows(
        "select plan_id, status, as_of, ready_at, ops, bytes, coalesce(mode, 'normal') "
        "from tailrace.plans where sync = ? and status in ('ready', 'delivering') "
        "order by ready_at desc limit 1",
        [sync.key],
    )
    if not found:
        return None
    plan_id, status, as_of, ready_at, ops, size, mode = found[0]
    return OpenPlan(plan_id, status, aware_utc(as_of), aware_utc(ready_at), ops, size, mode)


def unsettled(warehouse: Warehouse, plan_id: str) -> dict[str, int]:
    """Return how many ops of a plan have no final outcome, by op."""
    found = warehouse.rows(
        "select p.op, count(*) from tailrace.plan_ops as p "
        "left join tailrace.op_outcomes as o on p.plan_id = o.plan_id and p.seq = o.seq "
        f"where p.plan_id = ? and (o.outcome is null or o.outcome not in {FINAL}) group by p.op",
        [plan_id],
    )
    return dict(found)


def slices(warehouse: Warehouse, plan_id: str) -> Iterator[dict[str, str | int]]:
    """Yield parts of a plan, as parameters: a plan may be larger than memory."""
    ((ops,),) = warehouse.rows("select max(ops) from tailrace.plans where plan_id = ?", [plan_id])
    for first in range(1, (ops or 0) + 1, SLICE_ROWS):
        yield {"plan": plan_id, "from": first, "to": min(ops, first + SLICE_ROWS - 1)}


def held_evaluation(warehouse: Warehouse, sync: Sync) -> str | None:
    """Return the sentence to say if an evaluation of the sync's audience waits for approval."""
    found = warehouse.rows(
        "select max(evaluation_id) from tailrace.evaluations where audience = ? "
        "and status = 'held'",
        [sync.audience.key if sync.audience else None],
    )
    held = found[0][0]
    return f"evaluation {held} of its audience waits for approval" if held else None


def set_status(warehouse: Warehouse, plan_id: str, status: str) -> None:
    """Move a plan on; the write of this one row is what readers go by."""
    warehouse.execute("update tailrace.plans set status = ? where plan_id = ?", [status, plan_id])


def close_plan(
    warehouse: Warehouse,
    plan: OpenPlan,
    unsure_until: datetime,
    claimed: Sequence[tuple[int, int]] | None,
) -> None:
    """End a plan that was not sent in time; what may have arrived is unsure from now on.

    Args:
        warehouse: where the plan is.
        plan: a ready or delivering plan.
        unsure_until: when no request of it can be under way any more.
        claimed: the ranges of seqs that went, or were about to go, on the wire; None if the
            journal that knew is lost, so that any of them may have.
    """
    with warehouse.transaction():
        if plan.status == "delivering":
            ranges = claimed if claimed is not None else [(1, plan.ops)]
            warehouse.execute(
                "create or replace temp table tailrace_claimed (seq_from bigint, seq_to bigint)"
            )
            firsts, lasts = [first for first, _ in ranges], [last for _, last in ranges]
            table = pa.table({"seq_from": firsts, "seq_to": lasts}, _CLAIMED)
            warehouse.append("tailrace_claimed", table)
            warehouse.execute(_MARK_UNSURE, [naive_utc(unsure_until), plan.plan_id])
        _supersede(warehouse, plan.plan_id)


_MARK_UNSURE = """
update tailrace.issued as k set unsure_until = ?
from tailrace.plan_ops as o
inner join tailrace.plans as p on o.plan_id = p.plan_id
left join tailrace.op_outcomes as r on o.plan_id = r.plan_id and o.seq = r.seq
where o.plan_id = ? and k.sync = p.sync and k.dest_key = o.dest_key
    and k.issued_op_id = o.op_id and k.version_issued > coalesce(k.version_acked, 0)
    and (r.outcome is null
        or r.outcome not in ('delivered', 'rejected', 'later', 'suppressed'))
    and exists (
        select 1 from tailrace_claimed as c where o.seq between c.seq_from and c.seq_to)
"""


def supersede_open(
    warehouse: Warehouse, sync: str, statuses: Sequence[str] = ("held", "ready", "delivering")
) -> None:
    """Take the plans of a sync that are in these statuses out of the way."""
    for plan_id, status in warehouse.rows(
        "select plan_id, status from tailrace.plans where sync = ?", [sync]
    ):
        if status in statuses:
            _supersede(warehouse, plan_id)


def _supersede(warehouse: Warehouse, plan_id: str) -> None:
    """Take a plan out of the way; its events are owed until they have an outcome."""
    warehouse.execute(
        "update tailrace.sent_events set plan_id = null where plan_id = $plan and op_id not in ("
        f"select op_id from tailrace.op_outcomes where plan_id = $plan and outcome in {FINAL})",
        {"plan": plan_id},
    )
    set_status(warehouse, plan_id, "superseded")
