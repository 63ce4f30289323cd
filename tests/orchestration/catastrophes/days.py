"""The bundled sample, lived through day by day: the project's own SQL, compiled once.

Only what had arrived by a day is there on that day, as in a live warehouse.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import duckdb
import pytest

from orchestration.builds import Built
from orchestration.dbt import DbtPaths, run_dbt
from orchestration.load.sample import SAMPLE_TABLES
from orchestration.memberships import Evaluation, evaluate
from orchestration.preview import SENTINEL
from orchestration.project import Audience, Model, Project
from orchestration.sql.names import instant
from orchestration.warehouse.duckdb import SETTINGS, DuckDBWarehouse
from orchestration.warehouse.raw import create_raw
from orchestration.warehouse.schema import create_tables
from tests.conftest import FakeClock

ROOT = Path(__file__).resolve().parents[3]
PROJECT = ROOT / "dbt_project"
RAW = ("tracks", "identifies", "aliases")
CHAIN = (
    *("identifies_as_of", "identity_edges", "identity_groups", "user_merges", "identity_map"),
    *("user_emails", "user_profile", "event_log", "events", "event_copies", "events_as_of"),
    *("streak_resets", "user_facts", "churn_snapshots", "churn_model", "user_churn", "user_traits"),
)
VIEWS = ("events", "events_as_of", "streak_resets")
AUDIENCES = ("depth_nudge", "feature_adoption", "order_completed_last_30days", "re_engagement")


@dataclass(frozen=True)
class Days:
    """A warehouse that is rebuilt for one instant after another."""

    warehouse: DuckDBWarehouse
    clock: FakeClock
    compiled: Mapping[str, str]

    def build(
        self, as_of: datetime, *, but: Mapping[str, Callable[[str], str]] | None = None
    ) -> None:
        """Make every relation as dbt would; `but` makes other SQL of the usual one."""
        self.clock.passed = (as_of - self.clock.start).total_seconds()
        for raw in RAW:
            self.warehouse.execute(
                f"create or replace view analytics.stg_{raw} as select * from staged.{raw} "
                f"where received_at <= {instant(as_of)}"
            )
        for name in (*CHAIN, *AUDIENCES):
            usual = self.compiled[name].replace(SENTINEL, instant(as_of))
            sql = but[name](usual) if but and name in but else usual
            what = "view" if name in VIEWS else "table"
            self.warehouse.execute(f"create or replace {what} analytics.{name} as {sql}")

    def evaluate(
        self, as_of: datetime, *, prefix: str = "", audiences: Iterable[str] = AUDIENCES
    ) -> list[Evaluation]:
        """Evaluate audiences; another prefix is another history of the same ones."""
        names = (*CHAIN, *AUDIENCES)
        build_id = uuid4().hex
        builds = {name: Built(name, as_of, "success", build_id) for name in names}
        found = []
        for name in audiences:
            model = replace(_model(name), file=f"{name}.sql")
            audience = Audience(f"{prefix}{name}", name, "", "", model, CHAIN, "f" * 16)
            project = Project((audience,), (), _model("user_traits"), _model("events"))
            found.append(
                evaluate(self.warehouse, project, audience, builds, as_of=as_of, clock=self.clock)
            )
        return found


def _model(name: str) -> Model:
    return Model(name, f"analytics.{name}", (), "")


@contextmanager
def open_days(folder: Path, *, one_user_of: int = 1) -> Iterator[Days]:
    """Compile the project, stage the sample (or one user of so many), open the warehouse."""
    paths = DbtPaths(PROJECT, PROJECT, target_path=folder / "target")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAILRACE_DUCKDB", str(folder / "compiled.duckdb"))
        assert run_dbt(paths, "compile", as_of=None).success
    models = folder / "target" / "compiled" / "tailrace" / "models"
    names = (*(f"stg_{raw}" for raw in RAW), *CHAIN, *AUDIENCES)
    compiled = {name: _sql(models, name) for name in names}
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    memory = duckdb.connect()  # nothing here is about files, and disks are slow
    memory.execute(SETTINGS)
    with DuckDBWarehouse(memory, folder / "days.duckdb", clock) as warehouse:
        create_raw(warehouse)
        create_tables(warehouse)
        warehouse.execute("create schema analytics")
        warehouse.execute("create schema staged")
        for raw in SAMPLE_TABLES:
            path = ROOT / "data" / "sample" / f"{raw}.parquet"
            warehouse.execute(
                f"insert into raw.{raw} by name select * from read_parquet('{path}') "
                f"where hash(coalesce(user_id, anonymous_id)) % {one_user_of} = 0"
            )
        for raw in RAW:
            warehouse.execute(f"create table staged.{raw} as {compiled[f'stg_{raw}']}")
        yield Days(warehouse, clock, compiled)


def _sql(models: Path, name: str) -> str:
    (path,) = models.rglob(f"{name}.sql")
    # without the database that the project was compiled for
    return re.sub(r'"\w+"\.("\w+"\."\w+")', r"\1", path.read_text(encoding="utf-8")).rstrip(" ;\n")
