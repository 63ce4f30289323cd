"""What makes a row of the tracking plan wrong, by itself and beside the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from orchestration.tracking_plan.asking import refused_pattern
from orchestration.tracking_plan.cells import Problem
from orchestration.tracking_plan.names import event_key
from orchestration.tracking_plan.rows import (
    CONTROLS,
    ENFORCEMENTS,
    TYPES,
    PlanRow,
    Scalar,
    is_of,
    read_values,
)

REQUIRED = {"true": True, "false": False, "": False}


def checked_row(line: int, named: Mapping[str, str], problems: list[Problem]) -> PlanRow | None:
    """Return the row of these cells, or None; what is wrong with them is added to the problems."""
    before = len(problems)

    def wrong(column: str, said: str) -> None:
        problems.append(Problem(line, column, said))

    for column, said in _cell_problems(named):
        wrong(column, said)
    values: tuple[Scalar, ...] = ()
    try:
        values = read_values(named["allowed_values"])
    except ValueError as error:
        accepted = (
            "values with | between them, or a JSON array of texts, numbers, true, false, null"
        )
        wrong("allowed_values", f"{error}; accepted: {accepted}")
    types = tuple(named["type"].split("|")) if named["type"] else ()
    if values and types and not any(is_of(value, types) for value in values):
        wrong(
            "allowed_values",
            f"none of them is of type {named['type']}, so no value would ever be right; accepted: "
            "values of that type, those that are no text as a JSON array such as [0,1] or [true]",
        )
    if len(problems) > before:
        return None
    return PlanRow(
        event=named["event"],
        property=named["property"],
        types=types,
        required=REQUIRED[named["required"]],
        allowed_values=values,
        pattern=named["pattern"],
        enforcement=named["enforcement"],
    )


def _cell_problems(named: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for column, cell in named.items():
        if CONTROLS.search(cell):
            said = f"{cell!r} holds a line break or another control character; accepted: none"
            yield column, said
    if not event_key(named["event"]):
        yield "event", f"{named['event']!r} is no name; accepted: one with a letter or a digit"
    if named["property"] and not named["property"].strip():
        yield "property", "the name is only blanks; accepted: a name, or nothing for the event"
    yield from _type_problems(named["type"])
    if named["required"] not in REQUIRED:
        yield "required", f"{named['required']!r}; accepted: true, false, or nothing for false"
    refused = refused_pattern(named["pattern"]) if named["pattern"] else None
    if refused:
        yield "pattern", f"{refused}; accepted: a regular expression that RE2 knows"
    if named["enforcement"] not in ("", *ENFORCEMENTS):
        accepted = f"accepted: {', '.join(ENFORCEMENTS)}, or nothing for the target's choice"
        yield "enforcement", f"{named['enforcement']!r}; {accepted}"
    yield from _misplaced(named)


def _type_problems(cell: str) -> Iterator[tuple[str, str]]:
    words = cell.split("|") if cell else []
    for word in dict.fromkeys(words):
        if word not in TYPES:
            accepted = f"accepted: {', '.join(TYPES)}, with | between several, or nothing for any"
            yield "type", f"{word!r} is no type; {accepted}"
        elif words.count(word) > 1:
            yield "type", f"{word!r} is given twice; accepted: each type once"


def _misplaced(named: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield what only a property can have on an event's row, and the other way around."""
    if named["property"]:
        if named["enforcement"] in ENFORCEMENTS:
            said = "a property has none; accepted: nothing here, and it on the event's row"
            yield "enforcement", said
        return
    for column in ("type", "required", "allowed_values", "pattern"):
        if named[column] and not (column == "required" and named[column] == "false"):
            said = "the row declares an event, as its property is empty; accepted: nothing here"
            yield column, said


def problems_between(listed: Sequence[tuple[int, Mapping[str, str]]]) -> Iterator[Problem]:
    """Yield what is wrong with (line, cells) pairs beside each other."""
    keyed = [(line, event_key(named["event"]), named) for line, named in listed]
    declared = {key for _, key, named in keyed if not named["property"]}
    first: dict[tuple[str, str], int] = {}
    for line, key, named in keyed:
        event, name = named["event"], named["property"]
        before = first.setdefault((key, name), line)
        if not key:
            continue
        if before != line:
            what = f"{name!r} of {event!r}" if name else f"{event!r}"
            said = f"{what} is in line {before} already (as {key!r}); accepted: one row of each"
            yield Problem(line, "property" if name else "event", said)
        elif key not in declared:
            said = (
                f"the event {event!r} is not declared; accepted: an event that has a row of its "
                "own, in which property is empty"
            )
            yield Problem(line, "event", said)
