"""The crash matrix: processes killed at every point and at any time, while life goes on."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from random import Random
from time import monotonic

import pytest

from tests.crash.launching import Launcher
from tests.crash.life import Life, living
from tests.crash.points import POINTS
from tests.crash.project import SYNCS
from tests.crash.truth import compare, nothing_is_due, settle_down

pytestmark = pytest.mark.crash

LONG = bool(os.environ.get("TAILRACE_LONG"))
LIVES, KILLS = (20, 25) if LONG else (4, 5)
AT_RANDOM = 5
"""One kill of so many comes at any time, the others at a named point."""

COMPARED_AFTER = 5
"""Kills after which everything is delivered and compared."""

TRIES = 12
CLOSING = ("before closing", "closing not committed", "closed")
EVALUATING = ("evaluation not committed", "evaluation committed")
# How often a process comes by, at least now and then; any other point it passes once.
OFTEN = {
    "warehouse statement": 60,
    "before the plan's status": 2,
    "after the plan's status": 2,
    "in the middle of the bytes": 4,
    **dict.fromkeys(
        (
            "before the claim", "claim not committed", "claim committed", "before the permit",
            "permit not committed", "permit taken", "before the first byte", "all bytes sent",
            "answered, not read", "answer read", "before settling", "settled, not committed",
            "settled",
        ),
        2,
    ),
}  # fmt: skip


def matrix(seed: int) -> Iterator[tuple[str, str]]:
    """Yield every point with every sync, in an order of the seed's, again and again."""
    cells = [(point, sync) for point in POINTS for sync in SYNCS]
    while True:
        Random(seed).shuffle(cells)
        yield from cells
        seed += 1


# One order for all lives, of which each takes the next part: together they pass every point.
CELLS = list(islice(matrix(0), LIVES * KILLS))


@pytest.mark.parametrize("seed", range(LIVES))
def test_nothing_is_lost_or_wrong_wherever_a_process_is_killed(
    tmp_path: Path,
    launcher: Launcher,
    seed: int,
    record_property: Callable[[str, object], None],
) -> None:
    with living(tmp_path, launcher, seed, faults=seed % 2 == 1) as life:
        for number, (point, sync) in enumerate(CELLS[seed * KILLS : (seed + 1) * KILLS]):
            if number % AT_RANDOM == AT_RANDOM - 1:
                kill_at_any_time(life, sync)
            else:
                kill_at(life, point, sync)
            if number % COMPARED_AFTER == COMPARED_AFTER - 1:
                settle_down(life)
                found = compare(life)
                assert (found.lost, found.wrong) == (0, 0), f"{found}, seed {seed}"
        nothing_is_due(life)
    assert found.kills >= KILLS
    record_property("crash", asdict(found))


def kill_at(life: Life, point: str, sync: str) -> None:
    """Kill a sync at a point, with as much to do as it takes to come by there."""
    for _ in range(TRIES):
        if point in CLOSING:
            kill_at(life, "answered, not read", sync)  # leaves a plan that is in doubt
        move_on(life, point)
        verb = ("evaluate",) if point in EVALUATING else ("sync", sync)
        times = life.random.randint(1, OFTEN.get(point, 1))
        if life.killed(life.start(*verb, point=point, times=times)):
            return
    raise AssertionError(f"a sync of {sync} never came by: {point}")


def kill_at_any_time(life: Life, sync: str) -> None:
    """Kill a sync within the time that it takes; one that was faster is followed by another."""
    for _ in range(TRIES):
        move_on(life)
        began = monotonic()
        child = life.start("sync", sync)
        if child.has_ended(within=life.random.uniform(0, 1.2 * life.usual)):
            life.usual = monotonic() - began
        else:
            child.signal(signal.SIGKILL)
        if life.killed(child):
            return
    raise AssertionError(f"a sync of {sync} was always faster")


def move_on(life: Life, point: str = "") -> None:
    # An unfinished plan is closed after 6 hours.
    life.go_on(7.0 if point in CLOSING else life.random.choice((0.5, 1.0, 7.0)))
    if point not in EVALUATING:
        life.evaluate()
