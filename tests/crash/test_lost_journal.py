"""A journal that is lost, broken or not the right one after a crash: refused, and replaced."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.crash.launching import Launcher
from tests.crash.life import Life, living
from tests.crash.truth import compare, nothing_is_due, settle_down

pytestmark = [pytest.mark.crash, pytest.mark.slow]

LONG = bool(os.environ.get("TAILRACE_LONG"))


def lost(journal: Path, backup: Path) -> None:
    journal.unlink()


def emptied(journal: Path, backup: Path) -> None:
    journal.write_bytes(b"")


def cut_short(journal: Path, backup: Path) -> None:
    journal.write_bytes(backup.read_bytes()[: backup.stat().st_size // 2])


def overwritten(journal: Path, backup: Path) -> None:
    """All but the first page, which says what the tables are."""
    journal.write_bytes(backup.read_bytes()[:4096] + b"\xff" * (backup.stat().st_size - 4096))


def restored(journal: Path, backup: Path) -> None:
    shutil.copy(backup, journal)


def foreign(journal: Path, backup: Path) -> None:
    shutil.copy(backup, journal)
    with closing(sqlite3.connect(journal)) as con, con:
        con.execute("update meta set value = 'another' where key = 'warehouse_id'")


HARMS = [(lost, "is gone"), (restored, "older copy")]
ALSO = [
    (emptied, "not the one"),
    (cut_short, "cannot be read"),
    (overwritten, "cannot be read"),
    (foreign, "another warehouse"),
]


@pytest.mark.parametrize("hours", [7.0] + [1.0] * LONG)  # its plan is closed, or gone on with
@pytest.mark.parametrize(("harm", "words"), HARMS + ALSO * LONG)
def test_it_is_refused_and_a_new_one_loses_nothing(
    tmp_path: Path,
    launcher: Launcher,
    harm: Callable[[Path, Path], None],
    words: str,
    hours: float,
) -> None:
    backup = tmp_path / "backup.sqlite"
    with living(tmp_path, launcher, seed=3) as life:
        life.go_on()
        life.evaluate()
        life.run("sync")
        shutil.copy(life.journal, backup)
        life.go_on()
        life.evaluate()
        assert life.killed(life.start("sync", "journey", point="answered, not read", times=2))
        for suffix in ("-wal", "-shm"):
            life.journal.with_name(life.journal.name + suffix).unlink()
        harm(life.journal, backup)
        life.go_on(hours)
        life.evaluate()
        made = len(life.world.calls())
        (run,) = json.loads(life.run("sync", "journey", "--json", code=2).out)["syncs"]
        assert words in run["error"]["message"]
        assert "--new-journal" in run["error"]["message"]
        assert len(life.world.calls()) == made
        excuse_open_plan(life)
        life.run("sync", "journey", "--new-journal")
        settle_down(life)
        found = compare(life)
        assert (found.lost, found.wrong) == (0, 0)
        nothing_is_due(life)


def excuse_open_plan(life: Life) -> None:
    """Nobody knows any more what of it was sent."""
    ((ops,),) = life.world.rows("select ops from tailrace.plans where status = 'delivering'")
    life.doubtful.add((0, "track", ops))
