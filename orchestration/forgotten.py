"""Whose traces there are, where, and taking them away: the warehouse side of `forget`.

Works on four temporary tables of one connection: who is to be forgotten, under which dest_keys,
which profiles that makes at which destinations, and which ops were theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestration.merging import canonical_users, merges_there
from orchestration.project import Project
from orchestration.spelling import spellings
from orchestration.sql.names import schema_and_name, text
from orchestration.suppression import TOMBSTONE, hash_sql
from orchestration.warehouse import Warehouse

NOBODY = "forgotten"
"""What stands in `plan_ops` in place of a user_id and a dest_key."""

PREFIX = "forget/"
"""What stands before the destination in `plans.sync` of deletions; no sync has such a key."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody's ids and addresses, and how many of the addresses belong to others as well.

    `is_known`: whether a model or a table of ours has a user of these ids.
    """

    users: tuple[str, ...]
    keys: tuple[str, ...]
    shared: int
    is_known: bool


def find(warehouse: Warehouse, project: Project, who: str, *, by_email: bool) -> Person:
    """Look up whom an id or an address stands for, and leave it in the temporary tables."""
    owners = _owners(warehouse, project)
    merged = canonical_users(
        merges_there(warehouse, project.merges.relation if project.merges else None)
    )
    users = (
        _USERS_OF_ADDRESS.format(owners=owners) if by_email else "select unnest($who) as user_id"
    )
    said = {"who": spellings(who) if by_email else sorted({who, who.strip(" ")})}
    warehouse.execute(_USERS.format(found=users, merged=merged or _NO_MERGES), said)
    warehouse.execute(_KEYS.format(owners=owners), said)
    warehouse.execute(_PROFILES)
    warehouse.execute(_OPS)
    ((shared,),) = warehouse.rows(_SHARED.format(owners=owners))
    return Person(
        tuple(user for (user,) in warehouse.rows("select user_id from tailrace_who order by 1")),
        tuple(key for (key,) in warehouse.rows("select dest_key from tailrace_keys order by 1")),
        int(shared),
        _is_known(warehouse, project.traits.relation),
    )


def _owners(warehouse: Warehouse, project: Project) -> str:
    """Return the SELECT of (user_id, dest_key): whose address it is by the models of today."""
    known = [
        f"select user_id, lower(trim(email)) as dest_key from {model.relation}"
        for model in (project.traits, project.emails)
        if model and _has(warehouse, model.relation, "email")
    ]
    nobody = "select '' as user_id, '' as dest_key where false"
    return " union ".join(known) or nobody


def _has(warehouse: Warehouse, relation: str, column: str) -> bool:
    schema, name = schema_and_name(relation)
    found = warehouse.rows(
        "select 1 from information_schema.columns "
        "where table_schema = ? and table_name = ? and column_name = ?",
        [schema, name, column],
    )
    return bool(found)


def _is_known(warehouse: Warehouse, traits: str) -> bool:
    relations = ["tailrace.deltas", "tailrace.acked", "tailrace.plan_ops"]
    relations += [traits] if _has(warehouse, traits, "user_id") else []
    return any(
        warehouse.rows(
            f"select 1 from {relation} "
            "where cast(user_id as varchar) in (select user_id from tailrace_who) limit 1"
        )
        for relation in relations
    )


_NO_MERGES = "select '' as merged_user_id, '' as user_id where false"

_USERS_OF_ADDRESS = """
select user_id from ({owners}) where dest_key in (select unnest($who))
union select user_id from tailrace.acked where dest_key in (select unnest($who))
"""

_USERS = """
create or replace temp table tailrace_who as
with found as ({found}),
merged as ({merged}),
one as (
    select coalesce(m.user_id, f.user_id) as user_id
    from found as f left join merged as m on f.user_id = m.merged_user_id
)
select user_id from found where user_id is not null
union select user_id from one where user_id is not null
union select merged_user_id from merged where user_id in (select user_id from one)
"""

# An address of the past that is somebody else's by now is theirs.
_KEYS = """
create or replace temp table tailrace_keys as
with owners as ({owners}),
mine as (select dest_key from owners where user_id in (select user_id from tailrace_who)),
past as (
    select dest_key from tailrace.plan_ops where user_id in (select user_id from tailrace_who)
        and dest_key not in (select dest_key from owners where dest_key is not null)
)
select dest_key from mine where dest_key <> ''
union select dest_key from past
union select dest_key from tailrace.acked where user_id in (select user_id from tailrace_who)
union select trim(user_id) from tailrace_who where trim(user_id) <> ''
union select trim(said) from (select unnest($who) as said)
"""

_PROFILES = f"""
create or replace temp table tailrace_profiles as
with accounts as (
    select substr(name, 6) as sync, split_part(value, ':', 1) as destination
    from tailrace.destination_state where destination = '' and name like 'sync/%'
),
known as (
    select sync, dest_key from tailrace.acked
    where dest_key in (select dest_key from tailrace_keys)
    union
    select p.sync, o.dest_key
    from tailrace.plan_ops as o
    inner join tailrace.plans as p on o.plan_id = p.plan_id
    where p.ready_at is not null and o.dest_key in (select dest_key from tailrace_keys)
)
select distinct a.destination, k.dest_key
from known as k
inner join accounts as a on k.sync = a.sync
where not exists (
    select 1 from tailrace.plans as p
    inner join tailrace.plan_ops as o on p.plan_id = o.plan_id
    where p.sync = {text(PREFIX)} || a.destination and o.dest_key = k.dest_key)
