"""The benchmark itself at a tiny size, so that it still runs when somebody asks for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.bench import drain, endpoint, job, report, sends, single
from tests.bench.process import peak_mb

pytestmark = pytest.mark.slow

RUN = job.run


def _here(what: str, folder: Path, url: str, **values: object) -> dict[str, Any]:
    """Run a job in this process, which is quicker; one of them as it is."""
    if what == "loop":
        return RUN(what, folder, url, **values)
    given = {name: str(value) for name, value in values.items()}
    return {**job.JOBS[what](folder, url, **given), "peak_mb": peak_mb()}


class _Later:
    def __init__(self, *args: Any, **values: object) -> None:
        self.given = (args, values)

    def communicate(self) -> tuple[str, None]:
        args, values = self.given
        return json.dumps(_here(*args, **values)), None


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "run", _here)


def told(part: str, figures: Any) -> str:
    json.dumps(figures)
    return "\n".join(report.LINES[part](figures))


def test_sends() -> None:
    figures = sends.sends(2_000, competitor=False)
    assert figures["traits"]["deliver"]["calls"] == figures["events"]["deliver"]["calls"] == 2
    spent = figures["traits"]["deliver"]["parts"]
    assert min(spent.values()) > 0, f"nothing is measured: {spent}"
    assert "without" in told("sends", figures)
    assert "MB" in told("memory", {"2000": sends.memory(2_000)})


def test_drain() -> None:
    (figures,) = drain.drain(0.5, rates=[(50, 0.5)], processes=[2])
    assert 0.5 < figures["share"] < 1.1
    assert figures["throttled"] == 0
    assert "by 2 processes" in told("drain", [figures])


def test_two_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job, "start", _Later)
    figures = drain.two_syncs(4_000, rate=(3, 0.5))
    assert figures["throttled"] == 0
    assert "two syncs" in told("two_syncs", figures)


def test_single_calls() -> None:
    figures = single.single(0.1, connections=[2])
    assert all(one["per_second"] > 10 for one in figures)
    assert "2 connections" in told("single", figures)


def test_the_endpoint_throttles_above_the_limit() -> None:
    with endpoint.running() as url:
        endpoint.begin(url, requests=1, seconds=60)
        with job.requests.Session() as session:
            answers = [session.post(url, data=b'{"email":1}').status_code for _ in range(3)]
        seen = endpoint.seen(url)
    assert answers == [200, 429, 429]
    assert (seen["rows"], seen["throttled"], len(seen["arrivals"])) == (1, 2, 1)
