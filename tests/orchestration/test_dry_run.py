"""What `plan` shows is what a run sends, byte for byte, and nobody can be read from it."""

from __future__ import annotations

from typing import Any

import pytest

from destinations.base import Request, Response
from destinations.delivery.transport import Failed, Transport
from orchestration.framing import requests
from orchestration.sync_plans import plan_sync, propose, scope_of
from tests.support.faults import down
from tests.support.world import World

TRACK: dict[str, Any] = {"as": "track"}
SYNCS: dict[str, dict[str, Any]] = {
    "points": {"sends": "traits", "fields": {"points": "score", "mail": "email", "l": "label"}},
    "told": {"audience": "lapsed", "sends": "membership", "fields": {"level": "level"}, **TRACK},
    "said": {"audience": "lapsed", "sends": "membership", "as": "identify"},
    "happened": {"sends": "events", "events": ["Order"]},
}


class Recorder:
    """Keeps every body on its way."""

    def __init__(self, real: Transport, kept: list[bytes]) -> None:
        self.real, self.kept = real, kept

    def send(self, request: Request, *, timeout: float) -> Response | Failed:
        self.kept.append(request.body)
        return self.real.send(request, timeout=timeout)

    def close(self) -> None:
        self.real.close()


@pytest.fixture
def full(world: World) -> World:
    world.audience("lapsed")
    for key, options in SYNCS.items():
        world.sync(key, **options)
    at = world.step()
    users: dict[str, dict[str, Any]] = {
        f"u{n}": {"score": n / 7, "label": 'quoted "\n' if n % 2 else None} for n in range(2500)
    }
    with world.connect() as warehouse, warehouse.transaction():
        world.users(users, at)
        world.events([(f"e{n}", f"u{n % 40}", "Order", at) for n in range(1200)], at)
        world.members("lapsed", {f"u{n}" for n in range(1100)}, at)
    world.evaluate("lapsed")
    return world


@pytest.mark.parametrize("key", SYNCS)
def test_the_bytes_of_a_dry_run_are_those_of_the_live_run(full: World, key: str) -> None:
    engine = full.engine()
    with full.connect() as warehouse:
        scope = scope_of(engine, warehouse, full.syncs[key], as_of=None, secrets=False)
        propose(engine, scope)
        dry = [request.body for _, request in requests(scope)]
    shown = full.plan(key)
    live: list[bytes] = []
    full.wrap = lambda real: Recorder(real, live)
    run = full.run(key)
    assert dry == live
    assert (shown.calls, shown.bytes) == (run.calls, sum(map(len, live)))
    assert shown.calls >= 2


@pytest.mark.parametrize("key", SYNCS)
def test_a_sample_is_a_whole_body_without_the_person(full: World, key: str) -> None:
    for item in full.plan(key).sample:
        body = item["body"]
        assert isinstance(body, dict)
        assert "@" not in str(body)
        (entry,) = body.get("users") or body.get("events")
        assert entry["email"] == "***"
        if key == "points":
            assert entry["dataFields"]["mail"] == "***"
        if key in ("told", "happened"):
            assert entry["id"]
            assert entry["createdAt"]


def test_an_unfinished_plan_goes_first_and_is_shown(full: World) -> None:
    down(full, Response(503, {}, b""))
    plan_id = full.run("points").plan_id
    full.wrap = None
    shown = full.plan("points")
    assert (shown.verdict, shown.plan_id, shown.counts) == ("resume", plan_id, {"update": 2500})
    full.step(7)
    assert full.plan("points").verdict == "ready", "too old to go on: planned anew"


def test_a_sample_shows_texts_only_where_asked(full: World) -> None:
    full.sync(
        "texts",
        sends="traits",
        fields={
            "label": "label",
            "open": {"column": "label", "pii": "none"},
            "score": "score",
            "long": {"sql": "cast(score * 0 + 491705550199 as bigint)"},
        },
    )
    full.users({"ann": {"label": "Ann of ann@example.com", "score": 2.5}}, full.step())
    (item,) = full.plan("texts").sample
    (entry,) = item["body"]["users"]  # type: ignore[index]
    shown = {"label": "***", "open": "Ann of ***", "score": 2.5, "long": "***"}
    assert entry["dataFields"] == shown
    with full.connect() as warehouse:
        (item,) = plan_sync(
            full.engine(), warehouse, full.syncs["texts"], as_of=None, secrets=False, show_pii=True
        ).sample
    (entry,) = item["body"]["users"]  # type: ignore[index]
    assert (item["user"], entry["email"]) == ("ann", "ann@example.com")
    assert entry["dataFields"]["label"] == "Ann of ann@example.com"
    assert entry["dataFields"]["long"] == 491705550199
