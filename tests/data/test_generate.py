from __future__ import annotations

from pathlib import Path
from types import ModuleType

import duckdb
import pytest

TABLES = ("tracks", "identifies", "pages")


def rows(folder: Path, table: str) -> list[tuple[object, ...]]:
    with duckdb.connect() as con:
        return con.execute(f"from '{folder / table}.parquet'").fetchall()


def test_the_same_seed_gives_the_same_rows_on_any_number_of_threads(
    generator: ModuleType, tmp_path: Path
) -> None:
    generator.generate(tmp_path / "a", events=5_000, seed=3, threads=1)
    generator.generate(tmp_path / "b", events=5_000, seed=3, threads=2)
    for table in TABLES:
        assert rows(tmp_path / "a", table) == rows(tmp_path / "b", table)


def test_another_seed_gives_other_rows(generator: ModuleType, tmp_path: Path) -> None:
    generator.generate(tmp_path / "a", events=3_000, seed=3)
    generator.generate(tmp_path / "b", events=3_000, seed=4)
    assert rows(tmp_path / "a", "tracks") != rows(tmp_path / "b", "tracks")


def test_events_grow_as_asked(generator: ModuleType, tmp_path: Path) -> None:
    tracks = generator.generate(tmp_path, events=20_000, seed=3)[0]
    assert tracks.path.name == "tracks.parquet"
    assert 0.85 < tracks.rows / 20_000 < 1.15


def test_nothing_but_the_files_is_left(generator: ModuleType, tmp_path: Path) -> None:
    written = generator.generate(tmp_path, events=2_000, seed=3)
    assert {file.path for file in written} == set(tmp_path.iterdir())


@pytest.mark.slow
def test_the_committed_sample_is_what_the_generator_makes(
    generator: ModuleType, tmp_path: Path
) -> None:
    generator.generate(tmp_path, events=generator.SAMPLE_EVENTS, seed=7)
    committed = Path(__file__).resolve().parents[2] / "data" / "sample"
    for table in TABLES:
        assert rows(tmp_path, table) == rows(committed, table)


@pytest.mark.parametrize("table", TABLES)
def test_ids_are_unique(generator: ModuleType, tmp_path: Path, table: str) -> None:
    generator.generate(tmp_path, events=5_000, seed=11)
    ids = [row[0] for row in rows(tmp_path, table)]
    assert ids
    assert len(ids) == len(set(ids))
