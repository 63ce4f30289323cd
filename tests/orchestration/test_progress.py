"""How far a delivery is: measured, told to a person in place, to a log in JSON lines."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from destinations.base import Dedup, Endpoint, Locates, Response, Window
from orchestration.cli.progress import Days, InPlace
from orchestration.progress import LogLines, Progress, measured
from orchestration.sync_runs import SyncRun
from tests.conftest import FakeClock
from tests.support.faults import down
from tests.support.world import World, make_world

ENDPOINT = Endpoint(
    "/x", (Window(5, 1.0), Window(100, 60.0)), 10, 1000, 10, Dedup.STATE, Locates.NOTHING
)
TOLD = Progress("iterable_user_traits", 312_000, 1_000_000, 41_200.0, 0.96, 17.0)


def test_a_share_of_one_is_the_pace_of_the_limiter(clock: FakeClock) -> None:
    measure = measured("s", left=600, of=1000, endpoint=ENDPOINT, clock=clock)
    assert measure(1, 10) == Progress("s", 410, 1000, 0.0, 0.0, None)
    clock.sleep(60.1 / 100 * 50)  # the slower window: 100 in 60 s and the jitter
    found = measure(51, 510)
    assert (found.rows, found.share_of_limit) == (910, 1.0)
    assert found.rows_per_s == pytest.approx(510 / 30.05, abs=0.1)
    assert found.seconds_left == pytest.approx(90 / (510 / 30.05), abs=0.1)


def test_lines_for_a_log(clock: FakeClock) -> None:
    lines: list[str] = []
    log = LogLines(clock, lines.append)
    log.started("s")
    for _ in range(25):
        clock.sleep(1)
        log.progress(replace(TOLD, sync="s"))
    log.finished(SyncRun("s", "iterable", "held", calls=3, delivered=2, rejected=1, reasons=["x"]))
    told = [json.loads(line) for line in lines]
    assert [one["event"] for one in told] == [
        "sync.started",
        *["sync.progress"] * 2,
        "sync.finished",
    ]
    assert told[1] == {
        "at": "2026-11-02T12:00:10Z", "event": "sync.progress", "sync": "s", "rows": 312_000,
        "of": 1_000_000, "rows_per_s": 41_200.0, "share_of_limit": 0.96, "seconds_left": 17.0,
    }  # fmt: skip
    assert told[3] == {
        "at": "2026-11-02T12:00:25Z", "event": "sync.finished", "sync": "s", "status": "held",
        "calls": 3, "delivered": 2, "rejected": 1, "throttled_s": 0.0,
    }  # fmt: skip


def terminal(width: int = 100) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)


def drawn(out: Console) -> str:
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def test_a_line_for_a_person(clock: FakeClock) -> None:
    out = terminal()
    line = InPlace(out, clock)
    line.started("iterable_user_traits")
    line.progress(TOLD)
    line.progress(replace(TOLD, rows=312_001))  # a moment later
    clock.sleep(1)
    line.progress(replace(TOLD, rows=1_000_000, seconds_left=0.0, rows_per_s=9.0))
    line.finished(SyncRun("s", "iterable"))
    first, second, rest = drawn(out).split("\r")
    assert first == (
        "iterable_user_traits  312,000 of 1,000,000 rows · 41,200 rows/s · 96 % of the limit · 17 s left"
    )
    assert second.startswith("iterable_user_traits  1,000,000 of 1,000,000 rows · 9 rows/s")
    assert len(second) == len(first), "what was longer is written over"
    assert rest == "\n"


def test_a_narrow_terminal_keeps_to_one_line(clock: FakeClock) -> None:
    out = terminal(40)
    InPlace(out, clock).progress(TOLD)
    assert drawn(out) == "iterable_user_traits  312,000 of 1,000,\r"


def test_days_of_a_backfill(clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    out = terminal()
    tell = Days("lapsed", clock, out)
    clock.sleep(2)
    tell(4, 300)
    assert drawn(out) == "lapsed  4 of 300 days · 2.0 days/s · 2 min left\r"
    tell = Days("lapsed", clock, Console(file=io.StringIO()))
    tell(1, 300)
    clock.sleep(10)
    tell(20, 300)
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line) == {
        "at": "2026-11-02T12:00:12Z", "event": "backfill.progress", "audience": "lapsed",
        "days": 20, "of": 300, "days_per_s": 2.0, "seconds_left": 140.0,
    }  # fmt: skip


class Seen:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def started(self, sync: str) -> None:
        self.said.append(sync)

    def progress(self, told: Progress) -> None:
        self.said.append((told.rows, told.of))

    def finished(self, run: SyncRun) -> None:
        self.said.append(run.status)


@pytest.fixture
def full(tmp_path: Path) -> Iterator[World]:
    with make_world(tmp_path) as world:
        world.sync("traits", sends="traits", fields={"score": "score"})
        world.users({f"u{n}": {} for n in range(2500)}, world.step())
        yield world


def told(world: World) -> list[object]:
    from orchestration.activate import run_syncs

    seen = Seen()
    run_syncs(replace(world.engine(), watch=seen), world.syncs.values(), None)
    return seen.said


def test_a_delivery_is_told_request_by_request(full: World) -> None:
    assert told(full) == ["traits", (1000, 2500), (2000, 2500), (2500, 2500), "done"]
    assert told(full) == ["traits", "nothing"]


def test_a_resumed_delivery_begins_where_it_was(full: World) -> None:
    full.wrap = Half
    assert told(full) == ["traits", (1000, 2500), "incomplete"]
    full.wrap = None
    assert told(full) == ["traits", (2000, 2500), (2500, 2500), "done"]


class Half:
    """Takes one request, then is down."""

    def __init__(self, real: object) -> None:
        self.real, self.calls = real, 0

    def send(self, request: object, *, timeout: float) -> object:
        self.calls += 1
        return (
            self.real.send(request, timeout=timeout) if self.calls == 1 else Response(503, {}, b"")
        )

    def close(self) -> None:
        self.real.close()


def test_a_sync_that_cannot_start_is_told_to_have_failed(full: World) -> None:
    full.sync("broken", sends="traits", fields={"score": "no_such_column"})
    assert told(full)[-2:] == ["broken", "failed"]
    down(full, Response(401, {}, b""))
    full.users({"new": {}}, full.step())
    assert "failed" in told(full)
