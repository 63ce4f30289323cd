"""`make bench`: plan and deliver trait updates to an endpoint that takes everything at once.

Figures of one run on one machine: read the ratios, not the seconds. The endpoint is the sandbox
in a process of its own, with checks, storage and limits off; the sender obeys the declared limits
on paper only.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from destinations.clock import SystemClock
from orchestration.accounts import Account
from orchestration.dbt import DbtPaths
from orchestration.delivering import run_sync
from orchestration.engine import Engine
from orchestration.options import SyncOptions
from orchestration.plan_store import store_plan
from orchestration.project import Model, Project, Sync
from orchestration.sync_plans import plan_sync
from orchestration.warehouse.duckdb import DuckDBWarehouse, open_duckdb
from orchestration.warehouse.schema import create_tables
from tests.support.clocks import FastClock

ROWS = int(os.environ.get("ROWS", "200000"))
TRAITS = Model("user_traits", "analytics.user_traits", (), "")
FIELDS = {f"field_{n}": f"c{n}" for n in range(8)}
CLOCK = SystemClock()


@contextmanager
def endpoint() -> Iterator[str]:
    command = [sys.executable, "-m", "orchestration", "sandbox", "serve", "--port", "0"]
    with subprocess.Popen(
        [*command, "--no-checks", "--no-limits", "--json"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


@dataclass(frozen=True)
class Timer:
    seconds: dict[str, float]

    @contextmanager
    def of(self, what: str) -> Iterator[None]:
        start = CLOCK.monotonic()
        yield
        self.seconds[what] = CLOCK.monotonic() - start


def fill(warehouse: DuckDBWarehouse) -> None:
    create_tables(warehouse)
    warehouse.execute("create schema analytics")
    columns = ", ".join(f"(n * {n + 3} % 1000) / 7.0 as c{n}" for n in range(4))
    texts = ", ".join(f"'value ' || (n % {n * 50}) as c{n}" for n in range(4, 8))
    warehouse.execute(
        "create table analytics.user_traits as select 'u' || n as user_id, "
        f"'user' || n || '@example.com' as email, {columns}, {texts} from range({ROWS}) t(n)"
    )
    entry = json.dumps([{"name": "user_traits", "resource_type": "model", "status": "success"}])
    warehouse.execute(
        "insert into tailrace.builds values ('b', timestamp '2026-03-01', "
        "timestamp '2026-03-01', timestamp '2026-03-01', true, ?)",
        [entry],
    )


def main() -> None:
    timer = Timer({})
    with tempfile.TemporaryDirectory() as name, endpoint() as url:
        folder = Path(name)
        options = SyncOptions.model_validate(
            {
                "destination": "iterable",
                "sends": "traits",
                "consent": "not_required",
                "fields": FIELDS,
                "max_first": 10**9,
            }
        )
        sync = Sync("traits", "", "", "", options, TRAITS, None)
        settings = {"api_key": "sandbox-key", "base_url": url}
        engine = Engine(
            dbt=DbtPaths(folder, folder),
            project=Project((), (sync,), TRAITS, TRAITS),
            connect=lambda deadline=60.0: open_duckdb(
                folder / "w.duckdb", clock=CLOCK, deadline=deadline
            ),
            accounts={"iterable": Account("iterable", "iterable", settings, Path())},
            environment={},
            state_dir=folder / "state",
            clock=FastClock(),
            random=Random(1),
        )
        with engine.connect() as warehouse:
            fill(warehouse)
        with timer.of("bare full outer join"), engine.connect() as warehouse:
            warehouse.rows(
                "select count(*) from analytics.user_traits as t full outer join tailrace.acked "
                "as k on t.email = k.dest_key where k.dest_key is null"
            )
        with timer.of("plan, all changed"), engine.connect() as warehouse:
            plan = plan_sync(engine, warehouse, sync, as_of=None, secrets=False)
            store_plan(warehouse, sync, plan, CLOCK.now())
        with timer.of("deliver and fold"):
            run = run_sync(engine, sync)
        with timer.of("plan, nothing changed"), engine.connect() as warehouse:
            plan_sync(engine, warehouse, sync, as_of=None, secrets=False)
    assert run.delivered == ROWS, run
    report(timer.seconds, run.calls)


def report(seconds: Mapping[str, float], calls: int) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{ROWS:,} rows in {calls} calls, peak memory {peak:,.0f} MB")
    for what, spent in seconds.items():
        print(f"{what:24} {spent:8.2f} s {ROWS / spent:12,.0f} rows/s")
    print(json.dumps({"rows": ROWS, "calls": calls, "peak_mb": peak, "seconds": dict(seconds)}))


if __name__ == "__main__":
    main()
