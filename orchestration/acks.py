"""Fold: what the journal knows, copied to the warehouse; then `acked` brought up to date.

Copying anything twice changes nothing: receipts and rejects are replaced by key, and `acked` only
moves to a higher version. While a plan is on its way it is only copied: each change of `acked`
touches all of that table. Which plans it is behind with is kept beside the copies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from destinations.delivery.journal import Failure, Journal, Receipt
from orchestration.plan_store import OF_SLICE, slices
from orchestration.warehouse import Warehouse
from orchestration.warehouse.schema import set_state_value, state_value, told

_EPOCH = "journal_epoch"
FINAL = ("delivered", "rejected", "later", "suppressed")
_BEHIND = "behind/"
"""Begins the name of a state value per plan whose receipts `acked` does not know yet."""


def fold(warehouse: Warehouse, journal: Journal) -> None:
    """Copy settled claims and failed rows to the warehouse, then update `acked`."""
    copy(warehouse, journal)
    for (plan_id,) in warehouse.rows(_ALL_BEHIND):
        _acknowledge(warehouse, plan_id)
        warehouse.execute(_NOT_BEHIND, [plan_id])


def copy(warehouse: Warehouse, journal: Journal) -> None:
    """Copy settled claims and failed rows to the warehouse; the next `fold` does the rest."""
    receipts, failures = journal.unexported()
    if not receipts and not failures:
        return
    with _copied(warehouse, journal, receipts, failures):
        for plan_id in {receipt.plan_id for receipt in receipts}:
            set_state_value(warehouse, "", _BEHIND + plan_id, "yes")


@contextmanager
def _copied(
    warehouse: Warehouse, journal: Journal, receipts: list[Receipt], failures: list[Failure]
) -> Iterator[None]:
    """Copy in a transaction that goes on with what the caller does."""
    warehouse.execute(
        "create or replace temp table tailrace_receipts as "
        "select * from tailrace.receipts where false"
    )
    warehouse.execute(
        "create or replace temp table tailrace_failures as select plan_id, seq, class, code, "
        "field, detail, rejected_at from tailrace.rejects where false"
    )
    warehouse.execute(
        "create or replace temp table tailrace_doubts (plan_id varchar, seq_from bigint, "
        "seq_to bigint, quiet_until timestamp)"
    )
    with warehouse.transaction():
        warehouse.execute(_GIVEN_RECEIPTS, _receipt_columns(receipts, failures))
        for statement in _COPY_RECEIPTS:
            warehouse.execute(statement)
        if failures:
            warehouse.execute(_GIVEN_FAILURES, _failure_columns(failures))
            for statement in _COPY_REJECTS:
                warehouse.execute(statement)
        _keep_quiet(warehouse, [r for r in receipts if r.quiet_until is not None])
        note_epoch(warehouse, journal)
        yield
    journal.mark_exported(receipts, failures)


def _acknowledge(warehouse: Warehouse, plan_id: str) -> None:
    """Move `acked` to what was delivered of a plan; nothing lowers a version.

    By slices, each in a transaction of its own, since a plan may be larger than memory; what is
    done twice after a crash changes nothing.
    """
    resolve = [_RESOLVE] if warehouse.rows(_IS_OPEN, {"plan": plan_id}) else []
    for part in slices(warehouse, plan_id):
        ((whole,),) = warehouse.rows(_IS_WHOLE, part)
        _execute(warehouse, part, [*resolve, _ACKNOWLEDGE_WHOLE if whole else _ACKNOWLEDGE])
    if warehouse.rows(_IS_LEFT, {"plan": plan_id}):
        for part in slices(warehouse, plan_id):
            _execute(warehouse, part, _ACKNOWLEDGE_OTHERS)


def _execute(
    warehouse: Warehouse, part: Mapping[str, str | int], statements: Sequence[str]
) -> None:
    with warehouse.transaction():
        for statement in statements:
            warehouse.execute(statement, part if "$plan" in statement else ())


def note_epoch(warehouse: Warehouse, journal: Journal) -> None:
    """Have the warehouse know how far the journal is, so that an older copy of it is noticed.

    The journal goes first: a crash between the two leaves it ahead, which is no alarm.
    """
    epoch = journal.raise_epoch()
    set_state_value(warehouse, "", f"{_EPOCH}/{journal.journal_id}", str(epoch))


def known_epoch(warehouse: Warehouse, journal_id: str | None) -> int:
    """Return the last epoch of a journal that the warehouse was told, 0 if it was told none."""
    return int(state_value(warehouse, "", f"{_EPOCH}/{journal_id}") or 0)


def _keep_quiet(warehouse: Warehouse, receipts: Sequence[Receipt]) -> None:
    """Note until when attempts without an answer may change what came after them.

    What was refused after such an attempt may have been taken before: it is unsure.
    """
    if not receipts:
        return
    given = {
        "plan_id": [receipt.plan_id for receipt in receipts],
        "seq_from": [receipt.seq_from for receipt in receipts],
        "seq_to": [receipt.seq_to for receipt in receipts],
        "quiet": [_microseconds(receipt.quiet_until or 0.0) for receipt in receipts],
    }
    warehouse.execute(_GIVEN_DOUBTS, given)
    warehouse.execute(_QUIET)
    warehouse.execute(_REFUSED_IN_DOUBT)


def _receipt_columns(
    receipts: Sequence[Receipt], failures: Sequence[Failure]
) -> dict[str, list[object]]:
    """One receipt per claim, and a narrower one of the same attempt per row that failed."""
    claims = {receipt.claim_id: receipt for receipt in receipts}
    rows = {(r.plan_id, r.seq_from, r.seq_to, r.attempt): (r.outcome, r) for r in receipts}
    for failure in failures:
        claim = claims[failure.claim_id]
        rows[failure.plan_id, failure.seq, failure.seq, claim.attempt] = (failure.status, claim)
    return {
        "plan_id": [plan_id for plan_id, _, _, _ in rows],
        "seq_from": [seq_from for _, seq_from, _, _ in rows],
        "seq_to": [seq_to for _, _, seq_to, _ in rows],
        "attempt": [attempt for _, _, _, attempt in rows],
        "outcome": [outcome for outcome, _ in rows.values()],
        "http_status": [claim.http_status for _, claim in rows.values()],
        "settled": [_microseconds(claim.settled_at) for _, claim in rows.values()],
    }


def _failure_columns(failures: Sequence[Failure]) -> dict[str, list[object]]:
    return {
        "plan_id": [failure.plan_id for failure in failures],
        "seq": [failure.seq for failure in failures],
        "class": [failure.status for failure in failures],
        "code": [failure.code for failure in failures],
        "field": [failure.field for failure in failures],
        "detail": [failure.detail for failure in failures],
        "rejected": [_microseconds(failure.at) for failure in failures],
    }


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)


# Bound as lists: to make an Arrow table of Python values imports pandas, which takes longer than
# the copy of a small run.
_GIVEN_RECEIPTS = """
insert into tailrace_receipts by name
select unnest(cast($plan_id as varchar[])) as plan_id,
    unnest(cast($seq_from as bigint[])) as seq_from, unnest(cast($seq_to as bigint[])) as seq_to,
    unnest(cast($attempt as integer[])) as attempt, unnest(cast($outcome as varchar[])) as outcome,
    unnest(cast($http_status as integer[])) as http_status,
    make_timestamp(unnest(cast($settled as bigint[]))) as settled_at
