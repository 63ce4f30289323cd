"""`make bench`: what traits and audiences cost over many raw events, beside one query by hand.

EVENTS rows (50 million), a user for about 45 of them. Built in full, from raw rows to audiences; by
hand (`by_hand.sql`: all columns of user_traits, and who is in which audience, in one script over the
same event log); and incrementally, after the last hundredth of the rows has arrived. The last must
equal a full build row for row. Each runs in a process of its own, with dbt's threads and memory.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from orchestration.dbt import DbtPaths, manifest, run_dbt
from tests.bench.raw_events import make_warehouse

ROOT = Path(__file__).resolve().parents[2]
EVENTS = int(os.environ.get("EVENTS", "50000000"))
MEMORY = os.environ.get("TAILRACE_MEMORY_LIMIT", "6GB")
AS_OF = datetime(2026, 6, 30, 21, tzinfo=UTC)
ANSWERS = ("traits", "audiences")


def build(warehouse: str, mode: str) -> dict[str, Any]:
    """Build all models; returns the seconds of each layer, by folder, and of all of them."""
    os.environ["TAILRACE_DUCKDB"] = warehouse
    project = ROOT / "dbt_project"
    paths = DbtPaths(project, project, target_path=Path(warehouse).parent / "target")
    nodes = manifest(paths)["nodes"].values()
    folders = {n["name"]: n["fqn"][1] for n in nodes if n["resource_type"] == "model"}
    started = time.perf_counter()
    run = run_dbt(paths, "run", as_of=AS_OF, full_refresh=mode == "full")
    seconds = time.perf_counter() - started
    assert run.success, run.failures
    layers: dict[str, float] = {}
    models = {}
    for node in run.nodes:
        folder = folders.get(node.name, node.resource_type)
        layers[folder] = layers.get(folder, 0.0) + node.seconds
        models[node.name] = round(node.seconds, 2)
    return {"seconds": seconds, "layers": layers, "models": models}


def by_hand(warehouse: str, _mode: str) -> dict[str, Any]:
    """Run the one script; its answers stay beside ours, in schema by_hand."""
    with closing(duckdb.connect(warehouse)) as connection:
        connection.execute(f"set threads = 2; set memory_limit = '{MEMORY}'")
        connection.execute("set preserve_insertion_order = false; set TimeZone = 'UTC'")
        started = time.perf_counter()
        connection.execute((ROOT / "tests/bench/by_hand.sql").read_text())
        return {"seconds": time.perf_counter() - started}


JOBS = {"build": build, "by_hand": by_hand}


def run(job: str, warehouse: Path, mode: str = "") -> dict[str, Any]:
    """Do it in a process of its own, so that its peak of memory is its own."""
    command = [sys.executable, "-m", "tests.bench.traits", job, str(warehouse), mode]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def set_aside(warehouse: Path) -> int:
    """Take the hundredth that arrived last out of the raw tables; returns how many rows."""
    with closing(duckdb.connect(str(warehouse))) as connection:
        connection.execute(
            "create table later as select * from raw.tracks where received_at > "
            "(select quantile_disc(received_at, 0.99) from raw.tracks)"
        )
        connection.execute(
            "delete from raw.tracks where received_at > "
            "(select quantile_disc(received_at, 0.99) from raw.tracks)"
        )
        [(rows,)] = connection.execute("select count(*) from later").fetchall()
    return int(rows)


def bring_back(warehouse: Path) -> None:
    with closing(duckdb.connect(str(warehouse))) as connection:
        connection.execute("insert into raw.tracks select * from later; drop table later")


def answers(warehouse: Path, schema: str) -> dict[str, tuple[int, str]]:
    """Return rows and a fingerprint of user_traits and of each audience."""
    with closing(duckdb.connect(str(warehouse), read_only=True)) as connection:
        tables = connection.execute(
            "select table_name from information_schema.tables where table_schema = ? "
            "and table_name in (select table_name from information_schema.tables "
            "where table_schema = 'by_hand') order by 1",
            [schema],
        ).fetchall()
        found = {}
        for (table,) in tables:
            columns = "t" if table == "user_traits" else "t.user_id"
            [(rows, told)] = connection.execute(
                f"select count(*), cast(sum(hash({columns})) as varchar) from {schema}.{table} as t"
            ).fetchall()
            found[table] = (rows, told)
    return found


def measure(folder: Path, events: int) -> dict[str, Any]:
    warehouse = folder / "warehouse.duckdb"
    make_warehouse(warehouse, folder, events)
    told: dict[str, Any] = {"events": events, "later": set_aside(warehouse)}
    run("build", warehouse, "full")
    bring_back(warehouse)
    told["incremental"] = run("build", warehouse, "incremental")
    told["by_hand"] = run("by_hand", warehouse)
    incremental = answers(warehouse, "analytics")
    told["full"] = run("build", warehouse, "full")
    full = answers(warehouse, "analytics")
    told["incremental_is_full"] = incremental == full
    told["by_hand_is_ours"] = {
        table: found == full[table] for table, found in answers(warehouse, "by_hand").items()
    }
    return told


def show(told: dict[str, Any]) -> None:
    full, incremental, hand = told["full"], told["incremental"], told["by_hand"]
    ours = sum(full["layers"].get(layer, 0.0) for layer in ANSWERS)
    print(f"\n{told['events']:,} raw events; the last {told['later']:,} arrive later")
    for name, one in (("full build", full), ("incremental build", incremental)):
        layers = ", ".join(f"{layer} {s:.1f}" for layer, s in one["layers"].items() if s > 0.05)
        print(f"{name:24} {one['seconds']:8.1f} s {one['peak_mb']:8,.0f} MB   {layers}")
    print(f"{'by hand':24} {hand['seconds']:8.1f} s {hand['peak_mb']:8,.0f} MB")
    print(
        f"traits and audiences: {ours:.1f} s, {ours / hand['seconds']:.2f} x by hand (budget 1.5)"
    )
    share = incremental["seconds"] / full["seconds"]
    print(f"incremental: {share:.0%} of a full build (budget 20%)")
    print(f"incremental equals full: {told['incremental_is_full']}")
    print(f"by hand equals ours: {told['by_hand_is_ours']}")


def main() -> None:
    if sys.argv[1:]:
        job, warehouse, mode = sys.argv[1:]
        told = JOBS[job](warehouse, mode)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({**told, "peak_mb": peak}))
        return
    figures = []
    for events in (EVENTS // 10, EVENTS):
        with tempfile.TemporaryDirectory() as folder:
            figures.append(measure(Path(folder), events))
        show(figures[-1])
    small, large = (told["full"]["seconds"] for told in figures)
    print(f"ten times the events: {large / small:.1f} times as long")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
