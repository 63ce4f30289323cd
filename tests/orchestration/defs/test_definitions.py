"""What Dagster is shown: loaded from the project's files alone."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from destinations.errors import ConfigError
from orchestration.definitions import defs
from orchestration.defs.dbt import _check
from orchestration.defs.syncs import _failure
from orchestration.project import Project
from orchestration.sync_runs import SyncRun

GRAPH = Path(__file__).with_name("graph.txt")


def ours(definitions: dg.Definitions) -> str:
    """Keys of deltas and syncs, each with what it depends on."""
    graph = definitions.resolve_asset_graph()
    return "".join(
        f"{node.key.to_user_string()} <- "
        f"{', '.join(sorted(key.to_user_string() for key in node.parent_keys))}\n"
        for node in sorted(graph.asset_nodes, key=lambda node: node.key)
        if node.key.path[0] in ("deltas", "syncs")
    )


def test_definitions_need_neither_a_warehouse_nor_a_secret(
    home: Path, definitions: dg.Definitions
) -> None:
    dg.Definitions.validate_loadable(definitions)
    assert list(home.iterdir()) == []


def test_every_audience_and_every_sync_is_an_asset_behind_what_it_needs(
    definitions: dg.Definitions, project: Project
) -> None:
    assert ours(definitions) == GRAPH.read_text(encoding="utf-8")
    keys = {key.to_user_string() for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    assert {f"deltas/{audience.key}" for audience in project.audiences} <= keys
    assert {f"syncs/{sync.key}" for sync in project.syncs} <= keys


def test_models_are_grouped_by_layer_and_owned(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    groups = {node.group_name for node in graph.asset_nodes}
    assert groups >= {"staging", "identity", "events", "traits", "audiences", "deltas", "syncs"}
    node = graph.get(dg.AssetKey("re_engagement"))
    assert (node.group_name, node.owners) == ("audiences", ["team:lifecycle-marketing"])
    assert "Regulars who stayed away" in str(node.description)
    assert dg.AssetCheckKey(node.key, "unique_re_engagement_user_id") in graph.asset_check_keys


def test_guards_block(definitions: dg.Definitions, project: Project) -> None:
    graph = definitions.resolve_asset_graph()
    wanted = [(f"deltas/{one.key}", "guard") for one in project.audiences]
    wanted += [(f"syncs/{one.key}", "held") for one in project.syncs]
    for key, name in wanted:
        check = dg.AssetCheckKey(dg.AssetKey.from_user_string(key), name)
        assert graph.get_check_spec(check).blocking


def test_what_writes_shares_a_pool(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    pools = {node.key.path[0]: node.pools for node in graph.asset_nodes if node.is_executable}
    assert pools["user_traits"] == pools["deltas"] == {"warehouse"}
    assert pools["syncs"] == {"destination_iterable"}


def test_a_schedule_per_sync_builds_what_the_sync_needs_as_of_the_tick(
    definitions: dg.Definitions, project: Project
) -> None:
    scheduled = {sync.key: sync.options.schedule for sync in project.syncs}
    assert all(scheduled.values())
    for key, cron in scheduled.items():
        schedule = definitions.resolve_schedule_def(f"sync_{key}_schedule")
        assert (schedule.cron_schedule, schedule.execution_timezone) == (cron, "UTC")
        assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    tick = datetime(2026, 3, 1, 12, 10, tzinfo=UTC)
    with dg.build_schedule_context(scheduled_execution_time=tick) as context:
        schedule = definitions.resolve_schedule_def("sync_iterable_re_engagement_schedule")
        (request,) = schedule.evaluate_tick(context).run_requests
    assert request.run_config["ops"]["dbt_models"]["config"] == {
        "as_of": "2026-03-01T12:10:00+00:00"
    }
    job = definitions.resolve_job_def("sync_iterable_re_engagement")
    selected = {key.to_user_string() for key in job.asset_layer.executable_asset_keys}
    assert {"user_traits", "deltas/re_engagement", "syncs/iterable_user_traits"} <= selected
    assert not {"depth_nudge", "syncs/iterable_feature_adoption"} & selected


def test_the_instance_runs_one_thing_at_a_time_and_reports_to_nobody(tmp_path: Path) -> None:
    shutil.copy(resources.files("orchestration.defs").joinpath("dagster.yaml"), tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        concurrency = instance.get_concurrency_config()
        assert concurrency.run_queue_config.max_concurrent_runs == 1
        assert concurrency.pool_config.default_pool_limit == 1
        assert not instance.telemetry_enabled


@pytest.mark.parametrize(
    ("run", "retried", "words"),
    [
        (SyncRun("s", "d", "incomplete", reasons=["outage"]), True, "incomplete: outage"),
        (SyncRun("s", "d", "failed", reasons=["401"]), False, "failed: 401"),
        (
            SyncRun("s", "d", "failed", error=ConfigError("no", file="f", accepted=["a"])),
            False,
            "failed: no\nfile: f\naccepted: a",
        ),
    ],
)
def test_only_what_was_interrupted_is_tried_again(run: SyncRun, retried: bool, words: str) -> None:
    failure = _failure(run)
    assert (failure.allow_retries, failure.description) == (retried, words)


def test_a_mistake_in_the_project_is_named(
    home: Path, project_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    shutil.copytree(project_dir, project)
    file = project / "destinations.yml"
    file.write_text(file.read_text().replace("base_url:", "base_ulr:"))
    monkeypatch.setenv("TAILRACE_PROJECT_DIR", str(project))
    with pytest.raises(dg.DagsterInvalidDefinitionError, match="base_ulr") as raised:
        defs()
    assert str(file) in str(raised.value)
    assert "accepted: type, max_daily_changes, share, limits, api_key" in str(raised.value)


@pytest.mark.parametrize(
    ("unique_id", "status", "keep_going", "fails"),
    [
        ("model.tailrace.re_engagement", "error", False, True),
        ("model.tailrace.re_engagement", "skipped", False, True),
        ("model.tailrace.re_engagement", "error", True, False),
        ("test.tailrace.unique_re_engagement", "fail", False, False),
        ("operation.tailrace.on_run_end", "error", False, True),
        ("model.tailrace.re_engagement", "success", False, True),  # failed, but where?
    ],
)
def test_a_model_that_was_not_built_fails_the_step_and_a_failed_test_does_not(
    tmp_path: Path, unique_id: str, status: str, keep_going: bool, fails: bool
) -> None:
    (tmp_path / "run_results.json").touch()
    results = [{"unique_id": unique_id, "status": status, "message": "why"}]
    invocation: Any = SimpleNamespace(
        is_successful=lambda: False,
        target_path=tmp_path,
        get_artifact=lambda _: {"results": results},
        get_error=lambda: None,
    )
    if not fails:
        _check(invocation, keep_going=keep_going)
        return
    with pytest.raises(dg.Failure):
        _check(invocation, keep_going=keep_going)
