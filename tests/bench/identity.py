"""What making users one costs, from raw rows to merges: `python -m tests.bench.identity`.

About EDGES ties (a million): aliases in chains, stars and tangles, a chain and a tree of a hundred
thousand ids, which are told as too large, and devices and addresses that crowds share, of whom two
are tied. In a process of its own, with dbt's threads and memory.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from destinations.clock import SystemClock
from orchestration.dbt import DbtPaths, run_dbt
from orchestration.warehouse.duckdb import open_duckdb
from orchestration.warehouse.raw import create_raw
from orchestration.warehouse.schema import create_tables
from tests.bench.process import ROOT, run_module, tell

EDGES = int(os.environ.get("EDGES", "1000000"))
BUDGET = 20
"""Seconds for a million edges."""
AS_OF = datetime(2026, 6, 30, 21, tzinfo=UTC)
LIMITS = {"alias": 1, "anonymous_id": 2, "email": 2}
SELECTED = ("+user_merges", "+identity_map", "+identity_report")

SHAPES = {
    # shape: (its share of the edges, previous_id, user_id) of edge number i, of n
    "chains": (0.20, "i // 20 || '.' || i % 20", "i // 20 || '.' || (i % 20 + 1)"),
    "stars": (0.20, "i // 40 || '.' || i % 40", "i // 40 || '.hub'"),
    "tangles": (
        0.20,
        "i // 30 || '.' || hash(i, 'a') % 24",
        "i // 30 || '.' || hash(i, 'b') % 24",
    ),
    "long chain": (0.05, "i::varchar", "(i + 1)::varchar"),
    "giant": (0.15, "(i + 1)::varchar", "(hash(i) % (i + 1))::varchar"),
}
CROWDS = {
    # what a crowd shares: (its share of the edges, the crowd that user number i is in)
    "anonymous_id": (0.12, "i // 100 || '.' || i % 100 // (2 + i // 100 % 50)"),
    "email": (0.14, "i // 100 || '.' || i % 100 // (2 + i // 100 % 10)"),
}


def make_warehouse(path: Path, edges: int) -> None:
    """Fill aliases and identifies of a new warehouse: a row is an edge, or a claim that makes one."""
    with open_duckdb(path, clock=SystemClock()) as warehouse:
        create_raw(warehouse)
        create_tables(warehouse)
        for shape, (share, previous, user) in SHAPES.items():
            n = round(edges * share)
            warehouse.execute(
                f"insert into raw.aliases by name select {_row(shape)}, "
                f"'{shape} ' || {previous} as previous_id, '{shape} ' || {user} as user_id "
                f"from (select i, {n} as n from range({n}) as numbers (i))"
            )
        for shared, (share, crowd) in CROWDS.items():
            warehouse.execute(
                f"insert into raw.identifies by name select {_row(shared)}, "
                f"'one of {shared} ' || i as user_id, 'crowd ' || {crowd} as {shared} "
                f"from range({round(edges * share)}) as numbers (i)"
            )


def _row(name: str) -> str:
    """Return the columns that each raw row has; the rows come in no order of time."""
    moment = f"timestamp '2026-01-01' + to_seconds(hash(i, '{name}') % 15000000)"
    return (
        f"'{name} ' || i as id, '{name} ' || i as message_id, {moment} as timestamp, "
        f"{moment} + interval '2 seconds' as received_at"
    )


def build(warehouse: str) -> dict[str, Any]:
    """Build the models of identity; returns the seconds of all, without dbt's start, and of each."""
    os.environ["TAILRACE_DUCKDB"] = warehouse
    project = ROOT / "dbt_project"
    paths = DbtPaths(project, project, target_path=Path(warehouse).parent / "target")
    run = run_dbt(
        paths,
        "run",
        as_of=AS_OF,
        select=SELECTED,
        variables={"identity_limits": LIMITS},
        full_refresh=True,
    )
    assert run.success, run.failures
    return {"seconds": run.seconds, "models": {node.name: node.seconds for node in run.nodes}}


def counts(warehouse: Path) -> dict[str, int]:
    """Return how many ties were found and kept, and what they made of the users."""
    with closing(duckdb.connect(str(warehouse), read_only=True)) as connection:
        connection.execute("set search_path = 'analytics'")
        return {
            name: connection.execute(f"select {what}").fetchall()[0][0]
            for name, what in (
                ("edges", "count(*) from identity_edges"),
                ("kept", "count(*) from identity_edges where is_kept"),
                ("ids", "count(*) from identity_groups"),
                ("groups", "count(distinct group_id) from identity_groups"),
                ("largest", "max(ids) from identity_groups"),
                ("merged", "count(*) from user_merges"),
                ("devices", "count(*) from identity_map"),
                ("problems", "count(*) from identity_report"),
            )
        }


def measure(folder: Path, edges: int) -> dict[str, Any]:
    warehouse = folder / "warehouse.duckdb"
    make_warehouse(warehouse, edges)
    built = run_module("tests.bench.identity", str(warehouse))
    return {"rows": edges, **built, "counts": counts(warehouse)}


def show(told: dict[str, Any]) -> None:
    found = ", ".join(f"{number:,} {name}" for name, number in told["counts"].items())
    print(f"\n{told['rows']:,} aliases and claims: {found}")
    budget = f"(budget {BUDGET} s for a million)"
    print(f"{'identity':24} {told['seconds']:8.1f} s {told['peak_mb']:8,.0f} MB   {budget}")
    for model, seconds in told["models"].items():
        print(f"    {model:20} {seconds:8.2f} s")


def main() -> None:
    if sys.argv[1:]:
        tell(build(sys.argv[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        told = measure(Path(folder), EDGES)
    show(told)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
