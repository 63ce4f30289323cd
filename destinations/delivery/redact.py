"""What a vendor says of rows, without what it repeats of them: ids, addresses, values, our key.

A connector takes a code, a field and a detail from an answer; all of it is the vendor's text, and
goes on to the journal, the warehouse, logs and terminals.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from destinations.base import Outcomes, Row
from destinations.scrub import MASK, one_line

LONGEST = 200
SHORTEST = 4
"""Of a value of a row: what is shorter stands in any text."""

Clean = Callable[[str], str]


def redacted(outcomes: Outcomes, rows: Sequence[Row]) -> Outcomes:
    """Return outcomes whose texts may be stored and shown: short, one line, nobody's data."""
    told = {*outcomes.exceptions.values(), outcomes.rest}
    said = [*outcomes.warnings, *(part for o in told for part in (o.code, o.field, o.detail))]
    if not any(said):
        return outcomes
    clean = _masking(_known(rows), said)
    cleaned = {
        o: replace(o, code=clean(o.code), field=clean(o.field), detail=clean(o.detail))
        for o in told
    }
    warnings: dict[str, int] = {}
    for name, count in outcomes.warnings.items():
        safe = clean(name)
        warnings[safe] = warnings.get(safe, 0) + count
    exceptions = {seq: cleaned[o] for seq, o in outcomes.exceptions.items()}
    return replace(outcomes, rest=cleaned[outcomes.rest], exceptions=exceptions, warnings=warnings)


def _known(rows: Iterable[Row]) -> set[str]:
    """Return the ids of rows and what is in their payloads, the names of fields apart."""
    ids: set[str] = set()
    values: set[str] = set()
    fields: set[str] = set()
    for row in rows:
        ids |= {row.dest_key, quote(row.dest_key, safe="")}
        for name, value in _leaves(json.loads(row.payload)):
            fields.add(name)
            values |= {value, quote(value, safe="")}
    return ids | {value for value in values - fields if len(value) >= SHORTEST}


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key), ""
            yield from _leaves(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner, name)
    elif isinstance(value, str) or (isinstance(value, int | float) and value is not True):
        yield name, str(value)


def _masking(known: set[str], said: Sequence[str]) -> Clean:
    """Return a function that masks those of the known texts that are said, as whole words."""
    everything = "\n".join(said).casefold()
    found = sorted((one for one in known if one and one.casefold() in everything), key=len)
    words = "|".join(re.escape(one) for one in reversed(found))
    pattern = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if found else None

    def clean(text: str) -> str:
        # First, in the spelling of the row: what is masked or written out later has another.
        return one_line(pattern.sub(MASK, text) if pattern else text, LONGEST) if text else text

    return clean
