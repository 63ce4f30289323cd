"""`make bench`: what evaluating and planning cost, beside the bare join that finds the same.

MEMBERS users are in an audience; 1 % of them change. The bare join is what a person would write by
hand: the new relation, full outer join the old one, where they differ. The diff is the statement
that finds what differs; the whole is that, and hashing, rendering, numbering, guarding and counting
what it found. Figures of one run on one machine: read the ratios.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

from destinations.clock import SystemClock
from orchestration.accounts import Account
from orchestration.builds import latest_builds
from orchestration.dbt import DbtPaths
from orchestration.deltas import store_deltas
from orchestration.desired import membership, traits
from orchestration.desired.scope import Mode
from orchestration.engine import Engine
from orchestration.memberships import evaluate
from orchestration.options import SyncOptions
from orchestration.plan_store import store_plan
from orchestration.project import Audience, Model, Project, Sync
from orchestration.sql.names import naive_utc
from orchestration.sync_plans import propose, scope_of
from orchestration.warehouse import Warehouse
from orchestration.warehouse.duckdb import open_duckdb
from orchestration.warehouse.raw import create_raw
from orchestration.warehouse.schema import create_tables

MEMBERS = int(os.environ.get("MEMBERS", "10000000"))
TIMES = int(os.environ.get("TIMES", "2"))
MEMORY = os.environ.get("MEMORY", "12GB")
CLOCK = SystemClock()
COLUMNS = tuple(f"c{n}" for n in range(8))
TRAITS = Model("user_traits", "analytics.user_traits", (), "")
EVENTS = Model("events", "analytics.events", (), "")
AUDIENCE = Audience(
    "lapsed", "Lapsed", "", "", Model("lapsed", "analytics.lapsed", (), ""), ("user_traits",), "f"
)

TRAITS_SQL = """
create or replace table analytics.user_traits as
select 'user-' || n as user_id, 'user' || n || '@example.com' as email,
    ((n + {shift}) * 3 % 1000) / 7.0 as c0, n % 1000 as c1, 'plan ' || (n % 5) as c2,
    'country ' || (n % 50) as c3, n % 3 = 0 as c4,
    timestamp '2026-01-01' + interval (n % 1000) hour as c5, (n % 900) / 3.0 as c6, n % 7 as c7
