"""The engine's tables in schema `tailrace`: names, keys and columns are stable.

Every row carries the id of the evaluation or plan that wrote it. The status of that one row in
`evaluations` or `plans` is the commit: readers join it and see committed ids only.
"""

from __future__ import annotations

import hashlib
from uuid import uuid4

from orchestration.sql.names import ident
from orchestration.warehouse import Warehouse

# Texts that are all different are written as they are: to look for what repeats in them took
# longer than all else of storing a plan, and saved a seventh of its size.
_TABLES = """
create table if not exists tailrace.builds (
    build_id varchar primary key, as_of timestamp, started_at timestamp, finished_at timestamp,
    success boolean, relations json);
create table if not exists tailrace.evaluations (
    evaluation_id varchar primary key, audience varchar, as_of timestamp, origin varchar,
    status varchar, base bigint, candidates bigint, members bigint, entered bigint,
    exited bigint, reasons json, sql_fingerprint varchar, delta_hash varchar, seconds double,
    evaluated_at timestamp, approved_by varchar, approved_at timestamp);
create table if not exists tailrace.deltas (
    evaluation_id varchar, user_id varchar, audience varchar, as_of timestamp, change varchar);
create table if not exists tailrace.membership_intervals (
    audience varchar, user_id varchar, entered_at timestamp, exited_at timestamp,
    origin varchar, evaluation_id varchar);
create table if not exists tailrace.plans (
    plan_id varchar primary key, sync varchar, as_of timestamp, plan_hash varchar,
    status varchar, reasons json, approved_by varchar, ready_at timestamp, planned_at timestamp,
    ops bigint, enter bigint, "exit" bigint, "update" bigint, "delete" bigint, event bigint,
    skipped bigint, gone bigint, too_late bigint, calls bigint, bytes bigint);
create table if not exists tailrace.plan_ops (
    plan_id varchar, seq bigint, dest_key varchar using compression uncompressed,
    user_id varchar using compression uncompressed, kind varchar, op varchar, version bigint,
    op_id varchar using compression uncompressed, occurred_at timestamp,
    row_hash varchar using compression uncompressed, not_before timestamp, objects integer,
    payload varchar using compression zstd);
create table if not exists tailrace.receipts (
    plan_id varchar, seq_from bigint, seq_to bigint, attempt integer, outcome varchar,
    http_status integer, settled_at timestamp);
create table if not exists tailrace.rejects (
    sync varchar, dest_key varchar, op_id varchar, plan_id varchar, seq bigint, class varchar,
    code varchar, field varchar, detail varchar, row_hash varchar, rejected_at timestamp,
    state varchar);
create table if not exists tailrace.issued (
    sync varchar, dest_key varchar using compression uncompressed,
    user_id varchar using compression uncompressed, op varchar, version_issued bigint,
    version_acked bigint, op_id varchar, row_hash varchar, occurred_at timestamp,
    unsure_until timestamp, issued_op varchar, issued_op_id varchar, issued_row_hash varchar,
    issued_occurred_at timestamp);
create table if not exists tailrace.sent_events (
    sync varchar, event_id varchar, op_id varchar, received_at timestamp, plan_id varchar);
create table if not exists tailrace.sync_runs (
    run_id varchar primary key, sync varchar, plan_id varchar, started_at timestamp,
    ended_at timestamp, status varchar, calls bigint, retried bigint, throttled_s double);
create table if not exists tailrace.suppressed (hmac varchar, reason varchar, since timestamp);
create table if not exists tailrace.destination_state (
    destination varchar, name varchar, value varchar, primary key (destination, name));
"""

