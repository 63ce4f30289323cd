"""The real engine, a model of the endpoint and the truth, moved on together step by step."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from destinations.errors import ConfigError, TailraceError
from orchestration.approvals import approve
from orchestration.builds import latest_builds
from orchestration.delivering import run_sync
from orchestration.desired.scope import Mode
from orchestration.engine import Engine
from orchestration.memberships import Evaluation, evaluate
from orchestration.plan import Plan
from orchestration.sync_plans import plan_sync
from orchestration.sync_runs import SyncRun
from tests.orchestration.machine import checks
from tests.orchestration.machine.asking import bar_key, upload
from tests.orchestration.machine.ledger import Ledger
from tests.orchestration.machine.mortal import mortal
from tests.orchestration.machine.syncs import AUDIENCE, QUIET, SYNCS, strict
from tests.orchestration.machine.truth import Said, Truth
from tests.orchestration.machine.vendor import Call, Vendor
from tests.support.dying import Crash, Fuse
from tests.support.world import World


@dataclass
class Lab:
    """One example.

    Attributes:
        said: the syncs by the name they had first; `names` is what they are called today.
        has_journal: whether the journal is still there.
        is_rough: whether a process was killed or a journal lost: then more is in doubt than what
            was on the wire.
        retired: syncs that take their leave, or have.
        assumed: the event ids that the destination is assumed to have.
    """

    world: World
    vendor: Vendor
    truth: Truth
    daily: int | None = None
    ledger: Ledger = field(default_factory=Ledger)
    said: dict[str, Said] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    has_journal: bool = True
    is_rough: bool = False
    retired: set[str] = field(default_factory=set)
    assumed: set[str] = field(default_factory=set)
    recorded: set[str] = field(default_factory=set)
    renamed: int = 0

    def add(self, name: str, *, is_strict: bool = False, **options: Any) -> None:
        """Add a sync; a strict one asks for consent, and clears who is gone."""
        said, given = SYNCS[name]
        if is_strict:
            said, options = strict(said, options)
        audience = AUDIENCE if said.sends == "membership" else None
        self.world.sync(name, audience=audience, sends=said.sends, **{**given, **options})
        self.said[name], self.names[name] = said, name

    def inside(self, name: str) -> dict[str, set[str]]:
        """Return who is in, as far as a sync is concerned."""
        return {} if name in self.retired else self.truth.inside(self.said[name])

    def engine(self, fuse: int = 0) -> Engine:
        made = self.world.engine()
        return replace(
            made,
            accounts={key: replace(one, daily=self.daily) for key, one in made.accounts.items()},
            connect=mortal(made.connect, Fuse(fuse)) if fuse else made.connect,
            transport=lambda _: self.vendor,
            new_journal=not self.has_journal,
        )

    def tick(self, hours: float = 0.0) -> datetime:
        """Move the clock on, a second at least, and return the whole second it is."""
        now = self.world.step(max(hours, 1 / 3600)).replace(microsecond=0)
        self.vendor.catch_up()
        return now

    # What happens in the warehouse.

    def build(self, *, traits: bool = True, audience: bool = True) -> None:
        at, truth, world = self.tick(), self.truth, self.world
        if traits:
            world.users({key: user._asdict() for key, user in truth.users.items()}, at)
            if truth.merges:
                world.merges(truth.merges)
            truth.build_traits(at)
            self._build_events(at)
        if audience:
            truth.build_audience(at)
            world.members(AUDIENCE, truth.levels, at)

    def _build_events(self, at: datetime) -> None:
        truth = self.truth
        new = truth.events[truth.built_events :]
        self.world.events([(e.event_id, e.user_id, "Order", e.at) for e in new], at)
        truth.built_events = len(truth.events)
        with self.world.connect() as warehouse:
            for old, user_id in truth.merges.items():
                warehouse.execute(
                    "update analytics.events set user_id = ? where user_id = ?", [user_id, old]
                )

    def evaluate(self, fuse: int = 0) -> Evaluation | None:
        self.tick()
        engine = self.engine(fuse)
        try:
            with engine.connect() as warehouse:
                found = evaluate(
                    warehouse,
                    engine.project,
                    self.world.audiences[AUDIENCE],
                    latest_builds(warehouse),
                    as_of=None,
                    clock=self.world.clock,
                )
        except Crash:
            self._look_again()
            return None
        checks.evaluation_is_right(self, found)
        self._take_down(found.status, str(found.evaluation_id), found.as_of)
        return found

    def _look_again(self) -> None:
        """Find out whether an evaluation that was killed was recorded all the same."""
        found = self.world.rows(
            "select evaluation_id, status, as_of from tailrace.evaluations "
            "where status in ('committed', 'held')"
        )
        for evaluation_id, status, as_of in found:
            if evaluation_id not in self.recorded:
                self._take_down(status, evaluation_id, as_of.replace(tzinfo=UTC))

    def _take_down(self, status: str, evaluation_id: str, as_of: datetime | None) -> None:
        wanted = self.truth.wanted()
        self.recorded.add(evaluation_id)
        if status == "committed" and as_of is not None:
            self.truth.commit(as_of, wanted)
        elif status == "held" and as_of is not None:
            self.truth.held[evaluation_id] = (as_of, wanted)

    def approve(self, held_id: str, exits: int | None) -> bool:
        """Approve something; returns whether that was accepted."""
        at = self.tick()
        before = checks.decisions(self)
        may, why = checks.may_be_approved(self, held_id, exits)
        try:
            with self.world.connect() as warehouse:
                approve(warehouse, held_id, expect_exits=exits, by="me", now=at)
        except TailraceError as error:
            refused = error.message
        else:
            refused = None
        if refused is not None:
            assert not may, f"{held_id} is held and the number is right, but: {refused}"
            assert checks.decisions(self) == before, (
                f"a refused approval of {held_id} did something"
            )
            return False
        assert may, f"{held_id} was approved although {why}"
        if held_id in self.truth.held:
            self.truth.commit(*self.truth.held[held_id])
        return True

    def held(self) -> list[tuple[str, int]]:
        """Return what is held, and how many leave by it."""
        return self.world.rows(
            "select evaluation_id as id, exited from tailrace.evaluations where status = 'held' "
            'union all select plan_id, "exit" + "delete" from tailrace.plans '
            "where status = 'held' order by id"
        )

    # What happens on the wire.

    def sync(
        self,
        name: str,
        *,
        faults: Iterable[str] = (),
        fuse: int = 0,
        mode: Mode = Mode.NORMAL,
        bar: tuple[int, str] | None = None,
    ) -> SyncRun | None:
        """Run a sync; None if it was killed, or there is nothing to run it on.

        `bar` suppresses a key while the nth request is on the wire.
        """
        said, truth = self.said[name], self.truth
        if truth.built_at is None or (said.sends == "membership" and truth.committed is None):
            return None
        sync = self.world.syncs[self.names[name]]
        with self.running(name, faults, mode, bar):
            run = None
            try:
                run = run_sync(self.engine(fuse), sync, mode=mode)
            except Crash:
                self.is_rough = True
        if mode in QUIET and run and run.status == "done":
            upload(self, name, mode)
        if run:
            checks.run_is_right(self, name, run, mode)
        return run

    @contextmanager
    def running(
        self, name: str, faults: Iterable[str], mode: Mode, bar: tuple[int, str] | None = None
    ) -> Iterator[None]:
        """Watch every call that is made, and take down what became of it."""
        began = self.tick(0.02 if mode in QUIET else 0.0)
        self.truth.inside_once[name] |= self.inside(name).keys()
        self.renew_journal(name)
        self.vendor.begin(faults)
        first = self.vendor.calls

        def inspect(call: Call) -> None:
            checks.call_is_right(self, name, call, began)
            if bar and self.vendor.calls - first == bar[0]:
                bar_key(self, bar[1])

        self.vendor.inspect = inspect
        yield
        self.has_journal = self.has_journal or self._knows_journal()
        silent = self.ledger.collect(self.world, name, self.names[name])
        checks.silence_is_right(self, name, silent, mode)

    def renew_journal(self, name: str) -> None:
        """See that nothing is sent without the journal, before a new one is begun."""
        if self.has_journal:
            return
        before = self.vendor.calls
        sync = self.world.syncs[self.names[name]]
        try:
            run = run_sync(replace(self.engine(), new_journal=False), sync)
            assert run.reasons, f"{name} went on without its journal"
        except ConfigError as error:
            assert "--new-journal" in error.message, error.message  # noqa: PT017
        assert self.vendor.calls == before, "something was sent without the journal"

    def _knows_journal(self) -> bool:
        """Tell whether the journal that is there is the one that the warehouse knows."""
        path = self.world.folder / "state" / "iterable.sqlite"
        if not path.exists():
            return False
        with closing(sqlite3.connect(path)) as con:
            found = con.execute("select value from meta where key = 'journal_id'").fetchall()
        known = "select value from tailrace.destination_state where name = 'journal_id'"
        return self.world.rows(known) == found

    def lose_journal(self) -> None:
        if not self._knows_journal():
            return
        for path in (self.world.folder / "state").glob("iterable.sqlite*"):
            path.unlink()
        self.has_journal, self.is_rough = False, True

    def dry(self, name: str) -> Plan:
        """Plan without storing, and see that this changes nothing."""
        self.tick()
        before = checks.decisions(self)
        engine = self.engine()
        with engine.connect() as warehouse:
            sync = self.world.syncs[self.names[name]]
            plan = plan_sync(engine, warehouse, sync, as_of=None, secrets=False)
        assert checks.decisions(self) == before, "a dry plan left something behind"
        return plan
