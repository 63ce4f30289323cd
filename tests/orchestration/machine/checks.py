"""The invariants that are looked at while something happens; each names what is broken."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from orchestration.desired.scope import Mode
from orchestration.memberships import Evaluation
from orchestration.sync_runs import SyncRun
from tests.orchestration.machine.ledger import Silent
from tests.orchestration.machine.syncs import AUDIENCE, MOST_EXITS, QUIET
from tests.orchestration.machine.vendor import Call, Sent

if TYPE_CHECKING:
    from tests.orchestration.machine.lab import Lab

MAX_AGE = timedelta(hours=6)
EXITS = {"Told out", "Heard out"}


def evaluation_is_right(lab: Lab, found: Evaluation) -> None:
    """What is counted is what changes; too many exits are held; half a build concludes nothing."""
    truth = lab.truth
    whole = truth.built_at is not None and truth.built_at == truth.audience_at
    assert (found.status != "failed") == whole, f"{found} of a build that is whole: {whole}"
    if not whole:
        return
    before, wanted = truth.committed or frozenset(), truth.wanted()
    counted = (found.entered, found.exited, found.members)
    expected = (len(wanted - before), len(before - wanted), len(wanted))
    assert counted == expected, f"(entered, exited, members) {counted} instead of {expected}"
    people, barred = {truth.person(user) for user in wanted}, truth.barred()
    left = [
        user for user in before - wanted if user not in barred and truth.person(user) not in people
    ]
    if len(left) > MOST_EXITS:
        assert found.status == "held", f"{len(left)} users left and it was {found.status}"


def may_be_approved(lab: Lab, held_id: str, exits: int | None) -> tuple[bool, str]:
    """Work out whether an approval is in order: held, the right number, nothing newer."""
    truth, world = lab.truth, lab.world
    plans = world.rows(
        'select status, as_of, "exit" + "delete" from tailrace.plans where plan_id = ?', [held_id]
    )
    if plans:
        ((status, as_of, leave),) = plans
        is_newer = truth.built_at is not None and truth.built_at > as_of.replace(tzinfo=UTC)
    else:
        ((status,),) = world.rows(
            "select status from tailrace.evaluations where evaluation_id = ?", [held_id]
        )
        as_of, members = truth.held[held_id]
        leave = len((truth.committed or frozenset()) - members)
        is_newer = any(point > as_of for point in truth.points)
    if held_id in truth.spoiled:
        return False, "somebody in it was forgotten"
    if status != "held":
        return False, f"it is {status}"
    if exits != leave and not (exits is None and not leave):
        return False, f"{leave} leave, not {exits}"
    return not is_newer, "there is something newer"


def forgotten_are_theirs(lab: Lab, users: set[str], keys: set[str]) -> None:
    """With somebody go their keys, and none that is only others' and was last told of others."""
    truth = lab.truth
    rows = [row for known in lab.ledger.acked.values() for row in known.items()]
    told = {key for key, known in rows if known.user_id in users}
    for user_id, key in ((user_id, truth.key_of(user_id)) for user_id in truth.built):
        if key is None:
            continue
        assert user_id not in users or key in keys, f"{key} of {user_id} is not forgotten"
        owners = {other for other in truth.built if truth.key_of(other) == key}
        assert key not in keys - told or owners & users, (
            f"{key} is forgotten, and is of {owners} only"
        )


def decisions(lab: Lab) -> list[tuple[object, ...]]:
    """Return all that an approval may change, and what a plan may leave behind."""
    return lab.world.rows(
        "select evaluation_id as id, status, '' as how from tailrace.evaluations "
        "union all select plan_id, status, ops::varchar from tailrace.plans "
        "union all select user_id, entered_at::varchar, exited_at::varchar "
        "from tailrace.membership_intervals "
        "union all select sync || dest_key, version_issued::varchar, op from tailrace.acked "
        "order by all"
    )


def call_is_right(lab: Lab, name: str, call: Call, began: datetime) -> None:
    """Nothing is sent but the rows of a plan that was let through, and of nobody suppressed."""
    world, key = lab.world, lab.names[name]
    plans = world.rows(
        "select plan_id, ready_at from tailrace.plans where sync = ? and status = 'delivering'",
        [key],
    )
    assert len(plans) == 1, f"{key} sends from {len(plans)} plans"
    ((plan_id, ready_at),) = plans
    assert ready_at is not None, f"{key} sends from {plan_id}, which was never let through"
    age = began - ready_at.replace(tzinfo=UTC)
    assert age <= MAX_AGE, f"{key} sends from a plan that is {age} old"
    audience = AUDIENCE if lab.said[name].sends == "membership" else ""
    held = world.rows(
        "select evaluation_id from tailrace.evaluations where audience = ? and status = 'held'",
        [audience],
    )
    assert not held or name in lab.retired, f"{key} sends while {held} waits for approval"
    rows = world.rows(
        "select dest_key, op_id, epoch(occurred_at)::bigint, payload::json, user_id, op "
        "from tailrace.plan_ops where plan_id = ?",
        [plan_id],
    )
    for row in call.rows:
        _row_is_right(lab, name, call, row, rows)


def _row_is_right(
    lab: Lab, name: str, call: Call, row: Sent, ops: list[tuple[object, ...]]
) -> None:
    truth = lab.truth
    planned = [
        op
        for op in ops
        if (op[0], op[3] is None) == (row.key, False)
        and json.loads(str(op[3])) == row.payload
        and (not call.is_track or (op[1], op[2]) == (row.op_id, row.created_at))
    ]
    assert planned, f"{name} sends a row that its plan does not hold: {row}"
    assert row.key not in truth.suppressed, f"{name} sends to {row.key}, who is suppressed"
    users = {str(op[4]) for op in planned}
    assert not users & truth.suppressed, f"{name} sends about {users}, who are suppressed"
    if row.name in EXITS or row.fields.get(AUDIENCE) is False:
        assert row.key in truth.inside_once[name], f"{row.key} never was in, and {name} says out"


def run_is_right(lab: Lab, name: str, run: SyncRun, mode: Mode) -> None:
    """A held audience sends nothing; a plan that makes no call makes none."""
    if mode in QUIET:
        assert run.calls == 0, f"{name} made {run.calls} calls where it was to make none"
    if run.status == "held":
        assert run.reasons, f"{name} is held and does not say why"
    said = lab.said[name]
    held = lab.world.rows(
        "select 1 from tailrace.evaluations where audience = ? and status = 'held'", [AUDIENCE]
    )
    if held and said.sends == "membership" and name not in lab.retired:
        assert (run.status, run.calls) == ("held", 0), f"{name} is {run.status} in spite of a hold"


def silence_is_right(lab: Lab, name: str, silent: list[Silent], mode: Mode) -> None:
    """Without a call is acknowledged only who moved, where that is not worth an event."""
    if mode is Mode.ASSUME_SENT or not silent:
        return
    truth, inside = lab.truth, lab.inside(name)
    assert lab.said[name].silent_moves, f"{name} acknowledged {silent} without a call"
    moved = set()
    for row in silent:
        if row.op == "exit":
            person = truth.person(row.user_id)
            there = [k for k, users in inside.items() if person in map(truth.person, users)]
            assert there, f"{name} does not tell {row.key} that they left; they are nowhere in"
            moved.add(person)
    for row in silent:
        if row.op != "exit":
            people = {truth.person(user) for user in inside.get(row.key, set())}
            assert people, f"{name} takes {row.key} for told, who is not in"
            assert people <= moved, f"{name} does not tell {row.key} of {people - moved}"
