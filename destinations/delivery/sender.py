"""From the rows of a plan to requests, each claimed before it goes and settled by its answer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from operator import itemgetter
from random import Random

from destinations.base import (
    UNREADABLE,
    Context,
    Dedup,
    Destination,
    Endpoint,
    FollowUp,
    Kind,
    Outcome,
    Outcomes,
    Response,
    Row,
    Status,
)
from destinations.clock import Clock
from destinations.delivery import policy
from destinations.delivery.batcher import batches, between, halves, latest_wait
from destinations.delivery.calling import Caller, Claimed, Tally
from destinations.delivery.doubts import Doubts
from destinations.delivery.journal import Journal
from destinations.delivery.limiter import Limiter, paced
from destinations.delivery.ranges import Span, pending
from destinations.delivery.redact import redacted
from destinations.delivery.steps import Ending, Halt, Incomplete, Pause, Steps, Stopped, run
from destinations.delivery.suspects import TRIES_ALONE, Failure, Suspects, is_suspect
from destinations.delivery.wire import Wire

# A refused request is sent again without the rows it names, in the runs between them; with more
# rows than this, halving costs fewer requests.
MOST_NAMED = 8
MICROSECONDS = 1_000_000
TOO_LARGE = 413

Read = Callable[[int, int], Iterator[tuple[Kind, Iterable[Sequence[Row]]]]]
"""Yields the rows of a range of seqs, in order, as runs of one kind and those in chunks.

