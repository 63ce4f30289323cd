"""One request until there is an answer that can be read: permits, repeats, and when to give up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from random import Random

from destinations.base import Endpoint, Request, Response, Row
from destinations.clock import Clock
from destinations.delivery import policy
from destinations.delivery.breaker import Health
from destinations.delivery.journal import Journal
from destinations.delivery.limiter import JITTER_SECONDS, Ahead, Limiter, paced
from destinations.delivery.policy import Verdict
from destinations.delivery.steps import Halt, Incomplete, Pause, Steps, Stopped, answer_to
from destinations.delivery.transport import Failed

THROTTLED = Verdict.THROTTLED
SPARE = 1.25
"""Requests in flight, of what rate and mean time ask for: not every answer takes the mean."""


@dataclass(slots=True)
class Tally:
    """What a run of the sender did; counts of rows come from the warehouse, not from here."""

    calls: int = 0
    retried: int = 0
    rows: int = 0
    throttled_s: float = 0.0
    warnings: dict[str, int] = field(default_factory=dict)

    def warn(self, warnings: Mapping[str, int]) -> None:
        """Add up what the vendor took but did not keep, and what else is odd."""
        for name, count in warnings.items():
            self.warnings[name] = self.warnings.get(name, 0) + count


@dataclass(slots=True)
class Claimed:
    """A request whose rows are claimed.

    `began` tells that it may have arrived before; `quiet_until`, when no attempt without an
    answer can be under way any more, in unix seconds.
    """

    claim: int
    endpoint: Endpoint
    request: Request
    began: bool
    quiet_until: float | None = None


@dataclass(slots=True)
class _Tries:
    failed: int = 0
    throttled: int = 0
    put_off: float = 0.0

    @property
    def all(self) -> int:
        return self.failed + self.throttled


@dataclass(frozen=True, slots=True)
class Caller:
    """Gets answers from one account, within its limits and no longer than makes sense."""

    journal: Journal
    limiter: Limiter
    clock: Clock
    random: Random
    pause: Callable[[Response], float | None]
    still: Callable[[Sequence[Row]], Sequence[Row]]
    halt: Halt
    tally: Tally
    health: dict[str, Health] = field(default_factory=dict)

    def most(self, endpoint: Endpoint) -> int:
        """Return how many requests in flight keep up with the endpoint's limit."""
        seconds = self._health(endpoint).seconds
        if seconds is None or self.limiter.is_trial(endpoint.path):
            return 1
        spacing = paced(endpoint.windows).spacing
        useful = ceil(SPARE * seconds / spacing) if spacing else endpoint.concurrency
        return max(1, min(endpoint.concurrency, useful))

    def answer(
        self, claimed: Claimed, rows: Sequence[Row], *, suspect: bool = False
    ) -> Steps[Response | None]:
        """Return an answer that the connector can read, repeating the same bytes until then.

        A request that may have arrived before keeps its boundaries, even if the account is
        refused now. None if one of `rows` may not be sent any more: the claim is settled, and
        the others are to be framed again. Of rows that are `suspect` a 5xx is returned too,
        unless it says when to come back.

        Raises:
            Incomplete: the destination is down or asks for a long pause, or there is a halt.
            Stopped: the destination refuses the account or the route.
        """
        tries = _Tries()
        while True:
            began = claimed.began or tries.failed > 0
            yield from self._permit(claimed, began=began)
            if len(self.still(rows)) < len(rows):
                self.journal.settle(claimed.claim, "retry", None)
                return None
            answer = yield from self._ask(claimed)
            what, status, reason = _judge(answer)
            if isinstance(answer, Response) and (
                what is Verdict.READ or (suspect and self._just_fails(answer))
            ):
                return answer
            if what is Verdict.STOP:
                self.journal.settle(claimed.claim, "retry" if began else "refused", status)
                raise Stopped(
                    f"{claimed.endpoint.path} answered {reason}: see to the account's key and "
                    "address in destinations.yml"
                )
            wait = self._put_off(claimed.endpoint, answer, tries, throttled=what is THROTTLED)
            if wait is None:
                self.journal.settle(claimed.claim, "retry", status)
                raise Incomplete(f"{claimed.endpoint.path}: {reason}, {tries.all} attempts")
            if what is not THROTTLED:  # or else the next permit says how long
                yield Pause(wait)

    def _ask(self, claimed: Claimed) -> Steps[Response | Failed]:
        path, started = claimed.endpoint.path, self.clock.monotonic()
        self.tally.calls += 1
        answer = yield from answer_to(claimed.request, claimed.endpoint.timeout)
        if _in_doubt(answer):
            now = self.clock.now().timestamp()
            claimed.quiet_until = now + policy.quiescence([claimed.endpoint.timeout])
        if _judge(answer)[0] is Verdict.READ:
            self._health(claimed.endpoint).answered(self.clock.monotonic() - started)
            if self.limiter.is_trial(path):
                self.limiter.recovered(path)
        return answer

    def _put_off(
        self, endpoint: Endpoint, answer: Response | Failed, tries: _Tries, *, throttled: bool
    ) -> float | None:
        """Return the seconds until the same request is to be made again; None: not in this run."""
        self.tally.retried += 1
        tries.throttled, tries.failed = tries.throttled + throttled, tries.failed + (not throttled)
        wait = self._wait(answer, tries.all)
        too_long = wait > policy.LONGEST_WAIT
        if throttled:
            self.limiter.throttled(endpoint.path, endpoint, wait)
            tries.put_off += max(wait, policy.BACKOFF_BASE)
            return None if too_long or tries.put_off > policy.LONGEST_THROTTLE else wait
        health = self._health(endpoint)
        health.failed()
        if (
            too_long
            or max(tries.failed, health.failures) >= policy.MAX_ATTEMPTS
            or health.retries < 0
            or self.limiter.is_trial(endpoint.path)
        ):
            self.limiter.gave_up(endpoint.path, wait if too_long else 0.0)
            return None
        return wait

    def _permit(self, claimed: Claimed, *, began: bool) -> Steps[None]:
        """Wait for a permit, and for another one if this one comes too late to be used."""
        endpoint = claimed.endpoint
        while True:
            self._go_on(claimed, began=began)
            try:
                wait = self.limiter.take(endpoint.path, endpoint)
            except Ahead as ahead:
                self._give_back(claimed, began=began)
                raise Incomplete(f"{endpoint.path}: {ahead}") from None
            self.tally.throttled_s += wait
            late = self.clock.monotonic() + wait + JITTER_SECONDS / 2
            if wait:
                yield Pause(wait)
                self._go_on(claimed, began=began)
            if self.clock.monotonic() <= late:
                return

    def _go_on(self, claimed: Claimed, *, began: bool) -> None:
        if self.halt:
            self._give_back(claimed, began=began)
            raise Incomplete("asked to end")

    def _give_back(self, claimed: Claimed, *, began: bool) -> None:
        self.journal.settle(claimed.claim, "retry" if began else "refused", None)

    def _health(self, endpoint: Endpoint) -> Health:
        return self.health.setdefault(endpoint.path, Health())

    def _just_fails(self, answer: Response) -> bool:
        told = policy.retry_after(answer.headers, self.clock.now())
        return answer.status >= policy.SERVER_ERROR and not told

    def _wait(self, answer: Response | Failed, attempt: int) -> float:
        if isinstance(answer, Response):
            told = policy.retry_after(answer.headers, self.clock.now())
            told = told if told is not None else self.pause(answer)
            if told:  # to be told to wait 0 s is to be told nothing
                return told
        return policy.backoff(attempt, self.random.random())


def _in_doubt(answer: Response | Failed) -> bool:
    """Tell whether a request may be applied yet, or was, though the answer does not say so."""
    if isinstance(answer, Failed):
        return answer.sent
    return policy.verdict(answer.status) is Verdict.RETRY


def _judge(answer: Response | Failed) -> tuple[Verdict, int | None, str]:
    if isinstance(answer, Failed):
        return Verdict.RETRY, None, answer.reason
    return policy.verdict(answer.status), answer.status, f"HTTP {answer.status}"
