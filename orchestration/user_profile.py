"""Everything that is known of one user: who it is, where it is in, what was said of it and when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from destinations.errors import ConfigError, DataError
from orchestration.acks import FINAL
from orchestration.builds import latest_builds
from orchestration.merging import canonical_users
from orchestration.options import NOT_REQUIRED
from orchestration.preview import PERSONAL, concealed, hashed, masked
from orchestration.project import Model, Project, Sync
from orchestration.spelling import spellings
from orchestration.sql.names import schema_and_name, text
from orchestration.suppression import suppressed
from orchestration.warehouse import Warehouse

LAST_OPS = 5

_STAYS = """
select audience, entered_at, exited_at from tailrace.membership_intervals
where user_id in (select unnest($ids))
order by audience, entered_at, exited_at nulls last, user_id
"""

_KNOWN = """
select sync, dest_key, op, version_acked, occurred_at, unsure_until, version_issued
from tailrace.acked
where user_id in (select unnest($ids)) or dest_key in (select unnest($keys))
order by sync, dest_key
"""

# Of several receipts of a row, that of the highest attempt and then the narrowest is the row's.
_OPS = """
with mine as (
    select p.sync, p.plan_id, p.planned_at, p.status, o.seq, o.dest_key, o.op, o.version,
        o.occurred_at
    from tailrace.plan_ops as o
    inner join tailrace.plans as p on o.plan_id = p.plan_id
    where o.user_id in (select unnest($ids)) or o.dest_key in (select unnest($keys))
    qualify row_number() over (
        partition by p.sync order by p.planned_at desc, p.plan_id desc, o.seq desc) <= $last
)
select m.sync, m.plan_id, m.status, m.dest_key, m.op, m.version, m.occurred_at, r.outcome,
    r.settled_at
from mine as m
left join tailrace.receipts as r
    on m.plan_id = r.plan_id and m.seq between r.seq_from and r.seq_to
qualify row_number() over (
    partition by m.plan_id, m.seq order by r.attempt desc, r.seq_to - r.seq_from) = 1
order by m.sync, m.planned_at desc, m.plan_id desc, m.seq desc
"""

_REFUSED = """
select j.sync, j.dest_key, j.class, j.code, j.field, j.detail, j.state, j.rejected_at
from tailrace.rejects as j
left join tailrace.plan_ops as o on j.plan_id = o.plan_id and j.seq = o.seq
where j.state in ('open', 'retry')
    and (o.user_id in (select unnest($ids)) or j.dest_key in (select unnest($keys)))
order by j.sync, j.rejected_at
"""


@dataclass(frozen=True, slots=True)
class _Identity:
    """A user under all its names; `merged` are ids that turned out to be this user."""

    user_id: str
    merged: tuple[str, ...]
    emails: tuple[tuple[str, bool], ...]
    anonymous: tuple[str, ...]
    traits: dict[str, Any] | None

    @property
    def ids(self) -> list[str]:
        return [self.user_id, *self.merged]


def user_of_email(warehouse: Warehouse, project: Project, address: str) -> str:
    """Return the user who has an address, in any spelling.

    Raises:
        ConfigError: nobody has it, or several users do.
    """
    wanted = {"wanted": spellings(address)}
    is_wanted = "in (select unnest($wanted))"
    found: set[str] = set()
    for model in (project.emails, project.traits):
        if model and "email" in _columns(warehouse, model):
            found |= {
                row[0]
                for row in warehouse.rows(
                    f"select distinct user_id from {model.relation} "
                    f"where lower(trim(email)) {is_wanted}",
                    wanted,
                )
            }
    if not found:
        found = {
            row[0]
            for row in warehouse.rows(
                f"select distinct user_id from tailrace.acked where dest_key {is_wanted}", wanted
            )
        }
    stands_for = _merges(warehouse, project)
    users = {stands_for.get(user, user) for user in found}
    if len(users) == 1:
        return users.pop()
    why = (
        f"{len(users)} users have this address; name one by its user_id"
        if users
        else ("nobody has this address, and no destination was ever told of it")
    )
    raise ConfigError(why, key="--email")


def profile(
    warehouse: Warehouse, project: Project, user_id: str, *, show_pii: bool
) -> dict[str, Any]:
    """Return what the warehouse knows of a user and what each destination was told.

    Raises:
        ConfigError: there is no such user, now or before.
        DataError: the traits have not been built.
    """
    if not _columns(warehouse, project.traits):
        raise DataError("user_traits has not been built; run `tailrace build`", key="user_traits")
    who = _identify(warehouse, project, user_id)
    reach = {"ids": who.ids, "keys": [*who.ids, *(email for email, _ in who.emails)]}
    stays = warehouse.rows(_STAYS, {"ids": who.ids})
    known = warehouse.rows(_KNOWN, reach)
    reach["keys"] = sorted({*reach["keys"], *(row[1] for row in known)})
    ops = warehouse.rows(_OPS, {**reach, "last": LAST_OPS})
    refused = warehouse.rows(_REFUSED, reach)
    ((is_suppressed,),) = warehouse.rows(
        f"select {suppressed(warehouse, *(text(key) for key in (*who.ids, *reach['keys'])))}"
    )
    if not (who.traits or who.emails or who.anonymous or stays or known or ops or is_suppressed):
        raise ConfigError(
            "there is no such user: not in user_traits, in no audience before, and no destination "
            "was ever told of one (an address is looked up with --email)",
            key="USER",
        )
    built = latest_builds(warehouse).get(project.traits.name)
    personal = _personal_columns(project)
    shown = _Shown(show_pii)
    return {
        "user_id": shown.id(who.user_id),
        "asked_for_merged": user_id != who.user_id,
        "merged_ids": [shown.id(one) for one in who.merged],
        "emails": [{"email": shown.address(e), "is_primary": first} for e, first in who.emails],
        "anonymous_ids": [shown.id(one) for one in who.anonymous],
        "suppressed": bool(is_suppressed),
        "as_of": _iso(built.as_of) if built else None,
        "traits": None if who.traits is None else shown.traits(who.traits, personal),
        "audiences": _audiences(project, stays),
        "syncs": [_sync(sync, who, known, ops, refused, shown) for sync in project.syncs],
    }


@dataclass(frozen=True, slots=True)
class _Shown:
    """How much of a person is shown."""

    pii: bool

    def id(self, value: str) -> str:
        return value if self.pii else hashed(value)

    def address(self, value: str) -> str:
        return value if self.pii else "***"

    def value(self, value: Any) -> Any:
        return value if self.pii else concealed(value)

    def traits(self, traits: dict[str, Any], personal: set[str]) -> dict[str, Any]:
        return traits if self.pii else masked(traits, personal)


def _identify(warehouse: Warehouse, project: Project, asked_for: str) -> _Identity:
    stands_for = _merges(warehouse, project)
    user_id = stands_for.get(asked_for, asked_for)
    merged = tuple(sorted(one for one, of in stands_for.items() if of == user_id))
    ids = {"ids": [user_id, *merged]}
    emails: list[tuple[str, bool]] = []
    if project.emails and _columns(warehouse, project.emails):
        emails = [
            (email, first)
            for email, first in warehouse.rows(
                f"select email, bool_or(is_primary and user_id = $user) "
                f"from {project.emails.relation} "
                "where user_id in (select unnest($ids)) group by email order by 2 desc, 1",
                {**ids, "user": user_id},
            )
        ]
    anonymous: list[str] = []
    if project.identities and _columns(warehouse, project.identities):
        anonymous = [
            row[0]
            for row in warehouse.rows(
                f"select anonymous_id from {project.identities.relation} "
                "where user_id in (select unnest($ids)) "
                "and anonymous_id not in (select unnest($ids)) order by 1",
                ids,
            )
        ]
    found = warehouse.query(
        f"select * from {project.traits.relation} where user_id = ? limit 1", [user_id]
    ).to_pylist()
    traits = found[0] if found else None
    if not emails and traits and traits.get("email"):
        emails = [(str(traits["email"]).strip().lower(), True)]
    return _Identity(user_id, merged, tuple(emails), tuple(anonymous), traits)


def _merges(warehouse: Warehouse, project: Project) -> dict[str, str]:
    if project.merges is None or not _columns(warehouse, project.merges):
        return {}
    return dict(warehouse.rows(canonical_users(project.merges.relation) or ""))


def _columns(warehouse: Warehouse, model: Model) -> list[str]:
    """Return the columns of a model's relation; none if it has not been built."""
    schema, name = schema_and_name(model.relation)
    found = warehouse.rows(
        "select column_name from information_schema.columns "
        "where table_schema = ? and table_name = ?",
        [schema, name],
    )
    return [row[0] for row in found]