from (select n, case when n % 100 = 0 then {moved} else 0 end as shift from range({rows}) t(n))
order by hash(n)
"""


def fill(warehouse: Warehouse) -> None:
    create_raw(warehouse)
    create_tables(warehouse)
    warehouse.execute("create schema analytics")
    warehouse.execute(
        "create table analytics.events (event_id varchar, user_id varchar, event varchar, "
        "occurred_at timestamp, received_at timestamp)"
    )
    warehouse.execute(TRAITS_SQL.format(rows=MEMBERS, moved=0, shift="shift"))
    members(warehouse, 0)
    built(warehouse, 1)


def members(warehouse: Warehouse, gone: int) -> None:
    """One in `gone` of them is not in; none if it is 0."""
    where = f"where hash(user_id) % {gone} <> 0" if gone else ""
    warehouse.execute(
        "create or replace table analytics.lapsed as "
        f"select user_id from analytics.user_traits {where}"
    )


def built(warehouse: Warehouse, day: int) -> None:
    entry = [
        {"name": name, "resource_type": "model", "status": "success"}
        for name in ("user_traits", "lapsed", "events")
    ]
    at = naive_utc(datetime(2026, 3, day, tzinfo=UTC))
    warehouse.execute(
        "insert into tailrace.builds values (?, ?, ?, ?, true, ?)",
        [f"b{day}", at, at, at, json.dumps(entry)],
    )


def make_engine(folder: Path, identifier: str) -> Engine:
    common: dict[str, Any] = {
        "destination": "iterable", "consent": "not_required", "max_first": 10**9,
    }  # fmt: skip
    options = [
        {**common, "sends": "traits", "fields": {f"field_{name}": name for name in COLUMNS}},
        {**common, "sends": "membership", "as": "identify"},
    ]
    profile, said = map(SyncOptions.model_validate, options)
    settings = {"api_key": "k", "base_url": "http://127.0.0.1:9", "identifier": identifier}
    return Engine(
        dbt=DbtPaths(folder, folder),
        project=Project(
            (AUDIENCE,),
            (
                Sync(f"traits_{identifier}", "", "", "", profile, TRAITS, None),
                Sync(f"said_{identifier}", "", "", "", said, AUDIENCE.model, AUDIENCE),
            ),
            TRAITS,
            EVENTS,
        ),
        connect=lambda deadline=60.0: open_duckdb(
            folder / "w.duckdb", clock=CLOCK, deadline=deadline
        ),
        accounts={"iterable": Account("iterable", "iterable", settings, Path())},
        environment={},
        state_dir=folder / "state",
        clock=CLOCK,
        random=Random(1),
    )


def best(what: str, work: Callable[[], Any], found: dict[str, float], beside: str = "") -> Any:
    """Run `work` a few times; the best of them counts, beside that of a bare join."""
    spent = []
    for _ in range(TIMES):
        start = CLOCK.monotonic()
        answer = work()
        spent.append(CLOCK.monotonic() - start)
    found[what] = min(spent)
    ratio = f"{min(spent) / found[beside]:6.2f} x" if beside else " " * 8
    print(f"{what:44} {min(spent):8.2f} s {ratio}   {answer}", flush=True)
    return answer


def bare(warehouse: Warehouse, new: str, old: str, key: str, known: str, differs: str) -> str:
    return _rows(
        warehouse,
        f"select n.{key}, o.{known} as known from {new} as n full outer join {old} as o "
        f"on n.{key} = o.{known} where n.{key} is null or o.{known} is null or {differs}",
    )


def _rows(warehouse: Warehouse, select: str) -> str:
    warehouse.execute(f"create or replace temp table bench_found as {select}")
    ((count,),) = warehouse.rows("select count(*) from bench_found")
    return f"{count:,} rows"


def diff(engine: Engine, warehouse: Warehouse, index: int) -> str:
    """Run the statement that finds what may have changed, and nothing else."""
    sync = engine.project.syncs[index]
    scope = scope_of(engine, warehouse, sync, as_of=None, secrets=False)
    find = traits.suspects if index == 0 else membership.suspects
    return _rows(warehouse, find(scope))


def diff_of_members(warehouse: Warehouse) -> str:
    """Run the statement that finds who entered and who left, and take it back."""
    warehouse.execute("begin")
    at = datetime(2026, 3, 2, tzinfo=UTC)
    store_deltas(warehouse, "bench", AUDIENCE.key, AUDIENCE.model.relation, at)
    ((count,),) = warehouse.rows(
        "select count(*) from tailrace.deltas where evaluation_id = 'bench'"
    )
    warehouse.execute("rollback")
    return f"{count:,} rows"


def planned(engine: Engine, warehouse: Warehouse, index: int, mode: Mode = Mode.NORMAL) -> str:
    sync = engine.project.syncs[index]
    scope = scope_of(engine, warehouse, sync, as_of=None, secrets=False, mode=mode)
    plan = propose(engine, scope)
    if mode is Mode.ASSUME_SENT:
        store_plan(warehouse, sync, plan, CLOCK.now())
    return f"{plan.ops:,} ops, {plan.silent:,} silent"


def main() -> None:
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        engines = {who: make_engine(folder, who) for who in ("user_id", "email")}
        with closing(engines["email"].connect()) as warehouse:
            warehouse.execute(f"set memory_limit = '{MEMORY}'")
            if len(sys.argv) > 1:
                warehouse.execute(f"set threads = {int(sys.argv[1])}")
            print(f"{MEMBERS:,} members, 1 % changed")
            measure(warehouse, engines, found)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"members": MEMBERS, "peak_mb": round(peak), "seconds": found}))


def measure(warehouse: Warehouse, engines: dict[str, Engine], found: dict[str, float]) -> None:
    fill(warehouse)
    engine = engines["email"]
    evaluate(warehouse, engine.project, AUDIENCE, latest_builds(warehouse), as_of=None, clock=CLOCK)
    for one in engines.values():
        for index in (0, 1):
            planned(one, warehouse, index, Mode.ASSUME_SENT)
    for who, one in engines.items():
        best(f"no change: plan traits by {who}", lambda e=one: planned(e, warehouse, 0), found)
        best(f"no change: plan membership by {who}", lambda e=one: planned(e, warehouse, 1), found)
    warehouse.execute("create table analytics.before as select * from analytics.user_traits")
    warehouse.execute(TRAITS_SQL.format(rows=MEMBERS, moved=1, shift="shift"))
    members(warehouse, 100)
    built(warehouse, 2)
    _traits(warehouse, engines, found)
    _members(warehouse, engines, found)


def _traits(warehouse: Warehouse, engines: dict[str, Engine], found: dict[str, float]) -> None:
    differs = " or ".join(f"n.{name} is distinct from o.{name}" for name in COLUMNS)
    new, old = "analytics.user_traits", "analytics.before"
    for key, engine in engines.items():
        beside = f"bare join of traits by {key}"
        best(beside, lambda k=key: bare(warehouse, new, old, k, k, differs), found)
        best(f"diff of traits by {key}", lambda e=engine: diff(e, warehouse, 0), found, beside)
        best(
            f"whole plan of traits by {key}",
            lambda e=engine: planned(e, warehouse, 0),
            found,
            beside,
        )


def _members(warehouse: Warehouse, engines: dict[str, Engine], found: dict[str, float]) -> None:
    stays = (
        "(select user_id from tailrace.membership_intervals "
        "where audience = 'lapsed' and exited_at is null)"
    )
    beside = "bare join of members and stays"
    best(
        beside,
        lambda: bare(warehouse, "analytics.lapsed", stays, "user_id", "user_id", "false"),
        found,
    )
    best("diff of an evaluation", lambda: diff_of_members(warehouse), found, beside)
    start = CLOCK.monotonic()
    done = evaluate(
        warehouse,
        engines["email"].project,
        AUDIENCE,
        latest_builds(warehouse),
        as_of=None,
        clock=CLOCK,
    )
    whole = found["whole evaluation"] = CLOCK.monotonic() - start
    ratio = whole / found[beside]
    print(f"{'whole evaluation':44} {whole:8.2f} s {ratio:6.2f} x   {done.status}, {done.exited:,}")
    addressed = (
        f"(select t.email from {stays} as s "
        "left join analytics.user_traits as t on s.user_id = t.user_id)"
    )
    for key, relation in (("user_id", stays), ("email", addressed)):
        acked = f"(select dest_key from tailrace.acked where sync = 'said_{key}')"
        beside = f"bare join of stays and acked by {key}"
        best(
            beside,
            lambda k=key, r=relation, a=acked: bare(warehouse, r, a, k, "dest_key", "false"),
            found,
        )
        engine = engines[key]
        best(f"diff of membership by {key}", lambda e=engine: diff(e, warehouse, 1), found, beside)
        best(
            f"whole plan of membership by {key}",
            lambda e=engine: planned(e, warehouse, 1),
            found,
            beside,
        )


if __name__ == "__main__":
    main()
