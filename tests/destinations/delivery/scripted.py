"""An endpoint that does as a test says, the connector for it, and a journal that can crash."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

from destinations.base import (
    UNREADABLE,
    Context,
    Dedup,
    Endpoint,
    FollowUp,
    Kind,
    Locates,
    Outcome,
    Outcomes,
    PayloadSpec,
    Request,
    Response,
    Row,
    Secret,
    Status,
    SyncShape,
    Window,
)
from destinations.delivery.calling import Tally
from destinations.delivery.journal import Journal
from destinations.delivery.limiter import Limiter
from destinations.delivery.opening import open_journal
from destinations.delivery.sender import Sender
from destinations.delivery.steps import Ending
from destinations.delivery.transport import Failed, Transport
from destinations.delivery.wire import OneByOne, Wire
from tests.conftest import FakeClock

PLAN = "p-1"
OK = Response(200, {}, b'{"ok": true}')


def endpoint(path: str = "/track", **changes: Any) -> Endpoint:
    made = Endpoint(
        path, (Window(1000, 1.0),), 10, 100_000, 1000, Dedup.UPSERT, Locates.NOTHING, timeout=5.0
    )
    return replace(made, **changes)


def make_rows(count: int, size: int = 1) -> list[Row]:
    return [
        Row(seq, f"u{seq}", f"op-{seq}", seq * 1_000_000, 1, json.dumps("x" * size).encode())
        for seq in range(1, count + 1)
    ]


class Scripted:
    """Rows as `{"rows": [[seq, op_id, payload], ...]}`; answers as `{"ok": true, ...}`.

    An answer may have `failed` (code by op_id), `later` (the same), `delivered` (op_ids, if the
    rest is not), `unknown` (op_ids) and `job` (seconds to come back after).
    """

    base_url = "https://api.example.com"
    identifier = "user_id"
    auth: Mapping[str, Secret] = {}
    endpoints: Mapping[Kind, Endpoint] = {
        Kind.TRACK: endpoint(),
        Kind.IDENTIFY: endpoint("/identify"),
    }

    def columns(self, kind: Kind, sync: SyncShape) -> PayloadSpec:
        return PayloadSpec("id", "fields")

    def prepare(self, kind: Kind, sync: SyncShape) -> Request | None:
        return None

    def encode(self, kind: Kind, rows: Sequence[Row], context: Context) -> Request:
        shown = [[row.seq, row.op_id, json.loads(row.payload)] for row in rows]
        return Request("POST", f"/{kind}", json.dumps({"rows": shown}).encode())

    def decode(self, kind: Kind, rows: Sequence[Row], response: Response) -> Outcomes | FollowUp:
        try:
            body = json.loads(response.body)
        except ValueError:
            body = {}
        ok = 200 <= response.status < 300
        if "job" in body:
            return FollowUp(Request("GET", "/job"), body["job"])
        if not ok or "ok" not in body:
            return Outcomes(
                Outcome(Status.UNKNOWN, f"http_{response.status}" if not ok else UNREADABLE)
            )
        told = {
            **{op: Outcome(Status.REJECTED, code) for op, code in body.get("failed", {}).items()},
            **{op: Outcome(Status.LATER, code) for op, code in body.get("later", {}).items()},
            **{op: Outcome(Status.UNKNOWN, "unnamed") for op in body.get("unknown", [])},
            **{op: Outcome(Status.DELIVERED) for op in body.get("delivered", [])},
        }
        rest = Outcome(
            Status.DELIVERED if body["ok"] else Status.REJECTED, "" if body["ok"] else "all"
        )
        exceptions = {row.seq: told[row.op_id] for row in rows if row.op_id in told}
        return Outcomes(rest, exceptions, body.get("warnings", {}))

    def pause(self, response: Response) -> float | None:
        if not response.body.startswith(b"{"):
            return None
        seconds = json.loads(response.body).get("pause")
        return None if seconds is None else float(seconds)


Answer = Callable[[Request], Response | Failed]


@dataclass
class ScriptedTransport:
    """Asks `answer` for every request and keeps the bodies."""

    answer: Answer
    bodies: list[bytes] = field(default_factory=list)

    def send(self, request: Request, *, timeout: float) -> Response | Failed:
        self.bodies.append(request.body)
        return self.answer(request)

    def close(self) -> None:
        return


def script(*answers: Response | Failed) -> Answer:
    """Answer one after the other, then OK."""
    left = list(answers)
    return lambda request: left.pop(0) if left else OK


def seqs(body: bytes) -> list[int]:
    return [row[0] for row in json.loads(body)["rows"]]


@dataclass
class Delivery:
    """A plan of rows, its journal, and as many runs of the sender as a test wants."""

    rows: list[Row]
    path: Path
    clock: FakeClock
    kinds: Mapping[int, Kind] = field(default_factory=dict)
    endpoints: Mapping[Kind, Endpoint] = field(default_factory=lambda: Scripted.endpoints)
    tally: Tally = field(default_factory=Tally)
    bodies: list[bytes] = field(default_factory=list)
    wrap: Callable[[Journal], Any] = lambda journal: journal
    durable: bool = False
    ordered: bool = True
    ending: Ending = field(default_factory=Ending)
    make_wire: Callable[[Transport], Wire] = OneByOne

    @contextmanager
    def journal(self) -> Iterator[Journal]:
        opened = open_journal(self.path, warehouse_id="w", known_id=None, clock=self.clock)
        if not self.durable:
            opened._con.execute("pragma synchronous = off")
        with closing(opened):
            yield opened

    def run(self, answer: Answer, random: Random | None = None) -> Tally:
        """Send what is left; returns what this run did."""
        self.tally = Tally()
        transport = ScriptedTransport(answer, self.bodies)
        with self.journal() as journal:
            sender = Sender(
                destination=Scripted(),
                context=Context(SyncShape("s")),
                journal=self.wrap(journal),
                limiter=Limiter(journal, self.clock),
                wire=self.make_wire(transport),
                clock=self.clock,
                random=random or Random(1),
                endpoints=self.endpoints,
                after_request=lambda tally: None,
                ordered=self.ordered,
                ending=self.ending,
            )
            sender.send(PLAN, len(self.rows), self.read, self.tally)
        return self.tally

    def read(self, seq_from: int, seq_to: int) -> Iterator[tuple[Kind, Iterable[Sequence[Row]]]]:
        rows = self.rows[seq_from - 1 : seq_to]
        for kind, run in groupby(rows, lambda row: self.kinds.get(row.seq, Kind.TRACK)):
            yield kind, [list(run)]

    def outcomes(self) -> dict[int, str]:
        """Return what the journal says of each row: its newest claim, and exceptions of that."""
        with self.journal() as journal:
            claims = sorted(journal.claims(PLAN), key=lambda claim: claim.attempt)
            _, failures = journal.unexported()
        failed = {(failure.claim_id, failure.seq): failure for failure in failures}
        found: dict[int, str] = {}
        for claim in claims:
            for seq in range(claim.seq_from, claim.seq_to + 1):
                failure = failed.get((claim.claim_id, seq))
                found[seq] = f"{failure.status}:{failure.code}" if failure else str(claim.outcome)
        return found

    def claims(self) -> list[tuple[int, int, str | None]]:
        with self.journal() as journal:
            return [(c.seq_from, c.seq_to, c.outcome) for c in sorted(journal.claims(PLAN))]
