"""What the destination should have, minus what it is known to have: the candidates of a plan.

Each function returns one SELECT with the columns dest_key, user_id, kind, op, occurred_at,
row_hash, bad_field, payload, event_id, received_at. Rows are rendered after the diff, so that
what did not change costs no more than the join.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from destinations.base import Destination, Kind, PayloadSpec, SyncShape
from destinations.errors import ConfigError, DataError
from orchestration.project import Sync
from orchestration.sql.names import ident, instant, text
from orchestration.sql.payloads import fields_hash, first_unsendable, json_object, payload
from orchestration.sql.scalars import Column, Type, column_type, json_text, row_hash
from orchestration.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Relations:
    """Where a sync reads: relation names, and column types as the engine calls them.

    `members` is the audience's relation, if the sync has one.
    """

    traits: str
    traits_columns: Mapping[str, str]
    model: str
    model_columns: Mapping[str, str]
    members: tuple[str, ...] = ()


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


def read_columns(warehouse: Warehouse, relation: str) -> dict[str, str]:
    """Return the columns of a relation and the engine's names of their types.

    Raises:
        DataError: there is no such relation.
    """
    schema, name = (part.strip('"') for part in relation.split("."))
    found = warehouse.rows(
        "select column_name, data_type from information_schema.columns "
        "where table_schema = ? and table_name = ? order by ordinal_position",
        [schema, name],
    )
    if not found:
        raise DataError(f"there is no relation {schema}.{name}; run `tailrace build`", key=name)
    return dict(found)


def address(destination: Destination, relations: Relations, user_id: str) -> str:
    """Return SQL of the normalised dest_key of a user (traits alias `t`), null if unusable."""
    if destination.identifier == "user_id":
        return f"nullif(trim({user_id}), '')"
    if "email" not in relations.traits_columns:
        raise ConfigError(
            "profiles are selected by e-mail, and user_traits has no column email",
            key="identifier",
            accepted=["user_id"],
        )
    email = "lower(trim(t.email))"
    pattern = r"'[^@\s]+@[^@\s.]+(\.[^@\s.]+)+'"
    return f"case when regexp_full_match({email}, {pattern}) then {email} end"


def spec_of(sync: Sync, destination: Destination) -> tuple[Kind, PayloadSpec]:
    """Return the kind of request a sync makes, and what its rows have to look like."""
    options = sync.options
    identify = options.sends == "traits" or options.as_ == "identify"
    kind = Kind.IDENTIFY if identify else Kind.TRACK
    shape = SyncShape(sync.key, sync.audience.key if sync.audience else None)
    return kind, destination.columns(kind, shape)


def traits_candidates(sync: Sync, destination: Destination, relations: Relations) -> str:
    """Return the users whose mapped traits differ from what was acknowledged."""
    kind, spec = spec_of(sync, destination)
    fields = {
        name: _column(sync, spec, name, column, relations.traits_columns, "w")
        for name, column in sync.options.fields.items()
    }
    digest = fields_hash(fields)
    clears = "true" if spec.null_clears else "false"
    body = payload(spec, "w.dest_key", json_object(fields, spec, nulls=clears))
    return f"""
with addressed as (
    select t.*, {address(destination, relations, "t.user_id")} as dest_key
    from {relations.traits} as t
),
winners as (
    select * from addressed where dest_key is not null
    qualify row_number() over (partition by dest_key order by user_id) = 1
),
hashed as (select w.*, {digest} as row_hash from winners as w),
known as (select * from tailrace.acked where sync = {text(sync.key)})
select w.dest_key, w.user_id, '{kind}' as kind, 'update' as op,
    cast(null as timestamp) as occurred_at, w.row_hash, {first_unsendable(fields)} as bad_field,
    {body} as payload, cast(null as varchar) as event_id, cast(null as timestamp) as received_at
from hashed as w
left join known as k on w.dest_key = k.dest_key
where k.op is null or k.row_hash <> w.row_hash or k.unsure_until is not null
"""


def membership_candidates(sync: Sync, destination: Destination, relations: Relations) -> str:
    """Return the profiles to be told that they entered, left, or changed a mapped column.

    occurred_at is null where no evaluation saw the change (an address that moved).
    """
    kind, spec = spec_of(sync, destination)
    fields = _membership_fields(sync, kind, spec, relations)
    options = sync.options
    event = Column(
        f"case when c.op = 'exit' then {text(options.exited_event or '')} "
        f"else {text(options.entered_event)} end",
        Type.STRING,
    )
    clears = "c.op <> 'exit'" if options.send_updates and spec.null_clears else "false"
    body = payload(spec, "c.dest_key", json_object(fields, spec, nulls=clears), event=event)
    digest = fields_hash(fields, event) if kind is Kind.TRACK else fields_hash(fields)
    silent = "c.op = 'exit'" if kind is Kind.TRACK and options.exited_event is None else "false"
    audience = text(sync.audience.key if sync.audience else "")
    updates = f"where c.op <> 'update' or {digest} <> c.acked_hash"
    return f"""
