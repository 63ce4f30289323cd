from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest

from destinations.clock import SystemClock
from orchestration.dbt import DbtPaths, DbtRun, run_dbt
from orchestration.warehouse.duckdb import open_duckdb
from orchestration.warehouse.raw import create_raw
from orchestration.warehouse.schema import create_tables
from tests.dbt.random_logs import random_aliases, random_logs

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "dbt_project"
SAMPLE = ROOT / "data" / "sample"
AS_OFS = [datetime(2026, 6, 23, 21, tzinfo=UTC), datetime(2026, 6, 30, 21, tzinfo=UTC)]

SOME = 4
"""One user in so many is enough of the sample, where not every number counts."""


class Raw:
    """Random logs beside the sample, or one user in so many of it, and a warehouse with them."""

    def __init__(self, path: Path, one_user_in: int = 1) -> None:
        self.path = path
        as_ofs = [as_of.replace(tzinfo=None) for as_of in AS_OFS]
        logs = random_logs(as_ofs, populations=120)
        self.aliases = random_aliases(as_ofs, populations=120)
        tracks, identifies = sample(one_user_in)
        self.tracks = pd.concat([tracks, logs[0]])
        self.identifies = pd.concat([identifies, logs[1]])

    def rows(self, sql: str) -> pd.DataFrame:
        with open_duckdb(self.path, clock=SystemClock()) as warehouse:
            return warehouse.query(sql).to_pandas()

    def fill(self) -> None:
        with open_duckdb(self.path, clock=SystemClock()) as warehouse:
            create_raw(warehouse)
            create_tables(warehouse)
            for table in ("tracks", "identifies", "aliases"):
                rows = pa.Table.from_pandas(getattr(self, table), preserve_index=False)
                warehouse.append(f"raw.{table}", rows)


def sample(one_user_in: int) -> Iterator[pd.DataFrame]:
    """Yield tracks and identifies of some users, with all that their devices did."""
    identifies = pd.read_parquet(SAMPLE / "identifies.parquet")
    owners = identifies.groupby("anonymous_id")["user_id"].min()
    for frame in (pd.read_parquet(SAMPLE / "tracks.parquet"), identifies):
        devices = frame["anonymous_id"]
        who = frame["user_id"].fillna(devices.map(owners)).fillna(devices)
        numbers = pd.util.hash_array(who.to_numpy(dtype=object))
        yield frame[numbers % one_user_in == 0]


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Raw]:
    raw = Raw(tmp_path_factory.mktemp("warehouse") / "warehouse.duckdb", SOME)
    raw.fill()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TAILRACE_DUCKDB", str(raw.path))
        yield raw


@pytest.fixture(scope="session")
def paths(tmp_path_factory: pytest.TempPathFactory) -> DbtPaths:
    return DbtPaths(PROJECT, PROJECT, target_path=tmp_path_factory.mktemp("target"))


@pytest.fixture(scope="session")
def built(raw: Raw, paths: DbtPaths) -> DbtRun:
    """One build, for the tests that only need some answer to be there."""
    return run_dbt(paths, "build", as_of=AS_OFS[-1])
