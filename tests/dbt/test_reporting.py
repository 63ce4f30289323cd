"""The engine's tables as a dbt source, and the example models on it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from destinations.clock import SystemClock
from orchestration.dbt import DbtPaths, manifest, run_dbt
from orchestration.warehouse.duckdb import open_duckdb
from orchestration.warehouse.raw import create_raw
from orchestration.warehouse.schema import create_tables
from tests.dbt.conftest import AS_OFS, PROJECT, Raw


@pytest.fixture(scope="module")
def sources(raw: Raw, paths: DbtPaths) -> dict[str, Any]:
    listed = manifest(paths)["sources"].values()
    return {source["name"]: source for source in listed if source["schema"] == "tailrace"}


def test_the_columns_described_are_those_of_the_tables(sources: dict[str, Any], raw: Raw) -> None:
    found = raw.rows(
        "select table_name, list(column_name order by column_name) as columns "
        "from information_schema.columns where table_schema = 'tailrace' group by table_name"
    )
    there = {name: list(columns) for name, columns in found.itertuples(index=False)}
    assert {name: sorted(source["columns"]) for name, source in sources.items()} == there


def test_every_column_is_described(sources: dict[str, Any]) -> None:
    for name, source in sources.items():
        for column in source["columns"].values():
            assert column["description"].endswith("."), (name, column["name"])


def test_what_should_be_fresh_says_by_which_column(sources: dict[str, Any]) -> None:
    fresh = {
        name: source["loaded_at_field"]
        for name, source in sources.items()
        if source["freshness"] and source["freshness"]["warn_after"]["count"]
    }
    assert fresh == {
        "builds": "finished_at",
        "evaluations": "evaluated_at",
        "sync_runs": "ended_at",
    }
    for name, field in fresh.items():
        assert field in sources[name]["columns"]


def dbt(project: Path, *arguments: str, **environment: str) -> str:
    """Run dbt by hand, as somebody else does, and return what it said."""
    cli = "from dbt.cli.main import cli; cli()"
    command = [sys.executable, "-c", cli, "--no-use-colors", *arguments]
    done = subprocess.run(
        [*command, "--project-dir", str(project), "--profiles-dir", str(project)],
        env={**os.environ, "DO_NOT_TRACK": "1", **environment},
        cwd=project, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_models_are_views(raw: Raw, paths: DbtPaths) -> None:
    nodes = manifest(paths)["nodes"].values()
    reporting = [n for n in nodes if n["fqn"][1] == "reporting" and n["resource_type"] == "model"]
    assert {node["name"] for node in reporting} == {"audience_sizes", "rejects_by_reason"}
    for node in reporting:
        assert node["config"]["materialized"] == "view"
        assert node["config"]["contract"]["enforced"]


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A warehouse in which nothing was ever evaluated."""
    path = tmp_path / "warehouse.duckdb"
    monkeypatch.setenv("TAILRACE_DUCKDB", str(path))
    with open_duckdb(path, clock=SystemClock()) as warehouse:
        create_raw(warehouse)
        create_tables(warehouse)
    return path


@pytest.mark.slow
def test_a_build_before_the_first_evaluation_works(fresh: Path, paths: DbtPaths) -> None:
    run = run_dbt(paths, "run", as_of=AS_OFS[-1], select=["reporting"])
    assert [node.message for node in run.failures] == []
    with open_duckdb(fresh, clock=SystemClock()) as warehouse:
        create_tables(warehouse)  # a later start adds columns below the views
        assert warehouse.rows("select * from analytics.audience_sizes") == []
        assert warehouse.rows("select * from analytics.rejects_by_reason") == []
        warehouse.execute("alter table tailrace.evaluations add column one_more varchar")
        warehouse.execute(
            "insert into tailrace.evaluations (evaluation_id, audience, as_of, status, members) "
            "values ('e', 'a', timestamp '2026-01-01 00:00:00', 'committed', 3)"
        )
        sizes = warehouse.rows("select audience, members from analytics.audience_sizes")
    assert sizes == [("a", 3)]


OTHERS = {
    "dbt_project.yml": """
name: ours
version: "1.0.0"
profile: ours
models:
  tailrace:
    +enabled: false
    reporting:
      +enabled: true
seeds:
  tailrace:
    +enabled: false
exposures:
  tailrace:
    +enabled: false
""",
    "packages.yml": "packages: [{local: PACKAGE}]\n",
    "profiles.yml": """
ours:
  target: dev
  outputs:
    dev: {type: duckdb, path: WAREHOUSE, schema: reports}
""",
    "models/growth.sql": """
select s.audience, max(s.members) as most, count(e.evaluation_id) as evaluations
from {{ ref('tailrace', 'audience_sizes') }} as s
inner join {{ source('tailrace', 'evaluations') }} as e on s.audience = e.audience
group by s.audience
""",
}


@pytest.mark.slow
def test_another_dbt_project_can_use_it_as_a_package(fresh: Path, tmp_path: Path) -> None:
    project = tmp_path / "ours"
    for name, content in OTHERS.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        here = content.replace("PACKAGE", str(PROJECT)).replace("WAREHOUSE", str(fresh))
        (project / name).write_text(here)
    dbt(project, "deps")
    with_clock = ("--event-time-start", "2026-01-01", "--event-time-end", "2026-01-02")
    said = dbt(project, "build", *with_clock)
    assert "PASS=5 WARN=0 ERROR=0 SKIP=0" in said, said
    with open_duckdb(fresh, clock=SystemClock()) as warehouse:
        there = warehouse.rows(
            "select table_name from information_schema.tables where table_schema = 'reports'"
        )
        assert sorted(there) == [("audience_sizes",), ("growth",), ("rejects_by_reason",)]
        assert warehouse.rows("select * from tailrace.builds") == [], "not a build of ours"