"""

_GIVEN_FAILURES = """
insert into tailrace_failures by name
select unnest(cast($plan_id as varchar[])) as plan_id, unnest(cast($seq as bigint[])) as seq,
    unnest(cast($class as varchar[])) as "class", unnest(cast($code as varchar[])) as code,
    unnest(cast($field as varchar[])) as field, unnest(cast($detail as varchar[])) as detail,
    make_timestamp(unnest(cast($rejected as bigint[]))) as rejected_at
"""

_GIVEN_DOUBTS = """
insert into tailrace_doubts by name
select unnest(cast($plan_id as varchar[])) as plan_id,
    unnest(cast($seq_from as bigint[])) as seq_from, unnest(cast($seq_to as bigint[])) as seq_to,
    make_timestamp(unnest(cast($quiet as bigint[]))) as quiet_until
"""

_COPY_RECEIPTS = (
    """
    delete from tailrace.receipts as r using tailrace_receipts as n
    where r.plan_id = n.plan_id and r.seq_from = n.seq_from and r.seq_to = n.seq_to
        and r.attempt = n.attempt
    """,
    "insert into tailrace.receipts by name select * from tailrace_receipts",
)

_COPY_REJECTS = (
    """
    create or replace temp table tailrace_new_rejects as
    select p.sync, o.dest_key, o.op_id, o.plan_id, o.seq, f.class, f.code, f.field, f.detail,
        o.row_hash, coalesce(j.rejected_at, f.rejected_at) as rejected_at,
        case when j.plan_id = o.plan_id and j.seq = o.seq then j.state else 'open' end as state
    from tailrace_failures as f
    inner join tailrace.plans as p on f.plan_id = p.plan_id
    inner join tailrace.plan_ops as o on f.plan_id = o.plan_id and f.seq = o.seq
    left join tailrace.rejects as j
        on j.sync = p.sync and j.dest_key = o.dest_key and j.op_id = o.op_id
    """,
    """
    delete from tailrace.rejects as j using tailrace_new_rejects as n
    where j.sync = n.sync and j.dest_key = n.dest_key and j.op_id = n.op_id
    """,
    "insert into tailrace.rejects by name select * from tailrace_new_rejects",
)

_QUIET = """
update tailrace.issued as k set quiet_until = greatest(k.quiet_until, d.quiet_until)
from (
    select p.sync, o.dest_key, max(n.quiet_until) as quiet_until
    from tailrace_doubts as n
    inner join tailrace.plan_ops as o
        on n.plan_id = o.plan_id and o.seq between n.seq_from and n.seq_to
    inner join tailrace.plans as p on o.plan_id = p.plan_id
    where o.op <> 'event'
    group by p.sync, o.dest_key
) as d
where k.sync = d.sync and k.dest_key = d.dest_key
"""

_REFUSED_IN_DOUBT = """
update tailrace.issued as k set unsure_until = d.quiet_until
from (
    select p.sync, r.dest_key, r.op_id, max(n.quiet_until) as quiet_until
    from tailrace_doubts as n
    inner join tailrace.op_outcomes as r
        on n.plan_id = r.plan_id and r.seq between n.seq_from and n.seq_to
    inner join tailrace.plans as p on r.plan_id = p.plan_id
    where r.outcome in ('rejected', 'later')
    group by p.sync, r.dest_key, r.op_id
) as d
where k.sync = d.sync and k.dest_key = d.dest_key and k.issued_op_id = d.op_id
    and k.version_issued > coalesce(k.version_acked, 0)
