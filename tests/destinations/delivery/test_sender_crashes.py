"""The sender is killed at any point, the endpoint misbehaves, and it goes on from the journal."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from destinations.base import Kind, Request, Response
from destinations.delivery.ranges import pending
from destinations.delivery.steps import Incomplete, Stopped
from destinations.delivery.transport import Failed
from tests.conftest import FakeClock
from tests.destinations.delivery.scripted import OK, PLAN, Delivery, endpoint, make_rows
from tests.support.dying import Crash, Fuse, MortalJournal


@dataclass
class Vendor:
    """Applies events by op_id; refuses requests with a bad row, or names it, as the draw says."""

    bad: frozenset[int]
    random: Random
    fuse: Fuse
    trouble: float
    names: bool
    applied: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    requests: int = 0

    def answer(self, request: Request) -> Response | Failed:
        self.requests += 1
        self.fuse.burn()
        rows = json.loads(request.body)["rows"]
        draw = self.random.random()
        if draw < self.trouble:
            return self.random.choice(
                [
                    Failed("cannot connect", sent=False),
                    Failed("connection lost", sent=True),
                    Response(503, {}, b""),
                    Response(429, {"retry-after": self.random.choice(["1", "90"])}, b""),
                    Response(401, {}, b""),
                    Response(200, {}, b"<html>"),
                ]
            )
        bad = [op for seq, op, _ in rows if seq in self.bad]
        if bad and not self.names:
            return Response(400, {}, b"{}")
        for seq, op, _ in rows:
            if op not in bad:
                self.applied[op].append(seq)
        self.fuse.burn()
        if draw < 2 * self.trouble:  # applied, and the answer is lost
            return self.random.choice(
                [Failed("connection lost", sent=True), Response(502, {}, b"")]
            )
        return Response(
            200, {}, json.dumps({"ok": True, "failed": dict.fromkeys(bad, "bad")}).encode()
        )


def finish(delivery: Delivery, vendor: Vendor, fuses: list[int]) -> int:
    """Run until nothing is left; each run has a fuse, the last ones none."""
    for runs in range(1, 400):
        vendor.fuse.left = fuses.pop() if fuses else 0
        if runs > 60:
            vendor.trouble = 0.0
        delivery.wrap = lambda journal: MortalJournal(journal, vendor.fuse)
        try:
            delivery.run(vendor.answer, vendor.random)
        except (Crash, Incomplete, Stopped):
            delivery.clock.passed += 60  # the next run comes later
            continue
        return runs
    raise AssertionError("never ends")


def check(delivery: Delivery, vendor: Vendor) -> None:
    count = len(delivery.rows)
    with delivery.journal() as journal:
        assert pending(count, journal.claims(PLAN)) == []
        hashes = journal._con.execute(
            "select seq_from, seq_to, body_sha256, outcome from claims order by claim_id"
        ).fetchall()
    outcomes = delivery.outcomes()
    assert outcomes.keys() == set(range(1, count + 1)), "one final outcome per row"
    for seq, outcome in outcomes.items():
        if seq in vendor.bad:
            assert outcome in ("rejected:bad", "rejected:http_400")
            assert f"op-{seq}" not in vendor.applied
        else:
            assert outcome == "delivered"
            assert f"op-{seq}" in vendor.applied, "nothing counts as delivered that is not there"
    assert all(set(seqs) == {int(op[3:])} for op, seqs in vendor.applied.items())
    bodies: dict[tuple[int, int], set[str]] = defaultdict(set)
    for seq_from, seq_to, sha256, _ in hashes:
        bodies[seq_from, seq_to].add(sha256)
    assert all(len(found) == 1 for found in bodies.values()), "the same range is the same bytes"


@settings(max_examples=120)
@given(
    count=st.integers(1, 30),
    bad=st.frozensets(st.integers(1, 30), max_size=3),
    names=st.booleans(),
    trouble=st.sampled_from([0.0, 0.1, 0.3]),
    fuses=st.lists(st.integers(1, 40), max_size=8),
    seed=st.integers(0, 10**6),
)
def test_every_row_ends_once_whatever_happens(
    count: int, bad: frozenset[int], names: bool, trouble: float, fuses: list[int], seed: int
) -> None:
    with TemporaryDirectory() as directory:
        delivery = Delivery(make_rows(count), Path(directory) / "scripted.sqlite", FakeClock())
        delivery.endpoints = {Kind.TRACK: endpoint(max_rows=7)}
        vendor = Vendor(bad & frozenset(range(1, count + 1)), Random(seed), Fuse(0), trouble, names)
        finish(delivery, vendor, list(fuses))
        check(delivery, vendor)


@pytest.mark.parametrize("names", [True, False])
def test_a_crash_at_each_point_in_turn(tmp_path: Path, names: bool) -> None:
    """Before and after each claim and settle, before and after the endpoint applied it."""
    point = 0
    while True:
        point += 1
        path = tmp_path / f"{point}.sqlite"
        delivery = Delivery(make_rows(20), path, FakeClock())
        vendor = Vendor(frozenset({13}), Random(1), Fuse(0), 0.0, names)
        runs = finish(delivery, vendor, [point])
        check(delivery, vendor)
        repeats = Counter(len(seqs) for seqs in vendor.applied.values())
        assert max(repeats) <= 2, "one crash costs one repeat at most"
        assert sum(n for times, n in repeats.items() if times > 1) <= 10, "of one request"
        if runs == 1:
            break
    assert point > 12


def test_a_crash_after_the_last_settle_sends_nothing(tmp_path: Path) -> None:
    delivery = Delivery(make_rows(5), tmp_path / "scripted.sqlite", FakeClock())
    fuse = Fuse(8)  # two points each: claim, write (nothing), settle, write
    delivery.wrap = lambda journal: MortalJournal(journal, fuse)
    with pytest.raises(Crash):
        delivery.run(lambda request: OK)
    delivery.wrap = lambda journal: journal
    assert delivery.run(lambda request: OK).calls == 0
