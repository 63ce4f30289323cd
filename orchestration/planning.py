"""One plan: desired versus acknowledged, numbered, versioned and guarded.

A version is issued, not counted: the same content planned again keeps its version, op_id and
occurred_at; other content gets the next. Nothing lowers a version.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from destinations.base import Destination, Kind, PayloadSpec
from destinations.errors import DataError, without_addresses
from orchestration.desired import (
    EventWindow,
    Relations,
    address,
    event_candidates,
    membership_candidates,
    read_columns,
    spec_of,
    traits_candidates,
)
from orchestration.guard import reasons_to_hold_plan
from orchestration.project import Project, Sync
from orchestration.sql.names import aware_utc, instant, text
from orchestration.sql.scalars import uuid_of
from orchestration.warehouse import Warehouse
from orchestration.warehouse.schema import workspace_id

PERSONAL = ("email", "phone", "user_id")
LOOK_BACK_DAYS = 7
LATER_DAYS = 7
OPS = ("enter", "exit", "update", "delete", "event")


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan in numbers; the ops themselves are in `tailrace.plan_ops` once it is stored."""

    sync: str
    verdict: str
    as_of: datetime
    plan_id: str | None = None
    plan_hash: str = ""
    reasons: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    skipped: int = 0
    gone: int = 0
    too_late: int = 0
    calls: int = 0
    bytes: int = 0
    seconds_at_limit: float = 0.0
    sample: tuple[Mapping[str, object], ...] = ()

    @property
    def ops(self) -> int:
        """Return the number of ops."""
        return sum(self.counts.values())

    def as_dict(self) -> dict[str, object]:
        """Return the shape that `plan --json` promises."""
        return {
            "sync": self.sync,
            "plan_id": self.plan_id,
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            **{op: self.counts.get(op, 0) for op in OPS},
            "skipped": self.skipped,
            "gone": self.gone,
            "too_late": self.too_late,
            "calls": self.calls,
            "bytes": self.bytes,
            "seconds_at_limit": round(self.seconds_at_limit, 1),
            "sample": list(self.sample),
        }


def make_plan(
    warehouse: Warehouse,
    project: Project,
    sync: Sync,
    destination: Destination,
    *,
    as_of: datetime,
    now: datetime,
) -> Plan:
    """Work out what to send and leave it in temporary tables of this connection.

    Returns verdict `empty`, `held` (with reasons) or `ready`; nothing is stored.

    Raises:
        ConfigError: a mapped column does not exist or cannot be sent.
    """
    relations = Relations(
        project.traits.relation,
        read_columns(warehouse, project.traits.relation),
        sync.model.relation,
        read_columns(warehouse, sync.model.relation),
        members=(sync.model.relation,) if sync.audience else (),
    )
    _check_unique(warehouse, relations)
    first_at = _first_at(warehouse, sync)
    window = _event_window(sync, first_at, as_of, now)
    candidates = _candidates(sync, destination, relations, as_of, window)
    warehouse.execute(f"create or replace temp table tailrace_candidates as {candidates}")
    kind, _ = spec_of(sync, destination)
    once = destination.endpoints[kind].one_per_key
    for statement in _numbered(sync, workspace_id(warehouse), as_of, now, once=once):
        warehouse.execute(statement)
    counts = dict(warehouse.rows("select op, count(*) from tailrace_ops group by op"))
    ops = sum(counts.values())
    reasons = reasons_to_hold_plan(
        first=first_at is None,
        ops=ops,
        max_first=sync.max_first,
        unaddressed=_unaddressed(warehouse, sync),
    )
    calls, size, seconds = _cost(warehouse, destination)
    return Plan(
        sync=sync.key,
        verdict="empty" if not ops else "held" if reasons else "ready",
        as_of=as_of,
        plan_hash=_plan_hash(warehouse),
        reasons=tuple(reasons),
        counts=counts,
        skipped=_skipped(warehouse, sync, destination, relations),
        gone=_gone(warehouse, sync, destination, relations),
        too_late=_too_late(warehouse, sync, relations, as_of, window.since),
        calls=calls,
        bytes=size,
        seconds_at_limit=seconds,
        sample=_sample(warehouse, sync, destination),
    )


def _candidates(
    sync: Sync,
    destination: Destination,
    relations: Relations,
    as_of: datetime,
    window: EventWindow,
) -> str:
    if sync.options.sends == "traits":
        return traits_candidates(sync, destination, relations)
    if sync.options.sends == "membership":
        return membership_candidates(sync, destination, relations)
    return event_candidates(sync, destination, relations, as_of, window)


