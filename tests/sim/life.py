"""One seed: an account, its journal and its processes, which die and begin again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from destinations.base import Context, Destination, Kind, Row, SyncShape, Window
from destinations.delivery.calling import Tally
from destinations.delivery.journal import Journal
from destinations.delivery.limiter import Limiter
from destinations.delivery.opening import open_journal
from destinations.delivery.ranges import pending
from destinations.delivery.sender import Sender
from destinations.delivery.steps import Ending, Incomplete, Stopped
from tests.conftest import FakeClock
from tests.sim.endpoint import Endpoint, ident_of
from tests.support.answers import Answers
from tests.support.dying import Crash, Fuse, MortalJournal

WINDOWS = ((Window(5, 1.0),), (Window(3, 1.0), Window(20, 10.0)), (Window(60, 1.0),))


@dataclass
class Life:
    """What one seed is made of; its time is its own, so that its waits are nobody else's."""

    seed: int
    endpoint: Endpoint
    journal: Journal
    clock: FakeClock
    random: Random
    windows: tuple[Window, ...]
    max_rows: int
    fuse: Fuse = field(default_factory=Fuse)
    kills: int = 0
    plans: int = 0
    plan_id: str = ""
    kind: Kind = Kind.IDENTIFY
    rows: list[Row] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    final: set[str] = field(default_factory=set)

    def begin(self, plan_id: str, kind: Kind, rows: list[Row], shared: float) -> None:
        """Take over this seed's part of a plan that was made at the instant `shared`."""
        shift = round(self.ahead_of(shared) * 1_000_000)
        self.plan_id, self.kind, self.plans = plan_id, kind, self.plans + 1
        self.places = [row.seq for row in rows]
        self.rows = [
            row._replace(seq=seq, not_before=row.not_before and row.not_before + shift)
            for seq, row in enumerate(rows, 1)
        ]
        self.endpoint.sent.clear()
        self.endpoint.excused.clear()
        for row in self.rows:
            assert row.op_id not in self.final, f"{row.op_id} is sent again though it was taken"
            is_event = row.occurred_at if self.endpoint.orders_by_time else self.plans
            self.endpoint.rank[self.ident(row)] = is_event

    def ahead_of(self, shared: float) -> float:
        """Return by how many seconds this life's time is ahead of the warehouse's."""
        return self.clock.now().timestamp() - shared

    def ident(self, row: Row) -> str:
        return row.op_id if self.kind is Kind.TRACK else ident_of(json.loads(row.payload))

    @property
    def is_done(self) -> bool:
        return not pending(len(self.rows), self.journal.claims(self.plan_id))

    def go(self, destination: Destination, *, ordered: bool, clean: bool) -> None:
        """Run until all is sent or it is left for later; each process may die."""
        self.endpoint.faulty = not clean
        for _ in range(60 if clean else self.random.randint(1, 5)):
            if clean and self.endpoint.spoilt >= 500:
                self._serve_another()
            try:
                self._run(destination, ordered=ordered, clean=clean)
                return
            except Crash:
                self._die()
            except (Incomplete, Stopped):
                pass
            self.clock.passed += 400.0 if clean else self.random.choice([1.0, 20.0, 50.0, 400.0])
            self.endpoint.catch_up()
        assert not clean, "it never ends"

    def _serve_another(self) -> None:
        """Another sync of the account is served: the endpoint is not down."""
        claim = self.journal.claim("another", 1, 1, self.kind, "")
        self.journal.settle(claim, "delivered", 200)
        with self.journal.transaction() as con:
            con.execute("update claims set exported = 1 where plan_id = 'another'")
            con.execute("delete from breaker")

    def _run(self, destination: Destination, *, ordered: bool, clean: bool) -> None:
        lives = clean or self.random.random() < 0.4
        self.fuse.left = 0 if lives else self.random.randint(1, 60)
        self.endpoint.fuse = self.fuse.burn
        self.endpoint.close()
        ending = Ending()
        if not clean and self.random.random() < 0.1:
            self.endpoint.fuse = Signal(self.fuse, ending, self.random.randint(1, 12))
        limits = {
            kind: replace(
                endpoint, windows=self.windows, max_rows=self.max_rows, concurrency=3, timeout=20.0
            )
            for kind, endpoint in destination.endpoints.items()
        }
        sender = Sender(
            destination=destination,
            context=Context(SyncShape("s")),
            journal=MortalJournal(self.journal, self.fuse),  # type: ignore[arg-type]
            limiter=Limiter(self.journal, self.clock),
            wire=self.endpoint,
            clock=self.clock,
            random=self.random,
            endpoints=limits,
            after_request=lambda tally: None,
            ordered=ordered,
            ending=ending,
        )
        sender.send(self.plan_id, len(self.rows), self._read, Tally())

    def _read(self, seq_from: int, seq_to: int) -> Iterator[tuple[Kind, Iterable[Sequence[Row]]]]:
        yield self.kind, [self.rows[seq_from - 1 : seq_to]]

    def _die(self) -> None:
        """What was claimed and not settled may go once more, for each time."""
        self.kills += 1
        self.journal._settled.clear()  # it was in the memory of the process
        latest = {
            (claim.seq_from, claim.seq_to): claim
            for claim in sorted(self.journal.claims(self.plan_id), key=lambda claim: claim.attempt)
        }
        for claim in latest.values():
            for row in self.rows[claim.seq_from - 1 : claim.seq_to] if not claim.outcome else ():
                self.endpoint.excused[self.ident(row)] += 1

    def check(self) -> None:
        """What must hold at any moment."""
        endpoint = self.endpoint
        assert not endpoint.wrong, endpoint.wrong
        for ident, times in endpoint.sent.items():
            most = 1 + endpoint.excused[ident]
            assert times <= most, f"{ident} went {times} times, {most} were excusable"
        for ident, bodies in endpoint.bytes.items():
            assert len(bodies) == 1, f"{ident} went as {bodies}"
        for window in self.windows:
            crowd, arrivals = int(window.requests), sorted(endpoint.arrivals)
            for first, last in zip(arrivals, arrivals[crowd:], strict=False):
                assert last - first >= window.seconds, f"{crowd + 1} requests in {last - first} s"
        for seq, outcome in self.outcomes().items():
            if outcome == "delivered":
                ident = self.ident(self.rows[seq - 1])
                assert ident in endpoint.applied, f"{ident} counts as delivered and is not there"
                if self.kind is Kind.TRACK:
                    self.final.add(self.rows[seq - 1].op_id)

    def outcomes(self) -> dict[int, str]:
        """Return what the journal says of each row that has a final outcome."""
        found: dict[int, str] = {}
        failed = self.journal._con.execute(
            "select claim_id, seq, class from exceptions where plan_id = ?", [self.plan_id]
        )
        failures = {(claim_id, seq): status for claim_id, seq, status in failed}
        for claim in sorted(self.journal.claims(self.plan_id), key=lambda claim: claim.attempt):
            for seq in range(claim.seq_from, claim.seq_to + 1):
                found[seq] = failures.get((claim.claim_id, seq), str(claim.outcome))
        return found


@dataclass
class Signal:
    """Asks a process to end when the nth point is passed."""

    fuse: Fuse
    ending: Ending
    left: int

    def __call__(self) -> None:
        self.left -= 1
        self.ending.asked = self.ending.asked or self.left == 0
        self.fuse.burn()


def begin(seed: int, folder: Path, stack: ExitStack, keys: list[str]) -> Life:
    """Return a life in which nothing has happened yet."""
    random = Random(seed)
    clock = FakeClock()
    path = folder / f"{seed}.sqlite"
    journal = open_journal(path, warehouse_id="w", known_id=None, clock=clock)
    stack.callback(journal.close)
    # Not about power cuts: what a process that dies has committed is there.
    journal._con.execute("pragma synchronous = off")
    odd = random.sample(keys, 2)
    draws = random.random()
    endpoint = Endpoint(
        clock,
        Answers(clock),
        Random(seed + 1),
        refuses=frozenset(odd[:1]) if draws < 0.3 else frozenset(),
        poisons=frozenset(odd[1:]) if 0.2 < draws < 0.45 else frozenset(),
        spoilt=400 if draws < 0.35 else 500,
    )
    return Life(
        seed, endpoint, journal, clock, random, random.choice(WINDOWS), random.randint(1, 6)
    )
