"""What must hold at any time, and once faults have stopped."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from orchestration.history import members_at
from tests.orchestration.machine.syncs import AUDIENCE, TELLING

if TYPE_CHECKING:
    from tests.orchestration.machine.lab import Lab

LOOK_BACK = timedelta(days=7)


def snapshots_are_replays(lab: Lab) -> None:
    """Who was in at each committed point: by the truth, by the deltas, by the intervals."""
    changes = lab.world.rows(
        "select e.as_of, d.user_id, d.change from tailrace.evaluations as e "
        "inner join tailrace.deltas as d on e.evaluation_id = d.evaluation_id "
        "where e.audience = ? and e.status = 'committed' and d.change in ('entered', 'exited') "
        "order by e.as_of, coalesce(e.approved_at, e.evaluated_at)",
        [AUDIENCE],
    )
    members: set[str] = set()
    for at, expected in sorted(lab.truth.points.items()):
        while changes and changes[0][0].replace(tzinfo=UTC) <= at:
            _, user_id, change = changes.pop(0)
            assert (change == "exited") == (user_id in members), f"{user_id} {change} twice at {at}"
            members ^= {user_id}
        assert members == expected, f"deltas replayed up to {at}: {members}, not {expected}"
        with lab.world.connect() as warehouse:
            there = members_at(warehouse, AUDIENCE, at)
        assert there == sorted(expected), f"intervals at {at}: {there}, not {sorted(expected)}"
    assert not changes, f"changes at instants that nobody committed: {changes}"


def converged(lab: Lab) -> None:
    """The destination says what the last approved answer says, sync by sync."""
    for name, said in lab.said.items():
        if said.sends == "traits":
            traits_are_equal(lab, name)
        elif said.sends == "events":
            events_are_stored_once(lab, name)
        elif name in TELLING:
            told_in_turn(lab, name)
        else:
            states_are_equal(lab, name)


def states_are_equal(lab: Lab, name: str) -> None:
    """The boolean is true for who is in, false for who was, and absent for anybody else."""
    truth, inside = lab.truth, lab.inside(name)
    for key in {*lab.vendor.profiles, *inside}:
        profile = lab.vendor.profiles.get(key, {})
        if key not in truth.inside_once[name]:
            assert "lapsed" not in profile, f"{key} never was in {name}, and has {profile}"
        if truth.out_of_reach(key) or _left_alone(lab, name, key):
            continue
        assert profile.get("lapsed", False) is (key in inside), f"{name}: {key} has {profile}"
        if key in inside:
            level = truth.level_of(inside[key])
            assert profile.get("level") == level, f"{name}: {key} has {profile}, not {level}"


def _left_alone(lab: Lab, name: str, key: str) -> bool:
    """Tell whether a sync took its leave and was refused."""
    known = lab.ledger.acked[name].get(key)
    if name not in lab.retired or known is None:
        return False
    ops = lab.ledger.ops[name].items()
    return any(op.key == key and op_id in lab.vendor.refused for op_id, op in ops)


def traits_are_equal(lab: Lab, name: str) -> None:
    """Each profile has the fields of the user who speaks for it."""
    truth, said = lab.truth, lab.said[name]
    for key, users in truth.owners(said).items():
        profile = lab.vendor.profiles.get(key, {})
        there = {field: profile[field] for field in said.fields if field in profile}
        expected = truth.traits_of(users, said)
        assert there == expected, f"{name}: {key} has {there}, not {expected}"
    if said.clears_gone:
        owned = {truth.key_of(user_id) for user_id in truth.built}
        for key, profile in lab.vendor.profiles.items():
            if key not in owned and not truth.out_of_reach(key):
                assert "points" not in profile, f"{name}: {key} is nobody's and has {profile}"


class Step(NamedTuple):
    """One op about a key: seen at the destination, known in silence, or in doubt."""

    version: int
    is_enter: bool
    how: str


def told_in_turn(lab: Lab, name: str) -> None:
    """Told to enter, to leave, to enter ...: never twice the same, and the last is what is."""
    truth, inside = lab.truth, lab.inside(name)
    lives = _lives(lab, name)
    for key in {*lives, *inside}:
        life = sorted(lives.get(key, []))
        certain = [step for step in life if step.how != "doubt"]
        doubts = [step for step in life if step.how == "doubt"]
        for before, after in pairwise([Step(0, False, "begin"), *certain]):
            between = [
                step
                for step in doubts
                if before.version < step.version < after.version
                and step.is_enter is not after.is_enter
            ]
            assert before.is_enter is not after.is_enter or between, (
                f"{name} told {key} twice the same: {life}"
            )
        if truth.out_of_reach(key) or _left_alone(lab, name, key):
            continue
        is_in = bool(certain) and certain[-1].is_enter
        assert is_in is (key in inside), f"{name}: {key} is in: {key in inside}, told: {life}"


def _lives(lab: Lab, name: str) -> dict[str, list[Step]]:
    """Return what was said about each key, and check that it came in order."""
    names, ops = TELLING[name], lab.ledger.ops[name]
    lives: dict[str, list[Step]] = defaultdict(list)
    latest: dict[str, tuple[int, int]] = {}
    arrived = set()
    for event in sorted(lab.vendor.events, key=lambda event: event.arrived):
        if event.name not in names:
            continue
        op = ops.get(event.id)
        assert op, f"{name}: nobody planned {event}"
        assert (event.key, event.name) == (op.key, names[op.op == "exit"]), f"{event} is not {op}"
        order = (op.version, event.created_at)
        last = latest.get(op.key, (0, 0))
        assert last[0] < order[0] or event.id in arrived, f"{name}: {event} overtook {last}"
        assert last[1] <= order[1], f"{name}: {event} has an earlier time than {last}"
        latest[op.key] = max(last, order)
        if event.id not in arrived:
            lives[op.key].append(Step(op.version, op.op != "exit", "told"))
        arrived.add(event.id)
    for op_id, op in ops.items():
        if op_id not in arrived and (lab.is_rough or op_id in lab.vendor.doubtful):
            lives[op.key].append(Step(op.version, op.op != "exit", "doubt"))
    for (key, version), op in lab.ledger.silent[name].items():
        lives[key].append(Step(version, op != "exit", "silent"))
    return lives


_THROUGH = """
select distinct o.occurred_at from tailrace.plan_ops as o
inner join tailrace.plans as p on o.plan_id = p.plan_id where p.ready_at is not null
"""
_FIRST_THROUGH = """
select min(as_of) from tailrace.plans where sync = ? and ready_at is not null and event > 0
"""


def events_are_stored_once(lab: Lab, name: str) -> None:
    """Each event that was due is there, and twice only if its first way was in doubt."""
    truth, said = lab.truth, lab.said[name]
    assert truth.built_at is not None
    stored: dict[int, set[str]] = defaultdict(set)
    for event in lab.vendor.events:
        if event.name == "Order":
            assert event.id in lab.ledger.ops[name], f"{name}: nobody planned {event}"
            stored[event.created_at].add(event.id)
    ops = lab.ledger.ops[name].items()
    planned = {op.occurred_at for op_id, op in ops if op_id not in lab.vendor.refused}
    # What only ever stood in plans that nobody let through is owed if the first one that somebody
    # did let through looked back as far.
    through = {at for (at,) in lab.world.rows(_THROUGH)}
    ((first,),) = lab.world.rows(_FIRST_THROUGH, [name])
    planned = {at for at in planned if at in through or (first and at > first - LOOK_BACK)}
    for happened in truth.events[: truth.built_events]:
        ids = stored.get(int(happened.at.timestamp()), set())
        assert len(ids) < 2 or lab.is_rough or ids & lab.vendor.doubtful, (
            f"{name} stored {happened} as {ids}"
        )
        recent = happened.at > truth.built_at - LOOK_BACK
        owed = recent or happened.at.replace(tzinfo=None) in planned
        user_id, key = happened.user_id, truth.key_of(happened.user_id)
        if key and owed and truth.may(user_id, said) and happened.event_id not in lab.assumed:
            assert ids, f"{name} lost {happened}"


def nothing_is_left(lab: Lab) -> None:
    """A plan right after a clean run holds nothing."""
    for name in lab.said:
        if name not in lab.retired:
            plan = lab.dry(name)
            assert (plan.verdict, plan.ops) == ("empty", 0), (
                f"{name} was just run, and a plan holds {dict(plan.counts)} ({plan.verdict})"
            )