def _event_window(
    sync: Sync, first_at: datetime | None, as_of: datetime, now: datetime
) -> EventWindow:
    """The first plan goes back to `since:`, later ones as far as an event may arrive late."""
    since = (first_at or as_of) - sync.options.since
    look_back = as_of - timedelta(days=LOOK_BACK_DAYS)
    received_after = look_back if first_at else min(since, look_back)
    return EventWindow(since, received_after, _still_later(sync, now))


def _check_unique(warehouse: Warehouse, relations: Relations) -> None:
    """Refuse relations that hold a user twice: every op would be made twice."""
    for relation in (relations.traits, *relations.members):
        ((repeated,),) = warehouse.rows(
            f"select count(*) - count(distinct user_id) from {relation}"
        )
        if repeated:
            raise DataError(
                f"{relation} has {repeated:,} rows more than users; it must hold one row per "
                "user_id, and nothing is concluded from it until it does"
            )


def _unaddressed(warehouse: Warehouse, sync: Sync) -> tuple[int, int]:
    """Count (members who would be told that they left, only for want of an address; all told)."""
    if sync.audience is None:
        return (0, 0)
    ((lost,),) = warehouse.rows(
        "select count(*) from tailrace_ops as o where o.op = 'exit' and o.user_id in ("
        "select user_id from tailrace.membership_intervals "
        "where audience = ? and exited_at is null)",
        [sync.audience.key],
    )
    ((told,),) = warehouse.rows(
        "select count(*) from tailrace.acked where sync = ? and op in ('enter', 'update')",
        [sync.key],
    )
    return (lost, told)


def _still_later(sync: Sync, now: datetime) -> str:
    """Select the op_ids that the destination may take yet: `later`, for a week."""
    return (
        f"select op_id from tailrace.rejects where sync = {text(sync.key)} and state = 'open' "
        f"and class = 'later' and rejected_at > {instant(now)} - interval {LATER_DAYS} day"
    )


def _numbered(
    sync: Sync, workspace: str, as_of: datetime, now: datetime, *, once: bool
) -> tuple[str, str]:
    """Give candidates their version, op_id and time, then number those that can be sent.

    Content is the same if it is the same change: somebody who left and came back has a later one.
    A later version never carries an earlier time: a stay that an address takes over from another
    began before what was last said about it, and so changes as of now.

    A request holds one kind and, where the endpoint needs it (`once`), one row per dest_key: so
    seq goes by kind, then by the how-many-eth op of its dest_key, then by time.
    """
    event_id = uuid_of("'event'", text(sync.key), "dest_key", "event_id")
    state_id = uuid_of(text(workspace), text(sync.key), "dest_key", "cast(version as varchar)")
    is_events = sync.options.sends == "events"
    nth = "row_number() over (partition by dest_key order by occurred_at, event_id)"
    keyed = f"""
create or replace temp table tailrace_keyed as
with matched as (
    select c.* exclude (occurred_at), k.version_issued, c.occurred_at as moment,
        k.issued_occurred_at,
        coalesce(k.version_issued > coalesce(k.version_acked, 0) and k.issued_op = c.op
            and (k.issued_row_hash = c.row_hash
                or (k.unsure_until is not null and c.kind = 'track'))
            and (k.unsure_until is not null or c.occurred_at is null
                or c.occurred_at <= k.issued_occurred_at), false) as reused,
        k.unsure_until
    from tailrace_candidates as c
    left join tailrace.acked as k on k.sync = {text(sync.key)} and c.dest_key = k.dest_key
    where c.dest_key is not null
),
versioned as (
    select * exclude (moment, issued_occurred_at, version_issued, reused),
        case when event_id is not null then 0 when reused then version_issued
            else coalesce(version_issued, 0) + 1 end as version,
        case when reused then issued_occurred_at
            when event_id is null and (moment is null or moment <= issued_occurred_at)
                then {instant(as_of)}
            else moment end as occurred_at
    from matched
)
select *, {event_id if is_events else state_id} as op_id,
    {nth if is_events and once else "1"} as nth
from versioned
"""
    ops = f"""
create or replace temp table tailrace_ops as
select *, row_number() over (order by kind, nth, occurred_at, dest_key, op_id) as seq
from tailrace_keyed
where bad_field is null and kind is not null and op_id not in (
    select op_id from tailrace.rejects where sync = {text(sync.key)} and state = 'open'
        and op_id not in ({_still_later(sync, now)}))
"""
    return keyed, ops


