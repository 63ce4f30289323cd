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
from orchestration.sql.names import text
from orchestration.warehouse import Connect, Warehouse
from orchestration.warehouse.locks import Tell, in_silence

ENGINES = ("duckdb",)
RESOURCES = (
    "memory_limit", "max_memory", "threads", "worker_threads",
    "temp_directory", "max_temp_directory_size",
)  # fmt: skip
"""Of the profile's `settings`, those that say what of the machine DuckDB may take (duckdb.org/docs/
current/configuration/overview). The others are for the SQL of dbt's models."""


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
        ConfigError: as `read_output`, the target has no file to come back to, or one of RESOURCES
            in its `settings` is refused.
        LockedError: somebody else still holds it after `deadline` seconds.
    """

    @cache
    def target() -> tuple[Path, dict[str, str]]:
        where, output = _chosen(paths, environment)
        file = paths.profiles_dir / "profiles.yml"
        return _path(output, file, where), _resources(output, environment, file, where)

    def connect(deadline: float = 60.0) -> Warehouse:
        from orchestration.warehouse.duckdb import open_duckdb

        path, resources = target()
        warehouse = open_duckdb(path, clock=clock, deadline=deadline, tell=tell)
        for key, statement in resources.items():
            try:
                warehouse.execute(statement)
            except warehouse.errors as error:
                warehouse.close()
                raise ConfigError(
                    str(error), file=str(paths.profiles_dir / "profiles.yml"), key=key
                ) from None
        return warehouse

    return connect


def _path(output: Mapping[str, Any], file: Path, where: str) -> Path:
    path = str(output.get("path", ":memory:"))
    if path.startswith((":memory:", "md:", "motherduck:")):
        raise ConfigError(
            f"the warehouse has to be a file that stays, not {path!r}",
            file=str(file),
            key=f"{where}.path",
        )
    return Path(path)


def _resources(
    output: Mapping[str, Any], environment: Mapping[str, str], file: Path, where: str
) -> dict[str, str]:
    """Return by key the statements that keep a connection to what dbt's may take."""
    settings = output.get("settings") or {}
    if not isinstance(settings, dict):
        raise ConfigError(
            "has to be a mapping of settings", file=str(file), key=f"{where}.settings"
        )
    keys = {f"{where}.settings.{name}": name for name in settings if str(name).lower() in RESOURCES}
    values = {key: rendered(settings[keys[key]], environment, file, key, need=True) for key in keys}
    return {key: f"set {keys[key]} = {text(str(value))}" for key, value in values.items()}


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
