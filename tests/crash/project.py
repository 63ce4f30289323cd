"""A dbt project as the engine sees it, parsed ahead: three models, one audience, four syncs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from orchestration.project import Project, read_project
from tests.e2e.conftest import PROJECT
from tests.support.world import KEY

FORGOTTEN = "u0@example.com"
SYNCS: dict[str, tuple[str, dict[str, Any]]] = {
    "traits": ("user_traits", {"sends": "traits", "fields": {"score": "score"}}),
    "flag": ("loyal", {"sends": "membership", "as": "identify"}),
    "journey": ("loyal", {"sends": "membership", "as": "track"}),
    "orders": ("events", {"sends": "events", "events": ["Order Completed"]}),
}
_GUARD = {"max_exits": "1000%", "max_enters": "1000%", "min_members": "0%"}
_DESTINATIONS = """
destinations:
  iterable:
    type: iterable
    api_key: "{{ env_var('ITERABLE_API_KEY') }}"
    base_url: "{{ env_var('ITERABLE_BASE_URL') }}"
"""
# So fast that several requests are on the wire at a time, and permits come in tens.
_FAST = """    limits:
      identify: {requests: 1000, seconds: 1}
      track: {requests: 1000, seconds: 1}
"""


def make_project(folder: Path, url: str, *, fast: bool = False) -> dict[str, str]:
    """Write a project into a folder; returns the environment that it is run in."""
    project = folder / "project"
    (project / "models").mkdir(parents=True)
    (project / "target").mkdir()
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(PROJECT / name, project)
    (project / "models" / "syncs.yml").write_text("version: 2\n")
    (project / "destinations.yml").write_text(_DESTINATIONS + _FAST * fast)
    parsed = project / "target" / "manifest.json"
    parsed.write_text(json.dumps(_manifest()))
    later = parsed.stat().st_mtime_ns + 10**9
    os.utime(parsed, ns=(later, later))  # newer than all it was made from: dbt is not asked
    return {
        "TAILRACE_PROJECT_DIR": str(project),
        "TAILRACE_DUCKDB": str(folder / "w.duckdb"),
        "TAILRACE_STATE_DIR": str(folder / "state"),
        "DBT_TARGET_PATH": str(project / "target"),
        "ITERABLE_API_KEY": KEY,
        "ITERABLE_BASE_URL": url,
    }


def as_read() -> Project:
    return read_project(_manifest())


def _manifest() -> dict[str, Any]:
    models = [
        _model("events", ()),
        _model("user_traits", ("user_id", "email", "score")),
        _model("loyal", ("user_id", "level"), "user_traits"),
    ]
    return {
        "nodes": {f"model.tailrace.{node['name']}": node for node in models},
        "exposures": {f"exposure.tailrace.{name}": _exposure(name) for name in SYNCS},
    }


def _model(name: str, columns: tuple[str, ...], *parents: str) -> dict[str, Any]:
    room = ["audiences"] if parents else []
    meta = {"owner": "team", "audience": {"guard": _GUARD}} if parents else {}
    return {
        "resource_type": "model",
        "name": name,
        "schema": "analytics",
        "alias": name,
        "columns": {column: {} for column in columns},
        "original_file_path": f"models/{name}.sql",
        "fqn": ["tailrace", *room, name],
        "config": {"materialized": "table", "meta": meta},
        "description": "",
        "depends_on": {"nodes": [f"model.tailrace.{parent}" for parent in parents]},
        "checksum": {"checksum": name},
    }


def _exposure(name: str) -> dict[str, Any]:
    model, options = SYNCS[name]
    common = {"destination": "iterable", "consent": "not_required", "max_first": 10_000}
    return {
        "name": name,
        "description": "",
        "owner": {"name": "team"},
        "original_file_path": "models/syncs.yml",
        "config": {"meta": {"sync": {**common, **options}}},
        "depends_on": {"nodes": [f"model.tailrace.{model}"]},
    }
