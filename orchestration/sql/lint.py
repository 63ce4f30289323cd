"""What audience SQL must not do: read another clock than as_of(), draw lots."""

from __future__ import annotations

import re
from collections.abc import Iterator

FORBIDDEN = {
    "now", "current_date", "current_timestamp", "current_time", "today", "get_current_timestamp",
    "getdate", "sysdate", "localtimestamp", "localtime", "transaction_timestamp",
    "random", "rand", "uuid", "gen_random_uuid", "setseed",
}  # fmt: skip
_BARE = {"current_date", "current_timestamp", "current_time", "localtimestamp", "localtime"}
_NOISE = re.compile(
    r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}|--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"[^\"]*\"", re.DOTALL
)
_WORD = re.compile(r"(?<![.\w])([a-z_]+)(\s*\()?", re.IGNORECASE)


def forbidden_calls(sql: str) -> Iterator[tuple[int, str]]:
    """Yield (line, function) for each call whose answer depends on when or how often it runs.

    Works on a model's own text: Jinja, comments, strings and quoted names are blanked first.
    """
    plain = _NOISE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), sql)
    for match in _WORD.finditer(plain):
        name = match[1].lower()
        if name in FORBIDDEN and (match[2] or name in _BARE):
            yield plain.count("\n", 0, match.start()) + 1, name
