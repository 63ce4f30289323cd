"""A disk that is full: what cannot be recorded is not sent, and nothing that was is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.crash.journals import read_journal, unanswered
from tests.crash.launching import Child, launching
from tests.crash.life import ROWS, Life, living
from tests.crash.truth import compare, nothing_is_due, settle_down

pytestmark = [pytest.mark.crash, pytest.mark.slow]

LONG = bool(os.environ.get("TAILRACE_LONG"))
MEGABYTE = 1 << 20
MOUNT = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
"""A mount that only this process and its children have; it goes when they do."""


def mounted(disk: Path, size: int) -> list[str]:
    mount = f'mount -t tmpfs -o size={size} small "{disk}" && exec "$@"'
    return [*MOUNT, mount, "sh"]


def may_mount(folder: Path) -> bool:
    if not shutil.which("unshare"):
        return False
    return subprocess.run([*mounted(folder, MEGABYTE), "true"], capture_output=True).returncode == 0


@dataclass(frozen=True, slots=True)
class Disk:
    """A small disk, seen from outside of the mount that holds it."""

    path: Path

    def fill(self) -> None:
        with (self.path / "ballast").open("ab", buffering=0) as ballast:
            for size in (65536, 1):
                try:
                    while ballast.write(b"x" * size):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        (self.path / "ballast").unlink()


@contextmanager
def cramped(folder: Path, size: int) -> Iterator[tuple[Life, Disk, Path]]:
    """A life beside a disk of so many bytes, which is at that path for its processes."""
    path = folder / "disk"
    path.mkdir()
    if not may_mount(path):
        pytest.skip("no tmpfs can be mounted here (unshare --map-root-user --mount)")
    with launching(*mounted(path, size)) as launcher, living(folder, launcher, seed=1) as life:
        assert life.start("--version").wait() == 0  # by now it is mounted
        yield life, Disk(Path(f"/proc/{launcher.process.pid}/root{path}")), path


@contextmanager
def cramped_journal(folder: Path) -> Iterator[tuple[Life, Disk]]:
    with cramped(folder, MEGABYTE) as (life, disk, path):
        life.environment["TAILRACE_STATE_DIR"] = str(path / "state")
        life.journal = disk.path / "state" / "iterable.sqlite"
        with_a_run_behind_it(life)
        yield life, disk


@contextmanager
def moved(life: Life, disk: Disk, path: Path) -> Iterator[None]:
    """Have the warehouse on the small disk for a while."""
    usual = life.environment["TAILRACE_DUCKDB"]
    life.environment["TAILRACE_DUCKDB"] = str(path / "w.duckdb")
    shutil.copy(usual, disk.path)
    yield
    life.environment["TAILRACE_DUCKDB"] = usual
    for part in disk.path.glob("w.duckdb*"):
        if part.is_file():
            shutil.copy(part, life.world.folder)


def with_a_run_behind_it(life: Life) -> None:
    life.go_on()
    life.evaluate()
    life.run("sync", "traits")
    life.go_on()
    life.evaluate()


def filled_at(life: Life, disk: Disk, point: str, times: int) -> tuple[Child, int]:
    """Fill the disk while a sync is stopped at a point; returns it and the calls made by then."""
    child = life.start("sync", "traits", "--json", point=point, times=times, number=signal.SIGSTOP)
    child.wait_until_stopped()
    disk.fill()
    made = len(life.world.calls())
    child.signal(signal.SIGCONT)
    return child, made


def check_told(child: Child, *words: str) -> None:
    """One sentence that says what to do; beside it, no more than the log's own lines."""
    assert child.wait() == 1
    shape = json.loads(child.out)
    error = shape["error"] if "error" in shape else shape["syncs"][0]["error"]
    assert error["kind"] == "storage", error
    for word in ("make room", "run again", *words):
        assert word in error["message"]
    assert all("event" in json.loads(line) for line in child.err.splitlines()), child.err


def test_what_cannot_be_claimed_is_not_sent(tmp_path: Path) -> None:
    with cramped_journal(tmp_path) as (life, disk):
        child, made = filled_at(life, disk, "before the claim", 2)
        check_told(child, "journal", "TAILRACE_STATE_DIR")
        assert len(life.world.calls()) == made
        disk.free()
        settle_down(life)
        found = compare(life)
        assert (found.lost, found.wrong, found.duplicates) == (0, 0, 0)
        nothing_is_due(life)


def test_an_answer_that_cannot_be_recorded_is_asked_for_again(tmp_path: Path) -> None:
    with cramped_journal(tmp_path) as (life, disk):
        child, made = filled_at(life, disk, "answer read", 2)
        check_told(child, "journal", "TAILRACE_STATE_DIR")
        assert len(life.world.calls()) == made
        life.doubtful |= unanswered(life.journal)
        disk.free()
        settle_down(life)
        with read_journal(life.journal) as con:
            ((again,),) = con.execute("select count(*) from claims where attempt = 2")
        assert again == 1
        found = compare(life)
        assert (found.lost, found.wrong) == (0, 0)
        assert 0 < found.duplicates <= found.excusable <= ROWS
        nothing_is_due(life)


@pytest.mark.parametrize(
    ("point", "times"), [("before the fold", 2)] + [("plan not committed", 1)] * LONG
)
def test_the_disk_of_the_warehouse_may_be_full(tmp_path: Path, point: str, times: int) -> None:
    with cramped(tmp_path, 32 * MEGABYTE) as (life, disk, path):
        with_a_run_behind_it(life)
        with moved(life, disk, path):
            child, made = filled_at(life, disk, point, times)
            check_told(child, "w.duckdb")
            check_told(life.start("sync", "traits", "--json"), "w.duckdb")
            assert len(life.world.calls()) == made
            disk.free()
            life.run("sync", "traits")
        settle_down(life)
        found = compare(life)
        assert (found.lost, found.wrong, found.duplicates) == (0, 0, 0)
        nothing_is_due(life)
