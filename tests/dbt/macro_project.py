"""A dbt project that holds the shipped macros and nothing else of it, for a test's own models."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path

from orchestration.dbt import DbtPaths, run_dbt
from tests.dbt.conftest import PROJECT

NAMED = """
name: tailrace
profile: tailrace
vars: {time_zone: UTC, visibility: occurred}
"""
PROFILE = """
tailrace: {target: dev, outputs: {dev: {type: duckdb, path: ":memory:", threads: 1}}}
"""
SOURCES = """
sources:
  - name: tailrace
    schema: main
    tables: [{name: membership_intervals}, {name: log}, {name: zones}, {name: resets}]
"""
GIVEN = """with log as (select * from {{ source('tailrace', 'log') }}),
zones as (select * from {{ source('tailrace', 'zones') }}),
resets as (select * from {{ source('tailrace', 'resets') }})
"""


class MacroProject:
    """Models by name, in a folder of their own."""

    def __init__(self, folder: Path, models: Mapping[str, str]) -> None:
        self.folder, self.paths = folder, DbtPaths(folder, folder)
        (folder / "models").mkdir(parents=True)
        shutil.copytree(PROJECT / "macros", folder / "macros")
        (folder / "dbt_project.yml").write_text(NAMED, encoding="utf-8")
        (folder / "profiles.yml").write_text(PROFILE, encoding="utf-8")
        (folder / "models" / "sources.yml").write_text(SOURCES, encoding="utf-8")
        for name, sql in models.items():
            (folder / "models" / f"{name}.sql").write_text(GIVEN + sql, encoding="utf-8")

    def sql(self, names: Collection[str], variables: dict[str, str]) -> dict[str, str]:
        """Return what dbt makes of models; their tables are in a database named memory."""
        run_dbt(self.paths, "compile", as_of=None, select=[*names], variables=variables)
        compiled = self.folder / "target" / "compiled" / "tailrace" / "models"
        return {name: (compiled / f"{name}.sql").read_text("utf-8") for name in names}

    def refused(self, names: Collection[str], variables: dict[str, str]) -> dict[str, str]:
        """Return what dbt says of the models that fail; unlike compile, run goes on with others."""
        as_of = datetime.fromisoformat(variables["as_of"]).replace(tzinfo=UTC)
        run = run_dbt(self.paths, "run", as_of=as_of, select=[*names], variables=variables)
        return {node.name: node.message for node in run.failures}
