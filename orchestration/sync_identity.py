"""What a sync's key stands for, and what became of keys that the project no longer has."""

from __future__ import annotations

from datetime import datetime

from destinations.errors import ConfigError
from orchestration.project import Project, Sync
from orchestration.warehouse import Warehouse
from orchestration.warehouse.schema import set_state_value, state_value


def shape_of(sync: Sync) -> str:
    """Return in words what a sync does; under one key that must stay the same."""
    audience = sync.audience.key if sync.audience else "-"
    options = sync.options
    return f"{options.destination}: {options.sends} {options.as_ or '-'} {audience}"


def orphans(warehouse: Warehouse, project: Project) -> dict[str, str]:
    """Return the shapes of syncs that delivered once, are not retired, and left the project."""
    known = {sync.key for sync in project.syncs}
    found = warehouse.rows(
        "select substr(name, 6), value from tailrace.destination_state "
        "where destination = '' and name like 'sync/%' and substr(name, 6) not in ("
        "select substr(name, 9) from tailrace.destination_state "
        "where destination = '' and name like 'retired/%') order by name"
    )
    return {key: shape for key, shape in found if key not in known}


def retired_at(warehouse: Warehouse, key: str) -> datetime | None:
    """Return since when a sync is retired, or None."""
    value = state_value(warehouse, "", f"retired/{key}")
    return datetime.fromisoformat(value) if value else None


def is_retiring(warehouse: Warehouse, key: str) -> bool:
    """Return whether somebody began to retire a sync: from then on it only says goodbye."""
    return state_value(warehouse, "", f"retiring/{key}") is not None


def same_as_before(
    warehouse: Warehouse, destination: str, name: str, value: str, *, file: str, key: str
) -> None:
    """Refuse to go on under a name that stood for something else: what that has is unknown.

    Raises:
        ConfigError: the account or the sync is not what this warehouse has delivered so far.
    """
    known = state_value(warehouse, destination, name)
    if known is not None and known != value:
        raise ConfigError(
            f"under this name the warehouse has delivered to: {known}; it would now be: {value}, "
            "of which it knows nothing. Give it another name, or use another warehouse (or dbt "
            "target) for it",
            file=file,
            key=key,
        )
    if known is None:
        set_state_value(warehouse, destination, name, value)
