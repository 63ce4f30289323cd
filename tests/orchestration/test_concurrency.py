"""Several processes at one audience or sync: one after the other, and each is told of the other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from destinations.errors import LockedError
from orchestration.approvals import approve, approve_when_free
from orchestration.memberships import Evaluation
from orchestration.warehouse.duckdb import DuckDBWarehouse, open_duckdb
from tests.support.world import T0, TestClock, World

MEMBERS = [f"m{n}" for n in range(20)]

HOLD = """
import sys
from pathlib import Path
from destinations.clock import SystemClock
from orchestration.warehouse.locks import file_lock
path = Path(sys.argv[1])
sys.argv = ["/somewhere/bin/tailrace", sys.argv[2], "--as-of", "2026-03-01"]
with file_lock(path, path.name, clock=SystemClock(), deadline=0):
    print("held", flush=True)
    sys.stdin.read()
"""

EVALUATE = """
import sys
from pathlib import Path
from destinations.clock import SystemClock
from orchestration.builds import latest_builds
from orchestration.memberships import evaluate
from orchestration.project import Audience, Model, Project
from orchestration.warehouse.duckdb import DuckDBWarehouse, open_duckdb
traits = Model("user_traits", "analytics.user_traits", (), "")
audience = Audience(
    "lapsed", "Lapsed", "", "", Model("lapsed", "analytics.lapsed", (), ""), ("user_traits",), "f"
)
clock = SystemClock()
with open_duckdb(Path(sys.argv[1]), clock=clock, deadline=60) as warehouse:
    project = Project((audience,), (), traits, traits)
    found = evaluate(
        warehouse, project, audience, latest_builds(warehouse), as_of=None, clock=clock
    )
    print(found.status, found.evaluation_id)
"""


@contextmanager
def holding(world: World, name: str, verb: str) -> Iterator[subprocess.Popen[str]]:
    """A real process that has the lock of that name until it is told to end."""
    path = world.folder / "w.duckdb.locks" / name
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), verb],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.communicate("")


def point(world: World, members: list[str]) -> Evaluation:
    at = world.step()
    world.users({user: {} for user in MEMBERS}, at)
    world.members("lapsed", set(members), at)
    return world.evaluate("lapsed")


@pytest.fixture
def lapsed(world: World) -> World:
    world.audience("lapsed")
    world.sync("told", audience="lapsed", sends="membership", max_first=0, **{"as": "track"})
    point(world, MEMBERS)
    return world


def told(error: LockedError, name: str, holder: subprocess.Popen[str], verb: str) -> bool:
    return f"{name} is in use by process {holder.pid} (tailrace {verb}) since 20" in error.message


def test_an_evaluation_waits_for_another_and_then_names_it(lapsed: World) -> None:
    with holding(lapsed, "audience-lapsed", "approve") as holder:
        before = lapsed.clock.monotonic()
        with pytest.raises(LockedError) as raised:
            lapsed.evaluate("lapsed")
    assert told(raised.value, "audience-lapsed", holder, "approve")
    assert 29 < lapsed.clock.monotonic() - before < 32
    assert lapsed.evaluate("lapsed").status == "committed"


def test_an_approval_waits_for_an_evaluation_with_the_warehouse_let_go(lapsed: World) -> None:
    held = point(lapsed, [])
    arguments = {"expect_exits": 20, "by": "ada"}

    class Ending(TestClock):
        """Another process takes the warehouse and ends while this one waits."""

        def sleep(self, seconds: float) -> None:
            TestClock.sleep(self, seconds)
            if holder.poll() is None:
                holder.communicate("")

    with holding(lapsed, "audience-lapsed", "evaluate") as holder:
        with lapsed.connect() as warehouse, pytest.raises(LockedError) as raised:
            approve(warehouse, str(held.evaluation_id), now=T0, **arguments)
        assert told(raised.value, "audience-lapsed", holder, "evaluate")
        with pytest.raises(LockedError):
            approve_when_free(
                lapsed.connect, str(held.evaluation_id), clock=lapsed.clock, **arguments
            )
        done = approve_when_free(
            lapsed.connect, str(held.evaluation_id), clock=Ending(lapsed.clock.now()), **arguments
        )
    assert done.exited == 20


def test_an_approval_of_a_plan_waits_for_its_sync(lapsed: World) -> None:
    run = lapsed.run("told")
    assert run.status == "held"
    with holding(lapsed, "sync-told", "sync") as holder:
        with lapsed.connect() as warehouse, pytest.raises(LockedError) as raised:
            approve(warehouse, str(run.plan_id), expect_exits=None, by="ada", now=T0)
        assert told(raised.value, "sync-told", holder, "sync")
    with lapsed.connect() as warehouse:
        approve(warehouse, str(run.plan_id), expect_exits=None, by="ada", now=T0)
    assert lapsed.rows("select approved_by, approved_at from tailrace.plans") == [
        ("ada", T0.replace(tzinfo=None))
    ]
    assert lapsed.run("told").delivered == 20


def test_a_sync_waits_for_another_with_the_warehouse_let_go(lapsed: World) -> None:
    opened: list[DuckDBWarehouse] = []

    def connect(deadline: float = 60.0) -> DuckDBWarehouse:
        opened.append(lapsed.connect(deadline))
        return opened[-1]

    class Needing(TestClock):
        """The process that has the lock needs the warehouse once more before it ends."""

        def sleep(self, seconds: float) -> None:
            TestClock.sleep(self, seconds)
            if holder.poll() is None:
                for warehouse in opened:
                    with pytest.raises(warehouse.errors):
                        warehouse.rows("select 1")
                holder.communicate("")

    clock = Needing(lapsed.clock.now())
    with holding(lapsed, "sync-told", "sync") as holder:
        assert lapsed.run("told", connect=connect, clock=clock).status == "held"
    assert opened


def test_two_processes_that_evaluate_at_once_make_one_evaluation(tmp_path: Path) -> None:
    from orchestration.warehouse.schema import create_tables

    path = tmp_path / "w.duckdb"
    with open_duckdb(path, clock=TestClock()) as warehouse:
        create_tables(warehouse)
        warehouse.execute("create schema analytics")
        warehouse.execute("create table analytics.user_traits as select 'm1' as user_id")
        warehouse.execute("create table analytics.lapsed as select 'm1' as user_id")
        for number, name in enumerate(("user_traits", "lapsed")):
            warehouse.execute(
                "insert into tailrace.builds values (?, ?, ?, ?, true, ?)",
                [f"b{number}", *[T0.replace(tzinfo=None)] * 3,
                 f'[{{"name": "{name}", "resource_type": "model", "status": "success"}}]'],
            )  # fmt: skip
    command = [sys.executable, "-c", EVALUATE, str(path)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = {process.communicate(timeout=60)[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert len(said) == 1, "the second finds what the first committed"
    with open_duckdb(path, clock=TestClock()) as warehouse:
        assert warehouse.rows("select count(*) from tailrace.evaluations") == [(1,)]
        assert warehouse.rows("select count(*) from tailrace.deltas") == [(1,)]
