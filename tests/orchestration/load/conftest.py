from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestration.warehouse import Warehouse
from orchestration.warehouse.duckdb import open_duckdb

Write = Callable[[str, str], Path]


class StoppedClock:
    def __init__(self, now: datetime) -> None:
        self.at = now

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing waits here")


@pytest.fixture
def clock() -> StoppedClock:
    return StoppedClock(datetime(2026, 7, 1, 12, 0, 0, 250_000, tzinfo=UTC))


@pytest.fixture
def warehouse(tmp_path: Path, clock: StoppedClock) -> Iterator[Warehouse]:
    with open_duckdb(tmp_path / "warehouse" / "w.duckdb", clock=clock) as opened:
        yield opened


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(name: str, content: str) -> Path:
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        return path

    return to_file
