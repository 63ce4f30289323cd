"""The machine's clock: what of it the engine relies on."""

from __future__ import annotations

import threading
import time

import pytest

from destinations.clock import SystemClock


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="Linux has it")
def test_seconds_in_suspend_count() -> None:
    """`time.monotonic` stands still in suspend: a permit taken before would be good after it."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    told = SystemClock().monotonic()
    assert before <= told <= time.clock_gettime(time.CLOCK_BOOTTIME)


def test_a_sleep_ends_when_it_is_woken() -> None:
    clock = SystemClock()
    begun = clock.monotonic()
    waker = threading.Thread(target=clock.wake)
    waker.start()
    clock.sleep(60.0)
    waker.join()
    assert clock.monotonic() - begun < 30.0
