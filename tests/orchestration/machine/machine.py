"""Random lives of a warehouse, its syncs and an endpoint that fails; what must hold, holds."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from destinations import iterable
from destinations.base import Dedup, Kind
from orchestration.desired.scope import Mode
from tests.orchestration.machine import asking, invariants
from tests.orchestration.machine.lab import Lab
from tests.orchestration.machine.settling import approve_all, settle
from tests.orchestration.machine.syncs import AUDIENCE, MOST_EXITS, SYNCS
from tests.orchestration.machine.truth import Happened, Truth, User
from tests.orchestration.machine.vendor import FAULTS, Vendor
from tests.support.world import TestClock, world_at

LONG = bool(os.environ.get("TAILRACE_LONG"))
PROFILE = settings(
    max_examples=int(os.environ.get("TAILRACE_EXAMPLES", "300" if LONG else "6")),
    stateful_step_count=40 if LONG else 25,
    derandomize=not LONG,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)

USERS = [f"u{n}" for n in range(5)]
EMAILS = [f"a{n}@x.example" for n in range(4)]
users = st.sampled_from(USERS)
emails = st.sampled_from([*EMAILS, *EMAILS, " A1@X.example", None, "nobody"])
states = st.builds(
    User,
    email=emails,
    score=st.sampled_from([0.0, 1.0, 2.5]),
    label=st.sampled_from(["x", None]),
    agreed=st.sampled_from([True, True, True, False, None]),
)
faults = st.lists(st.sampled_from(FAULTS), max_size=4)
fuses = st.one_of(st.just(0), st.just(0), st.integers(1, 110))
hours = st.sampled_from([0.0, 0.0, 1.0, 7.0, 25.0, 24.0 * 8])
names = st.integers(0, 4)
changes = st.lists(
    st.one_of(
        st.tuples(st.just("user"), users, states),
        st.tuples(st.just("in"), users),
        st.tuples(st.just("in"), users),
        st.tuples(st.just("out"), users),
        st.tuples(st.just("order"), users),
        st.tuples(st.just("swap"), users, users),
        st.tuples(st.just("gone"), users),
        st.tuples(st.just("merge"), users, users),
    ),
    min_size=1,
    max_size=5,
)
modes = st.sampled_from([Mode.NORMAL] * 8 + [Mode.REASSERT, Mode.ALL, Mode.NONE, Mode.ASSUME_SENT])


class Machine(RuleBasedStateMachine):
    """See `lab.Lab` for what a step does; here is what may happen."""

    dedup = Dedup.UPSERT

    @initialize(
        chosen=st.sets(st.sampled_from(sorted(SYNCS)), min_size=2, max_size=3),
        by_email=st.sampled_from([True, True, True, False]),
        daily=st.sampled_from([None, None, 2]),
        first=st.sampled_from([1_000_000, 1_000_000, 0]),
        begin=st.lists(states, min_size=3, max_size=5),
        members=st.sets(users),
        strict=st.booleans(),
    )
    def begin(self, chosen, by_email, daily, first, begin, members, strict) -> None:
        self.open = ExitStack()
        folder = self.open.enter_context(TemporaryDirectory(dir=_fast()))
        ends = {
            kind: replace(end, max_rows=2, dedup=self.dedup if kind is Kind.TRACK else end.dedup)
            for kind, end in iterable._ENDPOINTS.items()
        }
        self.open.enter_context(patch.object(iterable, "_ENDPOINTS", ends))
        clock = TestClock()
        world = self.open.enter_context(world_at(Path(folder), clock, "http://127.0.0.1:9"))
        world.identifier = "email" if by_email else "user_id"
        world.audience(AUDIENCE, max_exits=MOST_EXITS)
        truth = Truth(by_email, dict(zip(USERS, begin, strict=False)))
        truth.members = members & truth.users.keys()
        self.lab = Lab(world, Vendor(clock, self.dedup, world.identifier), truth, daily)
        for name in sorted(chosen):
            self.lab.add(name, is_strict=strict, max_first=first)

    # The facts change.

    @rule(what=changes)
    def load(self, what) -> None:
        for change in what:
            self._change(*change)

    def _change(self, kind: str, user: str, more: Any = None) -> None:
        truth = self.lab.truth
        if user in truth.merges or more in truth.merges:
            return
        if kind == "user":
            truth.users[user] = more
        elif kind == "in" and user in truth.users:
            truth.members.add(user)
        elif kind == "out":
            truth.members.discard(user)
        elif kind == "gone":
            truth.users.pop(user, None)
        elif kind == "swap":
            truth.swap(user, more)
        elif kind == "merge":
            truth.merge(user, more)
        elif kind == "order":
            at = self.lab.tick()
            truth.events.append(Happened(f"e{len(truth.events)}", user, at))

    # The warehouse is built and evaluated, in whole or in part.

    @rule(what=changes, passed=hours, fuse=fuses)
    def day(self, what, passed, fuse) -> None:
        self.load(what)
        self.lab.tick(passed)
        self.lab.build()
        self.lab.evaluate(fuse)

    @rule(what=changes, passed=hours, met=faults, fuse=fuses, agrees=st.booleans())
    def whole_day(self, what, passed, met, fuse, agrees) -> None:
        self.day(what, passed, 0)
        if agrees:
            approve_all(self.lab)
        for nth, name in enumerate(self.lab.said):
            self.lab.sync(name, faults=met[nth:], fuse=fuse)

    @rule(part=st.sampled_from(["traits", "audience"]))
    def build_a_part(self, part) -> None:
        self.lab.build(traits=part == "traits", audience=part == "audience")
        self.lab.evaluate()

    @precondition(lambda self: self.lab.truth.built_at)
    @rule()
    def evaluate_again(self) -> None:
        self.lab.evaluate()

    @precondition(lambda self: self.lab.truth.built_at)
    @rule(which=st.integers(0, 3), off=st.sampled_from([0, 0, 0, 1, None]))
    def approve(self, which, off) -> None:
        found = self.lab.held()
        if found:
            held_id, exits = found[which % len(found)]
            self.lab.approve(held_id, None if off is None else exits + off)

    @precondition(lambda self: self.lab.truth.built_at)
    @rule(which=st.integers(0, 9))
    def approve_something_old(self, which) -> None:
        ids = [*self.lab.truth.held, *(p for (p,) in self.lab.world.rows(OLD_PLANS))]
        if ids:
            self.lab.approve(ids[which % len(ids)], which % 3 or None)

    # Syncs run.

    @precondition(lambda self: self.lab.truth.built_at)
    @rule(which=names, met=faults, fuse=fuses, mode=modes)
    def sync(self, which, met, fuse, mode) -> None:
        name = self._named(which)
        said = self.lab.said[name]
        track, quiet = name in ("told", "heard"), mode in (Mode.NONE, Mode.ASSUME_SENT)
        if said.sends == "events" and mode is not Mode.ASSUME_SENT:
            mode = Mode.NORMAL
        if name in self.lab.retired or (track and mode in (Mode.ALL, Mode.NONE)):
            mode = Mode.NORMAL
        quiet = mode in (Mode.NONE, Mode.ASSUME_SENT)
        self.lab.sync(name, faults=() if quiet else met, fuse=0 if quiet else fuse, mode=mode)

    @precondition(lambda self: self.lab.truth.built_at)
    @rule(met=faults)
    def sync_all(self, met) -> None:
        for name in self.lab.said:
            self.lab.sync(name, faults=met)

    @precondition(lambda self: self.lab.truth.committed is not None)
    @rule(which=names)
    def plan_only(self, which) -> None:
        self.lab.dry(self._named(which))

    @precondition(lambda self: self.lab.truth.built_at)
    @rule(passed=hours)
    def wait(self, passed) -> None:
        self.lab.tick(passed)

    # People ask for something.

    @precondition(lambda self: self.lab.truth.built_at)
    @rule()
    def lose_the_journal(self) -> None:
        self.lab.lose_journal()

    @rule(value=st.sampled_from([*EMAILS, *USERS]))
    def suppress(self, value) -> None:
        asking.bar_key(self.lab, value)

    @precondition(lambda self: self.lab.truth.built_at)
    @rule(value=st.sampled_from([*EMAILS, *USERS]), which=names, nth=st.integers(1, 2))
    def suppress_on_the_way(self, value, which, nth) -> None:
        self.lab.sync(self._named(which), bar=(nth, value))

    @precondition(lambda self: self.lab.truth.built_at)
    @rule(user=users, fuse=fuses)
    def forget(self, user, fuse) -> None:
        asking.forget_user(self.lab, user, fuse)

    @precondition(lambda self: self.lab.truth.suppressed)
    @rule(which=names)
    def lift(self, which) -> None:
        barred = sorted(self.lab.truth.suppressed)
        asking.lift(self.lab, barred[which % len(barred)])

    @precondition(lambda self: self.lab.truth.built_at)
    @rule(which=names)
    def rename(self, which) -> None:
        asking.rename(self.lab, self._named(which))

    @precondition(lambda self: "points" in self.lab.said and self.lab.truth.built_at)
    @rule(mode=st.sampled_from([Mode.NORMAL, Mode.NONE, Mode.ALL]))
    def map_otherwise(self, mode) -> None:
        asking.remap(self.lab, "points", mode)

    @precondition(lambda self: {"said", "told"} & self.lab.said.keys())
    @rule(which=st.sampled_from(["said", "told"]), met=faults)
    def retire(self, which, met) -> None:
        if which in self.lab.said:
            asking.take_leave(self.lab, which, met)

    @precondition(lambda self: self.lab.truth.committed is not None)
    @rule()
    def faults_stop(self) -> None:
        settle(self.lab)

    @invariant()
    def snapshots(self) -> None:
        if hasattr(self, "lab"):
            invariants.snapshots_are_replays(self.lab)

    def _named(self, which: int) -> str:
        return list(self.lab.said)[which % len(self.lab.said)]

    def teardown(self) -> None:
        if not hasattr(self, "open"):
            return
        with self.open:
            if sys.exc_info()[0] is None:
                settle(self.lab)


OLD_PLANS = "select plan_id from tailrace.plans where status <> 'held' order by planned_at"


def _fast() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
