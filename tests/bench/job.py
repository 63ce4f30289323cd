"""One piece of work in a process of its own, so that its memory is its own; tells JSON.

python -m tests.bench.job fill|plan|deliver|loop FOLDER URL [name=value ...]
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from unittest.mock import patch

import duckdb
import requests  # noqa: TID251 - what somebody else would write

from destinations.base import Window
from orchestration import delivering
from orchestration.delivering import run_sync
from orchestration.memory import keep_to_few_heaps
from orchestration.plan_store import store_plan
from orchestration.sync_plans import propose, scope_of
from tests.bench import parts
from tests.bench.process import peak_mb
from tests.bench.rows import CLOCK, FIELDS, OPEN, fill, make_engine, sync_of

BATCH = 1_000
PATH = "/api/users/bulkUpdate"


def run(what: str, folder: Path, url: str, **values: object) -> dict[str, Any]:
    """Run a job and return what it tells."""
    job = start(what, folder, url, **values)
    told, _ = job.communicate()
    assert job.returncode == 0, f"{what} failed"
    return dict(json.loads(told))


def start(what: str, folder: Path, url: str, **values: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.bench.job", what, str(folder), url]
    command += [f"{name}={value}" for name, value in values.items()]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _fill(folder: Path, url: str, rows: str, events: str = "0") -> dict[str, Any]:
    with make_engine(folder, url).connect() as warehouse:
        fill(warehouse, int(rows), int(events))
    return {}


def _plan(folder: Path, url: str, sync: str) -> dict[str, Any]:
    engine = make_engine(folder, url)
    planned = sync_of(engine, sync)
    begun = CLOCK.monotonic()
    with engine.connect() as warehouse:
        plan = propose(engine, scope_of(engine, warehouse, planned, as_of=None, secrets=False))
        store_plan(warehouse, planned, plan, CLOCK.now())
    return {"seconds": CLOCK.monotonic() - begun, "rows": plan.ops}


def _deliver(
    folder: Path, url: str, sync: str, requests: str = "", seconds: str = "1"
) -> dict[str, Any]:
    windows = (Window(float(requests), float(seconds)),) if requests else OPEN
    engine = make_engine(folder, url, windows)
    begun = CLOCK.monotonic()
    peaks: list[float] = []
    with parts.timed() as spent, before_next_plan(lambda: peaks.append(peak_mb())):
        run = run_sync(engine, sync_of(engine, sync))
    whole = CLOCK.monotonic() - begun
    assert run.status == "done", asdict(run)
    told = {"seconds": whole, "rows": run.delivered, "calls": run.calls, "parts": spent}
    return {**told, "peak_mb": peaks[0], "with_next_plan_mb": peak_mb()}


@contextmanager
def before_next_plan(tell: Callable[[], object]) -> Iterator[None]:
    """Tell when a plan is delivered: a run that went on with one plans once more after it."""
    plan_next = delivering._next

    def planned(*args: Any) -> Any:
        tell()
        return plan_next(*args)

    with patch.object(delivering, "_next", planned):
        yield


def _loop(folder: Path, url: str) -> dict[str, Any]:
    """What somebody writes in an afternoon: no plan, no journal, no second chance."""
    columns = ", ".join(["email", *FIELDS.values()])
    begun, rows = CLOCK.monotonic(), 0
    with duckdb.connect(str(folder / "source.duckdb")) as con, requests.Session() as session:
        found = con.execute(f"select {columns} from user_traits")
        while batch := found.fetchmany(BATCH):
            users = [
                {"email": email, "mergeNestedObjects": False, "dataFields": dict(zip(FIELDS, values, strict=True))}
                for email, *values in batch
            ]  # fmt: skip
            answer = session.post(
                url + PATH,
                data=json.dumps({"createNewFields": True, "users": users}),
                headers={"Api-Key": "bench-key", "Content-Type": "application/json"},
                timeout=30,
            )
            answer.raise_for_status()
            rows += answer.json()["successCount"]
    return {"seconds": CLOCK.monotonic() - begun, "rows": rows}


JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    "fill": _fill, "plan": _plan, "deliver": _deliver, "loop": _loop,
}  # fmt: skip


def main() -> None:
    keep_to_few_heaps()  # as the command line does
    what, folder, url, *values = sys.argv[1:]
    told = JOBS[what](Path(folder), url, **dict(value.split("=", 1) for value in values))
    told.setdefault("peak_mb", peak_mb())
    print(json.dumps(told))


if __name__ == "__main__":
    main()
