"""A model of a messaging tool behind the Transport protocol: what it holds, and how it fails."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from destinations.base import Dedup, Request, Response
from destinations.delivery.transport import Failed
from tests.support.dying import Crash
from tests.support.world import TestClock

QUIESCENCE = 60.0
FAULTS = (
    "lost before", "lost after", "late", "kill before", "kill after", "kill late", "500", "429",
    "busy", "down", "dark", "401", "garbage", "refused", "conflict", "unreachable",
)  # fmt: skip
LOST = Failed("connection lost", sent=True)
BROKEN = {
    "500": Response(500, {}, b""),
    "429": Response(429, {"retry-after": "1"}, b""),
    "busy": Response(429, {"retry-after": "90"}, b""),
    "401": Response(401, {}, b""),
    "unreachable": Failed("cannot connect", sent=False),
    "lost before": LOST,
    "down": LOST,
}
"""What is answered to a request that is not applied."""

ADDED = ("id", "createdAt", "createNewFields")


class Sent(NamedTuple):
    """One row as it came over the wire; `payload` is what SQL rendered of it."""

    key: str
    op_id: str
    created_at: int
    name: str
    fields: dict[str, Any]
    payload: dict[str, Any]


class Call(NamedTuple):
    """One request."""

    is_track: bool
    rows: tuple[Sent, ...]


@dataclass
class Event:
    """An event as the tool keeps it; `arrived` numbers first arrivals."""

    id: str
    key: str
    name: str
    created_at: int
    arrived: int
    times: int = 1


@dataclass
class Vendor:
    """Profiles and events of one project.

    Attributes:
        doubtful: op_ids that were on the wire at least once without an answer coming back.
        late: requests without an answer that will be applied yet, and when.
        keeps_order: whether a late request is applied before a later op for one of its keys. That
            the sender waits for that is promised by `unsure_until`, and not built yet (issue 4).
    """

    clock: TestClock
    dedup: Dedup
    identifier: str = "email"
    keeps_order: bool = True
    inspect: Callable[[Call], None] = lambda call: None
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    known: dict[str, Event] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    late: list[tuple[datetime, Call]] = field(default_factory=list)
    faults: deque[str] = field(default_factory=deque)
    lasting: str = ""
    calls: int = 0

    def begin(self, faults: Iterable[str]) -> None:
        """Begin a run: each request meets the next of these faults."""
        self.faults, self.lasting = deque(faults), ""

    def send(self, request: Request, *, timeout: float) -> Response | Failed:
        self.clock.sleep(0.2)
        call = _read(request, "email" if self.identifier == "email" else "userId")
        self.calls += 1
        self._catch_up(call)
        self.inspect(call)
        fault = self.lasting or (self.faults.popleft() if self.faults else "")
        if fault in ("down", "dark"):
            self.lasting = fault
        answer = self._answer(call, fault)
        if not isinstance(answer, Response) or answer.status != 200 or fault == "garbage":
            self.doubtful |= {row.op_id for row in call.rows}
        return answer

    def close(self) -> None:
        return

    def catch_up(self) -> None:
        """Apply what is late and due by now."""
        self._catch_up(None)

    def _answer(self, call: Call, fault: str) -> Response | Failed:
        if fault in BROKEN:
            return BROKEN[fault]
        if "late" in fault:
            due = self.clock.now() + timedelta(seconds=QUIESCENCE * 0.9)
            self.late.append((due, call))
        elif fault != "kill before":
            self._apply(call, call.rows[:1] if fault in ("refused", "conflict") else ())
        if fault.startswith("kill"):
            self.doubtful |= {row.op_id for row in call.rows}
            raise Crash
        if fault in ("lost after", "late", "dark"):
            return LOST
        if fault == "garbage":
            return Response(200, {}, b"<html>")
        return self._taken(call, fault)

    def _taken(self, call: Call, fault: str) -> Response:
        """Answer 200 and name who was refused: all rows of that identity."""
        lists: dict[str, list[str]] = {}
        failed = 0
        if fault in ("refused", "conflict"):
            key = call.rows[0].key
            same = [row for row in call.rows if row.key == key]
            self.refused |= {row.op_id for row in same}
            names = "Emails" if self.identifier == "email" else "UserIds"
            reason = "invalid" if fault == "refused" else "conflict"
            lists, failed = {reason + names: [key] * len(same)}, len(same)
        body = {
            "successCount": len(call.rows) - failed,
            "failCount": failed,
            "failedUpdates": lists,
        }
        return Response(200, {}, json.dumps(body).encode())

    def _catch_up(self, coming: Call | None) -> None:
        """Apply late requests that are due, or that a coming one would overtake."""
        now, waiting = self.clock.now(), self.late
        self.late = []
        for due, call in waiting:
            if now >= due or (self.keeps_order and coming and _overtakes(coming, call)):
                self._apply(call)
            else:
                self.late.append((due, call))

    def _apply(self, call: Call, refused: tuple[Sent, ...] = ()) -> None:
        keys = {row.key for row in refused}
        for row in call.rows:
            if row.key in keys:
                continue
            if call.is_track:
                self._track(row)
            else:
                _merge(self.profiles.setdefault(row.key, {}), row.fields)

    def _track(self, row: Sent) -> None:
        known = self.known.get(row.op_id)
        if known and self.dedup is not Dedup.NONE:
            known.times += 1
            if self.dedup is Dedup.UPSERT:
                known.key, known.name, known.created_at = row.key, row.name, row.created_at
            return
        event = Event(row.op_id, row.key, row.name, row.created_at, len(self.events))
        self.events.append(event)
        self.known[row.op_id] = event

    def upload(self, key: str, fields: dict[str, Any]) -> None:
        """Somebody changes a profile by hand."""
        _merge(self.profiles.setdefault(key, {}), fields)

    def delete(self, keys: set[str]) -> None:
        """Somebody deletes profiles by hand."""
        for key in keys:
            self.profiles.pop(key, None)
        self.events = [event for event in self.events if event.key not in keys]


def _overtakes(coming: Call, waiting: Call) -> bool:
    """Tell whether a request holds another row for a key of one that is not applied yet."""
    if coming.is_track != waiting.is_track:
        return False
    there = {row.key: row.payload for row in waiting.rows}
    return any(row.key in there and row.payload != there[row.key] for row in coming.rows)


def _merge(profile: dict[str, Any], fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        if value is None:
            profile.pop(name, None)
        else:
            profile[name] = value


def _read(request: Request, identifier: str) -> Call:
    body = json.loads(request.body)
    is_track = "events" in body
    rows = tuple(
        Sent(
            item[identifier],
            item.get("id", ""),
            item.get("createdAt", 0),
            item.get("eventName", ""),
            item.get("dataFields", {}),
            {name: value for name, value in item.items() if not is_track or name not in ADDED},
        )
        for item in body["events" if is_track else "users"]
    )
    return Call(is_track, rows)
