"""What of a plan is still to be sent, worked out from the journal's claims."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from destinations.delivery.policy import SERVER_ERROR


class Claim(NamedTuple):
    """A range of a plan's seqs that went, or was about to go, into one request.

    `outcome` is None while the answer is not known (a crash), else `delivered` (rows that failed
    are kept apart), `split` (sent again in parts), `retry` (to be sent again as it is) or
    `refused` (nothing of it was taken; may be framed anew).
    """

    claim_id: int
    seq_from: int
    seq_to: int
    attempt: int
    kind: str
    outcome: str | None
    sha256: str = ""
    http_status: int | None = None
    settled_at: float | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Seqs to send; `claimed` keeps the boundaries of a request that may have arrived.

    `sha256` is of its body, and `failures` are the instants, in order, at which a run gave it up,
    or one that it was part of, because the answer was 5xx.
    """

    seq_from: int
    seq_to: int
    claimed: bool
    sha256: str = ""
    failures: tuple[float, ...] = ()


def pending(last_seq: int, claims: Iterable[Claim]) -> list[Span]:
    """Return what is left of seqs 1..last_seq, in order.

    A request whose answer is unknown keeps its boundaries, so that it is repeated byte for byte.
    """
    latest: dict[tuple[int, int], Claim] = {}
    failed: list[Claim] = []
    for claim in sorted(claims, key=lambda claim: claim.attempt):
        latest[claim.seq_from, claim.seq_to] = claim
        if claim.outcome in ("retry", "split") and (claim.http_status or 0) >= SERVER_ERROR:
            failed.append(claim)
    done = [
        Span(*bounds, claimed=False)
        for bounds, claim in latest.items()
        if claim.outcome == "delivered"
    ]
    again = [
        Span(*bounds, True, claim.sha256, _failures(bounds, failed))
        for bounds, claim in latest.items()
        if claim.outcome in (None, "retry") and not _covered(bounds, done)
    ]
    spans: list[Span] = []
    following = 1
    for span in sorted(done + again, key=lambda span: (span.seq_from, span.seq_to)):
        if span.seq_from > following:
            spans.append(Span(following, span.seq_from - 1, claimed=False))
        if span.claimed:
            spans.append(span)
        following = max(following, span.seq_to + 1)
    if following <= last_seq:
        spans.append(Span(following, last_seq, claimed=False))
    return spans


def _covered(bounds: tuple[int, int], done: list[Span]) -> bool:
    return any(_is_in(bounds, span) for span in done)


def _is_in(bounds: tuple[int, int], other: Span | Claim) -> bool:
    return other.seq_from <= bounds[0] and bounds[1] <= other.seq_to


def _failures(bounds: tuple[int, int], failed: list[Claim]) -> tuple[float, ...]:
    return tuple(sorted(claim.settled_at or 0.0 for claim in failed if _is_in(bounds, claim)))
