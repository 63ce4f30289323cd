"""Opens the engine on a dbt project; the command line and Dagster share it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, date, datetime, time
from pathlib import Path
from random import SystemRandom

from destinations.clock import Clock
from orchestration.accounts import read_accounts
from orchestration.dbt import DbtPaths, manifest
from orchestration.engine import Engine
from orchestration.exposures import check_exposure_names
from orchestration.project import read_project
from orchestration.warehouse import Connect


def open_engine(
    dbt: DbtPaths,
    connect: Connect,
    environment: Mapping[str, str],
    *,
    clock: Clock,
    new_journal: bool = False,
) -> Engine:
    """Read the project and return what the verbs work with; no secret is read yet.

    Raises:
        ConfigError: the project, a sync or destinations.yml is wrong; names file and key.
    """
    accounts = read_accounts(dbt.project_dir)  # first: it takes no time, dbt may
    parsed = manifest(dbt)
    check_exposure_names(dbt.project_dir, parsed)
    return Engine(
        dbt=dbt,
        project=read_project(parsed, dbt.project_dir),
        connect=connect,
        accounts=accounts,
        environment=environment,
        state_dir=Path(environment["TAILRACE_STATE_DIR"]),
        clock=clock,
        random=SystemRandom(),
        new_journal=new_journal,
    )


def parse_instant(value: str) -> datetime:
    """Parse an ISO instant; without an offset it is UTC, and a bare date is its last second.

    Raises:
        ValueError: it is not one; says how to write it.
    """
    try:
        with suppress(ValueError):  # not a bare date
            return datetime.combine(date.fromisoformat(value), time(23, 59, 59), UTC)
        parsed = datetime.fromisoformat(value)
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{value!r} is not an instant; write 2026-03-01T12:00:00Z or 2026-03-01"
        ) from None