# Columns and tables that came after the first version, for warehouses made before them.
_ADDED = """
alter table tailrace.evaluations add column if not exists rules json;
alter table tailrace.evaluations add column if not exists excused_entered bigint;
alter table tailrace.evaluations add column if not exists excused_exited bigint;
alter table tailrace.evaluations add column if not exists replaced_at timestamp;
alter table tailrace.plans add column if not exists mode varchar;
alter table tailrace.plans add column if not exists rules json;
alter table tailrace.plans add column if not exists approved_at timestamp;
alter table tailrace.plans add column if not exists unapproved bigint;
alter table tailrace.plans add column if not exists mapping varchar;
alter table tailrace.plans add column if not exists no_consent bigint;
alter table tailrace.plans add column if not exists suppressed bigint;
alter table tailrace.plans add column if not exists payloads_dropped_at timestamp;
alter table tailrace.sync_runs add column if not exists reason varchar;
create table if not exists tailrace.event_days (
    build_id varchar, day date, events bigint);
alter table tailrace.issued add column if not exists quick ubigint;
alter table tailrace.issued add column if not exists quiet_until timestamp;
alter table tailrace.issued add column if not exists issued_plan varchar;
alter table tailrace.issued add column if not exists issued_seq bigint;
create table if not exists tailrace.plan_fields (
    plan_id varchar, field varchar, "rows" bigint, empty bigint);
"""

# What was acknowledged is nearly always what was issued last: then it is that a version was
# acknowledged, and not one of four texts, which has to be written for each row delivered.
_ACKED_COLUMNS = """
    sync, dest_key, user_id, case when version_acked = version_issued then issued_op else op end
        as op, version_issued, version_acked,
    case when version_acked = version_issued then issued_op_id else op_id end as op_id,
    case when version_acked = version_issued then issued_row_hash else row_hash end as row_hash,
    case when version_acked = version_issued then issued_occurred_at else occurred_at end
        as occurred_at,
    unsure_until, issued_op, issued_op_id, issued_row_hash, issued_occurred_at, quick, quiet_until,
    issued_plan, issued_seq
"""
_ACKED = f"create or replace view tailrace.acked as select {_ACKED_COLUMNS} from tailrace.issued"
PLACED = f"(select rowid as place, {_ACKED_COLUMNS} from tailrace.issued)"
"""What is `acked`, and where each row is, for the length of a statement."""


def told(which: str = "true") -> str:
    """Return the SELECT of what receipts say of each op: plan_id, seq, outcome, attempt.

    A row that failed has a receipt of its own beside that of its request: of the highest attempt,
    the narrowest receipt is the row's. Ranges are spelt out, to be joined by equality: a join by
    range compares every op with every receipt of its plan. Most ranges have no other over them,
    and then there is nothing to choose from.
    """
    return f"""
    with placed as (
        select plan_id, seq_from, seq_to, outcome, attempt,
            coalesce(max(seq_to) over earlier < seq_from, true)
                and coalesce(lead(seq_from) over in_order > seq_to, true) as alone
        from tailrace.receipts where {which}
        window
            in_order as (partition by plan_id order by seq_from, seq_to, attempt),
            earlier as (partition by plan_id order by seq_from, seq_to, attempt
                rows between unbounded preceding and 1 preceding)
    )
    select plan_id, unnest(range(seq_from, seq_to + 1)) as seq, outcome, attempt
    from placed where alone
    union all
    select plan_id, seq, arg_max(outcome, (attempt, width)) as outcome, max(attempt) as attempt
    from (
        select plan_id, unnest(range(seq_from, seq_to + 1)) as seq, outcome, attempt,
            seq_from - seq_to as width
        from placed where not alone)
    group by plan_id, seq
"""


_OP_OUTCOMES = f"""
create or replace view tailrace.op_outcomes as
with told as ({told()})
select o.plan_id, o.seq, o.dest_key, o.user_id, o.op_id, o.version, r.outcome, r.attempt
from tailrace.plan_ops as o
left join told as r on o.plan_id = r.plan_id and o.seq = r.seq
"""


_STATEMENTS = (_TABLES.strip() + _ADDED.strip()).rstrip(";").split(";")
_VERSION = hashlib.sha256((_TABLES + _ADDED + _ACKED + _OP_OUTCOMES).encode()).hexdigest()[:16]
_RELATIONS = _TABLES.count("create table") + _ADDED.count("create table") + 2