def _first_at(warehouse: Warehouse, sync: Sync) -> datetime | None:
    """Return the as_of of the first plan that was let through, None before there is one."""
    ((first_at,),) = warehouse.rows(
        "select min(as_of) from tailrace.plans where sync = ? and ready_at is not null", [sync.key]
    )
    return aware_utc(first_at) if first_at else None


def _cost(warehouse: Warehouse, destination: Destination) -> tuple[int, int, float]:
    """Return (calls, payload bytes, seconds at the declared limits)."""
    found = warehouse.rows(
        "select kind, count(*), sum(strlen(payload)) from tailrace_ops group by kind, nth"
    )
    calls, size, seconds = 0, 0, 0.0
    for kind, rows, payload_bytes in found:
        endpoint = destination.endpoints[Kind(kind)]
        needed = max(ceil(rows / endpoint.max_rows), ceil(payload_bytes / endpoint.max_bytes))
        calls += needed
        size += payload_bytes
        seconds += needed * max(w.seconds / w.requests for w in endpoint.windows)
    return calls, size, seconds


def _plan_hash(warehouse: Warehouse) -> str:
    ((digest,),) = warehouse.rows(
        "select sha256(coalesce(string_agg(op_id || op || row_hash, ',' order by op_id), '')) "
        "from tailrace_ops"
    )
    return str(digest)


def _skipped(
    warehouse: Warehouse, sync: Sync, destination: Destination, relations: Relations
) -> int:
    """Count users that cannot be addressed: no usable identifier."""
    if sync.options.sends == "events":
        query = "select count(distinct user_id) from tailrace_candidates where dest_key is null"
    else:
        stays = (
            "(select user_id from tailrace.membership_intervals where audience = "
            f"{text(sync.audience.key)} and exited_at is null)"
            if sync.audience
            else relations.traits
        )
        query = (
            f"select count(*) from {stays} as s left join {relations.traits} as t "
            f"on s.user_id = t.user_id where {address(destination, relations, 's.user_id')} is null"
        )
    return int(warehouse.rows(query)[0][0])


def _gone(warehouse: Warehouse, sync: Sync, destination: Destination, relations: Relations) -> int:
    """Count profiles whose user has disappeared from user_traits; they are left alone."""
    if sync.options.sends != "traits":
        return 0
    key = address(destination, relations, "t.user_id")
    return int(
        warehouse.rows(
            "select count(*) from tailrace.acked as k where k.sync = ? and k.op is not null "
            f"and k.dest_key not in (select {key} from {relations.traits} as t "
            f"where {key} is not null)",
            [sync.key],
        )[0][0]
    )


def _too_late(
    warehouse: Warehouse, sync: Sync, relations: Relations, as_of: datetime, since: datetime
) -> int:
    """Count events that arrived between the last plan and the look-back: nobody sends them."""
    if sync.options.sends != "events":
        return 0
    ((last,),) = warehouse.rows(
        "select max(as_of) from tailrace.plans where sync = ? and ready_at is not null", [sync.key]
    )
    if last is None:
        return 0
    names = ", ".join(text(event) for event in sync.options.events)
    return int(
        warehouse.rows(
            f"select count(distinct e.event_id) from {relations.model} as e "
            f"where e.event in ({names}) and e.user_id is not null "
            f"and e.occurred_at > {instant(since)} and e.received_at > ? "
            f"and e.received_at <= {instant(as_of)} - interval {LOOK_BACK_DAYS} day "
            "and not exists (select 1 from tailrace.sent_events as s "
            "where s.sync = ? and s.event_id = e.event_id)",
            [last, sync.key],
        )[0][0]
    )


def _masked(body: dict[str, Any], spec: PayloadSpec, sync: Sync) -> dict[str, Any]:
    """Mask the identifier and every field mapped from a column that tells who somebody is."""
    fields = dict(body[spec.fields])
    for name, column in sync.options.fields.items():
        if column in PERSONAL and name in fields:
            fields[name] = "***"
    return {**body, spec.identifier: "***", spec.fields: fields}


def _sample(
    warehouse: Warehouse, sync: Sync, destination: Destination
) -> tuple[Mapping[str, object], ...]:
    """Return one payload per op, with the identifier masked and the user hashed."""
    found = warehouse.rows(
        "select op, min_by(user_id, seq), min_by(payload, seq) from tailrace_ops "
        "group by op order by op"
    )
    _, spec = spec_of(sync, destination)
    return tuple(
        {
            "op": op,
            "user": hashlib.sha256(user.encode()).hexdigest()[:10],
            "body": _masked(json.loads(without_addresses(body)), spec, sync),
        }
        for op, user, body in found
    )
