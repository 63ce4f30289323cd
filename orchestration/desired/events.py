"""Events that arrived and were not sent yet, and those that are owed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from orchestration.desired.addresses import key_of
from orchestration.desired.scope import Scope
from orchestration.sql.names import instant, text
from orchestration.sql.payloads import first_unsendable, payload
from orchestration.sql.scalars import Column, Type, json_text, row_hash

LOOK_BACK_DAYS = 7


@dataclass(frozen=True, slots=True)
class EventWindow:
    """Which events a plan may carry.

    Attributes:
        since: events that occurred before start nothing.
        received_after: how far back an event may have arrived.
        again: selects the op_ids of refused events that are to be tried once more.
    """

    since: datetime
    received_after: datetime
    again: str


def event_window(scope: Scope, first_at: datetime | None, again: str) -> EventWindow:
    """The first plan goes back to `since:`, later ones as far as an event may arrive late."""
    since = (first_at or scope.as_of) - scope.sync.options.since
    look_back = scope.as_of - timedelta(days=LOOK_BACK_DAYS)
    return EventWindow(since, look_back if first_at else min(since, look_back), again)


def rendered_events(scope: Scope, window: EventWindow) -> str:
    """Return the SELECT of the events to send: op, payload and what is wrong with them."""
    name = Column("e.event", Type.STRING)
    properties = Column("coalesce(e.properties, '{}'::json)", Type.JSON)
    # Events are told apart by their ids: nothing depends on the order of keys.
    as_text = Column("cast(e.properties as varchar)", Type.STRING)
    body = payload(
        scope.spec, "e.dest_key", json_text(properties, scope.spec.timestamps), event=name
    )
    names = ", ".join(text(event) for event in scope.sync.options.events)
    return f"""
with sent as (
    select event_id, plan_id is null or op_id in ({window.again}) or plan_id in (
            select plan_id from tailrace.plans where sync = {scope.key} and status = 'held'
        ) as is_due
    from tailrace.sent_events where sync = {scope.key}
),
visible as (
    select * from {scope.relations.model}
    where occurred_at <= {instant(scope.as_of)} and occurred_at > {instant(window.since)}
        and (received_at > {instant(window.received_after)}
            or event_id in (select event_id from sent where is_due))
        and event in ({names}) and user_id is not null
    qualify row_number() over (partition by event_id order by received_at, row_id) = 1
),
addressed as (
    select v.*, {key_of(scope, "v.user_id")} as dest_key, {scope.consents("t")} as agreed
    from visible as v
    left join {scope.relations.traits} as t on v.user_id = t.user_id
    where not exists (select 1 from sent as s where s.event_id = v.event_id and not s.is_due)
),
e as (
    select * from addressed
    where agreed and not {scope.barred("user_id", "dest_key")}
)
select e.dest_key, e.user_id, '{scope.kind}' as kind, 'event' as op, e.occurred_at as moment,
    {row_hash([name, as_text])} as row_hash,
    {first_unsendable({"properties": properties})} as bad_field, {body} as payload, e.event_id,
    e.received_at, false as is_same, false as is_gone, cast(null as ubigint) as quick,
    cast(null as bigint) as version_issued,
    cast(null as bigint) as version_acked, cast(null as varchar) as issued_op,
    cast(null as varchar) as issued_op_id, cast(null as varchar) as issued_row_hash,
    cast(null as timestamp) as issued_occurred_at, cast(null as varchar) as known_op,
    cast(null as varchar) as known_op_id, cast(null as varchar) as known_hash,
    cast(null as timestamp) as known_occurred_at, cast(null as timestamp) as unsure_until,
    cast(null as timestamp) as quiet_until
from e
"""


def too_late(scope: Scope, since: datetime) -> int:
    """Count events that nobody sends any more.

    They arrived between the last plan and the look-back; or they stood in a first plan that nobody
    let through, until `since:` had passed them.
    """
    ((last,),) = scope.warehouse.rows(
        "select max(as_of) from tailrace.plans where sync = ? and ready_at is not null",
        [scope.sync.key],
    )
    names = ", ".join(text(event) for event in scope.sync.options.events)
    if last is None:
        ((waited,),) = scope.warehouse.rows(
            f"select count(distinct event_id) from {scope.relations.model} "
            f"where event in ({names}) and occurred_at <= {instant(since)} "
            "and event_id in (select event_id from tailrace.sent_events where sync = ?)",
            [scope.sync.key],
        )
        return int(waited)
    return int(
        scope.warehouse.rows(
            f"select count(distinct e.event_id) from {scope.relations.model} as e "
            f"where e.event in ({names}) and e.user_id is not null "
            f"and e.occurred_at > {instant(since)} and e.received_at > ? "
            f"and e.received_at <= {instant(scope.as_of)} - interval {LOOK_BACK_DAYS} day "
            "and not exists (select 1 from tailrace.sent_events as s "
            "where s.sync = ? and s.event_id = e.event_id)",
            [last, scope.sync.key],
        )[0][0]
    )
