"""A process that is stopped, and goes on later: SIGSTOP and SIGCONT, a lid that is closed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from tests.crash.launching import Launcher, launching
from tests.crash.life import living
from tests.crash.truth import compare, nothing_is_due, settle_down

pytestmark = [pytest.mark.crash, pytest.mark.slow]

LONG = bool(os.environ.get("TAILRACE_LONG"))


@pytest.fixture(scope="module")
def second() -> Iterator[Launcher]:
    """Starts processes beside those of the first launcher."""
    with launching() as launched:
        yield launched


# Where the warehouse is open, it is that which is in use.
STOPPED_AT = [("plan not committed", 1), ("before the first byte", 2)]
ALSO_AT = [
    ("after reading a chunk", 1),
    ("claim committed", 2),
    ("all bytes sent", 1),
    ("answer read", 2),
    ("fold committed", 1),
]


@pytest.mark.parametrize(("point", "times"), STOPPED_AT + ALSO_AT * LONG)
def test_while_a_process_is_stopped_no_other_sends_for_its_sync(
    tmp_path: Path, launcher: Launcher, second: Launcher, point: str, times: int
) -> None:
    with living(tmp_path, launcher, seed=1) as life:
        life.go_on()
        life.evaluate()
        first = life.start("sync", "traits", point=point, times=times, number=signal.SIGSTOP)
        first.wait_until_stopped()
        folder = beside(tmp_path)
        for _ in range(2):  # by the second time, what was on the wire has been taken in
            sent = len(life.world.calls())
            other = second.start(folder, "sync", "traits", **life.environment)
            assert other.wait() == 1
            assert f"process {first.pid}" in " ".join(other.err.split() + other.out.split())
        assert len(life.world.calls()) == sent
        life.world.clock.sleep(3600)
        first.signal(signal.SIGCONT)
        assert first.wait() == 0, first.err
        settle_down(life)
        found = compare(life)
        assert (found.lost, found.wrong, found.duplicates) == (0, 0, 0)
        nothing_is_due(life)


def test_a_process_that_slept_through_its_permit_takes_another(
    tmp_path: Path, launcher: Launcher, second: Launcher
) -> None:
    with living(tmp_path, launcher, seed=1, limits=True) as life:
        life.go_on()
        life.evaluate()
        first = life.start(
            "sync", "flag", point="waited for a permit", times=1, number=signal.SIGSTOP
        )
        first.wait_until_stopped()
        before = len(life.world.calls())
        other = second.start(beside(tmp_path), "sync", "traits", **life.environment)
        for _ in range(12_000):
            if len(life.world.calls()) >= before + 3:
                break
            Event().wait(0.01)
        first.signal(signal.SIGCONT)
        assert (first.wait(), other.wait()) == (0, 0)
        calls = life.world.calls()
        assert len(calls) >= 8
        assert [call["status"] for call in calls] == [200] * len(calls)
        at = [datetime.fromisoformat(call["received_at"]) for call in calls]
        assert all(
            sixth - one > timedelta(seconds=1) for one, sixth in zip(at, at[5:], strict=False)
        )


def beside(folder: Path) -> Path:
    made = folder / "beside"
    made.mkdir()
    return made
