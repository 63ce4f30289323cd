"""What the shipped dbt project promises to people who read or query it."""

from __future__ import annotations

from typing import Any

import pytest

from orchestration.dbt import DbtPaths, DbtRun, manifest, run_dbt
from tests.dbt.conftest import AS_OFS, Raw

AUDIENCES = {
    "re_engagement",
    "feature_adoption",
    "depth_nudge",
    "order_completed_last_30days",
    "shallow_sessions",
    "dormant",
    "overdue",
    "new_signups_no_purchase",
    "recently_lapsed",
    "feature_gap",
    "cart_abandoned",
    "onboarded_no_report",
    "dashboard_no_export",
}
ITERABLE_RESERVED = {
    "createdAt",
    "email",
    "emailListIds",
    "itblInternal",
    "profileUpdatedAt",
    "signupDate",
    "signupSource",
    "subscribedMessageTypeIds",
    "userId",
}


@pytest.fixture(scope="module")
def models(raw: Raw, paths: DbtPaths) -> dict[str, Any]:
    nodes = manifest(paths)["nodes"].values()
    return {node["name"]: node for node in nodes if node["resource_type"] == "model"}


@pytest.fixture(scope="module")
def syncs(raw: Raw, paths: DbtPaths) -> dict[str, Any]:
    return {node["name"]: node for node in manifest(paths)["exposures"].values()}


def test_every_model_and_column_is_described(models: dict[str, Any]) -> None:
    for name, model in models.items():
        assert model["description"], name
        assert model["config"]["meta"]["owner"], name
        assert model["columns"], name
        for column in model["columns"].values():
            assert column["description"], (name, column["name"])


@pytest.mark.slow
def test_the_columns_described_are_the_columns_there_are(
    models: dict[str, Any], raw: Raw, built: DbtRun, paths: DbtPaths
) -> None:
    nodes = manifest(paths)["nodes"].values()
    seeds = {node["name"]: node for node in nodes if node["resource_type"] == "seed"}
    found = raw.rows(
        "select table_name, list(column_name order by ordinal_position) as columns "
        "from information_schema.columns where table_schema = 'analytics' group by table_name"
    )
    there = {name: list(columns) for name, columns in found.itertuples(index=False)}
    ephemeral = {n for n, model in models.items() if model["config"]["materialized"] == "ephemeral"}
    assert there.keys() == (models.keys() - ephemeral) | seeds.keys()
    for name, columns in there.items():
        assert columns == list((models | seeds)[name]["columns"]), name


def test_every_source_table_is_described(raw: Raw, paths: DbtPaths) -> None:
    sources = manifest(paths)["sources"].values()
    assert {source["source_name"] for source in sources} == {"raw", "tailrace"}
    for source in sources:
        assert source["description"], source["name"]
        assert source["schema"] == source["source_name"]


def test_the_tables_of_the_engine_are_declared(raw: Raw, paths: DbtPaths) -> None:
    there = raw.rows(
        "select table_schema, table_name from information_schema.tables "
        "where table_schema in ('raw', 'tailrace')"
    )
    declared = {(s["schema"], s["name"]) for s in manifest(paths)["sources"].values()}
    assert declared == set(there.itertuples(index=False, name=None))


def test_an_audience_has_a_name_a_key_and_contract(models: dict[str, Any]) -> None:
    audiences = {n: model for n, model in models.items() if "audience" in model["config"]["meta"]}
    assert audiences.keys() == AUDIENCES
    for name, model in audiences.items():
        assert model["config"]["meta"]["audience"]["name"], name
        assert model["config"]["contract"]["enforced"], name
        assert next(iter(model["columns"])) == "user_id", name


def test_a_sync_sends_columns_its_model_has(models: dict[str, Any], syncs: dict[str, Any]) -> None:
    for name, exposure in syncs.items():
        assert exposure["type"] == "application", name
        assert exposure["description"], name
        assert exposure["label"], name
        assert exposure["owner"]["name"], name
        (model,) = exposure["depends_on"]["nodes"]
        fields = exposure["config"]["meta"]["sync"].get("fields", {})
        assert set(fields.values()) <= set(models[model.rsplit(".", 1)[1]]["columns"]), name
        assert not fields.keys() & ITERABLE_RESERVED, name


def test_traits_that_move_by_themselves_are_not_sent(syncs: dict[str, Any]) -> None:
    fields = syncs["iterable_user_traits"]["config"]["meta"]["sync"]["fields"]
    assert not {"account_age_days", "days_since_last_session"} & set(fields.values())


def test_traits_go_first(syncs: dict[str, Any]) -> None:
    for name, exposure in syncs.items():
        after = exposure["config"]["meta"]["sync"].get("after", [])
        assert after == ([] if name == "iterable_user_traits" else ["iterable_user_traits"]), name


@pytest.mark.slow
def test_unit_tests_pass(built: DbtRun, paths: DbtPaths) -> None:
    run = run_dbt(paths, "test", as_of=None, select=["test_type:unit"], exclude=[])
    assert [node.name for node in run.failures] == []
    assert len(run.nodes) >= 11


@pytest.mark.slow
def test_a_build_runs_no_unit_tests(built: DbtRun) -> None:
    assert built.success, built.failures
    assert {node.resource_type for node in built.nodes} == {"model", "seed", "test"}


@pytest.mark.slow
def test_a_build_is_recorded(built: DbtRun, raw: Raw) -> None:
    rows = raw.rows(f"from tailrace.builds where build_id = '{built.build_id}'")
    (row,) = rows.to_dict("records")
    assert row["as_of"] == AS_OFS[-1].replace(tzinfo=None)
    assert row["started_at"] < row["finished_at"]
    assert row["success"]
    recorded = raw.rows(
        "select r ->> 'name' as name, r ->> 'resource_type' as kind, r ->> 'status' as status "
        f"from (select unnest(from_json(relations, '[\"json\"]')) as r from tailrace.builds "
        f"where build_id = '{built.build_id}')"
    )
    assert set(recorded.itertuples(index=False, name=None)) == {
        (node.name, node.resource_type, "success")
        for node in built.nodes
        if node.resource_type != "test"
    }
