"""Types of fields: the first value of a field locks its type, for the whole project.

Source: Iterable API reference; the body of a mismatch as recorded from a live project.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from destinations.sandbox.answers import Refused

Category = Literal["user", "event"]

_DATE = re.compile(
    r"\d{4}-\d\d-\d\d"
    r"( \d\d:\d\d:\d\d( [+-]\d\d:\d\d)?|T\d\d:\d\d:\d\d(\.\d{1,3})?([+-]\d\d:\d\d|Z))?"
)
# What a value may be taken as; its first reading is what a new field is locked to.
_TEXT = ("string", "keyword")
_DATED = ("date", "string", "keyword")
_READINGS: dict[type, tuple[str, ...]] = {
    bool: ("boolean",),
    int: ("long",),
    float: ("double",),
    list: ("array",),
    dict: ("object",),
}


def readings(name: str, value: object) -> tuple[str, ...]:
    """Return the types a JSON value may be taken as; none for null, which clears."""
    if isinstance(value, str):
        dated = value[:4].isdigit() and _DATE.fullmatch(value) is not None
        return _DATED if dated else _TEXT
    if isinstance(value, dict) and name.endswith("_geo_location") and {"lat", "lon"} <= set(value):
        return ("geo_location",)
    return _READINGS.get(type(value), ())


@dataclass(slots=True)
class Checked:
    """What one call may write: its new fields, and the names it has to leave out."""

    created: dict[str, str] = field(default_factory=dict)
    filtered: set[str] = field(default_factory=set)

    def kept(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the fields without those that were filtered out."""
        if not self.filtered:
            return fields
        return {name: value for name, value in fields.items() if name not in self.filtered}


def check(
    category: Category,
    locked: Mapping[str, str],
    items: Iterable[tuple[Mapping[str, Any], bool]],
) -> Checked:
    """Check the fields of all items of a call, each with its createNewFields.

    Raises:
        Refused: 400 `RequestFieldsTypesMismatched`, for the whole call, if any value has another
            type than its field.
    """
    checked = Checked()
    wrong: dict[str, dict[str, Any]] = {}
    created = checked.created
    for fields, may_create in items:
        for name, value in fields.items():
            possible = readings(name, value)
            if not possible:
                continue
            expected = locked.get(name) or created.get(name)
            if expected is None and may_create:
                created[name] = possible[0]
            elif expected is None:
                checked.filtered.add(name)
            elif expected not in possible and name not in wrong:
                wrong[name] = _mismatch(category, expected, possible, value)
    if wrong:
        raise _refused(category, wrong)
    checked.filtered -= created.keys()
    return checked


def _mismatch(
    category: Category, expected: str, possible: tuple[str, ...], value: object
) -> dict[str, Any]:
    return {
        "incomingTypes": list(possible),
        "expectedType": expected,
        "category": category,
        "offendingValue": value,
        "_type": "UnexpectedType",
    }


def _refused(category: Category, wrong: Mapping[str, dict[str, Any]]) -> Refused:
    name, first = next(iter(wrong.items()))
    msg = (
        "The request does not have the same data types as the data previously submitted. "
        f"Field '{name}' already exists for type '{category}' and has a data type of "
        f"'{first['expectedType']}' but possible types '{', '.join(first['incomingTypes'])}' "
        "in the request."
    )
    return Refused(400, "RequestFieldsTypesMismatched", msg, {"validationErrors": wrong})
