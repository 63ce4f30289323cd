"""Where the project is, and the engine that the bodies of the assets call."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster_dbt import DbtCliResource

from destinations.clock import SystemClock
from destinations.errors import LockedError, TailraceError
from orchestration.dbt import DbtPaths
from orchestration.engine import Engine
from orchestration.setup import open_engine
from orchestration.warehouse.profiles import connector, default_environment

ROOT = Path(__file__).resolve().parents[2]
WAREHOUSE_POOL = "warehouse"


def project_paths() -> DbtPaths:
    """Return where the dbt project is: `TAILRACE_PROJECT_DIR`, or the bundled one.

    Gives the bundled profile its absolute paths, so that any working directory will do.
    """
    project_dir = Path(os.environ.get("TAILRACE_PROJECT_DIR") or ROOT / "dbt_project").resolve()
    default_environment(project_dir)
    artifacts = os.environ.get("DBT_TARGET_PATH")
    return DbtPaths(project_dir, project_dir, None, Path(artifacts) if artifacts else None)


def engine() -> Engine:
    """Open the engine as the command line does; every step opens its own."""
    paths, clock = project_paths(), SystemClock()
    connect = connector(paths, os.environ, clock=clock)
    return open_engine(paths, connect, os.environ, clock=clock)


def dbt_cli(paths: DbtPaths) -> DbtCliResource:
    """Return dbt as installed beside this Python: its folder need not be on the PATH."""
    beside = Path(sys.executable).with_name("dbt")
    return DbtCliResource(
        project_dir=str(paths.project_dir),
        profiles_dir=str(paths.profiles_dir),
        target=paths.target,
        dbt_executable=str(beside) if beside.exists() else "dbt",
    )


@contextmanager
def explained() -> Iterator[None]:
    """Turn an expected error into a failed step that says where the mistake is.

    Raises:
        dagster.Failure: retried only if somebody else held what the step needs.
    """
    try:
        yield
    except TailraceError as error:
        raise dg.Failure(
            description=in_words(error), allow_retries=isinstance(error, LockedError)
        ) from None


def in_words(error: TailraceError) -> str:
    """Return an error with its file, key and accepted values."""
    parts = [error.message, f"file: {error.place}", f"key: {error.key}"]
    said = [part for part, known in zip(parts, (True, error.file, error.key), strict=True) if known]
    return "\n".join([*said, f"accepted: {', '.join(error.accepted)}"] if error.accepted else said)


def team(owner: str) -> list[str]:
    """Return an owner as Dagster wants it: an e-mail address or `team:name`."""
    if not owner:
        return []
    return [owner if "@" in owner else f"team:{owner.replace(' ', '-')}"]
