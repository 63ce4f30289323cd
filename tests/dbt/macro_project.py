"""A dbt project that holds the shipped macros and nothing else of it, for a test's own models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from orchestration.dbt import DbtPaths, _release_connections
from tests.dbt.conftest import PROJECT

AUDIENCE = "lapsed"
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
    """Models by name, parsed once: most of what dbt costs is reading its own macros."""

    def __init__(self, folder: Path, models: Mapping[str, str], given: str = GIVEN) -> None:
        self.folder = folder
        (folder / "models" / "audiences").mkdir(parents=True)
        shutil.copytree(PROJECT / "macros", folder / "macros")
        (folder / "dbt_project.yml").write_text(NAMED, encoding="utf-8")
        (folder / "profiles.yml").write_text(PROFILE, encoding="utf-8")
        (folder / "models" / "sources.yml").write_text(SOURCES, encoding="utf-8")
        (folder / "models" / "audiences" / f"{AUDIENCE}.sql").write_text("select 'u' as user_id")
        for name, sql in models.items():
            (folder / "models" / f"{name}.sql").write_text(given + sql, encoding="utf-8")
        self.manifest: Any = None
        self.manifest = self.dbt("parse").result

    def dbt(self, verb: str, *arguments: str) -> Any:
        """Return what dbt makes of the manifest that is parsed already."""
        from dbt.cli.main import dbtRunner

        runner = dbtRunner(manifest=self.manifest)
        quiet = ["--quiet", "--log-level", "none"]
        flags = DbtPaths(self.folder, self.folder).flags()
        try:
            return runner.invoke([verb, *flags, *arguments, *quiet])
        finally:
            _release_connections()

    def sql(self, names: Collection[str], variables: Mapping[str, Any]) -> dict[str, str]:
        """Return what dbt makes of models; their tables are in a database named memory."""
        given = ["--vars", json.dumps(dict(variables)), "--select", *names]
        outcome = self.dbt("compile", *given)
        assert outcome.success, outcome.exception
        return {one.node.name: one.node.compiled_code for one in outcome.result.results}

    def refused(self, names: Collection[str]) -> dict[str, str]:
        """Return what dbt says of the models that fail; unlike compile, run goes on with others."""
        as_of = ("--event-time-start", "1970-01-01", "--event-time-end", "2026-01-01")
        results = self.dbt("run", *as_of, "--select", *names).result.results
        return {one.node.name: one.message for one in results if str(one.status) == "error"}
