"""The only loop: spans of a plan to requests, one after the other, each claimed and settled."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from random import Random

from destinations.base import (
    UNREADABLE,
    Context,
    Destination,
    Endpoint,
    FollowUp,
    Kind,
    Outcome,
    Outcomes,
    Request,
    Response,
    Row,
    Status,
)
from destinations.clock import Clock
from destinations.delivery import policy
from destinations.delivery.batcher import batches
from destinations.delivery.journal import Journal
from destinations.delivery.limiter import Ahead, Limiter
from destinations.delivery.policy import Verdict
from destinations.delivery.ranges import pending
from destinations.delivery.transport import Failed, Transport

# A refused request is sent again without the rows it names, in the runs between them; with more
# rows than this, halving costs fewer requests.
MOST_NAMED = 8
MICROSECONDS = 1_000_000

Read = Callable[[int, int], Iterator[tuple[Kind, Iterable[Row]]]]
"""Yields the rows of a range of seqs, in order, as runs of one kind; some may be left out."""

Still = Callable[[Sequence[Row]], Sequence[Row]]
"""Returns those of the rows that may still be sent: asked before every request, so it is quick."""


@dataclass(slots=True)
class Tally:
    """What a run of the sender did; counts of rows come from the warehouse, not from here."""

    calls: int = 0
    retried: int = 0
    rows: int = 0
    throttled_s: float = 0.0
    warnings: dict[str, int] = field(default_factory=dict)


class Incomplete(Exception):  # noqa: N818 - an ending, not a mistake
    """The destination is not answering: what is left waits for the next run."""


class Stopped(Exception):  # noqa: N818 - an ending, not a mistake
    """The destination refuses the account or the route; no row was rejected for it."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Delivers the ops of one plan over one account."""

    destination: Destination
    context: Context
    journal: Journal
    limiter: Limiter
    transport: Transport
    clock: Clock
    random: Random
    endpoints: Mapping[Kind, Endpoint]
    after_request: Callable[[Tally], None]
    still: Still = lambda rows: rows

    def send(self, plan_id: str, last_seq: int, read: Read, tally: Tally) -> None:
        """Send what the journal does not know to be settled.

        Raises:
            Incomplete: the destination is down or asks for a long pause; the next run resumes.
            Stopped: the destination refused the account or the route.
        """
        for span in pending(last_seq, self.journal.claims(plan_id)):
            for kind, rows in read(span.seq_from, span.seq_to):
                if span.claimed:
                    bounds = (span.seq_from, span.seq_to)
                    self._deliver(plan_id, kind, list(rows), tally, repeat_of=bounds)
                    continue
                for batch in batches(rows, self.endpoints[kind]):
                    self._deliver(plan_id, kind, batch, tally)

    def _deliver(
        self,
        plan_id: str,
        kind: Kind,
        rows: Sequence[Row],
        tally: Tally,
        *,
        repeat_of: tuple[int, int] | None = None,
    ) -> None:
        """Send rows as one request.

        `repeat_of` are the bounds of a request that may have arrived: they stay, even if a row at
        its edge may not be sent any more.
        """
        self._let_settle(kind, rows)
        rows = self.still(rows)
        if not rows:
            return
        request = self.destination.encode(kind, rows, self.context)
        bounds = repeat_of or (rows[0].seq, rows[-1].seq)
        claim = self.journal.claim(plan_id, *bounds, kind, hashlib.sha256(request.body).hexdigest())
        if len(rows) == 1 and len(request.body) > self.endpoints[kind].max_bytes:
            self.journal.settle(
                claim, "delivered", None, {rows[0].seq: Outcome(Status.REJECTED, "too_large")}
            )
            return
        repeated = repeat_of is not None
        response = self._answer(claim, kind, request, tally, rows=rows, repeated=repeated)
        if response is None:
            self._deliver(plan_id, kind, rows, tally, repeat_of=bounds)
            return
        self._settle(plan_id, claim, kind, rows, response, tally)

    def _let_settle(self, kind: Kind, rows: Sequence[Row]) -> None:
        """Wait until no request of before can change these profiles any more."""
        last = max((row.not_before for row in rows), default=0) / MICROSECONDS
        wait = last - self.clock.now().timestamp() if last else 0.0
        if wait > policy.LONGEST_WAIT:
            raise Incomplete(
                f"{self.endpoints[kind].path}: requests without an answer may still be under way "
                f"for {wait:.0f} s"
            )
        if wait > 0:
            self.clock.sleep(wait)

    def _answer(
        self,
        claim: int,
        kind: Kind,
        request: Request,
        tally: Tally,
        *,
        rows: Sequence[Row],
        repeated: bool,
    ) -> Response | None:
        """Return an answer that the connector can read, repeating the same bytes until then.

        A request that may have arrived before keeps its boundaries, even if the account is
        refused now. None if one of `rows` may not be sent any more: the claim is settled, and
        the others are to be framed again.
        """
        endpoint = self.endpoints[kind]
        attempt, throttles, put_off = 0, 0, 0.0
        while True:
            self._permit(claim, endpoint, tally, began=repeated or attempt > 0)
            if len(self.still(rows)) < len(rows):
                self.journal.settle(claim, "retry", None)
                return None
            tally.calls += 1
            answer = self.transport.send(request, timeout=endpoint.timeout)
            what, status, reason = _judge(answer)
            if what is Verdict.READ and isinstance(answer, Response):
                return answer
            if what is Verdict.STOP:
                self.journal.settle(claim, "retry" if repeated or attempt else "refused", status)
                raise Stopped(f"{endpoint.path} answered {reason}")
            tally.retried += 1
            throttled = what is Verdict.THROTTLED
            throttles, attempt = throttles + throttled, attempt + (not throttled)
            wait = self._wait(answer, throttles + attempt)
            if throttled:
                self.limiter.throttled(endpoint.path, endpoint, wait)
            put_off += max(wait, policy.BACKOFF_BASE) if throttled else 0.0
            too_long = wait > policy.LONGEST_WAIT or put_off > policy.LONGEST_THROTTLE
            if attempt >= policy.MAX_ATTEMPTS or too_long:
                self.journal.settle(claim, "retry", status)
                raise Incomplete(f"{endpoint.path}: {reason}, {throttles + attempt} attempts")
            if not throttled:
                self.clock.sleep(wait)

    def _permit(self, claim: int, endpoint: Endpoint, tally: Tally, *, began: bool) -> None:
        """Wait for a permit; a request that `began` may have arrived, and keeps its boundaries."""
        try:
            tally.throttled_s += self.limiter.acquire(endpoint.path, endpoint)
        except Ahead as ahead:
            self.journal.settle(claim, "retry" if began else "refused", None)
            raise Incomplete(f"{endpoint.path}: {ahead}") from None

    def _wait(self, answer: Response | Failed, attempt: int) -> float:
        if isinstance(answer, Response):
            told = policy.retry_after(answer.headers, self.clock.now())
            told = told if told is not None else self.destination.pause(answer)
            if told:  # to be told to wait 0 s is to be told nothing
                return told
        return policy.backoff(attempt, self.random.random())

    def _settle(
        self,
        plan_id: str,
        claim: int,
        kind: Kind,
        rows: Sequence[Row],
        response: Response,
        tally: Tally,
    ) -> None:
        outcomes = self._read(claim, kind, rows, response, tally)
        ok = 200 <= response.status < 300
        if outcomes.rest.code == UNREADABLE and ok:
            self.journal.settle(claim, "retry", response.status)
            raise Incomplete(f"{self.endpoints[kind].path}: an answer that cannot be read")
        unknown = [row for row in rows if outcomes.of(row.seq).status is Status.UNKNOWN]
        if not unknown or len(rows) == 1:
            told = {row.seq: outcomes.of(row.seq) for row in rows}
            if unknown:
                told[rows[0].seq] = _blame(told[rows[0].seq], response.status)
            exceptions = {s: o for s, o in told.items() if o.status is not Status.DELIVERED}
            self.journal.settle(claim, "delivered", response.status, exceptions)
            tally.rows += len(rows)
            _add(tally.warnings, outcomes.warnings)
            self.after_request(tally)
            return
        self.journal.settle(claim, "split", response.status)
        tally.retried += 1
        named = {
            row.seq: outcome
            for row in rows
            if (outcome := outcomes.of(row.seq)).status in (Status.REJECTED, Status.LATER)
        }
        drop = not ok and 0 < len(named) <= MOST_NAMED
        for seq, outcome in named.items() if drop else ():
            alone = self.journal.claim(plan_id, seq, seq, kind, "")
            self.journal.settle(alone, "delivered", response.status, {seq: outcome})
            tally.rows += 1
        for part in between(rows, named) if drop else halves(rows):
            self._deliver(plan_id, kind, part, tally)

    def _read(
        self, claim: int, kind: Kind, rows: Sequence[Row], response: Response, tally: Tally
    ) -> Outcomes:
        outcomes = self.destination.decode(kind, rows, response)
        put_off = 0.0
        while isinstance(outcomes, FollowUp):
            put_off += max(outcomes.seconds, policy.BACKOFF_BASE)
            if outcomes.seconds > policy.LONGEST_WAIT or put_off > policy.LONGEST_THROTTLE:
                self.journal.settle(claim, "retry", response.status)
                raise Incomplete(f"{self.endpoints[kind].path}: the job it took does not end")
            self.clock.sleep(outcomes.seconds)
            answer = self._answer(claim, kind, outcomes.request, tally, rows=(), repeated=True)
            assert answer is not None  # noqa: S101 - of no rows, none is held back
            response = answer
            outcomes = self.destination.decode(kind, rows, response)
        return outcomes


def _judge(answer: Response | Failed) -> tuple[Verdict, int | None, str]:
    if isinstance(answer, Failed):
        return Verdict.RETRY, None, answer.reason
    return policy.verdict(answer.status), answer.status, f"HTTP {answer.status}"


def between(rows: Sequence[Row], named: Container[int]) -> list[Sequence[Row]]:
    """Return the runs of rows that are left when the named ones are dropped."""
    runs = groupby(rows, key=lambda row: row.seq in named)
    return [list(run) for dropped, run in runs if not dropped]


def halves(rows: Sequence[Row]) -> list[Sequence[Row]]:
    """Split a request in two, so that the row at fault ends up alone."""
    middle = len(rows) // 2
    return [rows[:middle], rows[middle:]]


def _blame(outcome: Outcome, status: int) -> Outcome:
    """Turn an unexplained answer about a single row into that row's outcome."""
    permanent = 400 <= status < 500
    return Outcome(
        Status.REJECTED if permanent else Status.LATER,
        outcome.code or f"http_{status}",
        outcome.field,
        outcome.detail,
    )


def _add(totals: dict[str, int], more: Mapping[str, int]) -> None:
    for name, count in more.items():
        totals[name] = totals.get(name, 0) + count
