"""A messaging tool in virtual time, with a hidden truth: what arrived, what was applied, and when.

It is the wire as well: a call begins, and its answer comes when the model says. A request whose
answer is lost may be applied up to a minute later, which is what the sender is promised.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any, NamedTuple

from destinations.base import Request, Response
from destinations.delivery.transport import Failed
from tests.conftest import FakeClock
from tests.support.answers import Answers

FATES = ("ok",) * 12 + (
    "unreachable", "lost before", "lost after", "late", "late", "500", "502", "429", "429 long",
    "garbage", "401",
)  # fmt: skip
LATEST = 59.0
"""Seconds after it was sent by which a request without an answer is applied, if ever."""

TRAVEL = 0.04
LOST = Failed("connection lost", sent=True)


class Sent(NamedTuple):
    """A row as it came over the wire; `ident` tells its op from all others of its key."""

    key: str
    ident: str
    body: str
    item: dict[str, Any]


@dataclass
class Endpoint:
    """One account.

    Attributes:
        refuses: keys that are refused by name.
        poisons: keys that spoil a whole request without being named.
        spoilt: the status of the answer to such a request.
        faulty: whether calls meet faults; otherwise all is well.
        fuse: called at each point at which the process may die.
        sent: how often each row of the plan in hand went over the wire.
        excused: how often it went and no answer told that it was taken.
        rank: the place of each row in the order that its key must see.
        is_state: whether each application counts for that order, or the first alone.
        seen: the rank of what was applied last, by key.
    """

    clock: FakeClock
    answers: Answers
    random: Random
    refuses: frozenset[str]
    poisons: frozenset[str]
    spoilt: int = 400
    fuse: Callable[[], None] = lambda: None
    faulty: bool = True
    arrivals: list[float] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    bytes: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    rank: dict[str, int] = field(default_factory=dict)
    is_state: bool = True
    orders_by_time: bool = False
    seen: dict[str, int] = field(default_factory=dict)
    postponed: set[str] = field(default_factory=set)
    applied: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    profiles: dict[str, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    fates: Counter[str] = field(default_factory=Counter)
    coming: list[tuple[float, int, list[Sent]]] = field(default_factory=list)

    def start(self, number: int, request: Request, timeout: float) -> None:
        """Take a request; what becomes of it is drawn now."""
        self.fuse()
        now = self.clock.passed
        arrival = now + self.random.uniform(0.0, TRAVEL)
        rows = _read(request)
        for row in rows:
            self.sent[row.ident] += 1
            self.bytes[row.ident].add(row.body)
        fate = self.random.choice(FATES) if self.faulty else "ok"
        self.fates[fate] += 1
        if fate != "unreachable":
            self.arrivals.append(arrival)
        answer, takes = self._meet(fate, rows, number, now, arrival, timeout)
        self.answers.send_back(number, answer, takes)
        self.fuse()

    def finished(self, seconds: float | None) -> tuple[int, Response | Failed] | None:
        answered = self.answers.next(seconds)
        self.catch_up()
        return answered

    def close(self) -> None:
        self.answers.out.clear()

    def catch_up(self, until: float | None = None) -> None:
        """Apply what has come by now, in the order of time."""
        now = self.clock.passed if until is None else until
        while self.coming and self.coming[0][0] <= now:
            at, _, rows = heapq.heappop(self.coming)
            for row in rows:
                self._apply(at, row)

    def _meet(
        self, fate: str, rows: list[Sent], number: int, now: float, arrival: float, timeout: float
    ) -> tuple[Response | Failed, float]:
        quick = arrival - now + self.random.uniform(0.02, 0.6)
        if fate in ("ok", "502", "lost after", "garbage"):
            answer, taken = self._judge(rows)
            self._come(arrival, number, taken)
            if fate == "ok":
                for row in rows if answer.status != 200 else ():
                    self.excused[row.ident] += 1
                return answer, quick
        elif fate == "late":
            _, taken = self._judge(rows)
            self._come(now + self.random.uniform(0.0, LATEST), number, taken)
        for row in rows:
            self.excused[row.ident] += 1
        if fate == "429 long":
            return Response(429, {"retry-after": str(self.random.randint(5, 90))}, b""), quick
        plain: dict[str, Response | Failed] = {
            "unreachable": Failed("cannot connect", sent=False),
            "500": Response(500, {}, b""),
            "502": Response(502, {}, b""),
            "429": Response(429, {"retry-after": "1"}, b""),
            "401": Response(401, {}, b""),
            "garbage": Response(200, {}, b"<html>"),
        }
        slow = self.random.choice([quick, timeout])
        return plain.get(fate, LOST), slow if fate not in plain else quick

    def _come(self, at: float, number: int, rows: list[Sent]) -> None:
        heapq.heappush(self.coming, (at, number, rows))

    def _judge(self, rows: list[Sent]) -> tuple[Response, list[Sent]]:
        """Return the answer to a request that is read, and what it takes of it."""
        if any(row.key in self.poisons for row in rows):
            return Response(self.spoilt, {}, b'{"code":"BadParams","msg":"no"}'), []
        failed = [row.key for row in rows if row.key in self.refuses]
        conflicts = [
            row.key
            for row in rows
            if self.faulty and row.key not in failed and self.random.random() < 0.02
        ]
        self.postponed.update(conflicts)
        lists = {"invalidEmails": failed, "conflictEmails": conflicts}
        told = {name: values for name, values in lists.items() if values}
        bad = {*failed, *conflicts}
        taken = [row for row in rows if row.key not in bad]
        answer = {
            "successCount": len(taken),
            "failCount": len(rows) - len(taken),
            "failedUpdates": told,
        }
        return Response(200, {}, json.dumps(answer).encode()), taken

    def _apply(self, at: float, row: Sent) -> None:
        if self.is_state or row.ident not in self.applied:
            rank = self.rank[row.ident]
            if rank < self.seen.get(row.key, rank) and row.key not in self.postponed:
                self.wrong.append(f"{row.ident} was applied at {at:.1f} after a later one")
            self.seen[row.key] = rank
        self.applied.add(row.ident)
        event_id = row.item.get("id")
        if event_id is None:
            self.profiles[row.key].update(row.item["dataFields"])
        elif event_id not in self.events:
            self.events[event_id] = row.item


def _read(request: Request) -> list[Sent]:
    """Return the rows of a body; an op of a profile is told by its fields, an event by its id."""
    body = json.loads(request.body)
    made = []
    for item in body.get("events", body.get("users", [])):
        shown = json.dumps(item, sort_keys=True)
        made.append(Sent(item["email"], item.get("id") or ident_of(item), shown, item))
    return made


def ident_of(item: dict[str, Any]) -> str:
    """Return what tells a state of a profile from its other states."""
    return f"{item['email']} {json.dumps(item['dataFields'])}"
