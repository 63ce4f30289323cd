"""Connection settings, from dbt's profile and nowhere else."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from destinations.clock import Clock
from destinations.errors import ConfigError
from orchestration.accounts import rendered
from orchestration.dbt import DbtPaths
from orchestration.warehouse import Connect, Warehouse
from orchestration.warehouse.locks import Tell, in_silence

ENGINES = ("duckdb",)


def read_output(paths: DbtPaths, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the chosen target of the project's profile, with `env_var()` rendered.

    Raises:
        ConfigError: a file, the profile or the target is missing; names it.
    """
    return _chosen(paths, environment)[1]


def _chosen(paths: DbtPaths, environment: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    project = _yaml(paths.project_dir / "dbt_project.yml")
    profile_file = paths.profiles_dir / "profiles.yml"
    profile = _entry(_yaml(profile_file), str(project.get("profile")), profile_file, "")
    name = str(project.get("profile"))
    outputs = _entry(profile, "outputs", profile_file, name)
    # Without a target dbt takes the one called default.
    given = rendered(
        profile.get("target", "default"), environment, profile_file, f"{name}.target", need=True
    )
    target = paths.target or str(given)
    output = _entry(outputs, target, profile_file, f"{name}.outputs")
    if output.get("type") not in ENGINES:
        raise ConfigError(
            f"there is no engine for type {output.get('type')!r} yet",
            file=str(profile_file),
            key=f"{name}.outputs.{target}.type",
            accepted=ENGINES,
        )
    where = f"{name}.outputs.{target}"
    return where, {
        key: rendered(value, environment, profile_file, f"{where}.{key}", need=True)
        for key, value in output.items()
    }


def connector(
    paths: DbtPaths, environment: Mapping[str, str], *, clock: Clock, tell: Tell = in_silence
) -> Connect:
    """Return how to open the warehouse that dbt builds in; its profile is read at first use.

    To open it raises:
        ConfigError: as `read_output`, or the target has no file to come back to.
        LockedError: somebody else still holds it after `deadline` seconds.
    """

    @cache
    def path() -> Path:
        return _path(paths, environment)

    def connect(deadline: float = 60.0) -> Warehouse:
        from orchestration.warehouse.duckdb import open_duckdb

        return open_duckdb(path(), clock=clock, deadline=deadline, tell=tell)

    return connect


def _path(paths: DbtPaths, environment: Mapping[str, str]) -> Path:
    where, output = _chosen(paths, environment)
    path = str(output.get("path", ":memory:"))
    if path.startswith((":memory:", "md:", "motherduck:")):
        raise ConfigError(
            f"the warehouse has to be a file that stays, not {path!r}",
            file=str(paths.profiles_dir / "profiles.yml"),
            key=f"{where}.path",
        )
    return Path(path)


def default_environment(project_dir: Path) -> None:
    """Give the bundled profile an absolute path, so that any working directory will do."""
    local = project_dir.resolve().parent / "data" / "local"
    os.environ.setdefault("TAILRACE_DUCKDB", str(local / "warehouse.duckdb"))
    os.environ.setdefault("TAILRACE_STATE_DIR", str(local / "state"))


def _yaml(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise ConfigError(
            "no such file; give the dbt project with --project-dir and its profile with "
            "--profiles-dir",
            file=str(path),
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        raise ConfigError("this is not YAML", file=str(path)) from None
    return content if isinstance(content, dict) else {}


def _entry(mapping: Mapping[str, Any], key: str, file: Path, where: str) -> dict[str, Any]:
    found = mapping.get(key)
    if not isinstance(found, dict):
        raise ConfigError(
            f"has no {key!r}",
            file=str(file),
            key=f"{where}.{key}".lstrip("."),
            accepted=sorted(map(str, mapping)),
        )
    return found
