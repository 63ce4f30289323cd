"""What audience SQL must not do: read another clock than as_of(), draw lots."""

from __future__ import annotations

import re
from collections.abc import Iterator

FORBIDDEN = {
    "now", "current_date", "current_timestamp", "current_time", "today", "get_current_timestamp",
    "get_current_time", "current_localtime", "current_localtimestamp", "getdate", "getutcdate",
    "sysdate", "localtimestamp", "localtime", "transaction_timestamp", "statement_timestamp",
    "clock_timestamp", "timeofday", "utc_timestamp", "ago", "age",
    "random", "rand", "uuid", "uuidv4", "uuidv7", "gen_random_uuid", "generate_uuid",
    "uuid_generate_v4", "setseed", "tablesample", "using sample",
    "nextval", "currval", "setval", "txid_current", "current_transaction_id", "current_query_id",
}  # fmt: skip
_BARE = {
    "current_date", "current_timestamp", "current_time", "localtimestamp", "localtime", "sysdate",
    "tablesample", "using sample",
}  # fmt: skip
_NOISE = re.compile(
    r"\{#.*?#\}|\{\{.*?\}\}|\{%.*?%\}|--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"[^\"]*\"", re.DOTALL
)
_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_JINJA_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_JINJA_CLOCK = re.compile(
    r"\brun_started_at\b|\binvocation_id\b|\b(?:utc)?now(?=\s*\()|\btoday(?=\s*\()"
)
_WORD = re.compile(r"(\.?)(?<!\w)(using\s+sample\b|[a-z_]\w*)(\s*\()?", re.IGNORECASE)


def forbidden_calls(sql: str) -> Iterator[tuple[int, str]]:
    """Yield (line, function) for each call whose answer depends on when or how often it runs.

    Works on a model's own text: comments, strings and quoted names are blanked first. Jinja is read
    for the clocks of docs.getdbt.com/reference/dbt-jinja-functions.
    """
    yield from _clocks_of_jinja(_JINJA_COMMENT.sub(_blank, sql))
    plain = _NOISE.sub(_blank, sql)
    for match in _WORD.finditer(plain):
        name = " ".join(match[2].lower().split())
        bare = name in _BARE and not match[1]  # behind a dot it is a column
        if name not in FORBIDDEN or not (match[3] or bare):
            continue
        if name != "age" or _one_argument(plain[match.end() :]):
            yield plain.count("\n", 0, match.start()) + 1, name


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def _clocks_of_jinja(sql: str) -> Iterator[tuple[int, str]]:
    for part in _JINJA.finditer(sql):
        for match in _JINJA_CLOCK.finditer(part[0]):
            yield sql.count("\n", 0, part.start() + match.start()) + 1, match[0]


def _one_argument(rest: str) -> bool:
    """Return whether a call whose bracket was just opened has one argument.

    `age(a, b)` is a difference; `age(a)` counts from today.
    """
    depth = 0
    for character in rest:
        if character == "," and not depth:
            return False
        if character == ")" and not depth:
            return True
        depth += {"(": 1, ")": -1}.get(character, 0)
    return True
