"""Where everything stands and what waits for somebody: read from the engine's tables."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from orchestration.builds import Built, latest_builds
from orchestration.project import Audience, Project, Sync
from orchestration.sync_identity import orphans, retired_at
from orchestration.warehouse import Warehouse

_BUILD = """
select build_id, as_of, finished_at, success, relations
from tailrace.builds order by finished_at desc, started_at desc, build_id limit 1
"""

_AUDIENCES = """
with latest as (
    select audience, status, as_of from tailrace.evaluations
    where origin = 'live'
    qualify row_number() over (
        partition by audience order by evaluated_at desc, evaluation_id desc) = 1
),
sizes as (
    select audience, members from tailrace.evaluations
    where status = 'committed' and origin = 'live'
    qualify row_number() over (
        partition by audience order by as_of desc, evaluated_at desc) = 1
),
waiting as (
    select audience, evaluation_id, reasons, exited from tailrace.evaluations
    where status = 'held'
    qualify row_number() over (
        partition by audience order by evaluated_at desc, evaluation_id desc) = 1
)
select l.audience, l.status, l.as_of, s.members, w.evaluation_id, w.reasons, w.exited
from latest as l
left join sizes as s on l.audience = s.audience
left join waiting as w on l.audience = w.audience
"""

_PLANS = """
with latest as (
    select sync, status, as_of, plan_id from tailrace.plans
    qualify row_number() over (partition by sync order by planned_at desc, plan_id desc) = 1
),
waiting as (
    select sync, plan_id, reasons, "exit" + "delete" as exits from tailrace.plans
    where status = 'held'
    qualify row_number() over (partition by sync order by planned_at desc, plan_id desc) = 1
)
select l.sync, l.status, l.as_of, l.plan_id, w.plan_id, w.reasons, w.exits
from latest as l
left join waiting as w on l.sync = w.sync
"""

_OPS = """
select p.sync, count(*) filter (where p.event > 0 and o.outcome = 'delivered'),
    count(*) filter (where p.status in ('ready', 'delivering')
        and (o.outcome is null
            or o.outcome not in ('delivered', 'rejected', 'later', 'suppressed')))
from tailrace.op_outcomes as o
inner join tailrace.plans as p on o.plan_id = p.plan_id
where p.event > 0 or p.status in ('ready', 'delivering')
group by p.sync
"""

_ACKED = "select sync, count(*) from tailrace.acked where op is not null group by sync"

_REFUSED = """
select sync, count(*) filter (where state = 'open'), count(*) filter (where state = 'retry')
from tailrace.rejects group by sync
"""

_RUNS = """
select sync, status, ended_at, reason from tailrace.sync_runs
qualify row_number() over (
    partition by sync order by ended_at desc, started_at desc, run_id desc) = 1
