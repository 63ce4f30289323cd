from __future__ import annotations

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from destinations.errors import LockedError
from orchestration.warehouse.duckdb import DuckDBWarehouse, open_duckdb
from orchestration.warehouse.locks import Tell, file_lock, in_silence, lock_when_free, program
from tests.conftest import FakeClock

HOLD = """
import sys
from pathlib import Path
from destinations.clock import SystemClock
from orchestration.warehouse.locks import file_lock
with file_lock(Path(sys.argv[1]), "sync-a", clock=SystemClock(), deadline=0):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "locks" / "sync-a"


def hold(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


def take(path: Path, clock: FakeClock, deadline: float = 0.0, tell: Tell = in_silence) -> None:
    with file_lock(path, "sync-a", clock=clock, deadline=deadline, tell=tell):
        pass


def test_another_process_is_kept_out_and_told_by_whom(path: Path, clock: FakeClock) -> None:
    with hold(path) as holder, pytest.raises(LockedError) as raised:
        take(path, clock, deadline=2)
    assert f"process {holder.pid} (python) since 20" in raised.value.message
    assert "UTC" in raised.value.message
    assert "sync-a" in raised.value.message
    assert clock.passed == pytest.approx(2, abs=0.3)
    take(path, clock)


def test_who_waits_long_is_told_once_what_for(path: Path, clock: FakeClock) -> None:
    told: list[str] = []
    with hold(path) as holder, pytest.raises(LockedError):
        take(path, clock, deadline=1.5, tell=told.append)
    assert told == [], "not worth a word"
    with hold(path) as holder, pytest.raises(LockedError):
        take(path, clock, deadline=30, tell=told.append)
    (said,) = told
    assert said.startswith(f"sync-a is in use by process {holder.pid} (python) since ")
    assert said.endswith(" UTC")


def test_who_waits_for_a_lock_without_the_warehouse_is_told_too(
    tmp_path: Path, clock: FakeClock
) -> None:
    told: list[str] = []

    def connect(deadline: float = 0.0) -> DuckDBWarehouse:
        return open_duckdb(tmp_path / "w.duckdb", clock=clock, deadline=deadline, tell=told.append)

    with connect() as warehouse, warehouse.lock("sync-a"):
        warehouse.close()  # what holds the lock may open it again
        with (
            pytest.raises(LockedError),
            lock_when_free(connect, "sync-a", clock=clock, deadline=10),
        ):
            pass
    (said,) = told
    assert said.startswith("sync-a is in use by process ")


def test_the_lock_goes_with_a_process_that_is_killed(path: Path, clock: FakeClock) -> None:
    with hold(path) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        take(path, clock)


def test_it_is_taken_as_soon_as_it_is_free(path: Path) -> None:
    class Releasing(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if len(self.slept) == 2:
                holder.communicate("")

    clock = Releasing()
    with hold(path) as holder:
        take(path, clock, deadline=60)
    assert len(clock.slept) == 2


def test_the_same_process_does_not_get_it_twice(path: Path, clock: FakeClock) -> None:
    with file_lock(path, "sync-a", clock=clock, deadline=0):
        with pytest.raises(LockedError):
            take(path, clock)
        take(path.with_name("sync-b"), clock)
    take(path, clock)


def test_it_is_freed_by_an_exception(path: Path, clock: FakeClock) -> None:
    with pytest.raises(ZeroDivisionError), file_lock(path, "a", clock=clock, deadline=0):
        1 / 0  # noqa: B018
    take(path, clock)


def test_the_file_names_its_last_holder_and_stays(path: Path, clock: FakeClock) -> None:
    path.parent.mkdir()
    path.write_text("process 123456789012345678901234567890")
    take(path, clock)
    assert path.read_text().startswith("process ")
    assert "1234567890" not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) & 0o600 == 0o600


def test_files_are_the_owners_alone(path: Path, clock: FakeClock) -> None:
    take(path, clock)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_locks_of_a_warehouse_are_beside_it_and_outlive_its_connection(
    warehouse: DuckDBWarehouse, tmp_path: Path
) -> None:
    with warehouse.lock("audience-a"), warehouse.lock("audience-b"):
        with pytest.raises(LockedError, match="audience-a"):
            warehouse.lock("audience-a").__enter__()
        warehouse.close()
        locks = tmp_path / "warehouse.duckdb.locks"
        assert {file.name for file in locks.iterdir()} == {"audience-a", "audience-b"}


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["/repo/.venv/bin/tailrace", "evaluate", "--as-of", "x"], "tailrace evaluate"),
        (["/repo/orchestration/__main__.py", "sync", "told"], "tailrace sync"),
        (["/lib/dagster/__main__.py", "api", "execute_step", "{secret}"], "dagster api"),
        (["/bin/dagster", "dev"], "dagster dev"),
        (["/bin/tailrace", "--help"], "tailrace"),
        (["/bin/tailrace", "ada@example.com"], "tailrace"),
        (["-c", "print"], "python print"),
        (["-c"], "python"),
        ([""], "python"),
        ([], "python"),
    ],
)
def test_a_holder_is_called_by_what_it_does_and_by_no_other_word(
    argv: list[str], said: str
) -> None:
    assert program(argv) == said
