"""The mapped fields of a sync as typed SQL, and the row they make: hash, payload, what is wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from destinations.base import Kind, SyncShape
from destinations.errors import ConfigError
from orchestration.desired.scope import Scope
from orchestration.fields import field_column
from orchestration.sql.names import ident, text
from orchestration.sql.payloads import fields_hash, first_unsendable, json_object, payload
from orchestration.sql.scalars import Column, Type, column_type, unsendable


@dataclass(frozen=True, slots=True)
class Rendered:
    """SQL expressions over one row: what is hashed, what is sent, and what cannot be."""

    row_hash: str
    bad_field: str
    payload: str


def rendered_traits(scope: Scope, alias: str, dest_key: str, known: str, gone: str) -> Rendered:
    """Return a profile's row: `alias` has the columns of user_traits, `gone` says it has none."""
    fields = mapped_traits(scope, alias)
    clears = "true" if scope.spec.null_clears else "false"
    if scope.sync.options.on_gone == "clear":
        fields = {
            name: replace(column, sql=f"case when not {gone} then {column.sql} end")
            for name, column in fields.items()
        }
        if not scope.spec.null_clears:
            raise ConfigError(
                "this destination has no way to clear a field",
                file=scope.sync.file,
                key=f"exposures.{scope.sync.key}.config.meta.sync.on_gone",
                accepted=["leave", "delete"],
            )
    return _rendered(scope, fields, dest_key, known, nulls=(clears, "true"))


def mapped_traits(scope: Scope, alias: str) -> dict[str, Column]:
    """Return the mapped fields over the columns of user_traits."""
    types = scope.relations.traits_columns
    return _mapped(scope, {name: f"{alias}.{ident(name)}" for name in types}, types)


def mapped_members(scope: Scope) -> dict[str, Column]:
    """Return the mapped fields of members: `a` is the audience's row, `t` the traits."""
    relations = scope.relations
    types = {**relations.traits_columns, **relations.model_columns}
    sql = {name: f"t.{ident(name)}" for name in relations.traits_columns}
    for name in relations.model_columns:
        member = f"a.{ident(name)}"
        sql[name] = f"coalesce({member}, {sql[name]})" if name in sql else member
    return _mapped(scope, sql, types)


def mapping_of(scope: Scope) -> str:
    """Return what tells one mapping from another; the order of fields does not matter."""
    fields = {name: field.model_dump() for name, field in scope.sync.options.fields.items()}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]


def delete_payload(scope: Scope, dest_key: str) -> str:
    """Return SQL of what a delete needs: the identifier and nothing else."""
    audience = scope.sync.audience
    shape = SyncShape(scope.sync.key, audience.key if audience else None)
    identifier = scope.destination.columns(Kind.DELETE, shape).identifier
    return f"cast(json_object({text(identifier)}, {dest_key}) as varchar)"


def rendered_membership(scope: Scope, known: str) -> Rendered:
    """Return a member's row: `c` is the change, `a` the audience's row, `t` the traits."""
    assert scope.sync.audience is not None  # noqa: S101 - checked where syncs are read
    audience = scope.sync.audience
    relations = scope.relations
    types = {**relations.traits_columns, **relations.model_columns}
    fields: dict[str, Column] = {}
    if scope.kind is Kind.TRACK:
        fields["audience_key"] = Column(text(audience.key), Type.STRING)
        fields["audience_name"] = Column(text(audience.name), Type.STRING)
    fields[audience.key] = Column("(c.op <> 'exit')", Type.BOOLEAN)
    mapped = _mapped(scope, {name: _member_column(scope, name) for name in types}, types)
    fields |= {name: _spared(_own(column)) for name, column in mapped.items()}
    updates = scope.sync.options.send_updates and scope.spec.null_clears
    event = _event(scope) if scope.kind is Kind.TRACK else None
    inside = "c.op <> 'exit'"
    nulls = (inside if updates else "false", inside)
    return _rendered(scope, fields, "c.dest_key", known, nulls=nulls, event=event)


