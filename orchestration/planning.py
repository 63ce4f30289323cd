"""One plan: desired versus acknowledged, rendered, numbered, counted and guarded.

Everything is left in temporary tables of one connection; `plan_store` keeps it, if it is kept.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from destinations.errors import ConfigError, DataError
from orchestration.desired import events, membership, traits
from orchestration.desired.addresses import members, unusable, users
from orchestration.desired.columns import mapping_of
from orchestration.desired.scope import QUIET, Mode, Scope
from orchestration.framing import estimate
from orchestration.plan import Plan
from orchestration.plan_guard import Limits, reasons_to_hold
from orchestration.plan_history import first_at, gather, put_fields, put_unapproved
from orchestration.sql.names import text
from orchestration.sql.scalars import set_hash
from orchestration.versions import number, still_later


def make_plan(scope: Scope, *, limits: Limits, now: datetime) -> Plan:
    """Work out what to send and leave it in temporary tables of this connection.

    Returns verdict `empty`, `held` (with reasons) or `ready`; nothing is stored.

    Raises:
        ConfigError: a mapped column does not exist or cannot be sent.
        DataError: a relation holds a user twice.
    """
    _check_mode(scope)
    began = first_at(scope.warehouse, scope.sync)
    plan = Plan(
        scope.sync.key, "empty", scope.as_of, mode=scope.mode.value, mapping=mapping_of(scope)
    )
    if scope.sync.options.sends == "events":
        plan = _events(scope, plan, began, now)
    elif scope.sync.options.sends == "traits":
        plan = _traits(scope, plan)
    else:
        plan = _membership(scope, plan)
    number(scope, now)
    # One row per op_id was numbered: more come of rows that stand twice where they came from.
    _check_repeated(scope, "select count(*) - coalesce(max(seq), 0) from tailrace_ops")
    counts = dict(scope.warehouse.rows("select op, count(*) from tailrace_ops group by op"))
    ((silent,),) = scope.warehouse.rows("select count(*) from tailrace_keyed where kind is null")
    if scope.mode is Mode.NONE:
        ((silent,),) = scope.warehouse.rows("select count(*) from tailrace_rebased")
    unsendable = _count(scope, "tailrace_keyed where bad_field is not null")
    put_unapproved(scope, now)
    put_fields(scope)
    facts = gather(scope, began, limits)
    found = reasons_to_hold(facts, limits) if scope.mode not in QUIET else []
    cost = estimate(scope)
    return replace(
        plan,
        verdict="empty" if not counts else "held" if found else "ready",
        plan_hash=_plan_hash(scope),
        reasons=tuple(sentence for _, sentence in found),
        rules=tuple(rule for rule, _ in found),
        counts=counts,
        silent=silent,
        unsendable=unsendable,
        unapproved=facts.counted,
        calls=cost.calls,
        bytes=cost.bytes,
        seconds_at_limit=cost.seconds,
    )


def _check_mode(scope: Scope) -> None:
    """Refuse what cannot mean anything for this kind of sync.

    Raises:
        ConfigError: events sent again, or a journey begun again for everybody.
    """
    sends, kind = scope.sync.options.sends, scope.sync.options.as_
    why = None
    if scope.mode is Mode.REASSERT and sends == "events":
        why = "an event is sent once; `tailrace retry` takes up what was refused"
    elif scope.mode is Mode.REASSERT and membership.repeats_are_events(scope):
        why = "this destination would take each repeat for a new event"
    elif scope.mode in (Mode.ALL, Mode.NONE) and (sends == "events" or kind == "track"):
        why = "an event carries its columns as they were; a mapping changes only what comes next"
    if why:
        raise ConfigError(why, file=scope.sync.file, key=f"--{scope.mode.value}")


def _traits(scope: Scope, plan: Plan) -> Plan:
    _put(scope, "tailrace_suspects", traits.suspects(scope))
    skipped = _drop_unaddressed(scope, "tailrace_suspects", "not is_gone")
    _put(scope, "tailrace_rivals", traits.rivals(scope))
    _put(scope, "tailrace_winners", traits.winners(scope))
    barred = _count(scope, "tailrace_winners where is_barred and agreed")
    _check_repeated(scope, traits.REPEATED)
    scope.warehouse.execute(
        "delete from tailrace_suspects as s where not s.is_gone and not exists ("
        "select 1 from tailrace_winners as w where w.dest_key = s.dest_key "
        "and w.user_id = s.user_id and w.agreed and not w.is_barred)"
    )
    _drop(scope, "tailrace_rivals", "tailrace_winners")
    _put(scope, "tailrace_rendered", traits.rendered_changes(scope))
    _drop(scope, "tailrace_suspects")
    gone = _count(scope, "tailrace_rendered where is_gone")
    if scope.sync.options.on_gone == "leave" or scope.mode is not Mode.NORMAL:
        scope.warehouse.execute("delete from tailrace_rendered where is_gone")
    elif gone:
        never = scope.barred("user_id", "dest_key")
        scope.warehouse.execute(f"delete from tailrace_rendered where is_gone and {never}")
    _put_rebased(scope, "tailrace_rendered", traits.rebased(scope))
    scope.warehouse.execute(f"delete from tailrace_rendered where {traits.unchanged(scope)}")
    _silence(scope)
    no_consent = _without_consent(scope, f"({users(scope)}) as u where not tailrace_agreed")
    return replace(plan, skipped=skipped, gone=gone, no_consent=no_consent, suppressed=barred)


def _membership(scope: Scope, plan: Plan) -> Plan:
    _put(scope, "tailrace_changes", membership.membership_changes(scope))
    skipped = _drop_unaddressed(scope, "tailrace_changes", "is_in")
    barred = _count(scope, "tailrace_changes where is_barred")
    scope.warehouse.execute("delete from tailrace_changes where is_barred")
    if scope.relations.emails is None:
        _check_repeated(scope, "select count(*) from tailrace_changes where is_repeated")
    _silence_moves(scope)
    _put(scope, "tailrace_left", membership.left_at(scope))
    _put(scope, "tailrace_rendered", membership.rendered_changes(scope))
    _check_repeated(scope, "select count(*) - count(distinct dest_key) from tailrace_rendered")
    _put_rebased(scope, "tailrace_rendered", membership.rebased(scope))
    _silence(scope)
    everybody = members(scope, membership.open_stays(scope))
    no_consent = _without_consent(scope, f"({everybody}) as u where not agreed")
    return replace(plan, skipped=skipped, no_consent=no_consent, suppressed=barred)


def _events(scope: Scope, plan: Plan, began: datetime | None, now: datetime) -> Plan:
    window = events.event_window(scope, began, still_later(scope, now))
    _put(scope, "tailrace_rendered", events.rendered_events(scope, window))
    bad = unusable(scope, "dest_key")
    ((skipped,),) = scope.warehouse.rows(
        f"select count(distinct user_id) from tailrace_rendered where {bad}"
    )
    scope.warehouse.execute(f"delete from tailrace_rendered where {bad}")
    _put_rebased(scope, "tailrace_rendered", "false")
    _silence(scope)
    return replace(plan, skipped=skipped, too_late=events.too_late(scope, window.since))


def _put(scope: Scope, table: str, select: str) -> None:
    scope.warehouse.execute(f"create or replace temp table {table} as {select}")


def _drop(scope: Scope, *tables: str) -> None:
    """Make room: a plan of millions of ops is as large as what it is made of."""
    for table in tables:
        scope.warehouse.execute(f"drop table {table}")


def _drop_unaddressed(scope: Scope, table: str, candidates: str) -> int:
    """Leave out users without a usable identifier, and count them."""
    bad = f"({candidates}) and {unusable(scope, 'dest_key')}"
    ((skipped, found),) = scope.warehouse.rows(
        f"select count(distinct user_id), count(*) from {table} where {bad}"
    )
    if found:
        scope.warehouse.execute(f"delete from {table} where {bad}")
    return int(skipped)


def _check_repeated(scope: Scope, count: str) -> None:
    """Refuse relations that hold a user twice: every op would be made twice."""
    ((repeated,),) = scope.warehouse.rows(count)
    if repeated:
        both = dict.fromkeys((scope.relations.traits, scope.relations.model))
        raise DataError(
            f"{' or '.join(both)} holds {repeated:,} users twice; there must be one row per "
            "user_id, and nothing is concluded until there is"
        )


def _silence_moves(scope: Scope) -> None:
    """Keep quiet about people who are in as before, under another address."""
    select = membership.moved_away(scope)
    if select is None:
        return
    _put(scope, "tailrace_moved", select)
    ((moved,),) = scope.warehouse.rows("select count(*) from tailrace_moved")
    if not moved:
        return
    scope.warehouse.execute(
        "update tailrace_changes set is_silent = true where dest_key in ("
        f"select dest_key from tailrace_moved union all ({membership.moved_in(scope)}))"
    )


def _put_rebased(scope: Scope, table: str, condition: str) -> None:
    """Set aside what is no change: it is only known by another hash, or by no quick one."""
    quick = "quick" if scope.sync.options.sends == "traits" else "cast(null as ubigint) as quick"
    select = "select '' as dest_key, '' as row_hash, cast(null as ubigint) as quick where false"
    if condition != "false":
        select = f"select dest_key, row_hash, {quick} from {table} where {condition}"
    _put(scope, "tailrace_rebased", select)
    if condition != "false":
        scope.warehouse.execute(
            f"delete from {table} where dest_key in (select dest_key from tailrace_rebased)"
        )


def _silence(scope: Scope) -> None:
    """What the destination is assumed to have is acknowledged without a call."""
    if scope.mode is Mode.ASSUME_SENT:
        scope.warehouse.execute("update tailrace_rendered set kind = null")
    elif scope.mode is Mode.NONE:
        scope.warehouse.execute("delete from tailrace_rendered")


def _without_consent(scope: Scope, relation: str) -> int:
    return _count(scope, relation, "count(distinct user_id)") if scope.asks_consent() else 0


def _count(scope: Scope, relation: str, what: str = "count(*)") -> int:
    ((found,),) = scope.warehouse.rows(f"select {what} from {relation}")
    return int(found)


def _plan_hash(scope: Scope) -> str:
    """Return a digest of what is to be sent, whatever the order it is sent in."""
    parts = [text(scope.mode.value), "count(*)", set_hash("op_id || op || row_hash")]
    ((digest,),) = scope.warehouse.rows(
        f"select sha256(concat_ws(',', {', '.join(parts)})) from tailrace_ops"
    )
    return str(digest)
