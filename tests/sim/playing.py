"""What a family of syncs goes through, for as many seeds as are asked for.

`make sim SEEDS=100000` for more of them; a failure says which seed, and `SEED=n` repeats it alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from tests.sim.fleet import FAMILIES, KEYS, Fleet, address, fleet, telling
from tests.sim.life import Life

SEEDS = int(os.environ.get("SEEDS", "2000"))
FIRST = int(os.environ.get("FIRST", "0"))
ONE = os.environ.get("SEED")
AT_ONCE = 125
FAULTY_ROUNDS = 3


def shares(family: str) -> list[list[int]]:
    """Return the seeds of a family, so many at a time as share a warehouse."""
    place = tuple(FAMILIES).index(family)
    seeds = [int(ONE)] if ONE else range(FIRST, FIRST + SEEDS)
    mine = [seed for seed in seeds if seed % len(FAMILIES) == place]
    return [mine[i : i + AT_ONCE] for i in range(0, len(mine), AT_ONCE)]


def named(seeds: Sequence[int]) -> str:
    return f"{seeds[0]}-{seeds[-1]}"


def play(folder: Path, family: str, seeds: Sequence[int]) -> None:
    """Rounds with faults, plans given up in the middle, then two without; then compare."""
    with fleet(folder, family, seeds) as ships:
        for number in range(FAULTY_ROUNDS):
            ships.build()
            if number % 2:
                ships.deliver()  # an earlier plan is finished first
            ships.settle(close=True)
            if ships.plan():
                ships.deliver()
        ships.build()
        for _ in range(2):
            ships.settle(close=True)
            if ships.plan():
                ships.deliver(clean=True)
        ships.settle(close=False)
        for life in ships.lives:
            life.endpoint.catch_up(float("inf"))
            with telling(life):
                life.check()
                is_right(ships, life)


def is_right(ships: Fleet, life: Life) -> None:
    """Compare what the endpoint holds with the warehouse, for everybody it does not refuse."""
    endpoint = life.endpoint
    for key in KEYS:
        who = address(life.seed, key)
        if who in endpoint.refuses | endpoint.poisons:
            continue
        if ships.family == "traits":
            wanted, held = ships.wanted.get(who), endpoint.profiles[who].get("points")
        elif ships.family == "said":
            wanted, held = ships.wanted.get(who, False), endpoint.profiles[who].get("lapsed", False)
        elif ships.family == "told":
            names = [e["eventName"] for e in endpoint.events.values() if e["email"] == who]
            wanted, held = ships.wanted.get(who, False), names[-1:] == ["Audience Entered"]
        else:
            held = sorted(e["createdAt"] for e in endpoint.events.values() if e["email"] == who)
            wanted, held = len(ships.events[who]), len(held)
        assert held == wanted, f"{who} is {held}, not {wanted}"
