"""The rows that every tool of the benchmark sends, and the engine that sends them."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import duckdb

from destinations.base import Window
from destinations.clock import SystemClock
from orchestration.accounts import Account
from orchestration.dbt import DbtPaths
from orchestration.engine import Engine
from orchestration.options import SyncOptions
from orchestration.project import Model, Project, Sync
from orchestration.rate_limits import RateLimits
from orchestration.warehouse import Warehouse
from orchestration.warehouse.duckdb import open_duckdb
from orchestration.warehouse.raw import create_raw
from orchestration.warehouse.schema import create_tables

CLOCK = SystemClock()
OPEN = (Window(1e9, 1.0),)
FIELDS = {f"field_{n}": f"c{n}" for n in range(8)}
TRAITS = Model("user_traits", "analytics.user_traits", (), "")
EVENTS = Model("events", "analytics.events", (), "")
EVENT = "Order Completed"
AT = "timestamp '2026-03-01'"

_TRAITS_SQL = """
create table analytics.user_traits as
select 'u' || n as user_id, 'user' || n || '@example.com' as email,
    (n * 3 % 1000) / 7.0 as c0, (n * 4 % 1000) / 7.0 as c1, (n * 5 % 1000) / 7.0 as c2,
    (n * 6 % 1000) / 7.0 as c3, 'value ' || n % 200 as c4, 'value ' || n % 250 as c5,
    'value ' || n % 300 as c6, 'value ' || n % 350 as c7
from range({rows}) t(n)
"""
_EVENTS_SQL = """
create table analytics.events as
select 'e' || n as event_id, 'e' || n as row_id, 'u' || n * 7 % {rows} as user_id,
    '{event}' as event, cast(null as varchar) as anonymous_id,
    cast('{{"order_id":"o' || n || '","total":' || n % 900 || '.5,"items":3,"currency":"EUR"}}'
        as json) as properties,
    {at} - to_microseconds(n % 500000000000) as occurred_at, occurred_at as received_at
from range({events}) t(n)
"""


def fill(warehouse: Warehouse, rows: int, events: int = 0) -> None:
    create_raw(warehouse)
    create_tables(warehouse)
    warehouse.execute("create schema analytics")
    warehouse.execute(_TRAITS_SQL.format(rows=rows))
    warehouse.execute(_EVENTS_SQL.format(rows=rows, events=events, event=EVENT, at=AT))
    built = json.dumps(
        [
            {"name": name, "resource_type": "model", "status": "success"}
            for name in ("user_traits", "events")
        ]
    )
    warehouse.execute(
        f"insert into tailrace.builds values ('b', {AT}, {AT}, {AT}, true, ?)", [built]
    )


def copied(folder: Path) -> Path:
    """Copy the rows of a warehouse to a file of their own, for tools that only read."""
    path = folder / "source.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute(f"attach '{folder / 'w.duckdb'}' as w (read_only)")
        con.execute("create table user_traits as select * from w.analytics.user_traits")
    return path


def make_engine(folder: Path, url: str, windows: tuple[Window, ...] = OPEN) -> Engine:
    """Make an engine with the syncs `traits`, `again` and `events`, under these limits."""
    options = {
        "destination": "iterable", "consent": "not_required", "max_first": 10**9,
    }  # fmt: skip
    traits = SyncOptions.model_validate({**options, "sends": "traits", "fields": FIELDS})
    events = SyncOptions.model_validate({**options, "sends": "events", "events": [EVENT]})
    syncs = (
        Sync("traits", "", "", "", traits, TRAITS, None),
        Sync("again", "", "", "", traits, TRAITS, None),
        Sync("events", "", "", "", events, EVENTS, None),
    )
    settings = {"api_key": "bench-key", "base_url": url}
    limits = RateLimits(windows={"identify": windows, "track": windows})
    return Engine(
        dbt=DbtPaths(folder, folder),
        project=Project((), syncs, TRAITS, EVENTS),
        connect=lambda deadline=60.0: open_duckdb(
            folder / "w.duckdb", clock=CLOCK, deadline=deadline
        ),
        accounts={"iterable": Account("iterable", "iterable", settings, Path(), limits=limits)},
        environment={},
        state_dir=folder / "state",
        clock=CLOCK,
        random=Random(1),
    )


def sync_of(engine: Engine, key: str) -> Sync:
    return next(sync for sync in engine.project.syncs if sync.key == key)
