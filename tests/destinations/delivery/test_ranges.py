"""`pending` against the plainest model: the newest claim over a row says what became of it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from destinations.delivery.ranges import Claim, Span, pending


class Plan:
    """Runs that claim and settle as the sender does, cut short wherever the draw says so."""

    def __init__(self, last_seq: int, data: st.DataObject) -> None:
        self.last_seq = last_seq
        self.data = data
        self.claims: list[Claim] = []

    def newest(self, seq: int) -> Claim | None:
        over = [claim for claim in self.claims if claim.seq_from <= seq <= claim.seq_to]
        return max(over, key=lambda claim: claim.attempt, default=None)

    def run(self) -> None:
        for span in pending(self.last_seq, self.claims):
            seq = span.seq_from
            while seq <= span.seq_to:
                room = span.seq_to - seq + 1
                size = room if span.claimed else self.data.draw(st.integers(1, min(room, 4)))
                if not self.deliver(seq, seq + size - 1):
                    return
                seq += size

    def deliver(self, seq_from: int, seq_to: int) -> bool:
        """Claim and settle one request; False where the run ends."""
        over = [c for c in self.claims if c.seq_from <= seq_to and c.seq_to >= seq_from]
        attempt = max((claim.attempt for claim in over), default=0) + 1
        outcomes = ["delivered", "delivered", "split", "retry", "refused", None]
        outcome = self.data.draw(st.sampled_from(outcomes))
        if outcome == "split" and seq_from == seq_to:
            outcome = "delivered"
        self.claims.append(Claim(len(self.claims), seq_from, seq_to, attempt, "track", outcome))
        if outcome == "split":
            middle = (seq_to - seq_from + 1) // 2
            if self.data.draw(st.booleans()):  # a crash between the split and its parts
                return False
            parts = [(seq_from, seq_from + middle - 1), (seq_from + middle, seq_to)]
            return all(self.deliver(*part) for part in parts)
        return outcome == "delivered"


@settings(max_examples=400)
@given(st.integers(0, 14), st.integers(1, 6), st.data())
def test_pending_is_every_row_that_is_not_settled_once(
    last_seq: int, runs: int, data: st.DataObject
) -> None:
    plan = Plan(last_seq, data)
    for _ in range(runs):
        plan.run()
        check(plan, pending(last_seq, data.draw(st.permutations(plan.claims))))


def check(plan: Plan, spans: list[Span]) -> None:
    listed = [seq for span in spans for seq in range(span.seq_from, span.seq_to + 1)]
    newest = {seq: plan.newest(seq) for seq in range(1, plan.last_seq + 1)}
    left = [seq for seq, claim in newest.items() if not claim or claim.outcome != "delivered"]
    assert listed == left, "each unsettled row once, in order, and no settled one"
    open_claims = {
        (claim.seq_from, claim.seq_to)
        for claim in newest.values()
        if claim and claim.outcome in (None, "retry")
    }
    kept = {(span.seq_from, span.seq_to) for span in spans if span.claimed}
    assert kept == open_claims, "a request that may have arrived keeps its boundaries"


def test_a_plan_never_begun_is_one_span() -> None:
    assert pending(5, []) == [Span(1, 5, claimed=False)]
    assert pending(0, []) == []


def test_a_refused_request_may_be_framed_anew_with_its_neighbours() -> None:
    claims = [
        Claim(1, 1, 3, 1, "track", "delivered"),
        Claim(2, 4, 6, 1, "track", "refused"),
        Claim(3, 10, 12, 1, "track", None),
    ]
    assert pending(15, claims) == [
        Span(4, 9, claimed=False),
        Span(10, 12, claimed=True),
        Span(13, 15, claimed=False),
    ]