Some may be left out; a run has to be taken before the next is asked for.
"""

Still = Callable[[Sequence[Row]], Sequence[Row]]
"""Returns those of the rows that may still be sent: asked before every request, so it is quick."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Delivers the ops of one plan over one account.

    `ordered`: a request begins when the one before it has ended. If not, as many are on the wire
    as the endpoint's rate needs, which is for ops that come once per profile in a plan.
    """

    destination: Destination
    context: Context
    journal: Journal
    limiter: Limiter
    wire: Wire
    clock: Clock
    random: Random
    endpoints: Mapping[Kind, Endpoint]
    after_request: Callable[[Tally], None]
    still: Still = lambda rows: rows
    ordered: bool = True
    ending: Ending = field(default_factory=Ending)

    def send(self, plan_id: str, last_seq: int, read: Read, tally: Tally) -> None:
        """Send what the journal does not know to be settled.

        Raises:
            Incomplete: the destination is down or asks for a long pause, or somebody asked to
                end; the next run resumes.
            Stopped: the destination refused the account, the route or every row.
        """
        halt = Halt(self.ending)
        caller = Caller(
            journal=self.journal,
            limiter=self.limiter,
            clock=self.clock,
            random=self.random,
            pause=self.destination.pause,
            still=self.still,
            halt=halt,
            tally=tally,
        )
        doubts = Doubts(self.journal)
        suspects = Suspects(plan_id, self.journal, self.limiter, self.clock)
        work = _Work(plan_id, caller, doubts, suspects, tally)
        go = partial(
            run,
            most=lambda kind: 1 if self.ordered else caller.most(self.endpoints[kind]),
            wire=self.wire,
            clock=self.clock,
            halt=halt,
            idle=self.journal.write,
        )
        self.ending.sending = True
        try:
            go(self._tasks(work, last_seq, read))
            if suspects.alone:
                go(self._left(work))
            tally.rows += suspects.refuse()
        except Stopped:
            doubts.drop()
            self.journal.write()
            raise
        except Incomplete:
            tally.rows += doubts.confirm()
            self.journal.write()
            raise
        finally:
            self.ending.sending = False
        tally.rows += doubts.confirm()
        self.journal.write()

    def _tasks(self, work: _Work, last_seq: int, read: Read) -> Iterator[tuple[Kind, Steps[None]]]:
        last: list[tuple[tuple[bool, int], Kind, Steps[None]]] = []
        for span in pending(last_seq, self.journal.claims(work.plan_id)):
            for kind, chunks in read(span.seq_from, span.seq_to):
                if not span.claimed:
                    for batch in batches(chunks, self.endpoints[kind]):
                        yield kind, self._deliver(work, kind, batch)
                    continue
                rows: Sequence[Row] = list(chain.from_iterable(chunks))
                suspect, alone = is_suspect(span), len(rows) == 1
                task = self._deliver(work, kind, rows, repeat_of=span, suspect=suspect)
                if suspect and (alone or not self.ordered):
                    last.append(((alone, len(span.failures)), kind, task))
                else:
                    yield kind, task
        # What has failed most often, alone, comes last: something else shows whether it is up.
        for _, kind, task in sorted(last, key=itemgetter(0)):
            yield kind, task

    def _left(self, work: _Work) -> Iterator[tuple[Kind, Steps[None]]]:
        for failure in work.suspects.left():
            yield failure.kind, self._try_alone(work, failure)

    def _try_alone(self, work: _Work, failure: Failure) -> Steps[None]:
        """Give a row that failed alone as good a chance as any request has."""
        place, seq = failure.span, failure.rows[0].seq
        for attempt in range(1, TRIES_ALONE + 1):
            yield Pause(policy.backoff(attempt, self.random.random()))
            yield from self._deliver(
                work, failure.kind, failure.rows, repeat_of=place, suspect=True
            )
            if not work.suspects.failed_again(seq):
                return
        work.suspects.waiting.append(seq)

    def _deliver(
        self,
        work: _Work,
        kind: Kind,
        rows: Sequence[Row],
        *,
        repeat_of: Span | None = None,
        quiet_until: float | None = None,
        suspect: bool = False,
    ) -> Steps[None]:
        """Send rows as one request.

        `repeat_of` is a request that may have arrived: its bounds stay, even if a row at its edge
        may not be sent any more. `quiet_until`: rows that were part of one which may be under way.
        `suspect`: rows that the destination may be failing on, rather than being down.
        """
        yield from self._let_settle(kind, rows)
        rows = self.still(rows)
        if not rows:
            return
        endpoint = self.endpoints[kind]
        request = self.destination.encode(kind, rows, self.context)
        sha256 = hashlib.sha256(request.body).hexdigest()
        span = repeat_of or Span(rows[0].seq, rows[-1].seq, claimed=True)
        if span.sha256 not in ("", sha256) and len(rows) == span.seq_to - span.seq_from + 1:
            work.tally.warn({"repeated_with_other_bytes": 1})
        claim = self.journal.claim(work.plan_id, span.seq_from, span.seq_to, kind, sha256)
        if len(rows) == 1 and len(request.body) > endpoint.max_bytes:
            self.journal.settle(
                claim, "delivered", None, {rows[0].seq: Outcome(Status.REJECTED, "too_large")}
            )
            return
        claimed = Claimed(claim, endpoint, request, repeat_of is not None, quiet_until)
        if repeat_of:
            now = self.clock.now().timestamp()
            claimed.quiet_until = now + policy.quiescence([endpoint.timeout])
        response = yield from work.caller.answer(claimed, rows, suspect=suspect)
        if response is None:
            again = replace(span, sha256="")
            yield from self._deliver(work, kind, rows, repeat_of=again, suspect=suspect)
        elif response.status >= policy.SERVER_ERROR:
            failure = Failure(claimed, kind, rows, span, response.status)
            for part, place in work.suspects.failed(failure, work.doubts.served):
                yield from self._deliver(work, kind, part, repeat_of=place, suspect=True)
        else:
            yield from self._settle(work, claimed, kind, rows, response)

    def _let_settle(self, kind: Kind, rows: Sequence[Row]) -> Steps[None]:
        """Wait until no request of before can change these profiles any more."""
        last = latest_wait(rows) / MICROSECONDS
        wait = last - self.clock.now().timestamp() if last else 0.0
        if wait > policy.LONGEST_WAIT:
            raise Incomplete(
                f"{self.endpoints[kind].path}: requests without an answer may still be under way "
                f"for {wait:.0f} s"
            )
        if wait > 0:
            yield Pause(wait)
            if self.clock.now().timestamp() < last:
                raise Incomplete("asked to end")

    def _settle(
        self, work: _Work, claimed: Claimed, kind: Kind, rows: Sequence[Row], response: Response
    ) -> Steps[None]:
        response, outcomes = yield from self._read(work, claimed, kind, rows, response)
        status, path, first = response.status, claimed.endpoint.path, rows[0].seq
        # What nearly always is the answer needs no look at each row.
        whole = outcomes.rest.status is Status.DELIVERED and not outcomes.exceptions
        told = {} if whole else {row.seq: outcomes.of(row.seq) for row in rows}
        unknown = any(outcome.status is Status.UNKNOWN for outcome in told.values())
        if unknown and len(rows) > 1:
            yield from self._split(work, claimed, kind, rows, status, told)
            return
        if unknown:
            told[first] = _blame(told[first], status)
        if unknown and 400 <= status < 500 and status != TOO_LARGE:
            work.tally.rows += work.doubts.refused(claimed, first, status, told[first])
        else:
            exceptions = {s: o for s, o in told.items() if o.status is not Status.DELIVERED}
            self.journal.settle(claimed.claim, "delivered", status, exceptions, claimed.quiet_until)
            took_one = len(exceptions) < len(rows)
            if took_one:
                work.suspects.taken()
            work.tally.rows += len(rows) + (work.doubts.taken(path) if took_one else 0)
        if not _shares_commits(claimed.endpoint):
            self.journal.write()
        work.tally.warn(outcomes.warnings)
        self.after_request(work.tally)

    def _split(
        self,
        work: _Work,
        claimed: Claimed,
        kind: Kind,
        rows: Sequence[Row],
        status: int,
        told: Mapping[int, Outcome],
    ) -> Steps[None]:
        """Send the rows again in parts: without those the answer names, or else in halves."""
        self.journal.settle(claimed.claim, "split", status)
        work.tally.retried += 1
        failed = (Status.REJECTED, Status.LATER)
        named = {seq: outcome for seq, outcome in told.items() if outcome.status in failed}
        drop = not 200 <= status < 300 and 0 < len(named) <= MOST_NAMED
        for seq, outcome in named.items() if drop else ():
            alone = self.journal.claim(work.plan_id, seq, seq, kind, "")
            self.journal.settle(alone, "delivered", status, {seq: outcome}, claimed.quiet_until)
            work.tally.rows += 1
        for part in between(rows, named) if drop else halves(rows):
            yield from self._deliver(work, kind, part, quiet_until=claimed.quiet_until)

    def _read(
        self, work: _Work, claimed: Claimed, kind: Kind, rows: Sequence[Row], response: Response
    ) -> Steps[tuple[Response, Outcomes]]:
        """Let the connector read the answer, and ask on while it is a job that is not done."""
        path, put_off = claimed.endpoint.path, 0.0
        outcomes = self.destination.decode(kind, rows, response)
        while isinstance(outcomes, FollowUp):
            put_off += max(outcomes.seconds, policy.BACKOFF_BASE)
            if outcomes.seconds > policy.LONGEST_WAIT or put_off > policy.LONGEST_THROTTLE:
                self.journal.settle(claimed.claim, "retry", response.status)
                raise Incomplete(f"{path}: the job it took does not end")
            yield Pause(outcomes.seconds)
            claimed = replace(claimed, request=outcomes.request, began=True)
            answer = yield from work.caller.answer(claimed, rows=())
            assert answer is not None  # noqa: S101 - of no rows, none is held back
            response = answer
            outcomes = self.destination.decode(kind, rows, response)
        if outcomes.rest.code == UNREADABLE and 200 <= response.status < 300:
            self.journal.settle(claimed.claim, "retry", response.status)
            raise Incomplete(f"{path}: an answer that cannot be read")
        return response, redacted(outcomes, rows)


@dataclass(frozen=True, slots=True)
class _Work:
    """One run of the sender on one plan."""

    plan_id: str
    caller: Caller
    doubts: Doubts
    suspects: Suspects
    tally: Tally


def _shares_commits(endpoint: Endpoint) -> bool:
    """Return whether an answer may be written together with the next claim.

    Should the process die in between, the request is repeated. Where requests are seldom there is
    time to write at once, and where a repeat is a second event it is not worth it.
    """
    return endpoint.dedup is not Dedup.NONE and paced(endpoint.windows).permits > 1


def _blame(outcome: Outcome, status: int) -> Outcome:
    """Turn an unexplained answer about a single row into that row's outcome."""
    permanent = 400 <= status < 500
    return Outcome(
        Status.REJECTED if permanent else Status.LATER,
        outcome.code or f"http_{status}",
        outcome.field,
        outcome.detail,
    )
