"""The tracking plan once more, in plain Python: names, rules, and which events are kept out."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

Violation = tuple[str, str]
UNPLANNED: Violation = ("unplanned", "")
INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d")


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_instant(value: object) -> bool:
    if not isinstance(value, str) or not INSTANT.match(value):
        return False
    try:
        return bool(datetime.fromisoformat(value))
    except ValueError:
        return False


TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": is_number,
    "integer": lambda value: is_number(value) and value == int(value),
    "boolean": lambda value: isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "date-time": is_instant,
    "null": lambda value: value is None,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Rows of the two seeds, by column."""

    rows: Sequence[Mapping[str, str]]
    aliases: Sequence[Mapping[str, str]] = ()
    blocks: bool = True

    def name(self, sent: str | None) -> str | None:
        """Return the name under which an event counts."""
        if sent is None:
            return None
        names = {key(row["event"]): row["event"] for row in self.rows}
        for alias in self.aliases:
            if key(alias["alias"]) == key(sent):
                return names.get(key(alias["event"]), alias["event"])
        return names.get(key(sent), sent)

    def violations(self, name: str | None, properties: Mapping[str, Any]) -> list[Violation]:
        """Return (rule, property) of what is wrong with an event of a canonical name."""
        mine = [row for row in self.rows if row["event"] == name]
        if name is None or not self.rows:
            return []
        if not mine:
            return [UNPLANNED]
        return [
            (rule, row["property"])
            for row in mine
            if row["property"]
            for rule in broken(row, properties)
        ]

    def is_blocked(self, name: str | None, found: Sequence[Violation]) -> bool:
        """Say whether an event in which this was found is kept out."""
        usual = "block" if self.blocks else "alert"
        said = [row["enforcement"] for row in self.rows if row["event"] == name]
        said = [enforcement for enforcement in said if enforcement] or [usual]
        return bool(found) and UNPLANNED not in found and said[0] == "block"


def read_plan(seeds: Path, *, blocks: bool = True) -> Plan:
    """Return the plan of a folder of seeds."""
    rows, aliases = (
        list(csv.DictReader((seeds / name).read_text(encoding="utf-8").splitlines()))
        for name in ("tracking_plan.csv", "event_aliases.csv")
    )
    return Plan(rows, aliases, blocks)


@cache
def key(name: str) -> str:
    """Return what a name is matched by."""
    apart = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()
    return re.sub(r"[\W_]+", "_", apart).strip("_")


def broken(row: Mapping[str, str], properties: Mapping[str, Any]) -> list[str]:
    """Return the rules of one row that an event breaks."""
    value = properties.get(row["property"])
    types = row["type"].split("|") if row["type"] else []
    rules = []
    is_null = row["property"] in properties and value is None
    if row["required"] == "true" and value is None and not (is_null and "null" in types):
        rules.append("required")
    if value is None:
        return rules
    if types and not any(TYPES[name](value) for name in types):
        rules.append("type")
    if row["allowed_values"] and not is_among(value, row["allowed_values"]):
        rules.append("allowed_values")
    if row["pattern"] and isinstance(value, str) and not re.search(row["pattern"], value):
        rules.append("pattern")
    return rules


def is_among(value: object, cell: str) -> bool:
    allowed = json.loads(cell) if cell.startswith("[") else cell.split("|")
    return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in allowed)
