"""A build that finds the warehouse in use waits, and says what for."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from destinations.errors import LockedError
from orchestration import activate
from orchestration.activate import build
from orchestration.dbt import DbtRun
from orchestration.warehouse.duckdb import DuckDBWarehouse, held, open_duckdb
from orchestration.warehouse.raw import create_raw
from tests.support.world import T0, World

DUCKDB_SAID = (
    'IO Error: Could not set lock on file "/data/w.duckdb": Conflicting lock is held in '
    "/usr/bin/python3 (PID 4711) by user me."
)


@pytest.mark.parametrize("tries", [5, 1000])
def test_somebody_else_s_build_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch, tries: int
) -> None:
    told: list[str] = []
    tried: list[datetime] = []

    def connect(deadline: float = 0.0) -> DuckDBWarehouse:
        path = world.folder / "w.duckdb"
        return open_duckdb(path, clock=world.clock, deadline=deadline, tell=told.append)

    def run_dbt(*_: object, as_of: datetime, **__: Any) -> DbtRun:
        tried.append(as_of)
        if len(tried) <= tries:
            raise held(DUCKDB_SAID, "w.duckdb")
        return DbtRun("b", success=True, seconds=1.0, nodes=())

    with world.connect() as warehouse:
        create_raw(warehouse)
        warehouse.execute("insert into raw.tracks (id, event) values ('e1', 'Login')")
    monkeypatch.setattr(activate, "run_dbt", run_dbt)
    engine = replace(world.engine(), connect=connect)
    if tries < 60:
        assert build(engine, T0)[1].success
    else:
        with pytest.raises(LockedError, match="open in process 4711"):
            build(engine, T0)
        assert 50 < len(tried) < 70
    assert told == ["the warehouse w.duckdb is open in process 4711"]
