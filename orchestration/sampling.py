"""One request body per op of a plan, exactly as it would be sent; people are masked or not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from destinations.base import Kind, Row
from destinations.scrub import MASK, without_addresses
from orchestration.columns import COLUMNS
from orchestration.desired.scope import Scope
from orchestration.fields import open_fields, personal_fields
from orchestration.framing import context_of
from orchestration.preview import concealed, hashed


def sample(scope: Scope, *, show_pii: bool = False) -> tuple[Mapping[str, object], ...]:
    """Return {op, user, body} of the first row of each op.

    Unless `show_pii`, `user` is hashed and the body shows no id, address or text of the user's.
    """
    found = scope.warehouse.rows(
        f"select op, kind, user_id, {COLUMNS} from tailrace_payloads "
        "where seq in (select min(seq) from tailrace_ops group by op) order by op"
    )
    fields = personal_fields(scope.sync)
    context = context_of(scope)
    audience = scope.sync.audience
    ours = frozenset({audience.key, audience.name} if audience else ())
    shown = []
    for op, kind, user_id, *values in found:
        row = Row(*values)
        request = scope.destination.encode(Kind(kind), [row], context)
        body = json.loads(request.body)
        if not show_pii:
            people = frozenset({row.dest_key, user_id})
            mask = _Mask(people, fields, open_fields(scope.sync), scope.spec.fields, ours)
            body = mask(body)
        shown.append({"op": op, "user": user_id if show_pii else hashed(user_id), "body": body})
    return tuple(shown)


@dataclass(frozen=True, slots=True)
class _Mask:
    """Masks ids and addresses wherever they are, and texts in `inside` that are not ours."""

    people: frozenset[str]
    personal: frozenset[str]
    shown: frozenset[str]
    inside: str
    ours: frozenset[str]

    def __call__(self, value: Any, *, of_user: bool = False) -> Any:
        if isinstance(value, dict):
            return {
                name: MASK
                if name in self.personal
                else self(
                    inner, of_user=(of_user and name not in self.shown) or name == self.inside
                )
                for name, inner in value.items()
            }
        if isinstance(value, list):
            return [self(inner, of_user=of_user) for inner in value]
        if of_user:
            return value if isinstance(value, str) and value in self.ours else concealed(value)
        if isinstance(value, str):
            return MASK if value in self.people else without_addresses(value)
        return value
