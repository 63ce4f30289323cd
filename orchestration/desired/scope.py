"""What a plan reads, and how it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from destinations.base import Destination, Kind, PayloadSpec, SyncShape
from destinations.errors import ConfigError, DataError
from orchestration.merging import merges_there
from orchestration.options import NOT_REQUIRED
from orchestration.project import Project, Sync
from orchestration.sql.names import ident, schema_and_name, text
from orchestration.suppression import suppressed
from orchestration.warehouse import Warehouse
from orchestration.warehouse.schema import PLACED, state_value


class Mode(StrEnum):
    """What a plan is for; anything but `normal` is asked for by somebody, once."""

    NORMAL = "normal"
    REASSERT = "reassert"  # the current truth once more, under each row's last op_id
    ALL = "all"  # every profile as a new change, after the mapping changed
    NONE = "none"  # the mapping changed and nothing is sent for it
    ASSUME_SENT = "assume-sent"  # the destination has it already: acknowledged without a call
    RETIRE = "retire"  # nobody is in any more


QUIET = (Mode.NONE, Mode.ASSUME_SENT)
"""Modes that make no call."""


@dataclass(frozen=True, slots=True)
class Relations:
    """Where a sync reads: relation names, and column types as the engine calls them."""

    traits: str
    traits_columns: Mapping[str, str]
    model: str
    model_columns: Mapping[str, str]
    emails: str | None = None
    merges: str | None = None


def kind_of(sync: Sync) -> Kind:
    """Return the kind of request a sync makes."""
    identify = sync.options.sends == "traits" or sync.options.as_ == "identify"
    return Kind.IDENTIFY if identify else Kind.TRACK


@dataclass(frozen=True, slots=True)
class Scope:
    """One plan in the making: the sync, its account, its relations, its instant."""

    warehouse: Warehouse
    project: Project
    sync: Sync
    destination: Destination
    relations: Relations
    as_of: datetime
    mode: Mode = Mode.NORMAL

    @property
    def key(self) -> str:
        """Return the sync's key as an SQL literal."""
        return text(self.sync.key)

    @property
    def kind(self) -> Kind:
        """Return the kind of request the sync makes."""
        return kind_of(self.sync)

    @property
    def spec(self) -> PayloadSpec:
        """Return what the rows of the sync have to look like."""
        audience = self.sync.audience
        shape = SyncShape(self.sync.key, audience.key if audience else None)
        return self.destination.columns(self.kind, shape)

    def by_email(self) -> bool:
        """Return whether profiles are selected by their e-mail address."""
        return self.destination.identifier == "email"

    def consents(self, alias: str) -> str:
        """Return SQL of whether a user (traits under `alias`) agreed; unknown is no.

        Raises:
            ConfigError: user_traits has no such column, or it is not a boolean.
        """
        column = self.sync.options.consent
        if not self.asks_consent():
            return "true"
        known = self.relations.traits_columns
        if known.get(column, "").upper() != "BOOLEAN":
            raise ConfigError(
                f"user_traits has no boolean column {column!r} to say who agreed",
                file=self.sync.file,
                key=f"exposures.{self.sync.key}.config.meta.sync.consent",
                accepted=[
                    NOT_REQUIRED,
                    *(name for name, kind in known.items() if kind.upper() == "BOOLEAN"),
                ],
            )
        return f"coalesce({alias}.{ident(column)}, false)"

    def asks_consent(self) -> bool:
        """Return whether a user has to have agreed."""
        return self.sync.options.consent != NOT_REQUIRED

    def barred(self, *expressions: str) -> str:
        """Return SQL of whether any of these ids or addresses is suppressed.

        To be asked of few rows: each costs a keyed hash, once anybody is suppressed.
        """
        return suppressed(self.warehouse, *expressions)


def read_relations(warehouse: Warehouse, project: Project, sync: Sync) -> Relations:
    """Look up the relations of a sync.

    Raises:
        DataError: one of them is not there.
    """
    every = sync.options.emails == "all"
    return Relations(
        project.traits.relation,
        read_columns(warehouse, project.traits.relation),
        sync.model.relation,
        read_columns(warehouse, sync.model.relation),
        emails=project.emails.relation if project.emails and every else None,
        merges=merges_there(warehouse, project.merges.relation if project.merges else None),
    )


def read_columns(warehouse: Warehouse, relation: str) -> dict[str, str]:
    """Return the columns of a relation and the engine's names of their types.

    Raises:
        DataError: there is no such relation.
    """
    schema, name = schema_and_name(relation)
    found = warehouse.rows(
        "select column_name, data_type from information_schema.columns "
        "where table_schema = ? and table_name = ? order by ordinal_position",
        [schema, name],
    )
    if not found:
        raise DataError(f"there is no relation {schema}.{name}; run `tailrace build`", key=name)
    return dict(found)


def op_key(warehouse: Warehouse, sync: Sync) -> str:
    """Return what stands for a sync in its op_ids: its first name, whoever adopted it since."""
    return state_value(warehouse, "", f"op_key/{sync.key}") or sync.key


def known(scope: Scope, keys: str) -> str:
    """Return what is known of the few dest_keys of a relation.

    Found first and read then: `acked` is wide, and its texts cost the most.
    """
    return f"""(
    select * from {PLACED} where place in (
        select rowid from tailrace.issued
        where sync = {scope.key} and dest_key in (select dest_key from {keys}))
)"""


def known_columns(alias: str) -> str:
    """Return what a plan needs of `acked`, under the names that plans use."""
    same = "version_issued version_acked issued_op issued_op_id issued_row_hash issued_occurred_at"
    renamed = {"op": "known_op", "row_hash": "known_hash", "op_id": "known_op_id"}
    renamed["occurred_at"] = "known_occurred_at"
    names = [f"{alias}.{name}" for name in (*same.split(), "unsure_until", "quiet_until")]
    names += [f"{alias}.{name} as {new}" for name, new in renamed.items()]
    return ", ".join(names)
