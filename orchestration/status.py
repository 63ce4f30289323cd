"""Where everything stands, and which rows a destination refused: read from the engine's tables."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestration.preview import hashed
from orchestration.project import Project
from orchestration.warehouse import Warehouse

_AUDIENCE = """
select arg_max(status, evaluated_at), arg_max(as_of, evaluated_at),
    max_by(members, as_of) filter (where status = 'committed' and origin = 'live'),
    max(evaluation_id) filter (where status = 'held'),
    arg_max(reasons, evaluated_at)
from tailrace.evaluations where audience = ?
"""

_SYNC = """
select
    (select arg_max(status, planned_at) from tailrace.plans where sync = $sync),
    (select arg_max(as_of, planned_at) from tailrace.plans where sync = $sync),
    (select max(plan_id) from tailrace.plans where sync = $sync and status = 'held'),
    (select count(*) from tailrace.acked where sync = $sync and op is not null)
        + (select count(*) from tailrace.op_outcomes as o
            inner join tailrace.plans as p on o.plan_id = p.plan_id
            where p.sync = $sync and p.event > 0 and o.outcome = 'delivered'),
    (select count(*) from tailrace.op_outcomes as o
        inner join tailrace.plans as p on o.plan_id = p.plan_id
        where p.sync = $sync and p.status in ('ready', 'delivering')
            and (o.outcome is null or o.outcome not in ('delivered', 'rejected', 'later'))),
    (select count(*) from tailrace.rejects where sync = $sync and state = 'open'),
    (select arg_max(status, started_at) from tailrace.sync_runs where sync = $sync),
    (select max(ended_at) from tailrace.sync_runs where sync = $sync)
"""

_REJECTS = """
select sync, class, code, field, count(*), list(user_id order by user_id)[1:5]
from (
    select j.*, coalesce(o.user_id, k.user_id, '') as user_id
    from tailrace.rejects as j
    left join tailrace.plan_ops as o on j.plan_id = o.plan_id and j.seq = o.seq
    left join tailrace.acked as k on j.sync = k.sync and j.dest_key = k.dest_key
    where j.state = 'open'
)
group by sync, class, code, field
order by sync, count(*) desc, code
"""


def status(warehouse: Warehouse, project: Project) -> dict[str, Any]:
    """Return where every audience and every sync stands."""
    return {
        "audiences": [_audience(warehouse, audience.key) for audience in project.audiences],
        "syncs": [_sync(warehouse, sync.key, sync.options.destination) for sync in project.syncs],
    }


def _audience(warehouse: Warehouse, key: str) -> dict[str, Any]:
    ((state, as_of, members, held, _),) = warehouse.rows(_AUDIENCE, [key])
    return {
        "audience": key,
        "status": state or "never evaluated",
        "as_of": f"{as_of:%Y-%m-%dT%H:%M:%SZ}" if as_of else None,
        "members": members,
        "held": held,
    }


def _sync(warehouse: Warehouse, key: str, destination: str) -> dict[str, Any]:
    found = warehouse.rows(_SYNC, {"sync": key})[0]
    state, as_of, held, acked, pending, rejects, last_run, ended = found
    return {
        "sync": key,
        "destination": destination,
        "plan": state or "never planned",
        "as_of": f"{as_of:%Y-%m-%dT%H:%M:%SZ}" if as_of else None,
        "acked": acked,
        "pending": pending,
        "rejects": rejects,
        "held": held,
        "last_run": last_run,
        "ended_at": f"{ended:%Y-%m-%dT%H:%M:%SZ}" if ended else None,
    }


def open_rejects(
    warehouse: Warehouse, *, syncs: Iterable[str], show_pii: bool
) -> list[dict[str, Any]]:
    """Return what is refused at present, by sync, class, code and field, with up to 5 users."""
    wanted = set(syncs)
    names = ("sync", "class", "code", "field", "count", "users")
    return [
        dict(zip(names, (*row[:5], [u if show_pii else hashed(u) for u in row[5]]), strict=True))
        for row in warehouse.rows(_REJECTS)
        if row[0] in wanted
    ]
