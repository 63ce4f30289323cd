"""What an engine says of SQL it refuses, without the values of somebody's row that it quotes."""

from __future__ import annotations

import re

# DuckDB's words for what is wrong with a value; those for wrong SQL (Binder, Parser ...) are kept.
_ABOUT_A_VALUE = re.compile(
    r"(?:Conversion|Constraint|Invalid Input|Invalid|Out of Range|Mismatch Type|Serialization)"
    r" Error: "
)
_UNQUOTED = ("Invalid Input", "Invalid Error")  # may hold a value without quotes around it
_QUOTE = re.compile(r"(?<!\w)['\"]")
_COLUMN = re.compile(r"when casting from source column \w+")
_NUMBER = re.compile(r"\d{4,}")
_COMPILED = re.compile(r"\n\s*compiled code at \S+\s*\Z")


def without_values(said: str) -> str:
    """Return what an engine said, with the values masked that it quotes.

    A value may hold quotes and line breaks itself, so all is cut off from where it begins.
    """
    found = _ABOUT_A_VALUE.search(said)
    if found is None:
        return said
    words = said[found.end() :]
    quote = _QUOTE.search(words)
    end = quote.start() if quote else words.find("\n") if "\n" in words else len(words)
    told = "" if found[0].startswith(_UNQUOTED) else _NUMBER.sub("***", words[:end])
    columns = _COLUMN.findall(words) if quote else []
    compiled = _COMPILED.search(words)
    parts = [said[: found.end()], told, "***" if quote or not told else ""]
    parts += [f" {columns[-1]}" if columns else "", compiled[0] if compiled else ""]
    return "".join(parts)
