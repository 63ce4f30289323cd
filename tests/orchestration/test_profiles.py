from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from destinations.errors import ConfigError
from orchestration.dbt import DbtPaths
from orchestration.warehouse.profiles import connector, read_output
from tests.conftest import FakeClock

PROJECT = "name: tailrace\nprofile: tailrace\n"
PROFILES = """\
tailrace:
  target: dev
  outputs:
    dev:
      type: duckdb
      path: "{{ env_var('TAILRACE_DUCKDB') }}"
      threads: "{{ env_var('THREADS', '2') | int }}"
      settings: {TimeZone: UTC}
    prod: {type: duckdb, path: prod.duckdb}
    memory: {type: duckdb, path: ":memory:"}
    nowhere: {type: duckdb}
    cloud: {type: duckdb, path: "md:mine"}
    snow: {type: snowflake, account: a}
    scalar: duckdb
"""


def write(directory: Path, profiles: str | bytes = PROFILES, project: str = PROJECT) -> DbtPaths:
    (directory / "dbt_project.yml").write_text(project)
    content = profiles.encode() if isinstance(profiles, str) else profiles
    (directory / "profiles.yml").write_bytes(content)
    return DbtPaths(directory, directory)


def at(paths: DbtPaths, target: str) -> DbtPaths:
    return DbtPaths(paths.project_dir, paths.profiles_dir, target=target)


def test_the_target_of_the_profile(tmp_path: Path) -> None:
    found = read_output(write(tmp_path), {"TAILRACE_DUCKDB": "w.duckdb"})
    assert found["path"] == "w.duckdb"
    assert found["threads"] == "2"
    assert found["settings"] == {"TimeZone": "UTC"}


def test_another_target_when_asked(tmp_path: Path) -> None:
    assert read_output(at(write(tmp_path), "prod"), {})["path"] == "prod.duckdb"


@pytest.mark.parametrize(
    ("line", "environment", "path"),
    [
        ("  target: \"{{ env_var('DBT_TARGET', 'prod') }}\"\n", {}, "prod.duckdb"),
        ("  target: \"{{ env_var('DBT_TARGET', 'x') }}\"\n", {"DBT_TARGET": "prod"}, "prod.duckdb"),
        ("", {}, "default.duckdb"),
    ],
)
def test_the_target_is_found_as_dbt_finds_it(
    tmp_path: Path, line: str, environment: Mapping[str, str], path: str
) -> None:
    profiles = PROFILES.replace("  target: dev\n", line)
    profiles += "    default: {type: duckdb, path: default.duckdb}\n"
    assert read_output(write(tmp_path, profiles), environment)["path"] == path


