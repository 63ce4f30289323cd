"""Kill a sync in the middle, start it again: nothing is lost, nothing is stored twice."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from destinations.base import Secret
from destinations.clock import SystemClock
from destinations.sandbox import SandboxSettings, running
from tests.crash.journals import CONCURRENCY, unanswered
from tests.e2e.conftest import KEY, Shell

pytestmark = pytest.mark.slow

USERS = 20_000
AS_OF = "2026-05-20T00:00:00+00:00"
LONG = bool(os.environ.get("TAILRACE_LONG"))


def wait_until(happened: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Look every 10 ms, for at most two minutes, while the process lives."""
    pause = threading.Event()
    for _ in range(12_000):
        if happened() or process.poll() is not None:
            return
        pause.wait(0.01)
    raise AssertionError("nothing happened for two minutes")


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built warehouse of 20,000 users with one order each."""
    folder = tmp_path_factory.mktemp("big")
    with closing(duckdb.connect()) as con:
        con.execute(
            f"copy (select 'i' || n as id, 'u' || n as user_id,"
            f" 'u' || n || '@example.com' as email, timestamp '2026-05-01' + to_seconds(n) as timestamp from range({USERS}) t(n))"
            f" to '{folder}/people.parquet'"
        )
        con.execute(
            f"copy (select 'o' || n as id, 'u' || n as user_id, 'Order Completed' as event,"
            f" timestamp '2026-05-18' + to_seconds(n) as timestamp,"
            f" '{{\"total\":' || n || '.5}}' as properties from range({USERS}) t(n))"
            f" to '{folder}/orders.parquet'"
        )
    shell = Shell(folder, "http://127.0.0.1:9")
    shell.run("load", f"{folder}/people.parquet", "--table", "identifies")
    shell.run("load", f"{folder}/orders.parquet")
    shell.run("build", "--as-of", AS_OF)
    return folder / "warehouse.duckdb"


@pytest.fixture
def shell(big: Path, tmp_path: Path) -> Iterator[Shell]:
    (tmp_path / "warehouse.duckdb").write_bytes(big.read_bytes())
    settings = SandboxSettings(
        state=tmp_path / "sandbox.sqlite",
        api_key=Secret(KEY),
        limits=False,
        track_creates_users=True,
    )
    with running(settings, SystemClock()) as url:
        yield Shell(tmp_path, url)


def received(shell: Shell) -> int:
    if not shell.sandbox.exists():
        return 0
    with closing(sqlite3.connect(shell.sandbox)) as con:
        return int(con.execute("select count(*) from calls where method = 'POST'").fetchone()[0])


def die(shell: Shell, sync: str, kills: Sequence[int]) -> int:
    """Kill a sync after so many calls each time; returns how many requests were under way then."""
    under_way: set[tuple[int, str, int]] = set()
    for calls in kills:
        kill_after(shell, sync, calls)
        left = unanswered(shell.folder / "state" / "iterable.sqlite") - under_way
        assert len(left) <= CONCURRENCY
        under_way |= left
    return len(under_way)


def kill_after(shell: Shell, sync: str, calls: int) -> None:
    """Start a sync and kill it once the endpoint has that many calls."""
    target = received(shell) + calls
    process = shell.start("sync", sync)
    wait_until(lambda: received(shell) >= target, process)
    assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.crash
@pytest.mark.parametrize("kills", [(3, 8)] + [(n, n) for n in range(1, 10)] * LONG)
def test_traits_survive_kills(shell: Shell, kills: tuple[int, ...]) -> None:
    held = shell.json("sync", "iterable_user_traits", code=3)["syncs"][0]
    shell.run("approve", held["plan_id"])
    under_way = die(shell, "iterable_user_traits", kills)
    done = shell.json("sync", "iterable_user_traits")["syncs"][0]
    assert done["status"] == "done"
    with closing(sqlite3.connect(shell.sandbox)) as con:
        profiles = con.execute("select email, fields from profiles").fetchall()
    stored = {email: json.loads(fields)["lifetime_revenue"] for email, fields in profiles}
    assert stored == {f"u{n}@example.com": n + 0.5 for n in range(USERS)}
    assert shell.json("plan", "iterable_user_traits")["syncs"][0]["verdict"] == "empty"
    ((delivered,),) = shell.rows(
        "select count(*) from tailrace.op_outcomes where outcome = 'delivered'"
    )
    assert delivered == USERS
    repeated = received(shell) - USERS // 1000
    assert repeated <= under_way, "only what was under way is repeated"


@pytest.mark.crash
@pytest.mark.parametrize("kills", [(4, 7)] + [(n, n) for n in range(1, 10)] * LONG)
def test_each_event_is_stored_once_however_often_we_die(
    shell: Shell, kills: tuple[int, ...]
) -> None:
    under_way = die(shell, "iterable_engagement_events", kills)
    shell.run("sync", "iterable_engagement_events")
    with closing(sqlite3.connect(shell.sandbox)) as con:
        events = con.execute("select id, times_received from events").fetchall()
    ops = {op_id for (op_id,) in shell.rows("select op_id from tailrace.sent_events")}
    assert len(events) == USERS
    assert {event_id for event_id, _ in events} == ops
    assert sum(times - 1 for _, times in events) <= 1000 * under_way
    assert shell.json("sync", "iterable_engagement_events")["syncs"][0]["calls"] == 0
