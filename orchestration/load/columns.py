"""Which column of a file is which: said by a flag, or known by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from destinations.errors import ConfigError
from orchestration.load.reading import Source
from orchestration.warehouse.raw import RAW_TABLES

KNOWN: Mapping[str, tuple[str, ...]] = {
    "user": ("userid", "user"),
    "anonymous": ("anonymousid",),
    "previous": ("previousid",),
    "event": ("event", "eventname", "eventtype", "type"),
    "time": ("timestamp", "time", "ts", "occurredat", "eventtime", "createdat"),
    "received": ("receivedat",),
    "id": ("id", "eventid"),
    "message": ("messageid",),
    "signup_at": ("signupat", "createdat"),
    "time_zone": ("timezone",),
}
"""Names that need no flag, without case, `_`, `-` and blanks (`userId` and `user_id` are one);
earlier ones win. Every other role is known by its own name."""

_RAW_NAMES = {
    "user": "user_id",
    "anonymous": "anonymous_id",
    "previous": "previous_id",
    "time": "timestamp",
    "received": "received_at",
    "message": "message_id",
}


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Columns as the flags of `tailrace load` name them; None means: go by the name.

    `id` names what is unique per row; an empty text means that nothing is, so that rows are told
    apart by their content. `all_columns` puts every column without a role into `properties`.
    """

    user: str | None = None
    anonymous: str | None = None
    previous: str | None = None
    event: str | None = None
    time: str | None = None
    properties: str | None = None
    received: str | None = None
    id: str | None = None
    email: str | None = None
    phone: str | None = None
    country: str | None = None
    region: str | None = None
    time_zone: str | None = None
    plan: str | None = None
    signup_at: str | None = None
    all_columns: bool = False

    def given(self) -> dict[str, str]:
        """Return the roles that a flag names, with their columns."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {role: name for role, name in values.items() if isinstance(name, str)}


def flag(role: str) -> str:
    """Return the flag that names the column of a role."""
    return "--" + role.replace("_", "-")


def raw_name(role: str) -> str:
    """Return the column of the raw table that a role fills."""
    return _RAW_NAMES.get(role, role)


def roles_of(table: str) -> tuple[str, ...]:
    """Return the roles that a raw table has."""
    by_name = {raw: role for role, raw in _RAW_NAMES.items()}
    return tuple(by_name.get(column, column) for column in RAW_TABLES[table])


def resolve(source: Source, columns: ColumnMap, table: str) -> dict[str, int]:
    """Return the position of the column of each role that the file has.

    Raises:
        ConfigError: a flag does not apply to the table or names no column of the file, or a role
            that has to be there (time, a user, an event) is not.
    """
    given = columns.given()
    if columns.all_columns and "properties" not in roles_of(table):
        raise ConfigError(f"--all-columns does not apply to {table}", key="--all-columns")
    found: dict[str, int] = {}
    for role, name in given.items():
        if role not in roles_of(table):
            msg = f"{flag(role)} does not apply to {table}"
            raise ConfigError(msg, key=flag(role), accepted=map(flag, roles_of(table)))
        if name:
            found[role] = _position(source, name, role)
    taken = set(found.values())
    for role in roles_of(table):
        position = None if role in given else _known(source.names, role, taken)
        if position is not None:
            found[role] = position
    _require(found, source, table)
    return found


def _position(source: Source, name: str, role: str) -> int:
    if name not in source.names:
        msg = f"{_size(source)} has no column {name!r} ({flag(role)}){_columns(source)}"
        raise ConfigError(msg, file=source.file, key=flag(role), accepted=source.names)
    return source.names.index(name)


def _size(source: Source) -> str:
    return f"{source.file} ({source.rows:,} {'row' if source.rows == 1 else 'rows'})"


def _columns(source: Source) -> str:
    return f"; its columns: {', '.join(source.names)}"


def _known(names: Sequence[str], role: str, taken: set[int]) -> int | None:
    plain = [name.lower().translate({ord(c): None for c in "_- "}) for name in names]
    for alias in KNOWN.get(role, (role,)):
        if alias in plain and plain.index(alias) not in taken:
            return plain.index(alias)
    return None


def _require(found: Mapping[str, int], source: Source, table: str) -> None:
    who = ("user", "anonymous") if table != "aliases" else ("user",)
    what = {"tracks": [("event",)], "aliases": [("previous",)]}.get(table, [])
    for either in [("time",), who, *what]:
        if not any(role in found for role in either):
            flags = " or ".join(f"{flag(role)} COL" for role in either)
            msg = (
                f"{_size(source)} has no column that is known as the {either[0]}; name it with "
                f"{flags}{_columns(source)}"
            )
            raise ConfigError(msg, file=source.file, key=flag(either[0]), accepted=source.names)


def rename_from(pairs: Sequence[str]) -> dict[str, str]:
    """Read `--rename OLD=NEW` pairs.

    Raises:
        ConfigError: a pair has no `=`, or nothing on one side of it.
    """
    renamed: dict[str, str] = {}
    for pair in pairs:
        old, _, new = pair.partition("=")
        if not old.strip() or not new.strip():
            msg = f"--rename {pair!r} is not of the form OLD=NEW"
            raise ConfigError(msg, key="--rename")
        renamed[old.strip()] = new.strip()
    return renamed
