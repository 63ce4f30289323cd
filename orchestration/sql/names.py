"""Identifiers and literals; the only place that quotes."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from destinations.errors import ConfigError

NAME = re.compile(r"^[a-z][a-z0-9_]{0,62}\Z")  # not $, which lets a line feed through


def checked_name(name: str, what: str, *, file: str | None = None) -> str:
    """Return the name if it is fit to be a key of ours.

    Raises:
        ConfigError: it does not match `^[a-z][a-z0-9_]{0,62}$`.
    """
    if not NAME.match(name):
        raise ConfigError(
            f"{what} {name!r} must be lower-case letters, digits and underscores, "
            "starting with a letter, at most 63 characters",
            file=file,
            key=name,
        )
    return name


def ident(name: str) -> str:
    """Quote an identifier (any dialect that uses double quotes)."""
    return '"' + name.replace('"', '""') + '"'


def schema_and_name(relation: str) -> tuple[str, str]:
    """Return the two parts of a model's relation, without quotes."""
    schema, name = (part.strip('"') for part in relation.split("."))
    return schema, name


def text(value: str) -> str:
    """Quote a string literal."""
    return "'" + value.replace("'", "''") + "'"


def instant(value: datetime) -> str:
    """Render an instant as a UTC timestamp literal."""
    return f"timestamp '{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}'"


def naive_utc(value: datetime) -> datetime:
    """Return the instant as the warehouse's timestamp columns hold it."""
    return value.astimezone(UTC).replace(tzinfo=None)


def aware_utc(value: datetime) -> datetime:
    """Return an instant read from the warehouse as an aware one."""
    return value.replace(tzinfo=UTC)
