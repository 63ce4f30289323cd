"""Users who turned out to be one: each merged id and the user it stands for today."""

from __future__ import annotations

from orchestration.sql.names import schema_and_name
from orchestration.warehouse import Warehouse
from orchestration.warehouse.raw import has_table

MOST_STEPS = 50
"""Longest chain of merges that is followed; a circle ends there."""


def merges_there(warehouse: Warehouse, relation: str | None) -> str | None:
    """Return the relation, or None if it has not been built: then nobody is known to be one."""
    if not relation:
        return None
    return relation if has_table(warehouse, *schema_and_name(relation)) else None


def canonical_users(relation: str | None) -> str | None:
    """Return the SELECT of (merged_user_id, user_id), or None without such a relation.

    Args:
        relation: `user_merges` (merged_user_id, user_id, merged_at), if the project has it. A
            chain of merges is followed to its end.
    """
    if relation is None:
        return None
    return f"""
    with recursive steps as (
        select merged_user_id, user_id, 1 as step from {relation} where merged_user_id <> user_id
        union all
        select s.merged_user_id, r.user_id, s.step + 1
        from steps as s
        inner join {relation} as r on s.user_id = r.merged_user_id
        where r.user_id <> r.merged_user_id and s.step < {MOST_STEPS}
    )
    select merged_user_id, arg_max(user_id, step) as user_id from steps group by merged_user_id
"""
