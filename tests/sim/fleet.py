"""Many seeds at once: one real plan holds the rows of all of them, each delivers its own.

The planner, the guard, the diff and the fold are the real ones, on a real warehouse; they do not
know that the keys of one plan belong to accounts that have nothing to do with each other. What a
seed does depends on nothing but the seed, so that it does the same alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from destinations.base import Kind, Row
from destinations.delivery.journal import Failure, Receipt
from destinations.delivery.policy import quiescence
from orchestration.acks import fold
from orchestration.plan_store import OpenPlan, close_plan, open_plan, set_status, store_plan
from orchestration.sync_plans import propose, scope_of
from orchestration.warehouse import Warehouse
from tests.sim.life import Life, begin
from tests.support.world import TestClock, World, world_at

KEYS = tuple("abcdefgh")
FAMILIES: dict[str, dict[str, Any]] = {
    "said": {"sends": "membership", "as": "identify"},
    "told": {"sends": "membership", "as": "track"},
    "traits": {"sends": "traits", "fields": {"points": "score"}},
    "events": {"sends": "events", "events": ["Order"]},
}
AUDIENCE = "lapsed"
SECONDS_BETWEEN = 2
"""From the end of a run to the next build: short, so that late requests are still under way."""

_ROWS = """
select seq, dest_key, op_id, epoch_us(occurred_at), objects, encode(payload),
    coalesce(epoch_us(not_before), 0), kind
