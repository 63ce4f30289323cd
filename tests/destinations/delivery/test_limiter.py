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
from destinations.delivery.limiter import (
    JITTER_SECONDS,
    LEAST,
    MOST_PERMITS,
    Ahead,
    Limiter,
    paced,
)
from destinations.delivery.opening import open_journal
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


def acquire(limiter: Limiter, name: str, target: Endpoint) -> float:
    """Take a permit and wait until it is good."""
    wait = limiter.take(name, target)
    if wait:
        limiter.clock.sleep(wait)
    return wait


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

    def send(
        self, target: Endpoint, requests: int, latency: float, pauses: Random | None = None
    ) -> list[float]:
        """Send from whichever process is free first; returns when each request went.

        With `pauses`, a process now and then does something else between two requests.
        """
        sent = []
        for _ in range(requests):
            clock = min(self.clocks, key=lambda clock: clock.passed)
            waited = acquire(self.limiters[self.clocks.index(clock)], target.path, target)
            assert waited >= 0
            sent.append(clock.passed)
            clock.passed += latency
            if pauses and pauses.random() < 0.1:
                clock.passed += pauses.uniform(0, 0.5)
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
    waits = [acquire(limiter, target.path, target) for limiter in host.limiters * 3]
    assert waits[0] == 0
    assert all(wait > 0 for wait in waits[1:]), "the other one took the permit"


def test_endpoints_have_budgets_of_their_own(host: Host) -> None:
    target = endpoint(Window(1, 60.0))
    limiter = host.limiters[0]
    assert acquire(limiter, "/a", target) == 0
    assert acquire(limiter, "/b", target) == 0
    assert acquire(limiter, "/a", target) > 59


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
        assert acquire(Host(tmp_path, stack, 1).limiters[0], target.path, target) == 0
    with ExitStack() as stack:
        assert acquire(Host(tmp_path, stack, 1).limiters[0], target.path, target) > 59


@settings(max_examples=40)
@given(
    st.integers(50, 200),
    st.sampled_from([0.5, 1.0]),
    st.integers(1, 8),
    st.sampled_from([0.0, 0.002, 0.05]),
    st.integers(0, 10**6),
)
def test_no_window_is_crowded_where_permits_are_taken_several_at_a_time(
    limit: int, seconds: float, processes: int, latency: float, seed: int
) -> None:
    window, random = Window(limit, seconds), Random(seed)
    with TemporaryDirectory() as directory, ExitStack() as stack:
        host = Host(Path(directory), stack, processes)
        sent = host.send(endpoint(window), 3 * limit, latency, random)
    arrivals = [at + random.uniform(0, JITTER_SECONDS - EPSILON) for at in sent]
    assert crowded(arrivals, window) >= window.seconds - EPSILON


@pytest.mark.parametrize("processes", [1, 4, 8])
@pytest.mark.parametrize("window", [Window(500, 1.0), Window(2000, 1.0), Window(3000, 3.0)])
def test_a_busy_limit_is_used_up_by_any_number_of_processes(
    tmp_path: Path, window: Window, processes: int
) -> None:
    with ExitStack() as stack:
        host = Host(tmp_path, stack, processes)
        sent = host.send(endpoint(window), 1500, latency=0.0003)
    ceiling = (window.requests - MOST_PERMITS + 1) / (window.seconds + JITTER_SECONDS)
    assert len(sent) / (sent[-1] - sent[0]) >= 0.95 * ceiling


def test_a_slow_process_does_not_take_what_it_cannot_use(tmp_path: Path) -> None:
    target = endpoint(Window(500, 1.0))
    with ExitStack() as stack:
        sent = Host(tmp_path, stack, 8).send(target, 800, latency=0.05)
    by_latency = 8 / 0.05
    assert len(sent) / (sent[-1] - sent[0]) >= 0.95 * by_latency


def test_lots_are_taken_only_where_a_twentieth_of_the_limit_allows_it() -> None:
    assert paced((Window(49, 1.0),)).permits == 1
    assert paced((Window(60, 1.0),)).permits == 4
    assert paced((Window(500, 1.0),)).permits == MOST_PERMITS
    assert paced((Window(500, 1.0), Window(1000, 60.0))).permits == 1
    assert paced((Window(60, 1.0),), factor=0.5).permits == 1


def test_a_permit_is_not_kept_for_later(tmp_path: Path) -> None:
    """Permits of a lot that were not used in time would come on top of everybody else's."""
    target = endpoint(Window(500, 1.0))
    with ExitStack() as stack:
        host = Host(tmp_path, stack, 2)
        host.send(target, 40, latency=0.0)
        for clock in host.clocks:
            clock.passed += 10
        sent = host.send(target, 20, latency=0.0)
    spacing = paced(target.windows).spacing
    assert sent[-1] - sent[0] >= 18 * spacing


