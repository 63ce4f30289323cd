"""What traits and audiences cost over many raw events: `python -m tests.bench.traits`.

EVENTS rows (50 million), a user for about 45 of them. Built in full, from raw rows to audiences, and
incrementally, which must equal a full build row for row: when the last hundredth of the rows has
arrived, for the same as-of as the build before, and for one that is nearly two days later, because
so long it took them. Then the same by hand, in one statement over the same rows (`by_hand.py`), which must equal it
too: that is what the models are measured beside. Each runs in a process of its own, with dbt's
threads and memory. The seeds are left out, so that both have the same to do: nothing is checked by
a tracking plan, and no name is changed.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb

from orchestration.dbt import DbtNode, DbtPaths, manifest, run_dbt
from tests.bench.by_hand import build_by_hand, copy_raw, differences
from tests.bench.process import ROOT, run_module, tell
from tests.bench.raw_events import make_warehouse

EVENTS = int(os.environ.get("EVENTS", "50000000"))
AS_OF = datetime(2026, 6, 30, 21, tzinfo=UTC)
TABLES = (
    "user_traits",
    *(file.stem for file in (ROOT / "dbt_project/models/audiences").glob("*.sql")),
)

WORK = ("identity", "events", "facts", "traits", "audiences")
"""The folders of models whose work the statement by hand does as well."""


def build(warehouse: str, mode: str) -> dict[str, Any]:
    """Build all models; returns the seconds of each layer, by folder, and of all of them."""
    os.environ["TAILRACE_DUCKDB"] = warehouse
    project = ROOT / "dbt_project"
    paths = DbtPaths(project, project, target_path=Path(warehouse).parent / "target")
    nodes = manifest(paths)["nodes"].values()
    folders = {n["name"]: n["fqn"][1] for n in nodes if n["resource_type"] == "model"}
    as_of = last_arrival(warehouse) if mode == "before" else AS_OF
    started = time.perf_counter()
    run = run_dbt(paths, "run", as_of=as_of, full_refresh=mode != "incremental")
    seconds = time.perf_counter() - started
    assert run.success, run.failures
    layers: dict[str, float] = {}
    models = {}
    for node in run.nodes:
        folder = folders.get(node.name, node.resource_type)
        layers[folder] = layers.get(folder, 0.0) + node.seconds
        models[node.name] = round(node.seconds, 2)
    work = busy([node for node in run.nodes if folders.get(node.name) in WORK])
    return {"seconds": seconds, "work": work, "layers": layers, "models": models}


def last_arrival(warehouse: str) -> datetime:
    with closing(duckdb.connect(warehouse, read_only=True)) as connection:
        [(arrival,)] = connection.execute("select max(received_at) from raw.tracks").fetchall()
    return arrival.replace(tzinfo=UTC)


def busy(nodes: Sequence[DbtNode]) -> float:
    """Return for how many seconds at least one of these nodes was running: two may at once."""
    ran = sorted((node.began, node.ended) for node in nodes if node.began and node.ended)
    seconds, until = 0.0, ran[0][0]
    for began, ended in ran:
        seconds += max(0.0, (ended - max(began, until)).total_seconds())
        until = max(until, ended)
    return seconds


def by_hand(warehouse: str, mode: str) -> dict[str, Any]:
    """Do the work of the models by hand; returns the seconds of the traits and of all."""
    return build_by_hand(warehouse, AS_OF)


JOBS = {"build": build, "by_hand": by_hand}


def run(job: str, warehouse: Path, mode: str = "") -> dict[str, Any]:
    """Do it in a process of its own; adds its peak of memory."""
    return run_module("tests.bench.traits", job, str(warehouse), mode)


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
    run("build", warehouse, "before")
    bring_back(warehouse)
    told["two_days"] = run("build", warehouse, "incremental")
    incremental = [answers(warehouse)]
    set_aside(warehouse)
    run("build", warehouse, "incremental")
    bring_back(warehouse)
    told["incremental"] = run("build", warehouse, "incremental")
    incremental.append(answers(warehouse))
    told["full"] = run("build", warehouse, "full")
    told["incremental_is_full"] = incremental == [answers(warehouse)] * 2
    told |= beside(warehouse, folder / "other.duckdb")
    return told


def beside(warehouse: Path, other: Path) -> dict[str, Any]:
    """Do by hand, in another database, what dbt has built, and compare; the faster time of two."""
    copy_raw(warehouse, other)
    done = [run("by_hand", other) for _ in range(2)]
    faster = min(done, key=lambda one: float(one["seconds"]))
    return {"by_hand": faster, "differences": differences(warehouse, other)}


def show(told: dict[str, Any]) -> None:
    full = told["full"]
    builds = {"incremental build": told["incremental"], "two days later": told["two_days"]}
    print(f"\n{told['events']:,} raw events; the last {told['later']:,} arrive later")
    for name, one in {"full build": full, **builds}.items():
        layers = ", ".join(f"{layer} {s:.1f}" for layer, s in one["layers"].items() if s > 0.05)
        print(f"{name:24} {one['seconds']:8.1f} s {one['peak_mb']:8,.0f} MB   {layers}")
    for name, one in builds.items():
        print(f"{name}: {one['seconds'] / full['seconds']:.0%} of a full build (budget 20%)")
    print(f"incremental equals full: {told['incremental_is_full']}")
    show_beside(full, told["by_hand"], told["differences"])


def show_beside(full: dict[str, Any], hand: dict[str, Any], differ: dict[str, int]) -> None:
    audiences = hand["seconds"] - hand["traits"]
    print(
        f"{'by hand':24} {hand['seconds']:8.1f} s {hand['peak_mb']:8,.0f} MB   "
        f"traits {hand['traits']:.1f}, audiences {audiences:.1f}"
    )
    for name, what, by in (
        ("full build", "seconds", "seconds"),
        ("its work only", "work", "seconds"),
        ("processor time", "cpu_seconds", "cpu_seconds"),
    ):
        ratio = f"{full[what]:.1f} s / {hand[by]:.1f} s = {full[what] / hand[by]:.2f}"
        print(f"{name + ' / by hand':24} {ratio}{'' if by == 'cpu_seconds' else ' (budget 1.5)'}")
    print(f"full build: {full['peak_mb']:,.0f} MB (budget 8,000)")
    print(f"rows in which by hand differs: {differ or 'none'}")


def main() -> None:
    if sys.argv[1:]:
        job, warehouse, mode = sys.argv[1:]
        tell(JOBS[job](warehouse, mode))
        return
    figures = []
    for events in (EVENTS // 10, EVENTS):
        with tempfile.TemporaryDirectory() as folder:
            figures.append(measure(Path(folder), events))
        show(figures[-1])
    print()
    for name, what in (("full build", "full"), ("by hand", "by_hand")):
        small, large = (told[what] for told in figures)
        longer, more = (large[of] / small[of] for of in ("seconds", "peak_mb"))
        print(
            f"ten times the events: {name} {longer:.1f} times as long, {more:.1f} times the memory"
        )
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
