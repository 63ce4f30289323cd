"""What every test may ask for: a clock that only tests move, and a warehouse with its tables."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from orchestration.warehouse.duckdb import DuckDBWarehouse, open_duckdb
from orchestration.warehouse.schema import create_tables

# The same examples on every run: a red test is red for everybody.
settings.register_profile("steady", derandomize=True, deadline=None, database=None)
settings.load_profile("steady")


class FakeClock:
    """Waiting moves it, and nothing else does; `back` is how far the wall clock was set back."""

    def __init__(self, start: datetime = datetime(2026, 11, 2, 12, 0, 0, tzinfo=UTC)) -> None:
        self.start = start
        self.passed = 0.0
        self.back = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.start + timedelta(seconds=self.passed - self.back)

    def monotonic(self) -> float:
        return 1000.0 + self.passed

    def sleep(self, seconds: float) -> None:
        assert 0 <= seconds < 86_400, f"nobody waits {seconds} s"
        self.slept.append(seconds)
        self.passed += seconds


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def warehouse(tmp_path: Path, clock: FakeClock) -> Iterator[DuckDBWarehouse]:
    with open_duckdb(tmp_path / "warehouse.duckdb", clock=clock) as opened:
        create_tables(opened)
        yield opened


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: servers and locks are waited for now and then."""
    return (os.cpu_count() or 1) + 1


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say what the tests that kill processes have found, and how much of it is excused."""
    reports = terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
    lives = [
        (report.nodeid.partition("[")[2].rstrip("]"), found)
        for report in reports
        for name, found in report.user_properties
        if name == "crash"
    ]
    if not lives:
        return
    total = {name: sum(found[name] for _, found in lives) for name in lives[0][1]}
    listed = [*sorted(lives, key=lambda life: int(life[0])), ("all", total)]
    terminalreporter.section("killed processes")
    for seed, found in listed if os.environ.get("TAILRACE_LONG") else listed[-1:]:
        counts = ", ".join(f"{count:,} {name}" for name, count in found.items())
        terminalreporter.write_line(f"seed {seed}: {counts}" if seed != "all" else counts)