@pytest.mark.parametrize("lots_late", [0.899, 0.999, 3.0])
@pytest.mark.parametrize("processes", [1, 2])
def test_a_lot_used_at_the_last_moment_crowds_no_window(
    tmp_path: Path, processes: int, lots_late: float
) -> None:
    window = Window(200, 1.0)
    target, pace = endpoint(window), paced((window,))
    with ExitStack() as stack:
        host = Host(tmp_path, stack, processes)
        sent = host.send(target, 100, latency=0.0)
        late = host.clocks[0]
        while host.limiters[0]._held[target.path].used != 1:
            acquire(host.limiters[0], target.path, target)
            sent.append(late.passed)
        assert host.limiters[0]._held[target.path].taken == MOST_PERMITS
        late.passed += lots_late * MOST_PERMITS * pace.spacing
        sent += host.send(target, 500, latency=0.0)
    # Those before it may be delayed on the way by all the jitter there is, and those after it not.
    longest = Window(window.requests, window.seconds + JITTER_SECONDS)
    assert crowded(sent, longest) >= longest.seconds - EPSILON


def throttle(host: Host, target: Endpoint, seconds: float, by: int = 0) -> None:
    host.limiters[by].throttled(target.path, target, seconds)


def test_who_is_throttled_holds_back_everybody(host: Host) -> None:
    target = endpoint(Window(5, 1.0))
    throttle(host, target, 7.0)
    assert acquire(host.limiters[1], target.path, target) == pytest.approx(7.0, abs=0.01)
    assert acquire(host.limiters[1], "/other", target) == 0


def test_permits_taken_before_a_pause_are_not_used_in_it(host: Host) -> None:
    target = endpoint(Window(500, 1.0))
    limiter = host.limiters[0]
    acquire(limiter, target.path, target)
    while limiter._held[target.path].taken - limiter._held[target.path].used < 5:
        acquire(limiter, target.path, target)
    throttle(host, target, 7.0)
    assert acquire(limiter, target.path, target) == pytest.approx(7.0, abs=0.1)


def test_a_short_pause_does_not_end_a_long_one(host: Host) -> None:
    target = endpoint(Window(5, 1.0))
    throttle(host, target, 20.0)
    throttle(host, target, 1.0, by=1)
    assert acquire(host.limiters[1], target.path, target) == pytest.approx(20.0, abs=0.01)


def test_a_pause_is_no_clean_window(host: Host) -> None:
    target, limiter, clock = endpoint(Window(10, 1.0)), host.limiters[0], host.clocks[0]
    throttle(host, target, 10.0)
    sent = []
    for _ in range(3):
        acquire(limiter, target.path, target)
        sent.append(clock.passed)
    assert sent[-1] - sent[0] == pytest.approx(2 * 1.1 / 7, rel=0.01)


def test_the_rate_is_lowered_once_a_window_and_raised_again_slowly(host: Host) -> None:
    target = endpoint(Window(10, 1.0))

    def rate() -> float:
        sent = host.send(target, 3, latency=0.0)
        return 2 / (sent[-1] - sent[0])

    usual = rate()
    for by in (0, 1, 0):
        throttle(host, target, 0.1, by)
    assert rate() == pytest.approx(0.7 * usual, rel=0.1)
    for clock in host.clocks:
        clock.passed = max(c.passed for c in host.clocks) + 1.0
    throttle(host, target, 0.1)
    assert rate() < 0.6 * usual
    for clock in host.clocks:
        clock.passed = max(c.passed for c in host.clocks) + 3.0
    slow = rate()
    for clock in host.clocks:
        clock.passed = max(c.passed for c in host.clocks) + 30.0
    assert slow < 0.9 * usual < rate() == pytest.approx(usual)


def test_it_is_never_lowered_to_nothing(host: Host) -> None:
    target = endpoint(Window(10, 1.0))
    for _ in range(50):
        throttle(host, target, 0.0)
        for clock in host.clocks:
            clock.passed += 1.0
    sent = host.send(target, 3, latency=0.0)
    assert 1.0 < sent[-1] - sent[0] <= 2 * 1.1 / (10 * LEAST)


def test_nobody_waits_for_a_long_pause(host: Host) -> None:
    target = endpoint(Window(5, 1.0))
    throttle(host, target, 86_400.0)
    with pytest.raises(Ahead) as ahead:
        acquire(host.limiters[1], target.path, target)
    assert ahead.value.seconds == pytest.approx(900, abs=1), "bounded by 15 minutes"
    for clock in host.clocks:
        clock.passed += 850
    assert acquire(host.limiters[1], target.path, target) == pytest.approx(50, abs=1)


def test_a_pause_goes_back_with_the_clock(host: Host) -> None:
    target = endpoint(Window(5, 1.0))
    throttle(host, target, 5.0)
    for clock in host.clocks:
        clock.back = 3600.0
    assert acquire(host.limiters[1], target.path, target) <= 5.0


def test_a_pause_survives_the_process(tmp_path: Path) -> None:
    target = endpoint(Window(5, 1.0))
    with ExitStack() as stack:
        throttle(Host(tmp_path, stack, 1), target, 30.0)
    with ExitStack() as stack:
        waited = acquire(Host(tmp_path, stack, 1).limiters[0], target.path, target)
    assert waited == pytest.approx(30.0, abs=0.01)
