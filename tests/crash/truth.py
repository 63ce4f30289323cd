"""What the endpoint has, compared with what is true in the warehouse."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from destinations.sandbox.settings import LOST
from tests.crash.journals import read_journal
from tests.crash.life import Life
from tests.crash.project import FORGOTTEN, SYNCS

MOST_RUNS = 10
_KINDS = {"/api/users/bulkUpdate": "identify", "/api/events/trackBulk": "track"}


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a life.

    `excusable` is how many duplicates there may be: the rows of requests that were under way when
    a process died, or whose answer the endpoint cut off.
    """

    kills: int
    ops: int
    lost: int
    wrong: int
    duplicates: int
    excusable: int


def settle_down(life: Life) -> None:
    """Run all syncs until nothing is left; nothing dies."""
    for _ in range(MOST_RUNS):
        child = life.start("sync", "--json")
        code = child.wait()
        assert code in (0, 4), f"{code}\n{child.out}\n{child.err}"
        if code == 0:
            return
    raise AssertionError(f"incomplete for {MOST_RUNS} runs: {child.out}")


def compare(life: Life) -> Found:
    """Compare endpoint, warehouse and journal after all was delivered.

    What is counted here is asserted by the tests; what may never be, whatever was killed, is
    asserted at once.
    """
    profiles = _profiles(life)
    wrong = _wrong_traits(life, profiles) + _wrong_flags(life, profiles) + _wrong_journeys(life)
    arrived, repeated = _events(life)
    ops = _ops(life)
    lost = len(_orders_due(life) - arrived) + len(ops.events - arrived)
    extra = _arrivals(life) - ops.delivered
    lost += sum(-rows for rows in extra.values() if rows < 0)
    assert arrived <= ops.tried, "an event that no plan holds"
    _all_settled(life)
    _same_bytes(life)
    bound = life.in_flight + _cut_off(life)
    duplicates = Counter(identify=max(0, extra["identify"]), track=repeated)
    for kind, rows in duplicates.items():
        assert rows <= bound[kind], f"{rows} duplicates of {kind}, at most {bound[kind]} excused"
    return Found(life.kills, ops.delivered.total(), lost, wrong, duplicates.total(), bound.total())


@dataclass(frozen=True, slots=True)
class _Ops:
    delivered: Counter[str]
    events: frozenset[str]
    tried: frozenset[str]


def _ops(life: Life) -> _Ops:
    """Return how many ops were delivered, which event ids those have, and which any op has."""
    rows = life.world.rows(
        "select o.kind, o.op_id, r.outcome from tailrace.plan_ops as o "
        "inner join tailrace.op_outcomes as r on o.plan_id = r.plan_id and o.seq = r.seq"
    )
    delivered = [(kind, op_id) for kind, op_id, outcome in rows if outcome == "delivered"]
    return _Ops(
        Counter(kind for kind, _ in delivered),
        frozenset(op_id for kind, op_id in delivered if kind == "track"),
        frozenset(op_id for kind, op_id, _ in rows if kind == "track"),
    )


def _read(life: Life, sql: str) -> list[Any]:
    with closing(sqlite3.connect(life.world.sandbox)) as con:
        return con.execute(sql).fetchall()


def _profiles(life: Life) -> dict[str, dict[str, Any]]:
    found = _read(life, "select email, fields from profiles")
    return {email.removesuffix("@example.com"): json.loads(fields) for email, fields in found}


def _reachable(life: Life) -> set[str]:
    return {user for user in life.scores if f"{user}@example.com" != FORGOTTEN}


def _wrong_traits(life: Life, profiles: dict[str, dict[str, Any]]) -> int:
    return sum(
        profiles.get(user, {}).get("score") != life.scores[user] for user in _reachable(life)
    )


def _wrong_flags(life: Life, profiles: dict[str, dict[str, Any]]) -> int:
    """Nobody who never was a member is told anything."""
    wrong = 0
    for user in _reachable(life):
        told = profiles.get(user, {}).get("loyal")
        never = user not in life.were_members
        wrong += told is not None if never else bool(told) is not (user in life.members)
    return wrong


def _wrong_journeys(life: Life) -> int:
    """Every user's last event of the audience says what is true now."""
    last: dict[str, str] = {}
    for email, name in _read(
        life,
        "select p.email, e.event_name from events as e join profiles as p on e.profile_id = p.id "
        "where e.event_name like 'Audience %' order by e.created_at, e.rowid",
    ):
        last[email.removesuffix("@example.com")] = name
    inside = {user for user, name in last.items() if name == "Audience Entered"}
    told = _reachable(life) & life.members
    return len(inside ^ told) + len(set(last) - life.were_members)


def _events(life: Life) -> tuple[frozenset[str], int]:
    """Return the ids of the events that are there, and how often one came again."""
    rows = _read(life, "select id, times_received from events")
    return frozenset(key for key, _ in rows), sum(times - 1 for _, times in rows)


def _orders_due(life: Life) -> frozenset[str]:
    """Return the op ids of the orders that were made; each of them is due exactly once."""
    rows = life.world.rows("select event_id, op_id from tailrace.sent_events")
    made = dict(life.world.rows("select event_id, user_id from analytics.events"))
    assert {event_id for event_id, _ in rows} == set(made), "an order that no plan carries"
    reachable = _reachable(life)
    return frozenset(op_id for event_id, op_id in rows if made[event_id] in reachable)


def _arrivals(life: Life) -> Counter[str]:
    """Return how many rows the endpoint took, by kind, however often each."""
    rows: Counter[str] = Counter()
    for path, accepted in _read(life, "select path, accepted from calls where method = 'POST'"):
        rows[_KINDS[path]] += accepted
    return rows


def _cut_off(life: Life) -> Counter[str]:
    """Return how many rows were in requests whose answers the endpoint cut off."""
    rows: Counter[str] = Counter()
    calls = _read(life, "select path, items from calls where method = 'POST' order by seq")
    for fault, (path, items) in zip(life.script, calls, strict=False):
        rows[_KINDS[path]] += items * (fault == LOST)
    return rows


def _all_settled(life: Life) -> None:
    """Every op of a plan that is done has an outcome, and the warehouse knows all of them."""
    with read_journal(life.journal) as con:
        untold = "select 1 from claims where exported = 0 and settled_at is not null"
        assert not con.execute(untold).fetchall(), "an answer that the warehouse does not know"
    unfinished = life.world.rows(
        "select p.plan_id, p.status, o.seq, o.outcome from tailrace.plans as p "
        "left join tailrace.op_outcomes as o on p.plan_id = o.plan_id "
        "where p.status <> 'superseded' "
        "and (p.status <> 'done' or coalesce(o.outcome, '') not in ('delivered', 'rejected'))"
    )
    assert unfinished == [], "done, and some of it was not sent"


def _same_bytes(life: Life) -> None:
    """A range that is sent again is sent byte for byte."""
    with read_journal(life.journal) as con:
        changed = con.execute(
            "select plan_id, seq_from, seq_to from claims where body_sha256 <> '' "
            "group by plan_id, seq_from, seq_to having count(distinct body_sha256) > 1"
        ).fetchall()
    assert changed == []


def nothing_is_due(life: Life) -> None:
    plans = json.loads(life.run("plan", "--json").out)["syncs"]
    assert {plan["sync"]: plan["verdict"] for plan in plans} == dict.fromkeys(SYNCS, "empty")
