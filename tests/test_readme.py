"""Every command of the README, in its order, in a copy of the repository."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^```sh\n(.+?)\n```$", README, flags=re.MULTILINE | re.DOTALL)
# Run by CI itself, or running until interrupted; that make knows them must do here.
NAMED_ONLY = ("make test", "make dagster")
# The first screens: the demo, and somebody's own events.
QUICK = COMMANDS.index(".venv/bin/tailrace sandbox calls --limit 5") + 1
MY_EVENTS = "customer,action,happened_at,amount\n" + "".join(
    f"c{n},login,2026-05-{day:02} 10:00:00,{n}\n" for n in range(20) for day in range(1, 9)
)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clone") / "tailrace"
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in files.splitlines():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    _lend_environment(folder / ".venv")
    (folder / "my_events.csv").write_text(MY_EVENTS)
    return folder


def _lend_environment(venv: Path) -> None:
    """Make this environment look like the clone's own, newer than anything it depends on."""
    venv.mkdir()
    for part in ("bin", "lib"):
        (venv / part).symlink_to(ROOT / ".venv" / part)
    shutil.copy(ROOT / ".venv" / "pyvenv.cfg", venv)
    (venv / "ready").touch()


def run(clone: Path, command: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TAILRACE_", "ITERABLE_", "DBT_"))
    }
    return subprocess.run(
        command, shell=True, cwd=clone, env={**clean, "ITERABLE_API_KEY": "readme-key"},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def run_all(clone: Path, commands: list[str]) -> None:
    for command in commands:
        done = run(
            clone, command.replace("make ", "make -n ", 1) if command in NAMED_ONLY else command
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        assert done.stdout.strip(), command


@pytest.fixture(scope="module")
def started(clone: Path) -> Path:
    """The clone after the commands of the quick start."""
    run_all(clone, COMMANDS[:QUICK])
    return clone


def test_every_command_of_the_quick_start(started: Path) -> None:
    assert QUICK >= 5


@pytest.mark.slow
def test_every_other_command(started: Path) -> None:
    assert len(COMMANDS) > QUICK + 5
    run_all(started, COMMANDS[QUICK:])


@pytest.mark.slow
def test_the_example_audience_and_sync_work_as_written(clone: Path) -> None:
    (sql,) = re.findall(r"^```sql\n(.+?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    audience, sync, _ = re.findall(r"^```yaml\n(.+?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    models = clone / "dbt_project" / "models"
    (clone / sql.splitlines()[0].removeprefix("-- ")).write_text(sql)
    for file, block in (("audiences/audiences.yml", audience), ("syncs.yml", sync)):
        with (models / file).open("a") as opened:
            opened.write(f"\n{block}")
    done = run(clone, ".venv/bin/tailrace run --sandbox --json")
    assert done.returncode == 3, done.stdout + done.stderr
    syncs = {entry["sync"]: entry for entry in json.loads(done.stdout)["syncs"]}
    assert syncs["iterable_big_spenders"]["status"] == "held", "its first plan waits for approval"
    held = syncs["iterable_big_spenders"]["plan_id"]
    for command in (f"approve {held}", "sync iterable_big_spenders --sandbox"):
        done = run(clone, f".venv/bin/tailrace {command}")
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_target_is_in_the_help() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z-]+):", makefile, flags=re.MULTILINE)
    missing = [name for name in targets if f'@echo "make {name} ' not in makefile]
    assert missing == ["help", "lock"]
    for target in ("test", "test-slow", "test-all"):
        assert f"`make {target}`" in README


def test_every_verb_is_in_the_readme() -> None:
    from orchestration.cli import cli

    missing = [name for name in cli.commands if f"`{name}`" not in README]
    assert [name for name in missing if f"tailrace {name}" not in README] == ["demo"]
