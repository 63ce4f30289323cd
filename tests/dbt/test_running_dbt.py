"""`orchestration/dbt.py`: what it returns, what it raises, and what it leaves behind."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from destinations.errors import ConfigError, DataError, LockedError
from orchestration.dbt import DbtPaths, DbtRun, _invoke, manifest, run_dbt
from tests.dbt.conftest import AS_OFS, PROJECT, Raw

pytestmark = pytest.mark.slow

OPEN = "import duckdb, sys; duckdb.connect(sys.argv[1]).execute('checkpoint')"
HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); input()"
PROFILE = """
tailrace:
  target: dev
  outputs:
    dev: {type: duckdb, path: "{{ env_var('NO_SUCH') }}"}
"""


@pytest.fixture
def copied(tmp_path: Path, paths: DbtPaths, built: DbtRun) -> DbtPaths:
    """A project of one's own to break; dbt parses only what differs from the shipped one."""
    project = tmp_path / "project"
    shutil.copytree(PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    (project / "target").mkdir()
    shutil.copy(paths.artifacts / "partial_parse.msgpack", project / "target")
    return DbtPaths(project, project)


@contextmanager
def held_by_another_process(file: Path) -> Iterator[None]:
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield
        holder.communicate("\n")


def test_the_file_is_free_when_dbt_returns(built: DbtRun, raw: Raw, paths: DbtPaths) -> None:
    run_dbt(paths, "run", as_of=AS_OFS[-1], select=["stg_pages"])
    subprocess.run([sys.executable, "-c", OPEN, str(raw.path)], check=True)


def test_the_file_is_free_when_a_model_failed(raw: Raw, copied: DbtPaths) -> None:
    audience = copied.project_dir / "models" / "audiences" / "depth_nudge.sql"
    audience.write_text(audience.read_text() + "    and no_such_column = 1\n")
    run = run_dbt(copied, "build", as_of=AS_OFS[-1], select=["depth_nudge", "re_engagement"])
    subprocess.run([sys.executable, "-c", OPEN, str(raw.path)], check=True)
    assert not run.success
    failed = next(node for node in run.failures if node.resource_type == "model")
    assert (failed.name, failed.status) == ("depth_nudge", "error")
    assert failed.file == "models/audiences/depth_nudge.sql"
    assert "no_such_column" in failed.message
    assert {node.name for node in run.nodes if node.status == "success"} == {"re_engagement"}
    (recorded,) = raw.rows(
        f"select success, relations from tailrace.builds where build_id = '{run.build_id}'"
    ).to_dict("records")
    assert not recorded["success"]
    assert '"status": "error"' in recorded["relations"]


@pytest.mark.slow
def test_nothing_reaches_stdout(
    built: DbtRun, paths: DbtPaths, capfd: pytest.CaptureFixture[str]
) -> None:
    run_dbt(paths, "run", as_of=AS_OFS[-1], select=["stg_pages"])
    quiet = capfd.readouterr()
    assert (quiet.out, quiet.err) == ("", "")
    run_dbt(paths, "run", as_of=AS_OFS[-1], select=["stg_pages"], quiet=False)
    loud = capfd.readouterr()
    assert loud.out == ""
    assert "stg_pages" in loud.err


def test_a_run_without_an_as_of_is_refused(raw: Raw, paths: DbtPaths) -> None:
    with pytest.raises(ConfigError, match="as-of"):
        run_dbt(paths, "run", as_of=None)


def test_dbt_by_hand_without_an_as_of_says_what_to_pass(raw: Raw, paths: DbtPaths) -> None:
    before = raw.rows("from tailrace.builds")
    outcome = _invoke(["run", *paths.flags(), "--select", "identifies_as_of"], quiet=True)
    assert not outcome.success
    assert "--event-time-end" in outcome.result.results[0].message
    assert len(raw.rows("from tailrace.builds")) == len(before)


@pytest.mark.slow
def test_an_as_of_can_be_given_as_a_var(built: DbtRun, raw: Raw, copied: DbtPaths) -> None:
    given = ["--vars", "as_of: 2026-06-23 21:00:00", "--select", "order_completed_last_30days"]
    assert _invoke(["run", *copied.flags(), *given], quiet=True).success
    recorded = raw.rows("select as_of from tailrace.builds order by finished_at desc limit 1")
    assert recorded["as_of"][0].isoformat() == "2026-06-23T21:00:00"


def test_compiling_needs_no_as_of(built: DbtRun, paths: DbtPaths) -> None:
    run = run_dbt(paths, "compile", as_of=None, select=["order_completed_last_30days"])
    assert run.success
    compiled = (
        paths.artifacts / "compiled/tailrace/models/audiences/order_completed_last_30days.sql"
    )
    assert "timestamp '1970-01-01 00:00:00.271828'" in compiled.read_text()


def test_a_warehouse_in_use_names_the_process(raw: Raw, paths: DbtPaths) -> None:
    with (
        held_by_another_process(raw.path),
        pytest.raises(
            LockedError, match=r"the warehouse warehouse.duckdb is open in process \d+; close it"
        ),
    ):
        run_dbt(paths, "run", as_of=AS_OFS[-1])


@pytest.mark.slow
def test_a_warehouse_that_is_none_is_a_data_error(
    tmp_path: Path, copied: DbtPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "notes.duckdb"
    file.write_text("not a database" * 1000)
    monkeypatch.setenv("TAILRACE_DUCKDB", str(file))
    with pytest.raises(DataError, match="not a valid DuckDB database"):
        run_dbt(copied, "run", as_of=AS_OFS[-1])


@pytest.mark.parametrize(
    ("file", "addition", "named", "said"),
    [
        ("models/audiences/depth_nudge.sql", "-- {{ ref('gone') }}", "depth_nudge.sql", "gone"),
        ("models/audiences/depth_nudge.sql", "{{ as_of( }}", "depth_nudge.sql", "unexpected"),
        ("models/syncs.yml", "  - : :", "syncs.yml", "Syntax error"),
        ("dbt_project.yml", "vars: [", "dbt_project.yml", "Syntax error"),
        ("profiles.yml", PROFILE, "profiles.yml", "NO_SUCH"),
    ],
)
def test_a_mistake_is_a_config_error_with_its_file(
    copied: DbtPaths, file: str, addition: str, named: str, said: str
) -> None:
    broken = copied.project_dir / file
    broken.write_text(broken.read_text() + "\n" + addition + "\n")
    with pytest.raises(ConfigError, match=said) as caught:
        manifest(copied)
    assert caught.value.file is not None
    assert caught.value.file.endswith(named)


def test_a_project_that_is_not_there_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        manifest(DbtPaths(tmp_path / "nowhere", PROJECT, target_path=tmp_path))


def test_the_manifest_is_parsed_again_only_after_a_change(copied: DbtPaths) -> None:
    def parsed_at() -> int:
        manifest(copied)
        return (copied.artifacts / "manifest.json").stat().st_mtime_ns

    first = parsed_at()
    assert parsed_at() == first
    audience = copied.project_dir / "models" / "audiences" / "depth_nudge.sql"
    os.utime(audience)
    second = parsed_at()
    assert second > first
    tests_of_audiences = audience.with_name("audiences_unit_tests.yml")
    tests_of_audiences.unlink()
    assert parsed_at() > second
    assert not any("depth_nudge_wants" in name for name in manifest(copied)["unit_tests"])


def test_what_dbt_keeps_of_the_project_holds_in_any_folder(
    copied: DbtPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tailrace build` beside the project, then `dbt seed` in it: seeds were not found."""
    (copied.artifacts / "partial_parse.msgpack").unlink()
    monkeypatch.chdir(copied.project_dir.parent)
    here = Path(copied.project_dir.name)
    nodes = manifest(DbtPaths(here, here))["nodes"].values()
    roots = {node["root_path"] for node in nodes if node["resource_type"] == "seed"}
    assert roots == {str(copied.project_dir.resolve())}


def test_tests_alone_are_about_the_last_build(raw: Raw, paths: DbtPaths, built: DbtRun) -> None:
    """Breaches are told of the last two days of the as-of, not of all days."""
    found = []
    for later in (timedelta(days=30), timedelta()):
        run_dbt(paths, "run", as_of=AS_OFS[-1] + later, select=["stg_pages"])
        run = run_dbt(paths, "test", as_of=None, select=["no_new_breach_of_the_tracking_plan"])
        found += [node.status for node in run.nodes]
    assert found == ["pass", "warn"]


def test_a_mistake_in_an_ephemeral_model_is_told(raw: Raw, copied: DbtPaths) -> None:
    """Which dbt itself has no result for, only for what it skips."""
    fact = copied.project_dir / "models" / "facts" / "user_activity.sql"
    fact.write_text(fact.read_text().replace("{{ event_count('Order", "{{ event_cnt('Order"))
    run = run_dbt(copied, "build", as_of=AS_OFS[-1], select=["user_activity", "user_facts"])
    told = {node.name: (node.status, node.file, node.message) for node in run.failures}
    status, file, message = told["user_activity"]
    assert (status, file) == ("error", "models/facts/user_activity.sql")
    assert "'event_cnt' is undefined" in message
    assert told["user_facts"][0] == "skipped"
    recorded = f"select success from tailrace.builds where build_id = '{run.build_id}'"
    assert not raw.rows(recorded).success[0]


@pytest.mark.parametrize(
    ("model", "given", "wrong", "named"),
    [
        (
            "user_rhythm",
            "named_event('Session Started') }}",
            "named_event('Session Started') }} and no_such_column",
            "\nin the ephemeral model user_rhythm",
        ),
        (
            "user_streaks",
            "full join short_sessions on",
            "full join short_sessions on no_such_column and",
            "\nin the ephemeral model user_streaks",
        ),
        ("user_facts", "rhythm.session_gap_median_days", "rhythm.no_such_column", "^"),
    ],
)
def test_an_error_in_the_sql_of_facts_is_told_where_it_is(
    raw: Raw, copied: DbtPaths, model: str, given: str, wrong: str, named: str
) -> None:
    """Of rows that are kept, as the engine says it of the model's own SQL."""
    file = copied.project_dir / "models" / "facts" / f"{model}.sql"
    file.write_text(file.read_text().replace(given, wrong))
    (failed,) = run_dbt(copied, "run", as_of=AS_OFS[-1], select=["user_facts"]).failures
    assert '"no_such_column"' in failed.message
    assert "there" not in failed.message
    assert failed.message.endswith(named)


@pytest.mark.parametrize("file", ["seeds/event_aliases.csv", "models/audiences/audiences.yml"])
def test_a_file_that_is_not_utf_8_is_named(copied: DbtPaths, file: str) -> None:
    wrong = copied.project_dir / file
    wrong.write_bytes(wrong.read_bytes() + b"k\xe4ufe,Order Completed\n")
    with pytest.raises(ConfigError, match="not UTF-8") as raised:
        manifest(copied)
    assert raised.value.file == str(wrong)