def test_it_opens_the_file(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "data" / "w.duckdb"
    environment = {"TAILRACE_DUCKDB": str(path)}
    with connector(write(tmp_path), environment, clock=clock)(deadline=0) as warehouse:
        assert warehouse.rows("select 1") == [(1,)]
    assert path.exists()


def test_what_dbt_may_take_of_the_machine_holds_for_every_connection(
    tmp_path: Path, clock: FakeClock
) -> None:
    settings = (
        "{TimeZone: Europe/Berlin, memory_limit: \"{{ env_var('MEMORY', '6GB') }}\", Threads: 1, "
        f"temp_directory: {tmp_path / 'spilled'}, s3_region: nowhere}}"
    )
    profiles = PROFILES.replace("{TimeZone: UTC}", settings)
    environment = {"TAILRACE_DUCKDB": str(tmp_path / "w.duckdb"), "MEMORY": "1GiB"}
    asked = ", ".join(
        f"current_setting('{name}')"
        for name in ("memory_limit", "threads", "temp_directory", "TimeZone")
    )
    with connector(write(tmp_path, profiles), environment, clock=clock)(deadline=0) as warehouse:
        found = warehouse.rows(f"select {asked}")
    assert found == [("1.0 GiB", 1, str(tmp_path / "spilled"), "UTC")]


@pytest.mark.parametrize(
    ("settings", "key", "said"),
    [
        ("{memory_limit: lots}", ".memory_limit", "Memory must have a number (e.g. 1GB)"),
        ("{threads: 0}", ".threads", "at least 1 thread"),
        ("{MAX_MEMORY: \"{{ env_var('MEMORY') }}\"}", ".MAX_MEMORY", "MEMORY is not set"),
        ("6GB", "", "mapping"),
    ],
)
def test_a_setting_that_is_refused_is_named(
    tmp_path: Path, clock: FakeClock, settings: str, key: str, said: str
) -> None:
    paths = write(tmp_path, PROFILES.replace("{TimeZone: UTC}", settings))
    connect = connector(paths, {"TAILRACE_DUCKDB": str(tmp_path / "w.duckdb")}, clock=clock)
    for _ in range(2):  # the first must have let the file go
        with pytest.raises(ConfigError) as raised:
            connect(deadline=0)
        assert said in raised.value.message
        assert raised.value.file == str(tmp_path / "profiles.yml")
        assert raised.value.key == f"tailrace.outputs.dev.settings{key}"


@pytest.mark.parametrize(
    ("profiles", "project", "target", "file", "key", "words"),
    [
        (PROFILES, PROJECT, None, "profiles.yml", "tailrace.outputs.dev.path", ["TAILRACE_DUCKDB"]),
        (PROFILES, PROJECT, "stage", "profiles.yml", "tailrace.outputs.stage", ["dev", "prod"]),
        (PROFILES, PROJECT, "snow", "profiles.yml", "tailrace.outputs.snow.type", ["duckdb"]),
        (PROFILES, PROJECT, "scalar", "profiles.yml", "tailrace.outputs.scalar", ["dev"]),
        (PROFILES, "profile: other\n", None, "profiles.yml", "other", ["tailrace"]),
        (PROFILES, "[]\n", None, "profiles.yml", "None", ["tailrace"]),
        ("tailrace: {}\n", PROJECT, None, "profiles.yml", "tailrace.outputs", []),
        ("tailrace: dev\n", PROJECT, None, "profiles.yml", "tailrace", []),
        ("", PROJECT, None, "profiles.yml", "tailrace", []),
        ("a: [1", PROJECT, None, "profiles.yml", None, ["YAML"]),
        (b"a: \xff", PROJECT, None, "profiles.yml", None, ["YAML"]),
        (PROFILES, "a: [1", None, "dbt_project.yml", None, ["YAML"]),
        (PROFILES.replace("target: dev", "target: '{{ nothing }}'"), PROJECT, None,
         "profiles.yml", "tailrace.target", ["env_var('NAME')"]),
        (PROFILES, PROJECT, "memory", "profiles.yml", "tailrace.outputs.memory.path", ["file"]),
        (PROFILES, PROJECT, "nowhere", "profiles.yml", "tailrace.outputs.nowhere.path", ["file"]),
        (PROFILES, PROJECT, "cloud", "profiles.yml", "tailrace.outputs.cloud.path", ["file"]),
    ],
)  # fmt: skip
def test_every_mistake_names_file_key_and_cure(
    tmp_path: Path,
    clock: FakeClock,
    profiles: str | bytes,
    project: str,
    target: str | None,
    file: str,
    key: str | None,
    words: list[str],
) -> None:
    paths = write(tmp_path, profiles, project)
    paths = at(paths, target) if target else paths
    connect = connector(paths, {}, clock=clock)
    with pytest.raises(ConfigError) as raised:
        connect(deadline=0)
    error = raised.value
    assert error.file == str(tmp_path / file)
    assert error.key == key
    said = " ".join([error.message, *error.accepted])
    assert all(word in said for word in words), said


@pytest.mark.parametrize("name", ["dbt_project.yml", "profiles.yml"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    paths = write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ConfigError) as raised:
        read_output(paths, {})
    assert raised.value.file == str(tmp_path / name)
    assert "--project-dir" in raised.value.message
