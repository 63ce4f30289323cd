"""The JSON object of a row, as a connector's PayloadSpec asks for it, as one SQL expression."""

from __future__ import annotations

import json
from collections.abc import Mapping

from destinations.base import PayloadSpec
from orchestration.sql.names import text
from orchestration.sql.scalars import Column, Type, json_text, row_hash, unsendable


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


def json_object(fields: Mapping[str, Column], spec: PayloadSpec, *, nulls: str) -> str:
    """Return a JSON object of named values.

    Args:
        fields: values by the destination's field name.
        spec: gives the format of instants.
        nulls: SQL condition on which a null is written (it clears the field), else left out.
    """
    members: list[str] = []
    for name, column in fields.items():
        value = json_text(column, spec.timestamps)
        member = f"{text(json.dumps(name) + ':')} || coalesce({value}, 'null')"
        members.append(f"case when {column.sql} is not null or {nulls} then {member} end")
    # DuckDB's concat_ws leaves nulls out, which is what omitting a field means.
    joined = f"concat_ws(',', {', '.join(members)})" if members else "''"
    return f"('{{' || {joined} || '}}')"


def fields_hash(fields: Mapping[str, Column], *constants: Column) -> str:
    """Return the row_hash of named values: the order they are written in does not matter."""
    named = [part for name in sorted(fields) for part in (_constant(name), fields[name])]
    return row_hash([*constants, *named])


def _constant(value: str) -> Column:
    return Column(text(value), Type.STRING)


def first_unsendable(fields: Mapping[str, Column]) -> str:
    """Return the name of the first field of a row that cannot be sent, or null."""
    cases = [
        f"when {condition} then {text(name)}"
        for name, column in fields.items()
        if (condition := unsendable(column))
    ]
    return f"case {' '.join(cases)} end" if cases else "cast(null as varchar)"
