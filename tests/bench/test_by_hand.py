"""dbt and the statement by hand give the same answers, at a tiny size of the benchmark."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.bench import traits
from tests.bench.by_hand import differences
from tests.bench.raw_events import make_warehouse

pytestmark = pytest.mark.slow

EVENTS = 10_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Any]:
    warehouse = folder / "warehouse.duckdb"
    make_warehouse(warehouse, folder, EVENTS)
    full = traits.run("build", warehouse, "full")
    return {"full": full, **traits.beside(warehouse, folder / "other.duckdb")}


def test_both_answer_the_same(told: dict[str, Any]) -> None:
    assert told["differences"] == {}


def test_every_trait_and_audience_has_something_to_compare(
    told: dict[str, Any], folder: Path
) -> None:
    with closing(duckdb.connect(str(folder / "other.duckdb"), read_only=True)) as connection:
        made = connection.execute(
            "select table_name from duckdb_tables() where schema_name = 'by_hand'"
        )
        assert {table for (table,) in made.fetchall()} == set(traits.TABLES)
        summary = connection.execute("summarize by_hand.user_traits").fetchall()
        sizes = [
            connection.execute(f"select count(*) from by_hand.{table}").fetchall()[0][0]
            for table in traits.TABLES
        ]
    assert len(summary) == 42
    assert [column for column, _, _, _, unique, *_ in summary if unique < 2] == []
    assert min(sizes) > 0


def test_what_differs_is_told(told: dict[str, Any], folder: Path) -> None:
    other = folder / "other.duckdb"
    with closing(duckdb.connect(str(other))) as connection:
        connection.execute(
            "delete from by_hand.user_traits where user_id = "
            "(select max(user_id) from by_hand.user_traits);"
            "update by_hand.user_traits set churn_risk = churn_risk + 1e-12 where user_id = "
            "(select min(user_id) from by_hand.user_traits where churn_risk is not null)"
        )
    found = differences(folder / "warehouse.duckdb", other)
    assert found["user_traits.user_id"] == 1
    assert 1 <= found["user_traits.churn_risk"] <= 2
    assert not any(name.startswith("overdue") for name in found)


def test_the_work_of_models_is_what_passes_while_any_runs(told: dict[str, Any]) -> None:
    full = told["full"]
    assert 0 < full["work"] < full["seconds"]
    assert full["work"] <= sum(full["layers"][layer] for layer in traits.WORK)


def test_the_ratios_are_shown(told: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    traits.show_beside(told["full"], told["by_hand"], told["differences"])
    said = capsys.readouterr().out
    assert "full build / by hand" in said
    assert "its work only / by hand" in said
    assert "differs: none" in said
