"""One request body per op of a plan, exactly as it would be sent, with the person masked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from destinations.base import Kind, Row
from destinations.scrub import without_addresses
from orchestration.desired.scope import Scope
from orchestration.fields import personal_fields
from orchestration.framing import ROW_COLUMNS, context_of
from orchestration.preview import hashed

MASK = "***"


def sample(scope: Scope) -> tuple[Mapping[str, object], ...]:
    """Return {op, user, body} of the first row of each op; `user` is hashed."""
    found = scope.warehouse.rows(
        f"select op, kind, user_id, {ROW_COLUMNS} from tailrace_ops "
        "where seq in (select min(seq) from tailrace_ops group by op) order by op"
    )
    fields = personal_fields(scope.sync)
    context = context_of(scope)
    shown = []
    for op, kind, user_id, *values in found:
        row = Row(*values)
        request = scope.destination.encode(Kind(kind), [row], context)
        body = _masked(json.loads(request.body), {row.dest_key, user_id}, fields)
        shown.append({"op": op, "user": hashed(user_id), "body": body})
    return tuple(shown)


def _masked(value: Any, people: set[str], fields: frozenset[str]) -> Any:
    """Mask ids and addresses wherever they are, and every field that tells who somebody is."""
    if isinstance(value, dict):
        return {
            name: MASK if name in fields else _masked(inner, people, fields)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_masked(inner, people, fields) for inner in value]
    if isinstance(value, str):
        return MASK if value in people else without_addresses(value)
    return value
