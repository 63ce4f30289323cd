"""What is typed is spelt as the models spell it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestration.spelling import one_spelling
from tests import oracle_identity as oracle

PARTS = [
    *(" ", "\t", "\n", "\x0b", "\x85", "\xa0", "\u200b", "\u2028", "\u3000", "\ufeff", "\u202a"),
    *("a@b.c", "A+b@B.C", "é@x", "e\u0301@x", "J\u030c@x", "ΑΣ@x", "İ@x", "mailto:", "<", ">", "N"),
]


@settings(max_examples=500)
@given(parts=st.lists(st.sampled_from(PARTS), max_size=8))
def test_it_is_that_of_the_models(parts: list[str]) -> None:
    text = "".join(parts)
    assert one_spelling(text) == (oracle.normalised_email(text) or "")


def test_the_same_is_taken_from_around_it() -> None:
    points = [n for n in range(1, 0x11000) if not 0x1C <= n < 0x20 and not 0xD800 <= n < 0xE000]
    taken = {n for n in points if one_spelling(f"{chr(n)}a@b{chr(n)}") == "a@b"}
    assert taken == {n for n in points if oracle.stripped(chr(n)) == ""}
