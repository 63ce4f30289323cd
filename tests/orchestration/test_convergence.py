"""Random days with faults: after one clean run the destination says what the warehouse says."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

import pytest

from destinations.base import Request, Response
from destinations.delivery.transport import Failed, Transport
from tests.support.dying import Crash
from tests.support.tiers import first
from tests.support.world import World, make_world

USERS = [f"u{n}" for n in range(8)]
ADDRESSES = [f"a{n}@example.com" for n in range(6)]
SEEDS = 200 if os.environ.get("TAILRACE_LONG") else 6
FAULTS = ("ok", "ok", "ok", "500", "lost before", "lost after", "429")


class Flaky:
    """An endpoint that fails, loses answers, or takes us down with it."""

    def __init__(self, real: Transport, random: Random) -> None:
        self.real, self.random = real, random

    def send(self, request: Request, *, timeout: float) -> Response | Failed:
        if self.random.random() < 0.06:
            if self.random.random() < 0.5:
                self.real.send(request, timeout=timeout)
            raise Crash
        fault = self.random.choice(FAULTS)
        if fault == "500":
            return Response(500, {}, b"")
        if fault == "429":
            return Response(429, {"retry-after": "1"}, b"")
        if fault == "lost before":
            return Failed("connection lost", sent=True)
        answer = self.real.send(request, timeout=timeout)
        return Failed("connection lost", sent=True) if fault == "lost after" else answer

    def close(self) -> None:
        self.real.close()


def one_day(world: World, random: Random, users: dict[str, dict[str, object]]) -> set[str]:
    """Change some addresses and memberships, run with faults, and return who is in."""
    at = world.step(random.choice([1, 8]))
    for user in USERS:
        if random.random() < 0.15:
            users[user] = {"email": random.choice([*ADDRESSES, None]), "score": random.random()}
    members = {user for user in USERS if random.random() < 0.5}
    world.users(users, at)
    world.members("lapsed", members, at)
    assert world.evaluate("lapsed").status in ("committed", "failed")
    world.wrap = lambda real: Flaky(real, random)
    for key in world.syncs:
        try:
            world.run(key)
        except Crash:
            continue
    world.wrap = None
    return members


@pytest.mark.parametrize("seed", first(1, range(SEEDS)))
def test_the_destination_converges(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    with make_world(tmp_path) as world:
        world.audience("lapsed", max_exits=1000, max_enters=1000)
        world.sync("said", audience="lapsed", sends="membership", **{"as": "identify"})
        world.sync(
            "told", audience="lapsed", sends="membership", on_rekey="send", **{"as": "track"}
        )
        world.sync("traits", sends="traits", fields={"points": "score"})
        users: dict[str, dict[str, object]] = {
            user: {"email": random.choice(ADDRESSES), "score": 1.0} for user in USERS
        }
        ever: set[object] = set()
        members: set[str] = set()
        for _ in range(6):
            members = one_day(world, random, users)
            ever |= {users[user]["email"] for user in members}
        for _ in range(2):
            world.step(8)
            for key in world.syncs:
                assert world.run(key).status in ("done", "nothing")
        assert [world.plan(key).verdict for key in world.syncs] == ["empty"] * 3
        inside = {users[user]["email"] for user in members}
        for address in ADDRESSES:
            fields = world.fields(address)
            assert fields.get("lapsed", False) is (address in inside), address
            told = [e for e in world.event_names(address) if e.startswith("Audience")]
            assert (told[-1:] == ["Audience Entered"]) is (address in inside), address
            if address not in ever:
                assert "lapsed" not in fields
                assert not told
            owners = [user for user in USERS if users[user]["email"] == address]
            if owners:
                assert fields["points"] == users[min(owners)]["score"]