"""

_ALL_BEHIND = f"""
select substr(name, {len(_BEHIND) + 1}) from tailrace.destination_state
where destination = '' and name like '{_BEHIND}%' order by name
"""
_NOT_BEHIND = (
    f"delete from tailrace.destination_state where destination = '' and name = '{_BEHIND}' || ?"
)

_DELIVERED = f"""
select p.sync, o.dest_key, o.user_id, o.op, o.version, o.op_id, o.row_hash, o.occurred_at
from ({told(OF_SLICE)}) as r
inner join tailrace.plan_ops as o on r.seq = o.seq
inner join tailrace.plans as p on o.plan_id = p.plan_id
where o.plan_id = $plan and o.seq between $from and $to and p.plan_id = $plan
    and r.outcome = 'delivered'
"""

_IS_OPEN = """
select 1 from tailrace.rejects
where sync = (select sync from tailrace.plans where plan_id = $plan)
    and state in ('open', 'retry')
limit 1
"""

_RESOLVE = f"""
update tailrace.rejects as j set state = 'resolved'
from ({_DELIVERED}) as d
where j.state in ('open', 'retry') and j.sync = d.sync and j.op_id = d.op_id
"""

# Nearly always what was delivered is what was issued last, and stands in the row already; and
# nearly always all of it was delivered, so that no row needs to be looked for.
_IS_WHOLE = f"""
select count(*) = $to - $from + 1 from ({told(OF_SLICE)})
where outcome = 'delivered' and seq between $from and $to
"""
_SET = """
update tailrace.issued as k set version_acked = k.version_issued,
    quiet_until = greatest(k.quiet_until, k.unsure_until), unsure_until = null
"""
_OF_PLAN = """
where k.issued_plan = $plan and k.issued_seq between $from and $to
    and k.version_issued > coalesce(k.version_acked, 0)
"""
_ACKNOWLEDGE_WHOLE = _SET + _OF_PLAN
_ACKNOWLEDGE = f"""
{_SET} from ({told(OF_SLICE)}) as r {_OF_PLAN} and k.issued_seq = r.seq and r.outcome = 'delivered'
"""

# What another plan has issued since, or a version before `issued_plan` was kept.
_IS_LEFT = """
select 1 from tailrace.issued
where sync = (select sync from tailrace.plans where plan_id = $plan)
    and version_issued > coalesce(version_acked, 0) and issued_plan is distinct from $plan
limit 1
"""

_ACKNOWLEDGE_OTHERS = (
    f"""
    create or replace temp table tailrace_acked as
    select k.* replace (
        d.user_id as user_id, d.op as op, d.version as version_acked, d.op_id as op_id,
        d.row_hash as row_hash, d.occurred_at as occurred_at,
        greatest(k.quiet_until, k.unsure_until) as quiet_until,
        case when d.version < k.version_issued then k.unsure_until end as unsure_until,
        case when d.version < k.version_issued then k.issued_op else d.op end as issued_op,
        case when d.version < k.version_issued then k.issued_op_id else d.op_id end
            as issued_op_id,
        case when d.version < k.version_issued then k.issued_row_hash else d.row_hash end
            as issued_row_hash,
        case when d.version < k.version_issued then k.issued_occurred_at else d.occurred_at end
            as issued_occurred_at)
    from tailrace.acked as k
    inner join ({_DELIVERED}) as d on k.sync = d.sync and k.dest_key = d.dest_key
    where d.op <> 'event' and d.version > coalesce(k.version_acked, 0)
        and k.version_issued > coalesce(k.version_acked, 0)
    qualify row_number() over (partition by k.sync, k.dest_key order by d.version desc) = 1
    """,
    """
    delete from tailrace.issued as k using tailrace_acked as n
    where k.sync = n.sync and k.dest_key = n.dest_key
    """,
    "insert into tailrace.issued by name select * from tailrace_acked",
)
