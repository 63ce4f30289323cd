"""The job `activate` for real: dbt, DuckDB, HTTP to the sandbox, in the order they happen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from destinations.base import Secret
from destinations.clock import SystemClock
from destinations.sandbox import SandboxSettings, calls, running
from orchestration.activate import prepare
from orchestration.load import load_sample

END = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = "sandbox-key"


@dataclass(frozen=True, slots=True)
class Run:
    """What a run left in Dagster, by asset key."""

    result: dg.ExecuteInProcessResult
    calls: int

    def of(self, event: dg.DagsterEventType) -> dict[str, Any]:
        return {
            "/".join(found.asset_key.path): found.event_specific_data
            for found in self.result.all_events
            if found.event_type == event and found.asset_key
        }

    @property
    def materialised(self) -> dict[str, dict[str, Any]]:
        """Metadata of the deltas and syncs that were materialised."""
        return {
            key: {name: value.value for name, value in data.materialization.metadata.items()}
            for key, data in self.of(dg.DagsterEventType.ASSET_MATERIALIZATION).items()
        }

    @property
    def failed_checks(self) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
        return {
            ("/".join(check.asset_key.path), check.check_name): check
            for check in self.result.get_asset_check_evaluations()
            if not check.passed
        }

    @property
    def skipped(self) -> set[str]:
        return {event.step_key for event in self.result.all_events if event.is_step_skipped}


class Dagster:
    """An instance, the loaded definitions, and the sandbox they deliver to."""

    def __init__(self, definitions: dg.Definitions, instance: dg.DagsterInstance, home: Path):
        self.definitions = definitions
        self.instance = instance
        self.sandbox = home / "sandbox.sqlite"

    def run(self, as_of: datetime | None) -> Run:
        """Run the job; without an as_of only what comes after dbt, on what it built last."""
        before = len(calls(self.sandbox)["calls"])
        job = self.definitions.resolve_job_def("activate")
        keys = job.asset_layer.executable_asset_keys
        chosen = [key for key in keys if as_of or key.path[0] in ("deltas", "syncs")]
        config = as_of and {"dbt_models": {"config": {"as_of": as_of.isoformat()}}}
        result = job.execute_in_process(
            run_config={"ops": config or {}},
            instance=self.instance,
            asset_selection=chosen,
            raise_on_error=False,
        )
        return Run(result, len(calls(self.sandbox)["calls"]) - before)


def warehouse() -> Any:
    from orchestration.defs.resources import engine

    return engine().connect()


@pytest.fixture(scope="module")
def dagster(home: Path, definitions: dg.Definitions) -> Iterator[Dagster]:
    settings = SandboxSettings(state=home / "sandbox.sqlite", api_key=Secret(KEY), limits=False)
    with (
        running(settings, SystemClock()) as url,
        pytest.MonkeyPatch.context() as patch,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        patch.setenv("ITERABLE_BASE_URL", url)
        patch.setenv("ITERABLE_API_KEY", KEY)
        yield Dagster(definitions, instance, home)


@pytest.fixture(scope="module")
def empty(dagster: Dagster) -> Run:
    """A run before anything was loaded."""
    return dagster.run(END)


@pytest.fixture(scope="module")
def first(dagster: Dagster, empty: Run) -> Run:
    """A run on the sample, on what a quarter of its users did."""
    from orchestration.defs.resources import engine

    prepare(engine().connect, need_events=False)
    with warehouse() as opened:
        load_sample(opened, end=END, clock=SystemClock())
        opened.execute("delete from raw.tracks where hash(coalesce(user_id, anonymous_id)) % 4 > 0")
    return dagster.run(END)


@pytest.fixture(scope="module")
def again(dagster: Dagster, first: Run) -> Run:
    """Deltas and syncs once more."""
    return dagster.run(None)


@pytest.fixture(scope="module")
def emptied(dagster: Dagster, project_dir: Path, again: Run) -> Run:
    """An hour later all who were away are back, and an audience names its members twice."""
    back = {"event": "Session Started", "at": END + timedelta(minutes=30)}
    with warehouse() as opened:
        opened.execute(
            "insert into raw.tracks by name select user_id || '-back' as id, user_id, "
            "$event as event, $at::timestamp as timestamp, $at::timestamp as received_at "
            "from analytics.user_traits where sessions_90d > 2",
            back,
        )
    model = project_dir / "models" / "audiences" / "feature_adoption.sql"
    sql = model.read_text()
    model.write_text(f"with once as ({sql}) select * from once union all select * from once")
    try:
        return dagster.run(END + timedelta(hours=1))
    finally:
        model.write_text(sql)


def test_without_events_the_run_fails_and_says_how_to_load(empty: Run) -> None:
    assert not empty.result.success
    assert empty.calls == 0
    (failure,) = (event for event in empty.result.all_events if event.is_step_failure)
    assert failure.step_key == "dbt_models"
    assert "load --sample" in str(failure.step_failure_data.user_failure_data.description)


def test_a_mistake_in_a_seed_fails_the_run_with_its_line(
    dagster: Dagster, project_dir: Path, empty: Run
) -> None:
    seed = project_dir / "seeds" / "event_aliases.csv"
    before = seed.read_text()
    seed.write_text("alias,event\nPing\n")
    try:
        run = dagster.run(END)
    finally:
        seed.write_text(before)
    (failure,) = (event for event in run.result.all_events if event.is_step_failure)
    said = str(failure.step_failure_data.user_failure_data.description)
    assert "line 2: 1 cells; accepted: 2" in said


@pytest.mark.slow
def test_the_sample_arrives_and_the_numbers_are_shown(first: Run, dagster: Dagster) -> None:
    assert first.result.success
    assert not first.failed_checks
    shown = first.materialised
    delta = shown["deltas/re_engagement"]
    assert delta["status"] == "committed"
    assert delta["members"] == delta["entered"] == delta["dagster/row_count"] > 0
    assert delta["as_of"] == "2026-03-01T12:00:00Z"
    synced = {key: data for key, data in shown.items() if key.startswith("syncs/")}
    assert len(synced) == 5
    assert {data["status"] for data in synced.values()} == {"done"}
    assert all(data["delivered"] > 0 for data in synced.values())
    posted = [call for call in calls(dagster.sandbox)["calls"] if call["method"] == "POST"]
    assert first.calls == len(posted) == sum(data["calls"] for data in synced.values())


@pytest.mark.slow
def test_nobody_is_named_in_what_dagster_keeps(first: Run, dagster: Dagster) -> None:
    with warehouse() as opened:
        people = opened.rows("select user_id, email from analytics.user_emails")
    kept = str([*first.materialised.values(), *first.result.get_asset_check_evaluations()])
    assert people
    assert not [who for who in people if who[0] in kept or who[1] in kept]
    assert KEY not in kept


@pytest.mark.slow
def test_the_same_as_of_again_makes_no_call(again: Run) -> None:
    assert again.result.success
    assert again.calls == 0
    synced = {key: data for key, data in again.materialised.items() if key.startswith("syncs/")}
    assert {data["status"] for data in synced.values()} == {"nothing"}
    assert len(synced) == 5


@pytest.mark.slow
def test_an_emptied_audience_is_held_and_the_others_go_on(emptied: Run) -> None:
    assert emptied.result.success
    guard = emptied.failed_checks["deltas/re_engagement", "guard"]
    assert guard.severity == dg.AssetCheckSeverity.ERROR
    assert "became empty" in str(guard.description)
    evaluation_id = guard.metadata["evaluation_id"].value
    assert f"tailrace approve {evaluation_id} --expect-exits" in str(guard.description)
    assert "deltas/re_engagement" not in emptied.materialised
    assert "syncs__iterable_re_engagement" in emptied.skipped
    for key in ("deltas/order_completed_last_30days", "syncs/iterable_order_completed_last_30days"):
        assert key in emptied.materialised
    assert emptied.materialised["syncs/iterable_user_traits"]["calls"] > 0


@pytest.mark.slow
def test_an_audience_that_repeats_its_members_is_not_sent(emptied: Run) -> None:
    guard = emptied.failed_checks["deltas/feature_adoption", "guard"]
    assert "repeat a user_id" in str(guard.description)
    assert ("feature_adoption", "unique_feature_adoption_user_id") in emptied.failed_checks
    assert "deltas/feature_adoption" not in emptied.materialised
    assert "syncs__iterable_feature_adoption" in emptied.skipped


@pytest.mark.slow
def test_what_is_held_blocks_whoever_asks_later(emptied: Run, dagster: Dagster) -> None:
    key = dg.AssetCheckKey(dg.AssetKey(["deltas", "re_engagement"]), "guard")
    record = dagster.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert record.status.value == "FAILED"


@pytest.mark.slow
def test_a_missing_secret_fails_the_sync_by_name_before_any_call(
    emptied: Run, dagster: Dagster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ITERABLE_API_KEY")
    run = dagster.run(None)
    (failed,) = (event for event in run.result.all_events if event.is_step_failure)
    assert failed.step_key == "syncs__iterable_user_traits"
    said = str(failed.step_failure_data.user_failure_data.description)
    assert "environment variable ITERABLE_API_KEY is not set" in said
    assert "destinations.yml" in said
    assert run.calls == 0
