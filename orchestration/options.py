"""What `config.meta.sync` of an exposure may say, and what its words mean."""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

NOT_REQUIRED = "not_required"
"""What `consent:` says where nobody's consent is needed."""

SOURCES = ("column", "value", "sql")
_DURATION = re.compile(r"^(\d+)\s*([smhdw])\Z")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _duration(value: object) -> object:
    match = _DURATION.match(value) if isinstance(value, str) else None
    if not match:
        raise ValueError("must be a number and a unit: 30m, 6h, 7d, 2w")
    try:
        return timedelta(**{_UNITS[match[2]]: int(match[1])})
    except OverflowError:
        raise ValueError("is too long") from None


def _field(value: object) -> object:
    """A bare name is the column of that name."""
    if isinstance(value, str):
        return {"column": value}
    if not isinstance(value, dict | MappedField):
        raise ValueError("needs the name of a column (a string), or a mapping with one source")
    return value


def _constant(value: object) -> object:
    if not isinstance(value, str | bool | int | float | None):
        raise ValueError("must be one text, number or boolean")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("must be a number that JSON has")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("must be a whole number of at most 64 bits; quote it to send a text")
    return value


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Constant = Annotated[bool | int | float | str | None, BeforeValidator(_constant)]


class MappedField(BaseModel):
    """Where the value of one field at the destination comes from, and what may be sent of it.

    Exactly one of `column`, `value` (a constant) and `sql` (an expression over the columns).

    Attributes:
        column: a column of the audience or of user_traits.
        value: the same for everybody.
        sql: one scalar expression over the columns of one row.
        hash: what is sent in place of the value: SHA-256 of its UTF-8 text, as hex.
        normalise: what is done to a text before it is hashed or sent; what is empty then, is null.
        nulls: a null is left out (omit), written as null (clear), or left out and no change by
            itself (keep). By default the kind of sync decides.
        pii: what the value tells of a person; `none` shows it in samples, anything else masks it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | None = None
    value: Constant = None
    sql: str | None = None
    hash: Literal["sha256"] | None = None
    normalise: Literal["email", "phone", "trim", "lower"] | None = None
    nulls: Literal["omit", "clear", "keep"] | None = None
    pii: Literal["none", "email", "phone", "name", "id", "address", "other"] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        given = [name for name in SOURCES if getattr(self, name) is not None]
        if len(given) != 1:
            said = f", not {' and '.join(given)}" if given else ""
            raise ValueError(f"needs exactly one of {', '.join(SOURCES)}{said}")
        for name in ("hash", "normalise", "nulls"):
            if self.value is not None and getattr(self, name) is not None:
                raise ValueError(f"`{name}:` is for what a row holds, not for a constant `value:`")
        return self


class SyncOptions(BaseModel):
    """What `config.meta.sync` of an exposure may say; any other key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    destination: str
    sends: Literal["traits", "membership", "events"]
    as_: Literal["identify", "track"] | None = Field(default=None, alias="as")
    consent: str = Field(min_length=1)
    key: str | None = None
    fields: dict[str, Annotated[MappedField, BeforeValidator(_field)]] = {}
    events: tuple[str, ...] = ()
    order: Literal["time", "none"] = "time"
    since: Duration = timedelta(days=7)
    after: tuple[str, ...] = ()
    max_first: int | None = Field(default=None, ge=0, strict=True)
    max_age: Duration = timedelta(hours=6)
    schedule: str | None = None
    send_updates: bool = False
    emails: Literal["primary", "all"] = "primary"
    on_rekey: Literal["silent", "send"] | None = None
    on_gone: Literal["leave", "clear", "delete"] = "leave"
    on_ambiguous: Literal["resend", "hold", "skip"] = "resend"
    entered_event: str = Field(default="Audience Entered", min_length=1)
    exited_event: str | None = Field(default="Audience Exited", min_length=1)
