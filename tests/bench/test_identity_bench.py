"""The benchmark of identity at a tiny size: what it builds is right, and is what it says."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.bench import identity

pytestmark = pytest.mark.slow

EDGES = 4_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Any]:
    return identity.measure(folder, EDGES)


def rows(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True)) as connection:
        return connection.execute(sql).fetchall()


def smallest_together(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Return for each id the smallest that hangs together with it."""
    above: dict[str, str] = {}

    def top(one: str) -> str:
        while above.setdefault(one, one) != one:
            above[one] = above[above[one]]
            one = above[one]
        return one

    for left, right in pairs:
        low, high = sorted((top(left), top(right)))
        above[high] = low
    return {one: top(one) for one in above}


def test_the_groups_are_those_of_a_union_find(told: dict[str, Any], folder: Path) -> None:
    pairs = rows(folder, "select left_id, right_id from analytics.identity_edges where is_kept")
    groups = rows(folder, "select user_id, group_id from analytics.identity_groups")
    assert dict(groups) == smallest_together(pairs)


def test_every_shape_is_there(told: dict[str, Any], folder: Path) -> None:
    ties = rows(
        folder,
        "select id_type, bool_or(is_kept), bool_or(not is_kept) from analytics.identity_edges "
        "group by id_type order by id_type",
    )
    assert ties == [("alias", True, True), ("anonymous_id", True, True), ("email", True, True)]
    merged = rows(folder, "select distinct split_part(user_id, ' ', 1) from analytics.user_merges")
    assert sorted(merged) == [("chains",), ("one",), ("stars",), ("tangles",)]
    found = told["counts"]
    assert 0.9 * EDGES < found["edges"] < 1.1 * EDGES
    assert found["largest"] > 0.14 * EDGES


def test_each_model_is_told(told: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    identity.show(told)
    said = capsys.readouterr().out
    assert {"identity_edges", "identity_groups", "user_merges", "identity_map"} <= set(
        told["models"]
    )
    assert all(model in said for model in told["models"])
    assert told["peak_mb"] > 0
