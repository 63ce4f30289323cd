"""Where the project is, and the engine that the bodies of the assets call."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from traceback import format_exception, format_tb
from typing import TextIO

import dagster as dg
from dagster_dbt import DbtCliResource

from destinations.clock import SystemClock
from destinations.errors import LockedError, TailraceError
from destinations.private import keep_to_ourselves
from destinations.scrub import one_line, scrubbed
from orchestration.dbt import DbtPaths
from orchestration.engine import Engine
from orchestration.memory import keep_to_few_heaps
from orchestration.progress import LogLines
from orchestration.setup import open_engine
from orchestration.sql.refusals import without_values
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
    keep_to_ourselves()
    keep_to_few_heaps()
    paths, clock = project_paths(), SystemClock()
    connect = connector(paths, os.environ, clock=clock)
    opened = open_engine(paths, connect, os.environ, clock=clock)
    return replace(opened, watch=LogLines(clock))


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

    Of any other error the log gets its type and where it happened. What it says may quote
    somebody's row; TAILRACE_TRACEBACK=1 shows that too, without keys and addresses.

    Raises:
        dagster.Failure: retried only if somebody else held what the step needs.
    """
    try:
        yield
    except TailraceError as error:
        raise dg.Failure(
            description=in_words(error), allow_retries=isinstance(error, LockedError)
        ) from None
    except Exception as error:  # noqa: BLE001 - told in our words, or in full if asked
        full = format_exception(error) if os.environ.get("TAILRACE_TRACEBACK") else None
        where = "".join(full or format_tb(error.__traceback__))
        raise dg.Failure(f"unexpected {type(error).__name__}\n{scrubbed(where)}") from None


class Scrubbed(io.TextIOBase):
    """A stream that cleans what is written to it, a line at a time, on its way to another."""

    def __init__(self, to: TextIO) -> None:
        self._to = to

    def write(self, text: str) -> int:
        """Write a text without secrets, addresses and the values that an engine quotes."""
        self._to.write(scrubbed(without_values(text.rstrip("\n"))) + "\n" * text.endswith("\n"))
        return len(text)

    def flush(self) -> None:
        """Hand on what is written."""
        self._to.flush()


def in_words(error: TailraceError) -> str:
    """Return an error with its file, key and accepted values."""
    parts = [error.message, f"file: {error.place}", f"key: {error.key}"]
    said = [part for part, known in zip(parts, (True, error.file, error.key), strict=True) if known]
    said[1:] = map(one_line, said[1:])
    return "\n".join([*said, f"accepted: {', '.join(error.accepted)}"] if error.accepted else said)


def team(owner: str) -> list[str]:
    """Return an owner as Dagster wants it: an e-mail address or `team:name`."""
    if not owner:
        return []
    return [owner if "@" in owner else f"team:{owner.replace(' ', '-')}"]
