"""A warehouse whose users change from hour to hour while the processes that sync it die."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from destinations.base import Secret
from destinations.clock import whole_second
from destinations.sandbox import SandboxSettings, running
from destinations.sandbox.settings import LOST
from tests.crash.journals import CONCURRENCY, unanswered
from tests.crash.launching import Child, Launcher
from tests.crash.project import FORGOTTEN, as_read, make_project
from tests.support.clocks import SharedClock
from tests.support.world import KEY, T0, World, prepare

USERS = 24
ROWS = 4
"""Per request, so that a plan of a few users is several requests."""

FAULTS = (200,) * 17 + (429, 500, LOST)


@dataclass(slots=True)
class Life:
    """What is true, what was done about it, and how often that was cut short."""

    world: World
    launcher: Launcher
    environment: dict[str, str]
    random: Random
    journal: Path
    script: tuple[int, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)
    members: set[str] = field(default_factory=set)
    were_members: set[str] = field(default_factory=set)
    orders: int = 0
    kills: int = 0
    usual: float = 0.5
    """Seconds that a sync last took."""
    doubtful: set[tuple[int, str, int]] = field(default_factory=set)

    def start(self, *arguments: str, **fate: object) -> Child:
        return self.launcher.start(self.world.folder, *arguments, **fate, **self.environment)

    def run(self, *arguments: str, code: int = 0) -> Child:
        child = self.start(*arguments)
        ended = child.wait()
        assert ended == code, f"{arguments}: {ended}\n{child.out}\n{child.err}"
        return child

    def go_on(self, hours: float = 1.0) -> None:
        """Let time pass: scores change, users come in and out of the audience, orders are made."""
        world, draw = self.world, self.random
        world.clock.sleep(3600 * hours)
        at = whole_second(world.clock.now())
        if draw.random() < 0.3 or not self.scores:
            come = len(self.scores)
            self.scores |= {f"u{come + n}": 0.5 for n in range(1 if come else USERS)}
        users = sorted(self.scores)
        self.scores |= {user: draw.randrange(10**6) / 4 for user in draw.sample(users, 10)}
        self.members ^= set(draw.sample(users, 8))
        self.were_members |= self.members
        made = [
            (f"o{self.orders + n}", draw.choice(users), "Order Completed", at) for n in range(10)
        ]
        self.orders += len(made)
        with world.connect():  # kept open, so that opening it again costs next to nothing
            world.users({user: {"score": score} for user, score in self.scores.items()}, at)
            world.members("loyal", self.members, at)
            world.events(made, at)

    def evaluate(self) -> None:
        (evaluation,) = json.loads(self.run("evaluate", "--json").out)["audiences"]
        assert evaluation["status"] == "committed", evaluation

    def killed(self, child: Child) -> bool:
        """Wait for a process; if it was killed, note what it had under way."""
        code = child.wait()
        if code != -signal.SIGKILL:
            assert code in (0, 4), f"{code}\n{child.out}\n{child.err}"
            return False
        self.kills += 1
        under_way = unanswered(self.journal) - self.doubtful
        assert len(under_way) <= CONCURRENCY, under_way
        self.doubtful |= under_way
        return True

    @property
    def in_flight(self) -> Counter[str]:
        """Return how many rows were in requests under way when their process died, by kind."""
        rows: Counter[str] = Counter()
        for _, kind, count in self.doubtful:
            rows[kind] += count
        return rows


@contextmanager
def living(
    folder: Path, launcher: Launcher, seed: int, *, faults: bool = False, limits: bool = False
) -> Iterator[Life]:
    """Begin a life in an empty folder, with an endpoint that keeps what it is told.

    `faults`: it is fast, and fails now and then; `limits`: it and the clocks are those of the day.
    """
    random = Random(seed)
    clock = SharedClock(folder / "clock", T0)
    script = tuple(random.choice(FAULTS) for _ in range(1000 * faults))
    settings = SandboxSettings(
        state=folder / "sandbox.sqlite",
        api_key=Secret(KEY),
        limits=limits,
        track_creates_users=True,
        forgotten=frozenset({FORGOTTEN}),
        script=script,
    )
    with running(settings, clock) as url:
        world = World(folder, clock, url)
        read = as_read()
        world.audiences = {audience.key: audience for audience in read.audiences}
        with world.connect() as warehouse:
            prepare(warehouse)
        environment = make_project(folder, url, fast=faults)
        environment |= {"MORTAL_ROWS": str(ROWS)}
        if not limits:
            environment["MORTAL_CLOCK"] = str(folder / "clock")
        journal = folder / "state" / "iterable.sqlite"
        yield Life(world, launcher, environment, random, journal, script)
