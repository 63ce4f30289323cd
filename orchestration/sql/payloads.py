"""The JSON object of a row, as a connector's PayloadSpec asks for it, as one SQL expression."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping

from destinations.base import PayloadSpec
from orchestration.sql.names import text
from orchestration.sql.scalars import Column, Type, json_text, row_hash, row_text, unsendable


def payload(
    spec: PayloadSpec,
    dest_key: str,
    fields: str,
    *,
    event: Column | None = None,
) -> str:
    """Return `{constants, identifier: dest_key, event: name, fields: {...}}` as text.

    Args:
        spec: what the connector asks for.
        dest_key: SQL of the identifier.
        fields: SQL of the JSON object that goes under `spec.fields`.
        event: the event's name, for kinds that have one.
    """
    constants = "".join(f"{json.dumps(key)}:{value}," for key, value in spec.constants.items())
    parts = [
        text(f"{{{constants}{json.dumps(spec.identifier)}:"),
        json_text(Column(dest_key, Type.STRING), spec.timestamps),
    ]
    if event is not None and spec.event is not None:
        parts += [text(f",{json.dumps(spec.event)}:"), json_text(event, spec.timestamps)]
    parts += [text(f",{json.dumps(spec.fields)}:"), fields, text("}")]
    return " || ".join(parts)


def json_object(
    fields: Mapping[str, Column], spec: PayloadSpec, *, nulls: str | Mapping[str, str]
) -> str:
    """Return a JSON object of named values.

    Args:
        fields: values by the destination's field name.
        spec: gives the format of instants.
        nulls: SQL condition on which a null is written (it clears the field), else left out; one
            for all fields, or one for each.
    """
    members: list[str] = []
    for name, column in fields.items():
        written = nulls[name] if isinstance(nulls, Mapping) else nulls
        value = json_text(column, spec.timestamps)
        member = f"{text(json.dumps(name) + ':')} || coalesce({value}, 'null')"
        members.append(f"case when {column.sql} is not null or {written} then {member} end")
    # DuckDB's concat_ws leaves nulls out, which is what omitting a field means.
    joined = f"concat_ws(',', {', '.join(members)})" if members else "''"
    return f"('{{' || {joined} || '}}')"


def fields_hash(
    fields: Mapping[str, Column],
    *constants: Column,
    keep: Collection[str] = (),
    known: str | None = None,
    omit: Collection[str] = (),
) -> str:
    """Return the row_hash of named values: the order they are written in does not matter.

    With `keep` it is `<format>:<md5 of all else>:<16 digits of each kept field, by name>`. A kept
    field that is null takes over what `known` says of it, or `-`, so that becoming null alone
    makes no other hash. Behind that come 16 digits of each field of `omit` that is not null:
    where one is, it is as if the field were not mapped, which is what the payload says too.

    Args:
        fields: values by the destination's field name.
        constants: values without a name, such as an event's.
        keep: names of fields whose nulls leave alone what the destination has.
        known: SQL of the row_hash that was acknowledged, may be null.
        omit: names of fields that are left out where they are null.
    """
    kept = sorted(keep)
    names = sorted(fields.keys() - set(keep) - set(omit))
    # The names are the same in every row: their digest is shorter to hash again and again.
    layout = hashlib.sha256(json.dumps([names, kept]).encode()).hexdigest()[:16]
    whole = row_hash([layout, *constants, *(fields[name] for name in names)])
    parts = [_kept(name, fields[name], known, place) for place, name in enumerate(kept)]
    parts += [
        f"case when {fields[name].sql} is not null then {_short(name, fields[name])} end"
        for name in sorted(omit)
    ]
    return f"concat_ws(':', {', '.join([whole, *parts])})" if parts else whole


def _short(name: str, column: Column) -> str:
    # The name is part of it: after a change of the mapping another field may be in its place.
    return f"substr(md5({row_text([name, column])}), 1, 16)"


def _kept(name: str, column: Column, known: str | None, place: int) -> str:
    own = _short(name, column)
    before = f"nullif(split_part({known}, ':', {place + 3}), '')" if known else "null"
    return f"case when {column.sql} is not null then {own} else coalesce({before}, '-') end"


def first_unsendable(fields: Mapping[str, Column]) -> str:
    """Return the name of the first field of a row that cannot be sent, or null."""
    cases = [
        f"when {condition} then {text(name)}"
        for name, column in fields.items()
        if (condition := unsendable(column))
    ]
    return f"case {' '.join(cases)} end" if cases else "cast(null as varchar)"