def _personal_columns(project: Project) -> set[str]:
    """Return the columns that tell who somebody is, by name or because a sync says so."""
    return {
        *PERSONAL,
        *(
            mapped.column
            for sync in project.syncs
            for mapped in sync.options.fields.values()
            if mapped.column and (mapped.hash or mapped.pii not in (None, "none"))
        ),
    }


def _audiences(project: Project, stays: Iterable[tuple[Any, ...]]) -> list[dict[str, Any]]:
    listed = list(stays)
    shown = []
    for audience in project.audiences:
        mine = [(start, end) for key, start, end in listed if key == audience.key]
        since = next((start for start, end in mine if end is None), None)
        shown.append(
            {
                "audience": audience.key,
                "member": since is not None,
                "since": _iso(since),
                "stays": [
                    {"entered_at": _iso(start), "exited_at": _iso(end)} for start, end in mine
                ],
            }
        )
    return shown


def _sync(
    sync: Sync,
    who: _Identity,
    known: list[tuple[Any, ...]],
    ops: list[tuple[Any, ...]],
    refused: list[tuple[Any, ...]],
    shown: _Shown,
) -> dict[str, Any]:
    column = sync.options.consent
    return {
        "sync": sync.key,
        "destination": sync.options.destination,
        "sends": sync.options.sends,
        "consent": {
            "column": None if column == NOT_REQUIRED else column,
            "value": shown.value((who.traits or {}).get(column)),
        },
        "known": [
            {
                "dest_key": shown.id(key),
                "op": op,
                "version": acked,
                "occurred_at": _iso(at),
                "unsure_until": _iso(unsure),
                "version_issued": issued,
            }
            for of, key, op, acked, at, unsure, issued in known
            if of == sync.key
        ],
        "ops": [
            {
                "plan_id": plan,
                "dest_key": shown.id(key),
                "op": op,
                "version": version,
                "occurred_at": _iso(at),
                "outcome": _outcome(outcome, status),
                "settled_at": _iso(settled),
            }
            for of, plan, status, key, op, version, at, outcome, settled in ops
            if of == sync.key
        ],
        "rejects": [
            {
                "dest_key": shown.id(key),
                "class": class_,
                "code": code,
                "field": field,
                "detail": detail,
                "state": state,
                "rejected_at": _iso(at),
            }
            for of, key, class_, code, field, detail, state, at in refused
            if of == sync.key
        ],
    }


def _outcome(outcome: str | None, plan: str) -> str:
    if outcome in FINAL:
        return outcome
    return f"{'not sent' if outcome is None else 'no answer'}, the plan is {plan}"


def _iso(value: datetime | None) -> str | None:
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if value else None
