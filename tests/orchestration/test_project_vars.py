"""What dbt_project.yml says of the raw tables, and what follows for a warehouse without events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from destinations.errors import DataError
from orchestration.activate import prepare
from orchestration.dbt import DbtPaths
from orchestration.project_vars import project_vars, reads_loaded
from orchestration.warehouse import Warehouse


def project(folder: Path, variables: str) -> DbtPaths:
    (folder / "dbt_project.yml").write_text(f"name: shop\nvars: {variables}\n")
    return DbtPaths(folder, folder)


@pytest.mark.parametrize(
    ("variables", "own"),
    [
        ("", True),
        ("{layout: tailrace, raw_schema: raw, raw_database: null}", True),
        ("{layout: segment}", False),
        ("{raw_schema: theirs}", False),
        ("{raw_database: lake}", False),
        ("{layout: tailrace, shop: {layout: snowplow}}", False),
        ("{layout: snowplow, shop: {layout: tailrace}}", True),
        ("{layout: tailrace, other: {layout: snowplow}}", True),
    ],
)
def test_whose_tables_dbt_reads(tmp_path: Path, variables: str, own: bool) -> None:
    assert reads_loaded(project(tmp_path, variables).project_dir) is own


def test_a_folder_without_a_project_has_no_vars(tmp_path: Path) -> None:
    assert project_vars(tmp_path) == {}


def test_only_the_tables_that_dbt_reads_must_hold_events(
    tmp_path: Path, warehouse: Warehouse
) -> None:
    @contextmanager
    def connect() -> Iterator[Warehouse]:
        yield warehouse

    with pytest.raises(DataError, match="there are no events yet"):
        prepare(connect, project(tmp_path, "{layout: tailrace}"))
    prepare(connect, project(tmp_path, "{layout: snowplow, raw_schema: atomic}"))