def create_tables(warehouse: Warehouse) -> None:
    """Create what is missing; the workspace id is drawn once per warehouse."""
    if _is_current(warehouse):
        return
    warehouse.execute("create schema if not exists tailrace")
    _take_over_acked(warehouse)
    for statement in _STATEMENTS:
        warehouse.execute(statement)
    warehouse.execute(_ACKED)
    warehouse.execute(_OP_OUTCOMES)
    warehouse.execute(
        "insert into tailrace.destination_state values ('', 'workspace_id', ?) "
        "on conflict do nothing",
        [uuid4().hex],
    )
    set_state_value(warehouse, "", "schema", _VERSION)


def _take_over_acked(warehouse: Warehouse) -> None:
    """Make `issued` of the table `acked` that there was in its place."""
    was_table = warehouse.rows(
        "select 1 from information_schema.tables where table_schema = 'tailrace' "
        "and table_name = 'acked' and table_type = 'BASE TABLE'"
    )
    if was_table:
        with warehouse.transaction():
            warehouse.execute(_ACKED_IS_ISSUED)
            warehouse.execute("alter table tailrace.acked rename to issued")


_ACKED_IS_ISSUED = """
update tailrace.acked set issued_op = op, issued_op_id = op_id, issued_row_hash = row_hash,
    issued_occurred_at = occurred_at
where version_acked = version_issued
"""


def _is_current(warehouse: Warehouse) -> bool:
    """Tell whether every table is there as this version has it: most verbs find it so."""
    ((there,),) = warehouse.rows(
        "select count(*) from information_schema.tables where table_schema = 'tailrace'"
    )
    return there >= _RELATIONS and state_value(warehouse, "", "schema") == _VERSION


def start_again(warehouse: Warehouse) -> None:
    """Drop all that was computed, and remember whose place this warehouse takes.

    In the open transaction. Who is suppressed was not computed: that stays.

    Of the models' schema only what dbt built for us is dropped; tables of others stay. A journal
    that belongs to the workspace dropped here is put aside when it is next opened; one that
    belongs to any other is refused.
    """
    there = {
        row[0]
        for row in warehouse.rows(
            "select table_name from information_schema.tables where table_schema = 'tailrace'"
        )
    }
    if "destination_state" not in there:
        return
    replaced = workspace_id(warehouse)
    for schema, name, kind in warehouse.rows(_BUILT):
        what = "view" if kind == "VIEW" else "table"
        warehouse.execute(f"drop {what} if exists {ident(schema)}.{ident(name)} cascade")
    for statement in _KEEP:
        warehouse.execute(statement)
    warehouse.execute("drop schema tailrace cascade")
    create_tables(warehouse)
    for statement in _GIVE_BACK:
        warehouse.execute(statement)
    set_state_value(warehouse, "", "replaces", replaced)


_KEEP = (
    "create or replace temp table tailrace_kept as select * from tailrace.suppressed",
    "create or replace temp table tailrace_kept_key as "
    "select * from tailrace.destination_state where name = 'suppression_key'",
)
_GIVE_BACK = (
    "insert into tailrace.suppressed by name select * from tailrace_kept",
    "insert into tailrace.destination_state by name select * from tailrace_kept_key",
)

_BUILT = """
with built as (
    select distinct json_extract_string(entry.value, '$.name') as name
    from tailrace.builds, json_each(relations) as entry
)
select t.table_schema, t.table_name, t.table_type
from information_schema.tables as t
inner join built as b on t.table_name = b.name
where t.table_schema not in ('raw', 'tailrace')
order by t.table_type desc, t.table_name
"""


def workspace_id(warehouse: Warehouse) -> str:
    """Return the id that keeps this warehouse's op_ids apart from any other's."""
    return state_value(warehouse, "", "workspace_id") or ""


def state_value(warehouse: Warehouse, destination: str, name: str) -> str | None:
    """Return what was learned about a destination under that name."""
    found = warehouse.rows(
        "select value from tailrace.destination_state where destination = ? and name = ?",
        [destination, name],
    )
    return str(found[0][0]) if found else None


def set_state_value(warehouse: Warehouse, destination: str, name: str, value: str) -> None:
    """Keep what was learned about a destination."""
    warehouse.execute(
        "insert or replace into tailrace.destination_state values (?, ?, ?)",
        [destination, name, value],
    )