with known as (select * from tailrace.acked where sync = {text(sync.key)}),
stays as (
    select user_id, entered_at from tailrace.membership_intervals
    where audience = {audience} and exited_at is null
),
addressed as (
    select s.user_id, s.entered_at, {address(destination, relations, "s.user_id")} as dest_key
    from stays as s
    left join {relations.traits} as t on s.user_id = t.user_id
),
desired as (
    select dest_key, min(user_id) as user_id, min(entered_at) as entered_at
    from addressed where dest_key is not null group by dest_key
),
last_exits as (
    select user_id, max(exited_at) as exited_at from tailrace.membership_intervals
    where audience = {audience} and exited_at is not null group by user_id
),
changes as (
    select coalesce(d.dest_key, k.dest_key) as dest_key, coalesce(d.user_id, k.user_id) as user_id,
        case when d.dest_key is null then 'exit'
            when k.op in ('enter', 'update') and k.unsure_until is null then 'update'
            else 'enter' end as op,
        case when d.dest_key is not null then d.entered_at end as entered_at,
        k.row_hash as acked_hash
    from desired as d
    full outer join known as k on d.dest_key = k.dest_key
    where (d.dest_key is null and (k.op in ('enter', 'update') or k.unsure_until is not null))
        or (d.dest_key is not null and ({"true" if options.send_updates else "false"}
            or k.op is null or k.op = 'exit' or k.unsure_until is not null))
)
select c.dest_key, c.user_id, case when {silent} then null else '{kind}' end as kind, c.op,
    case c.op when 'enter' then c.entered_at when 'exit' then x.exited_at end as occurred_at,
    {digest} as row_hash, {first_unsendable(fields)} as bad_field,
    {body} as payload, cast(null as varchar) as event_id, cast(null as timestamp) as received_at
from changes as c
left join {relations.traits} as t on c.user_id = t.user_id
left join {relations.model} as a on c.user_id = a.user_id
left join last_exits as x on c.user_id = x.user_id
{updates}
"""


def event_candidates(
    sync: Sync,
    destination: Destination,
    relations: Relations,
    as_of: datetime,
    window: EventWindow,
) -> str:
    """Return the events that arrived within the window and are not planned yet, and those due."""
    kind, spec = spec_of(sync, destination)
    name = Column("e.event", Type.STRING)
    properties = Column("coalesce(e.properties, '{}'::json)", Type.JSON)
    body = payload(spec, "e.dest_key", json_text(properties, spec.timestamps), event=name)
    names = ", ".join(text(event) for event in sync.options.events)
    return f"""
with sent as (
    select event_id, plan_id is null or op_id in ({window.again}) as is_due
    from tailrace.sent_events where sync = {text(sync.key)}
),
visible as (
    select * from {relations.model}
    where occurred_at <= {instant(as_of)} and occurred_at > {instant(window.since)}
        and (received_at > {instant(window.received_after)}
            or event_id in (select event_id from sent where is_due))
        and event in ({names}) and user_id is not null
    qualify row_number() over (partition by event_id order by received_at, row_id) = 1
),
e as (
    select v.*, {address(destination, relations, "v.user_id")} as dest_key
    from visible as v
    left join {relations.traits} as t on v.user_id = t.user_id
    where not exists (select 1 from sent as s where s.event_id = v.event_id and not s.is_due)
)
select e.dest_key, e.user_id, '{kind}' as kind, 'event' as op, e.occurred_at,
    {row_hash([name, properties])} as row_hash,
    {first_unsendable({"properties": properties})} as bad_field, {body} as payload, e.event_id,
    e.received_at
from e
"""


def _membership_fields(
    sync: Sync, kind: Kind, spec: PayloadSpec, relations: Relations
) -> dict[str, Column]:
    """Segment's shape: a boolean named after the key, for track beside audience_key and name."""
    assert sync.audience is not None  # noqa: S101 - checked where syncs are read
    inside = Column("(c.op <> 'exit')", Type.BOOLEAN)
    fields: dict[str, Column] = {}
    if kind is Kind.TRACK:
        fields["audience_key"] = Column(text(sync.audience.key), Type.STRING)
        fields["audience_name"] = Column(text(sync.audience.name), Type.STRING)
    fields[sync.audience.key] = inside
    for name, column in sync.options.fields.items():
        fields[name] = _membership_column(sync, spec, name, column, relations)
    return fields


def _membership_column(
    sync: Sync, spec: PayloadSpec, name: str, column: str, relations: Relations
) -> Column:
    """A member's column comes from the audience; somebody who left has traits only."""
    in_audience = column in relations.model_columns
    in_traits = column in relations.traits_columns
    if in_audience and in_traits:
        mapped = _column(sync, spec, name, column, relations.model_columns, "a")
        traits = f"t.{ident(column)}"
        sql = f"case when c.op = 'exit' then {traits} else coalesce({mapped.sql}, {traits}) end"
        return Column(sql, mapped.type)
    if in_audience:
        mapped = _column(sync, spec, name, column, relations.model_columns, "a")
        return Column(f"case when c.op <> 'exit' then {mapped.sql} end", mapped.type)
    accepted = {**relations.model_columns, **relations.traits_columns}
    return _column(sync, spec, name, column, accepted, "t")


def _column(
    sync: Sync,
    spec: PayloadSpec,
    name: str,
    column: str,
    columns: Mapping[str, str],
    alias: str,
) -> Column:
    where = f"exposures.{sync.key}.config.meta.sync.fields.{name}"
    if column not in columns:
        raise ConfigError(
            f"there is no column {column!r} to send",
            file=sync.file,
            key=where,
            accepted=sorted(columns),
        )
    if name in spec.reserved or "." in name:
        raise ConfigError(
            f"the destination manages a field {name!r} itself; choose another name",
            file=sync.file,
            key=where,
        )
    return Column(f"{alias}.{ident(column)}", column_type(columns[column], column, file=sync.file))
