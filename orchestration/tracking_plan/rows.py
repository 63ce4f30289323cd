"""One row of the tracking plan, and how its cells are spelt."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from orchestration.tracking_plan.names import event_key

Scalar = str | int | float | bool | None

COLUMNS = ("event", "property", "type", "required", "allowed_values", "pattern", "enforcement")
TYPES = ("string", "number", "integer", "boolean", "array", "object", "date-time", "null")
ENFORCEMENTS = ("block", "alert")

CONTROLS = re.compile("[\x00-\x1f]")


@dataclass(frozen=True, slots=True)
class PlanRow:
    """An event (`property` is empty), or one of its properties.

    Attributes:
        event: its name as it is written; `event_key` tells which names are one event.
        property: name of the property, exactly as the events carry it.
        types: words of `TYPES`, one of which the value has to have; any value if empty.
        required: whether every such event has to carry the property.
        allowed_values: the values there may be; any if empty.
        pattern: regular expression that has to be found in the value; none if empty.
        enforcement: of an event: `block`, `alert`, or empty, which leaves it to the target.
    """

    event: str
    property: str = ""
    types: tuple[str, ...] = ()
    required: bool = False
    allowed_values: tuple[Scalar, ...] = ()
    pattern: str = ""
    enforcement: str = ""


def cells(row: PlanRow) -> tuple[str, ...]:
    """Return the cells of a row, in the order of `COLUMNS`."""
    return (
        row.event,
        row.property,
        "|".join(row.types),
        ("true" if row.required else "false") if row.property else "",
        written_values(row.allowed_values),
        row.pattern,
        row.enforcement,
    )


def in_order(rows: Iterable[PlanRow]) -> list[PlanRow]:
    """Return rows by event; each event before its properties, which are sorted by name."""
    return sorted(rows, key=lambda row: (event_key(row.event), row.property, row.event))


def written_values(values: Sequence[Scalar]) -> str:
    """Return allowed values as a cell: behind each other with `|` if that can be read back."""
    if all(isinstance(value, str) and _plain(value) for value in values):
        joined = "|".join(map(str, values))
        if not joined.startswith("["):
            return joined
    return json.dumps(list(values), ensure_ascii=False, separators=(",", ":"))


def _plain(value: str) -> bool:
    return (
        value != ""
        and value == value.strip()
        and not value.startswith("[")
        and "|" not in value
        and not CONTROLS.search(value)
    )


def read_values(cell: str) -> tuple[Scalar, ...]:
    """Return the allowed values of a cell.

    Raises:
        ValueError: it is neither of the two spellings; says what is wrong.
    """
    if not cell:
        return ()
    if cell.startswith("["):
        return _json_values(cell)
    values = cell.split("|")
    for value in values:
        if not value:
            raise ValueError("a value is empty")
        if value != value.strip():
            raise ValueError(f"{value!r} has blanks around it")
    return tuple(values)


def _json_values(cell: str) -> tuple[Scalar, ...]:
    try:
        values = json.loads(cell, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:
        raise ValueError(f"not a JSON array: {error}") from None
    if not values:
        raise ValueError("the array is empty")
    for value in values:
        if not is_scalar(value):
            raise ValueError(f"{json.dumps(value)} is not a text, number, true, false or null")
    return tuple(values)


def is_of(value: Scalar, types: Sequence[str]) -> bool:
    """Say whether a value is of one of these words of `TYPES`; null always is."""
    if value is None:
        return True
    if isinstance(value, bool):
        return "boolean" in types
    if isinstance(value, str):
        return "string" in types or "date-time" in types
    return "number" in types or ("integer" in types and value == int(value))


def is_scalar(value: object) -> bool:
    """Say whether a JSON value can be an allowed value: no array, no object, UTF-8, finite."""
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int)


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")
