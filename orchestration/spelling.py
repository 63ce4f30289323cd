"""The one spelling of an e-mail address, as macros/identity/normalised_email.sql has it."""

from __future__ import annotations

import re
import unicodedata

_AROUND = (
    "[\t-\r \x85\xa0\xad\u1680\u180e\u2000-\u200f\u2028-\u202f\u205f\u2060\u2066-\u2069"
    "\u3000\ufeff]"
)
_ENDS = re.compile(f"^{_AROUND}+|{_AROUND}+\\Z")
_BRACKETED = re.compile(f"^.*<{_AROUND}*([^<>]*?){_AROUND}*>\\Z", re.DOTALL)
_MAILTO = re.compile(f"^mailto:{_AROUND}*")


def one_spelling(address: str) -> str:
    """Return an address that somebody typed or pasted as the models spell it.

    Without blanks, display name and mailto:, in lower case and Unicode's form C. A capital letter
    that stands for two small ones, or a final sigma, is spelt as a database spells it.
    """
    bare = _BRACKETED.sub(r"\1", _ENDS.sub("", address))
    simple = "".join(one.lower()[:1] for one in unicodedata.normalize("NFC", bare))
    return _MAILTO.sub("", unicodedata.normalize("NFC", simple))


def spellings(address: str) -> list[str]:
    """Return that and the plain one, which models of one's own or older requests may have."""
    return sorted({one_spelling(address), address.strip().lower()} - {""})
