"""What can be said against a mapping before anything is built, from what models document."""

from __future__ import annotations

import re
from collections.abc import Mapping

from destinations.errors import ConfigError
from orchestration.options import NOT_REQUIRED, MappedField, SyncOptions
from orchestration.sql.scalars import Type, column_type

TEXT = (Type.STRING, Type.INTEGER)
"""What can be normalised and hashed: text, and numbers that are ids."""

# Types that no engine's alias could make sendable; of any other name the warehouse is asked.
_NEVER = {
    "array", "binary", "bit", "bitstring", "blob", "bytea", "geometry", "interval", "list", "map",
    "struct", "time", "timetz", "union", "varbinary",
}  # fmt: skip
_BOOLEAN = ("bool", "boolean", "logical")


def check_mapping(
    options: SyncOptions, audience: str | None, known: Mapping[str, str] | None
) -> None:
    """Refuse fields that could not be sent.

    Args:
        options: of the sync.
        audience: key of its audience, if it has one.
        known: the columns there are, with the types they declare or nothing; None where the
            models do not say.

    Raises:
        ConfigError: says what is wrong; its key is relative to the sync.
    """
    for name, mapped in options.fields.items():
        try:
            _check_name(name, options, audience)
            _check_field(mapped, options, known)
        except ConfigError as error:
            raise within(error, f"fields.{name}") from None


def check_consent(consent: str, known: Mapping[str, str]) -> None:
    """Refuse a consent column that user_traits does not document as a boolean.

    Raises:
        ConfigError: its key is relative to the sync.
    """
    if consent == NOT_REQUIRED or not known:
        return
    yes = [name for name, kind in known.items() if kind.lower() in _BOOLEAN]
    if consent not in known:
        message = f"user_traits lists no column {consent!r} to say who agreed"
    elif known[consent] and known[consent].lower() not in _BOOLEAN:
        message = f"{consent!r} is {known[consent]} in user_traits; who agreed is a boolean"
    else:
        return
    raise ConfigError(message, key="consent", accepted=[NOT_REQUIRED, *(yes or sorted(known))])


def within(error: ConfigError, place: str) -> ConfigError:
    """Return the error with its key under `place`."""
    key = f"{place}.{error.key}" if error.key else place
    return ConfigError(error.message, file=error.file, key=key, accepted=error.accepted)


def check_text(mapped: MappedField, kind: Type) -> None:
    """Refuse to hash or normalise what is not text.

    Raises:
        ConfigError: says how to make it text.
    """
    accepted = TEXT if mapped.hash else (Type.STRING,)
    if (mapped.hash or mapped.normalise) and kind not in accepted:
        raise ConfigError(
            f"a {kind} has no one text to work on; make it text with `sql: cast(... as varchar)`",
            key="hash" if mapped.hash else "normalise",
            accepted=accepted,
        )


def sendable(engine_type: str) -> Type:
    """Return what a type is to us.

    Raises:
        ConfigError: it cannot be sent.
    """
    if engine_type.strip('"').upper() == "NULL":
        raise ConfigError("is null for everybody; give it a type: cast(null as varchar)")
    try:
        return column_type(engine_type, "")
    except ConfigError as error:
        raise ConfigError(
            f"is of type {engine_type}, which cannot be sent; cast it (a list or a struct to json)",
            accepted=error.accepted,
        ) from None


def _check_name(name: str, options: SyncOptions, audience: str | None) -> None:
    if not name.strip():
        raise ConfigError("a field at the destination needs a name")
    if "." in name:
        raise ConfigError("a dot in the name of a field means a field inside another; leave it out")
    own = {audience} if options.sends == "membership" else set()
    if options.as_ == "track":
        own |= {"audience_key", "audience_name"}
    if name in own:
        raise ConfigError(f"{name!r} is sent by the membership itself; choose another name")


def _check_field(
    mapped: MappedField, options: SyncOptions, known: Mapping[str, str] | None
) -> None:
    if mapped.nulls == "keep" and options.as_ == "track":
        raise ConfigError("an event has nothing to keep", key="nulls", accepted=["omit", "clear"])
    if mapped.sql is not None:
        # Late: most projects need no parser, and it takes a while to load.
        from orchestration.sql.expressions import columns_read, read_expression

        try:
            tree = read_expression(mapped.sql)
            if known is not None:
                columns_read(tree, known)
        except ConfigError as error:
            raise within(error, "sql") from None
    if mapped.column is not None and known is not None:
        if mapped.column not in known:
            raise ConfigError(
                f"there is no column {mapped.column!r} to send", accepted=sorted(known)
            )
        _check_type(mapped, mapped.column, known[mapped.column])


def _check_type(mapped: MappedField, column: str, declared: str) -> None:
    base = re.sub(r"\(.*", "", declared.lower(), flags=re.DOTALL).strip()
    never = base in _NEVER or declared.endswith("]")
    try:
        kind = sendable(declared)
    except ConfigError as error:
        if never:
            message = f"column {column!r} {error.message}"
            raise ConfigError(message, accepted=error.accepted) from None
        return  # an alias, or nothing declared: the warehouse will say
    check_text(mapped, kind)
