"""The vendor's view: no window of its ever holds more than its limit, whoever sends."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from destinations.base import Dedup, Endpoint, Locates, Window
from destinations.delivery.journal import open_journal
from destinations.delivery.limiter import JITTER_SECONDS, Limiter
from tests.conftest import FakeClock

EPSILON = 1e-4  # of instants kept as seconds since 1970 in a double

windows = st.lists(
    st.builds(Window, st.integers(1, 20), st.sampled_from([0.5, 1.0, 3.0, 10.0, 60.0])),
    min_size=1,
    max_size=3,
    unique_by=lambda window: window.seconds,
).map(tuple)


def endpoint(*windows: Window) -> Endpoint:
    return Endpoint("/bulk", windows, 10, 1000, 10, Dedup.STATE, Locates.NOTHING)


class Host:
    """Processes that share one journal file, each with its own connection and its own now."""

    def __init__(self, directory: Path, stack: ExitStack, processes: int) -> None:
        self.clocks = [FakeClock() for _ in range(processes)]
        self.limiters = []
        for clock in self.clocks:
            path = directory / "iterable.sqlite"
            journal = open_journal(path, warehouse_id="w", known_id=None, clock=clock)
            stack.callback(journal.close)
            # Not about power cuts: thousands of commits need not reach the disk.
            journal._con.execute("pragma synchronous = off")
            self.limiters.append(Limiter(journal, clock))

    def send(self, target: Endpoint, requests: int, latency: float) -> list[float]:
        """Send from whichever process is free first; returns when each request went."""
        sent = []
        for _ in range(requests):
            clock = min(self.clocks, key=lambda clock: clock.passed)
            waited = self.limiters[self.clocks.index(clock)].acquire(target.path, target)
            assert waited >= 0
            sent.append(clock.passed)
            clock.passed += latency
        return sorted(sent)


@pytest.fixture
def host(tmp_path: Path) -> object:
    with ExitStack() as stack:
        yield Host(tmp_path, stack, 2)


def crowded(arrivals: list[float], window: Window) -> float:
    """Return the seconds that limit + 1 consecutive requests took at least."""
    arrivals = sorted(arrivals)
    pairs = zip(arrivals, arrivals[window.requests :], strict=False)
    return min((later - earlier for earlier, later in pairs), default=window.seconds)


@settings(max_examples=60)
@given(windows, st.integers(1, 8), st.sampled_from([0.0, 0.05, 0.3]), st.integers(0, 10**6))
def test_no_window_at_the_vendor_holds_more_than_its_limit(
    windows: tuple[Window, ...], processes: int, latency: float, seed: int
) -> None:
    with TemporaryDirectory() as directory, ExitStack() as stack:
        host = Host(Path(directory), stack, processes)
        sent = host.send(endpoint(*windows), 70, latency)
    jitter = Random(seed)
    arrivals = [at + jitter.uniform(0, JITTER_SECONDS - EPSILON) for at in sent]
    for window in windows:
        assert crowded(arrivals, window) >= window.seconds - EPSILON


@pytest.mark.parametrize(
    ("window", "processes"),
    [(Window(5, 1.0), 1), (Window(5, 1.0), 8), (Window(10, 1.0), 2), (Window(100, 60.0), 3)],
)
def test_the_limit_is_used_up(tmp_path: Path, window: Window, processes: int) -> None:
    with ExitStack() as stack:
        host = Host(tmp_path, stack, processes)
        sent = host.send(endpoint(window), 200, latency=0.01)
    ceiling = window.requests / (window.seconds + JITTER_SECONDS)
    assert (len(sent) - 1) / (sent[-1] - sent[0]) == pytest.approx(ceiling, rel=0.05)


def test_two_connections_share_the_budget(host: Host) -> None:
    target = endpoint(Window(5, 1.0))
    waits = [limiter.acquire(target.path, target) for limiter in host.limiters * 3]
    assert waits[0] == 0
    assert all(wait > 0 for wait in waits[1:]), "the other one took the permit"


def test_endpoints_have_budgets_of_their_own(host: Host) -> None:
    target = endpoint(Window(1, 60.0))
    limiter = host.limiters[0]
    assert limiter.acquire("/a", target) == 0
    assert limiter.acquire("/b", target) == 0
    assert limiter.acquire("/a", target) > 59


@pytest.mark.parametrize("seconds_back", [0.5, 30.0, 3600.0, 400 * 86400.0])
def test_a_clock_set_back_neither_stalls_nor_bursts(host: Host, seconds_back: float) -> None:
    window = Window(5, 1.0)
    before = host.send(endpoint(window), 12, latency=0.0)
    for clock in host.clocks:
        clock.back = seconds_back
    after = host.send(endpoint(window), 12, latency=0.0)
    assert after[0] - before[-1] <= window.seconds
    assert crowded(before + after, window) >= window.seconds - EPSILON


def test_a_clock_set_forward_costs_at_most_one_permit(host: Host) -> None:
    target = endpoint(Window(5, 1.0))
    host.send(target, 12, latency=0.0)
    for clock in host.clocks:
        clock.back = -3600.0
    after = host.send(target, 12, latency=0.0)
    assert crowded(after, target.windows[0]) >= 1.0 - EPSILON


def test_the_budget_survives_the_process(tmp_path: Path) -> None:
    target = endpoint(Window(1, 60.0))
    with ExitStack() as stack:
        assert Host(tmp_path, stack, 1).limiters[0].acquire(target.path, target) == 0
    with ExitStack() as stack:
        assert Host(tmp_path, stack, 1).limiters[0].acquire(target.path, target) > 59
