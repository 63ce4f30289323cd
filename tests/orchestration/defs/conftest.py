"""A project, a warehouse and a state directory of one's own, found through the environment."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from orchestration.project import Project

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def project_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project as it is in a fresh clone; parsed once."""
    project_dir = tmp_path_factory.mktemp("clone") / "dbt_project"
    shutil.copytree(
        ROOT / "dbt_project", project_dir, ignore=shutil.ignore_patterns("target", "logs")
    )
    return project_dir


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, project_dir: Path) -> Iterator[Path]:
    """Where the warehouse and the state go; empty at first."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAILRACE_PROJECT_DIR", str(project_dir))
        patch.setenv("TAILRACE_DUCKDB", str(home / "warehouse.duckdb"))
        patch.setenv("TAILRACE_STATE_DIR", str(home / "state"))
        patch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
        for name in ("ITERABLE_API_KEY", "ITERABLE_BASE_URL", "DAGSTER_HOME"):
            patch.delenv(name, raising=False)
        yield home


@pytest.fixture(scope="module")
def definitions(home: Path) -> dg.Definitions:
    from orchestration.definitions import defs

    return defs()


@pytest.fixture(scope="module")
def project(home: Path, definitions: dg.Definitions) -> Project:
    from orchestration.defs.resources import engine

    return engine().project