"""

_OPS = """
create or replace temp table tailrace_traces as
select op_id from tailrace.plan_ops where user_id in (select user_id from tailrace_who)
    or dest_key in (select dest_key from tailrace_keys)
"""

_SHARED = """
select count(distinct dest_key) from ({owners})
where dest_key in (select dest_key from tailrace_keys)
    and user_id not in (select user_id from tailrace_who)
"""

_BY_USER = "user_id in (select user_id from tailrace_who)"
_BY_KEY = "dest_key in (select dest_key from tailrace_keys)"
_BY_OP = "op_id in (select op_id from tailrace_traces)"
# Of their own events only: those of others at a shared address would be sent to them once more.
_BY_OWN_OP = (
    "op_id in (select op_id from tailrace.plan_ops "
    "where user_id in (select user_id from tailrace_who))"
)
_WHERE = {
    "deltas": _BY_USER,
    "membership_intervals": _BY_USER,
    "acked": f"({_BY_USER} or {_BY_KEY})",
    "rejects": f"({_BY_KEY} or {_BY_OP})",
    "sent_events": _BY_OWN_OP,
    "plan_ops": f"({_BY_USER} or {_BY_KEY})",
}


def count_rows(warehouse: Warehouse) -> dict[str, int]:
    """Return how many rows of each table are about whoever `find` found."""
    return {
        table: int(warehouse.rows(f"select count(*) from tailrace.{table} where {where}")[0][0])
        for table, where in _WHERE.items()
    }


def count_profiles(warehouse: Warehouse) -> dict[str, int]:
    """Return how many profiles each destination has, or may have, and was not told to delete."""
    return dict(
        warehouse.rows("select destination, count(*) from tailrace_profiles group by 1 order by 1")
    )


def count_deletions(warehouse: Warehouse) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many profiles were deleted, and how many deletions refused, by destination."""
    deleted: dict[str, int] = {}
    refused: dict[str, int] = {}
    for account, outcome, count in warehouse.rows(_DELETIONS):
        counts = deleted if outcome == "delivered" else refused
        counts[account] = counts.get(account, 0) + count
    return deleted, refused


_DELETIONS = f"""
select substr(p.sync, {len(PREFIX) + 1}), r.outcome, count(distinct r.dest_key)
from tailrace.plans as p
inner join tailrace.op_outcomes as r on p.plan_id = r.plan_id
where p.mode = 'forget' and r.dest_key in (select dest_key from tailrace_keys)
group by all
"""


def audiences_of(warehouse: Warehouse) -> list[str]:
    """Return the audiences whose rows are about whoever `find` found."""
    return [
        audience
        for (audience,) in warehouse.rows(
            f"select audience from tailrace.deltas where {_BY_USER} union "
            f"select audience from tailrace.membership_intervals where {_BY_USER} order by 1"
        )
    ]


def remove(warehouse: Warehouse) -> dict[str, int]:
    """Take away what tells of whoever `find` found; returns how many rows, by table.

    Ops lose who, where and what, and count as before. Of a profile only the last version stays,
    under a keyed hash: no version is ever issued twice, even if the suppression is lifted.
    """
    with warehouse.transaction():
        counts = count_rows(warehouse)
        for table in ("deltas", "membership_intervals", "rejects", "sent_events"):
            warehouse.execute(f"delete from tailrace.{table} where {_WHERE[table]}")
        warehouse.execute(_TOMBSTONES)
        warehouse.execute(_ANONYMISE, {"nobody": NOBODY})
    return counts


_TOMBSTONES = f"""
update tailrace.issued set dest_key = {text(TOMBSTONE)} || {hash_sql("dest_key")},
    user_id = {text(NOBODY)}, op = null, op_id = null, row_hash = null, occurred_at = null,
    unsure_until = null, issued_op = null, issued_op_id = null, issued_row_hash = null,
    issued_occurred_at = null, issued_plan = null, issued_seq = null, quick = null
where {_WHERE["acked"]}
"""

_ANONYMISE = f"""
update tailrace.plan_ops set user_id = $nobody, dest_key = $nobody, payload = null, row_hash = null
where {_WHERE["plan_ops"]}
"""