"""

By = Mapping[str, tuple[Any, ...]]


def status(warehouse: Warehouse, project: Project) -> dict[str, Any]:
    """Return where the last build, every audience and every sync stand, and what each waits for.

    `orphans` are syncs that this warehouse has delivered and the project no longer has.
    """
    audiences = _by(warehouse, _AUDIENCES)
    found = {
        name: _by(warehouse, sql)
        for name, sql in (
            *(("plans", _PLANS), ("ops", _OPS), ("acked", _ACKED)),
            *(("refused", _REFUSED), ("runs", _RUNS)),
        )
    }
    builds = latest_builds(warehouse)
    retired = {sync.key: retired_at(warehouse, sync.key) for sync in project.syncs}
    return {
        "build": _build(warehouse),
        "audiences": [_audience(one, audiences, builds) for one in project.audiences],
        "syncs": [_sync(one, found, audiences, retired[one.key]) for one in project.syncs],
        "orphans": [_orphan(key, what, found) for key, what in orphans(warehouse, project).items()],
    }


def _by(warehouse: Warehouse, sql: str) -> By:
    return {row[0]: row[1:] for row in warehouse.rows(sql)}


def _build(warehouse: Warehouse) -> dict[str, Any] | None:
    found = warehouse.rows(_BUILD)
    if not found:
        return None
    build_id, as_of, finished_at, success, relations = found[0]
    failed = [one["name"] for one in json.loads(relations) if one["status"] != "success"]
    return {
        "build_id": build_id,
        "as_of": _iso(as_of),
        "finished_at": _iso(finished_at),
        "success": success,
        "failed": failed,
    }


def _audience(audience: Audience, found: By, builds: Mapping[str, Built]) -> dict[str, Any]:
    state, as_of, members, held, reasons, exits = found.get(audience.key, (None,) * 6)
    reason = _first(reasons)
    waits_for = _approval("evaluation", held)
    if not waits_for:
        broken = [
            builds[name]
            for name in (*audience.upstream, audience.model.name)
            if name in builds and not builds[name].ok
        ]
        waits_for = f"a build: model {broken[0].name} ended as {broken[0].status}" if broken else ""
    return {
        "audience": audience.key,
        "status": state or "never evaluated",
        "as_of": _iso(as_of),
        "members": members,
        "held": held,
        "reason": reason,
        "waits_for": waits_for or None,
        "approve": approve_command(held, exits),
    }


def _sync(
    sync: Sync, found: Mapping[str, By], audiences: By, retired: datetime | None
) -> dict[str, Any]:
    state, as_of, plan_id, held, reasons, exits = found["plans"].get(sync.key, (None,) * 6)
    delivered, pending = found["ops"].get(sync.key, (0, 0))
    ran, ended_at, said = found["runs"].get(sync.key, (None,) * 3)
    is_open, again = found["refused"].get(sync.key, (0, 0))
    evaluation = audiences.get(sync.audience.key, (None,) * 6)[3] if sync.audience else None
    waits_for = _approval("plan", held)
    if retired:
        waits_for = "its end: it is retired and sends nothing; take it out of the project"
    elif evaluation:
        waits_for = f"approval of evaluation {evaluation} of its audience"
    elif not held and state in ("ready", "delivering"):
        waits_for = f"the next run, which goes on with plan {plan_id}"
    elif not held and ran == "held":
        waits_for, said = "the next run: what the last one was held for is settled", None
    elif not held and again:
        waits_for = f"the next run, which sends {again:,} refused again"
    return {
        "sync": sync.key,
        "destination": sync.options.destination,
        "plan": state or "never planned",
        "as_of": _iso(as_of),
        "acked": found["acked"].get(sync.key, (0,))[0] + delivered,
        "pending": pending,
        "rejects": is_open,
        "retry": again,
        "held": held,
        "reason": _first(reasons) or (said if ran not in ("done", "nothing") else None),
        "waits_for": waits_for or None,
        "approve": approve_command(held, exits),
        "last_run": ran,
        "ended_at": _iso(ended_at),
        "retired_at": _iso(retired),
    }


def _orphan(key: str, what: str, found: Mapping[str, By]) -> dict[str, Any]:
    ran, ended_at, _ = found["runs"].get(key, (None,) * 3)
    return {
        "sync": key,
        "was": what,
        "acked": found["acked"].get(key, (0,))[0],
        "last_run": ran,
        "ended_at": _iso(ended_at),
        "waits_for": f"`tailrace adopt {key} NEW` moves it, "
        f"`tailrace retire {key} --leave` ends it",
    }


def approve_command(held_id: str | None, exits: int | None) -> str | None:
    """Return the command that lets a held evaluation or plan through, None if nothing is held."""
    if held_id is None:
        return None
    return f"tailrace approve {held_id}" + (f" --expect-exits {exits}" if exits else "")


def _approval(what: str, held_id: str | None) -> str:
    return f"approval of {what} {held_id}" if held_id else ""


def _first(reasons: str | None) -> str | None:
    listed = json.loads(reasons) if reasons else []
    return str(listed[0]) if listed else None


def _iso(value: datetime | None) -> str | None:
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if value else None
