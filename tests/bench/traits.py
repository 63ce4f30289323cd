"""What traits and audiences cost over many raw events: `python -m tests.bench.traits`.

EVENTS rows (50 million), a user for about 45 of them. Built in full, from raw rows to audiences, and
incrementally, after the last hundredth of the rows has arrived; that must equal a full build row for
row. Each runs in a process of its own, with dbt's threads and memory.
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
AS_OF = datetime(2026, 6, 30, 21, tzinfo=UTC)
TABLES = (
    "user_traits",
    *(file.stem for file in (ROOT / "dbt_project/models/audiences").glob("*.sql")),
)


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


JOBS = {"build": build}


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


def answers(warehouse: Path) -> dict[str, str]:
    """Return a fingerprint of all rows of user_traits and of each audience."""
    with closing(duckdb.connect(str(warehouse), read_only=True)) as connection:
        return {
            table: connection.execute(
                f"select cast(sum(hash(t)) as varchar) from analytics.{table} as t"
            ).fetchall()[0][0]
            for table in TABLES
        }


def measure(folder: Path, events: int) -> dict[str, Any]:
    warehouse = folder / "warehouse.duckdb"
    make_warehouse(warehouse, folder, events)
    told: dict[str, Any] = {"events": events, "later": set_aside(warehouse)}
    run("build", warehouse, "full")
    bring_back(warehouse)
    told["incremental"] = run("build", warehouse, "incremental")
    incremental = answers(warehouse)
    told["full"] = run("build", warehouse, "full")
    told["incremental_is_full"] = incremental == answers(warehouse)
    return told


def show(told: dict[str, Any]) -> None:
    full, incremental = told["full"], told["incremental"]
    print(f"\n{told['events']:,} raw events; the last {told['later']:,} arrive later")
    for name, one in (("full build", full), ("incremental build", incremental)):
        layers = ", ".join(f"{layer} {s:.1f}" for layer, s in one["layers"].items() if s > 0.05)
        print(f"{name:24} {one['seconds']:8.1f} s {one['peak_mb']:8,.0f} MB   {layers}")
    share = incremental["seconds"] / full["seconds"]
    print(f"incremental: {share:.0%} of a full build (budget 20%)")
    print(f"incremental equals full: {told['incremental_is_full']}")


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
