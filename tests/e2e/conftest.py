"""The real project on the real sample: dbt, DuckDB, HTTP; only the endpoint is ours."""

from __future__ import annotations

import atexit
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from destinations.base import Secret
from destinations.clock import SystemClock
from destinations.sandbox import SandboxSettings, calls, profile, running
from orchestration.cli import main
from orchestration.warehouse.duckdb import DuckDBWarehouse, open_duckdb
from tests.support.clocks import FastClock

ROOT = Path(__file__).resolve().parents[2]
END = datetime(2026, 6, 30, 21, 0, 0, tzinfo=UTC)
KEY = "e2e-key"
PROJECT = ROOT / "dbt_project"
# One per test process, so that several of them do not write one parse state.
ARTIFACTS = Path(tempfile.mkdtemp(prefix="tailrace-target-"))
atexit.register(shutil.rmtree, ARTIFACTS, ignore_errors=True)


# The same path in every test: dbt parses all anew where a profile's variables change.
HERE = ARTIFACTS / "here"


def _be_in(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    HERE.unlink(missing_ok=True)
    HERE.symlink_to(folder)


@dataclass(frozen=True, slots=True)
class Shell:
    """A working directory with a warehouse, a sandbox, and the `tailrace` command."""

    folder: Path
    url: str
    project: Path = PROJECT

    @property
    def environment(self) -> dict[str, str]:
        return {
            "TAILRACE_DUCKDB": str(HERE / "warehouse.duckdb"),
            "TAILRACE_STATE_DIR": str(self.folder / "state"),
            "ITERABLE_BASE_URL": self.url,
            "ITERABLE_API_KEY": KEY,
            **({"DBT_TARGET_PATH": str(ARTIFACTS)} if self.project == PROJECT else {}),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "orchestration", *arguments, "--project-dir", str(self.project)],
            cwd=ROOT,
            env={
                **os.environ,
                **self.environment,
                "TAILRACE_DUCKDB": str(self.folder / "warehouse.duckdb"),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, code: int = 0, **environment: str | None) -> str:
        """Run a verb in this process, expect its exit code, return what it printed.

        An environment variable given as None is taken away.
        """
        _be_in(self.folder)
        argv = ["tailrace", *arguments, "--project-dir", str(self.project)]
        out, err = io.StringIO(), io.StringIO()
        wanted = {**self.environment, **environment}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in wanted.items():
                if value is None:
                    patch.delenv(name, raising=False)
                else:
                    patch.setenv(name, value)
            patch.setattr(sys, "argv", argv)
            patch.setattr("orchestration.cli.common.SystemClock", FastClock)
            with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
                main()
        assert ended.value.code == code, f"{ended.value.code}\n{out.getvalue()}\n{err.getvalue()}"
        return out.getvalue() if "--json" in arguments else out.getvalue() + err.getvalue()

    def json(self, *arguments: str, code: int = 0, **environment: str | None) -> dict[str, Any]:
        """Run a verb with --json; stdout must be one JSON object and nothing else."""
        read: dict[str, Any] = json.loads(self.run(*arguments, "--json", code=code, **environment))
        return read

    def connect(self) -> DuckDBWarehouse:
        return open_duckdb(self.folder / "warehouse.duckdb", clock=SystemClock())

    def rows(self, sql: str, params: Any = ()) -> list[tuple[Any, ...]]:
        with self.connect() as warehouse:
            return warehouse.rows(sql, params)

    @property
    def sandbox(self) -> Path:
        return self.folder / "sandbox.sqlite"

    def calls(self) -> list[Mapping[str, Any]]:
        found = calls(self.sandbox)["calls"] if self.sandbox.exists() else []
        return [call for call in found if call["method"] == "POST"]

    def profile(self, identifier: str) -> dict[str, Any]:
        return profile(self.sandbox, identifier)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse with the sample loaded, ending at END; tests copy it."""
    folder = tmp_path_factory.mktemp("sample")
    Shell(folder, "http://127.0.0.1:9").run("load", "--sample", "--end", END.isoformat())
    return folder / "warehouse.duckdb"


@contextmanager
def opened(folder: Path) -> Iterator[Shell]:
    """A shell in a folder, with a sandbox that keeps its state there."""
    settings = SandboxSettings(state=folder / "sandbox.sqlite", api_key=Secret(KEY), limits=False)
    with running(settings, SystemClock()) as url:
        yield Shell(folder, url)


def copy_project(folder: Path) -> Path:
    """Copy the dbt project for a test that changes it; dbt parses again only what is changed."""
    project = folder / "dbt_project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    parsed = ARTIFACTS / "partial_parse.msgpack"
    if not parsed.exists():
        Shell(folder, "http://127.0.0.1:9").run("validate")
    (project / "target").mkdir()
    shutil.copy(parsed, project / "target")
    return project


@pytest.fixture
def empty_shell(tmp_path: Path) -> Iterator[Shell]:
    with opened(tmp_path) as shell:
        yield shell


@pytest.fixture
def shell(empty_shell: Shell, sample: Path) -> Shell:
    shutil.copy(sample, empty_shell.folder / "warehouse.duckdb")
    return empty_shell


@pytest.fixture(scope="session")
def run_once(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run at END leaves behind; tests copy it."""
    folder = tmp_path_factory.mktemp("ran")
    shutil.copy(sample, folder / "warehouse.duckdb")
    with opened(folder) as shell:
        shell.run("run", "--as-of", END.isoformat())
    return folder


@pytest.fixture
def ran(run_once: Path, tmp_path: Path) -> Iterator[Shell]:
    shutil.copytree(run_once, tmp_path, dirs_exist_ok=True)
    with opened(tmp_path) as shell:
        yield shell
