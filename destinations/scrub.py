"""What may be shown of a text: no secret in any spelling, no e-mail address, no control character.

A vendor may send our key back in an answer, and data may hold line breaks and terminal sequences.
Whatever is logged, printed, raised or stored beside the data it is about goes through here.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
LEAST = 6
"""A shorter secret is none, and to mask it would mask half of every text."""

_SHORTEST_BASE64 = 8
_BREAKS = re.compile(r"[^\S\n]*\n\s*")
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_DOMAIN = re.compile(
    r"(?:@|%40|\\u0040|&\#0*64;|&\#x0*40;|&commat;)[^\s'\"<>(),:;]+", re.IGNORECASE
)
_LOCAL = re.compile(r"""(?:"[^"\n]*"|[^\s'"<>(),:;@][^\s"<>(),:;@]*)\Z""")
_LONGEST_LOCAL = 66

_spellings: set[str] = set()
_secrets: re.Pattern[str] | None = None


def register(secret: str) -> None:
    """Mask this value in every text from now on."""
    global _secrets
    if len(secret) < LEAST or secret in _spellings:
        return
    _spellings.update(spellings(secret))
    longest_first = sorted(_spellings, key=len, reverse=True)
    _secrets = re.compile("|".join(map(re.escape, longest_first)))


def spellings(value: str) -> set[str]:
    """Return a value as it is, and as URLs, JSON, HTML, Python and base64 spell it."""
    as_json = json.dumps(value)[1:-1]
    found = {value, as_json, as_json.replace("/", "\\/"), repr(value)[1:-1]}
    found.add(re.sub(r"[<>&'+]", lambda m: f"\\u{ord(m[0]):04x}", as_json))
    found |= {json.dumps(value, ensure_ascii=False)[1:-1], html.escape(value)}
    found.add(html.escape(value, quote=False))
    for quoted in (quote(value), quote(value, safe=""), quote_plus(value)):
        found |= {quoted, re.sub("%..", lambda m: m[0].lower(), quoted)}
    return found | _base64(value.encode("utf-8", "surrogatepass"))


def _base64(value: bytes) -> set[str]:
    """Return what does not depend on neighbours, for each of the three ways bytes can fall."""
    found = set()
    for before in range(3):
        text = base64.b64encode(bytes(before) + value).decode("ascii")
        sure = text[-(-before * 4 // 3) : (before + len(value)) * 4 // 3]
        if len(sure) >= _SHORTEST_BASE64:
            found |= {sure, sure.replace("+", "-").replace("/", "_")}
    return found


def without_secrets(text: str) -> str:
    """Mask every registered secret, however it is spelt."""
    return _secrets.sub(MASK, text) if _secrets else text


def without_addresses(text: str) -> str:
    """Mask e-mail addresses: from the @ outwards, which takes no longer where there is none."""
    parts, done = [], 0
    for domain in _DOMAIN.finditer(text):
        start = max(done, domain.start() - _LONGEST_LOCAL)
        local = _LOCAL.search(text[start : domain.start()])
        if local:
            parts += [text[done : start + local.start()], MASK]
            done = domain.end()
    return "".join([*parts, text[done:]]) if parts else text


def without_controls(text: str) -> str:
    """Write out what would move a cursor, colour a terminal or begin a line; line feeds stay."""
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text.replace("\r\n", "\n"))


def without_breaks(text: str) -> str:
    """Put the lines of a text into one."""
    return _BREAKS.sub(" | ", text.strip())


def scrubbed(text: str) -> str:
    """Return a text that may be shown; its line feeds stay."""
    return without_controls(without_addresses(without_secrets(text)))


def one_line(text: str, longest: int | None = None) -> str:
    """Return a text that may be shown, as one line, cut off after `longest` characters."""
    line = without_breaks(scrubbed(text)).replace("\t", " ")
    return line if longest is None or len(line) <= longest else f"{line[: longest - 3]}..."


def scrubbed_values(value: Any, clean: Callable[[str], str] = scrubbed) -> Any:
    """Return a JSON value, or one that is about to become one, with every text in it cleaned."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {scrubbed_values(k, clean): scrubbed_values(v, clean) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [scrubbed_values(inner, clean) for inner in value]
    return value