def _rendered(
    scope: Scope,
    fields: Mapping[str, Column],
    dest_key: str,
    known: str,
    *,
    nulls: tuple[str, str],
    event: Column | None = None,
) -> Rendered:
    """Return the row of these fields; `nulls` says when one is written, by itself and if asked."""
    mapped = scope.sync.options.fields
    by_itself, asked = nulls
    policy = {"omit": "false", "keep": "false", "clear": asked, None: by_itself}
    written = {name: policy[mapped[name].nulls] if name in mapped else "false" for name in fields}
    for name, field in mapped.items():
        if field.nulls == "clear" and not scope.spec.null_clears:
            raise ConfigError(
                "this destination has no way to clear a field",
                file=scope.sync.file,
                key=f"exposures.{scope.sync.key}.config.meta.sync.fields.{name}.nulls",
                accepted=["omit", "keep"],
            )
    keep = [name for name, field in mapped.items() if field.nulls == "keep"]
    omit = [name for name, field in mapped.items() if field.nulls == "omit"]
    digest = fields_hash(fields, *([event] if event else []), keep=keep, known=known, omit=omit)
    body = payload(
        scope.spec, dest_key, json_object(fields, scope.spec, nulls=written), event=event
    )
    return Rendered(digest, first_unsendable(fields), body)


def _own(column: Column) -> Column:
    """Leave a value out of an exit that goes to a profile of nobody, or of somebody else by now."""
    own = "(c.op <> 'exit' or t.user_id is not null)"
    failed = f"({own} and {column.failed})" if column.failed else None
    return Column(f"case when {own} then {column.sql} end", column.type, failed)


def _spared(column: Column) -> Column:
    """Leave a value that cannot be sent out of an exit: who left must hear of it all the same."""
    wrong = unsendable(column)
    if wrong is None:
        return column
    sql = f"case when c.op <> 'exit' or not coalesce({wrong}, false) then {column.sql} end"
    failed = f"(c.op <> 'exit' and {column.failed})" if column.failed else None
    return Column(sql, column.type, failed)


def _event(scope: Scope) -> Column:
    options = scope.sync.options
    return Column(
        f"case when c.op = 'exit' then {text(options.exited_event or '')} "
        f"else {text(options.entered_event)} end",
        Type.STRING,
    )


def _mapped(scope: Scope, sql: Mapping[str, str], types: Mapping[str, str]) -> dict[str, Column]:
    """Return the mapped fields, given the SQL of each column there is."""
    columns = {
        name: Column(sql[name], column_type(kind, name))
        for name, kind in types.items()
        if _is_sendable(kind)
    }
    # An expression may make something that can be sent of what cannot.
    readable = {name: columns.get(name) or Column(sql[name], Type.JSON) for name in types}
    found: dict[str, Column] = {}
    for name, field in scope.sync.options.fields.items():
        where = f"exposures.{scope.sync.key}.config.meta.sync.fields.{name}"
        if name in scope.spec.reserved or "." in name:
            raise ConfigError(
                f"the destination manages a field {name!r} itself; choose another name",
                file=scope.sync.file,
                key=where,
            )
        if field.column is not None and field.column in types and field.column not in columns:
            column_type(types[field.column], field.column, file=scope.sync.file)
        there = readable if field.sql is not None else columns
        found[name] = field_column(scope.warehouse, scope.sync, name, field, there, types)
    return found


def _is_sendable(engine_type: str) -> bool:
    try:
        column_type(engine_type, "")
    except ConfigError:
        return False
    return True


def _member_column(scope: Scope, name: str) -> str:
    """A member's column comes from the audience; somebody who left has traits only."""
    in_traits = name in scope.relations.traits_columns
    if name not in scope.relations.model_columns:
        return f"t.{ident(name)}"
    member = f"a.{ident(name)}"
    if in_traits:
        trait = f"t.{ident(name)}"
        return f"case when c.op = 'exit' then {trait} else coalesce({member}, {trait}) end"
    return f"case when c.op <> 'exit' then {member} end"
