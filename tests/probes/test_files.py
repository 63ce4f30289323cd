"""Nobody else reads what we write, even where the umask would let them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.probes.canaries import engine_for, tailrace
from tests.probes.test_failure_modes import fill
from tests.support.world import make_world


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_every_file_of_a_run(tmp_path: Path, open_umask: None) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    old = state / "older.sqlite"
    with make_world(tmp_path) as world:
        fill(world)
        engine = engine_for(world, "test-key")
        with world.connect() as warehouse:
            warehouse.execute("checkpoint")  # what the test itself wrote is not of the command
        tailrace(world, engine, "sync")
        while_open = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert {path.name for path in while_open} >= {
            "iterable.sqlite",
            "w.duckdb",
            "sandbox.sqlite",
        }
        assert {str(path): oct(mode(path)) for path in while_open if mode(path) != 0o600} == {}
        folders = [path for path in tmp_path.rglob("*") if path.is_dir()]
        assert {str(path): oct(mode(path)) for path in folders if mode(path) != 0o700} == {}
    assert not old.exists()


def test_the_command_lets_nobody_in_by_itself(tmp_path: Path) -> None:
    script = (
        "import os, sys; os.umask(0); sys.argv = ['tailrace', 'status', '--project-dir', 'nowhere']\n"
        "from orchestration.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    open(os.environ['PROBE'], 'w').close()\n"
    )
    probe = tmp_path / "probe"
    subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PROBE": str(probe)}, check=True,
        capture_output=True,
    )  # fmt: skip
    assert mode(probe) == 0o600