from tailrace.plan_ops where plan_id = ? order by seq
"""


@dataclass
class Gathered:
    """The journals of all seeds as one, with the seqs that the shared plan has."""

    lives: Sequence[Life]
    now: float
    read: list[tuple[Life, list[Receipt], list[Failure]]] = field(default_factory=list)

    journal_id = "all"

    def raise_epoch(self) -> int:
        return 0

    def unexported(self) -> tuple[list[Receipt], list[Failure]]:
        receipts, failures = [], []
        self.read = [(life, *life.journal.unexported()) for life in self.lives]
        for number, (life, mine, failed) in enumerate(self.read):
            at = [0, *life.places]
            for receipt in mine:
                for seq in range(receipt.seq_from, receipt.seq_to + 1):
                    claim = (number << 40) + (receipt.claim_id << 16) + seq
                    quiet = receipt.quiet_until
                    receipts.append(
                        receipt._replace(
                            claim_id=claim,
                            seq_from=at[seq],
                            seq_to=at[seq],
                            quiet_until=quiet and quiet - life.ahead_of(self.now),
                        )
                    )
            for failure in failed:
                claim = (number << 40) + (failure.claim_id << 16) + failure.seq
                failures.append(failure._replace(claim_id=claim, seq=at[failure.seq]))
        return receipts, failures

    def mark_exported(self, receipts: list[Receipt], failures: list[Failure]) -> None:
        for life, mine, failed in self.read:
            life.journal.mark_exported(mine, failed)


@dataclass
class Fleet:
    """A warehouse, one sync, and the lives of some seeds."""

    world: World
    family: str
    lives: Sequence[Life]
    wanted: dict[str, Any] = field(default_factory=dict)
    events: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    rounds: int = 0

    @property
    def sync(self) -> Any:
        return self.world.syncs[self.family]

    def build(self) -> None:
        """Draw what everybody's state is now; a build and an evaluation."""
        self.rounds += 1
        at = self.world.step(SECONDS_BETWEEN / 3600)
        for life in self.lives:
            life.clock.passed += SECONDS_BETWEEN
            life.endpoint.catch_up()
        draws = {life.seed: Random(f"{life.seed}/{self.rounds}") for life in self.lives}
        everybody = [(life, key) for life in self.lives for key in KEYS]
        changes = {(life.seed, key): draws[life.seed].random() < 0.6 for life, key in everybody}
        for life, key in everybody:
            if changes[life.seed, key]:
                self._change(life.seed, address(life.seed, key), at, draws[life.seed])
        scores = self.wanted if self.family == "traits" else {}
        people = [address(life.seed, key) for life, key in everybody]
        self.world.users({key: {"email": key, "score": scores.get(key)} for key in people}, at)
        if self.family == "events":
            new = [
                (f"{key}-{self.rounds}-{n}", key, "Order", at - timedelta(seconds=60 - n))
                for key, times in self.wanted.items()
                for n in range(times)
            ]
            for event_id, key, _, _ in new:
                self.events[key].append(event_id)
            self.world.events(new, at)
        elif self.family != "traits":
            inside = {key: 1.0 for key, is_in in self.wanted.items() if is_in}
            self.world.members(AUDIENCE, inside, at)
            assert self.world.evaluate(AUDIENCE).status == "committed"

    def _change(self, seed: int, key: str, at: datetime, random: Random) -> None:
        if self.family == "events":
            self.wanted[key] = random.randint(0, 3)
        elif self.family == "traits":
            self.wanted[key] = float(self.rounds)
        else:
            self.wanted[key] = not self.wanted.get(key, False)

    def settle(self, *, close: bool) -> None:
        """Fold, and end the plan in hand if it is done, or is given up."""
        engine = self.world.engine()
        with self.world.connect() as warehouse:
            gathered = Gathered(self.lives, engine.clock.now().timestamp())
            fold(warehouse, gathered)  # type: ignore[arg-type]
            plan = open_plan(warehouse, self.sync)
            if plan is None:
                return
            if all(life.is_done for life in self.lives):
                set_status(warehouse, plan.plan_id, "done")
            elif close:
                timeouts = (20.0,)
                until = engine.clock.now() + timedelta(seconds=quiescence(timeouts))
                close_plan(warehouse, plan, until, list(self._claimed(plan)))

    def _claimed(self, plan: OpenPlan) -> Iterator[tuple[int, int]]:
        for life in self.lives:
            for claim in life.journal.claims(plan.plan_id):
                for seq in range(claim.seq_from, claim.seq_to + 1):
                    yield life.places[seq - 1], life.places[seq - 1]

    def plan(self) -> bool:
        """Plan what is due; returns whether there is anything."""
        engine = self.world.engine()
        with self.world.connect() as warehouse:
            scope = scope_of(engine, warehouse, self.sync, as_of=None, secrets=False)
            made = propose(engine, scope)
            assert made.verdict in ("ready", "empty"), made.reasons
            store_plan(warehouse, self.sync, made, engine.clock.now())
            plan = open_plan(warehouse, self.sync)
            if plan is None:
                return False
            set_status(warehouse, plan.plan_id, "delivering")
            self._hand_out(warehouse, plan)
        return True

    def _hand_out(self, warehouse: Warehouse, plan: OpenPlan) -> None:
        rows: dict[int, list[Row]] = defaultdict(list)
        kind = Kind.IDENTIFY
        for *row, kind_name in warehouse.rows(_ROWS, [plan.plan_id]):
            rows[int(row[1].partition("-")[0][1:])].append(Row(*row))
            kind = Kind(kind_name)
        shared = self.world.clock.now().timestamp()
        for life in self.lives:
            life.begin(plan.plan_id, kind, rows[life.seed], shared)

    def deliver(self, *, clean: bool = False) -> None:
        destination = self.world.engine().destination(self.sync, secrets=False)
        for life in self.lives:
            with telling(life):
                if not life.is_done:
                    life.go(destination, ordered=self.family == "events", clean=clean)
                life.check()


def address(seed: int, key: str) -> str:
    return f"s{seed}-{key}@example.com"


@contextmanager
def telling(life: Life) -> Iterator[None]:
    """Say the seed of what went wrong."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"seed {life.seed}: {error}") from error


@contextmanager
def fleet(folder: Path, family: str, seeds: Sequence[int]) -> Iterator[Fleet]:
    """Open a warehouse and the journals of some seeds in an empty folder."""
    with ExitStack() as stack:
        world = stack.enter_context(world_at(folder, TestClock(), "http://127.0.0.1:9"))
        # Nothing here is about the disk; where there is a file system in memory, it is quicker.
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
        journals = Path(stack.enter_context(TemporaryDirectory(dir=memory)))
        lives = [
            begin(seed, journals, stack, [address(seed, key) for key in KEYS]) for seed in seeds
        ]
        audience = None
        if FAMILIES[family]["sends"] == "membership":
            world.audience(AUDIENCE, max_exits=10**6, max_enters=10**6)
            audience = AUDIENCE
        world.sync(family, audience=audience, **FAMILIES[family])
        for life in lives:
            life.endpoint.is_state = FAMILIES[family].get("as") != "track" and family != "events"
            life.endpoint.orders_by_time = family == "events"
        yield Fleet(world, family, lives)
