"""One key for the spellings of one event, in Python as in DuckDB."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestration.tracking_plan.asking import answer
from orchestration.tracking_plan.names import EVENT_KEY_SQL, event_key


@pytest.mark.parametrize(
    "name",
    [
        "session_started", "Session Started", "SessionStarted", "session-started",
        "sessionStarted", " session  started ", "__session.started__", "SESSION STARTED",
    ],
)  # fmt: skip
def test_the_spellings_of_one_event(name: str) -> None:
    assert event_key(name) == "session_started"


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Step2Done", "step2_done"),
        ("HTTPError", "httperror"),
        ("2FA Enabled", "2_fa_enabled"),
        ("Überweisung-Ausgeführt", "überweisung_ausgeführt"),
        ("Заказ Оплачен", "заказ_оплачен"),
        ("注文 完了", "注文_完了"),
        ("กิน ข้าว", "กิน_ข้าว"),
        ("की", "की"),
        ("Cafe\u0301 Visited", "café_visited"),
        ("!?", ""),
        ("", ""),
    ],
)
def test_other_names(name: str, key: str) -> None:
    assert event_key(name) == key


@given(st.text(st.characters(exclude_categories=("Cs",))) | st.text("aZ09 _-É.İσΣ", max_size=20))
@example("İstanbul")  # its lower case is two characters in Python
@example("\U00011f04")  # a letter to Python, too new for DuckDB
@example("a\x00B")
@example("J\u030c")  # its lower case has another normal form
def test_python_says_what_duckdb_says(name: str) -> None:
    assert event_key(name) == answer(f"select {EVENT_KEY_SQL}", name)


def test_words_that_differ_in_a_vowel_sign_are_two() -> None:
    assert event_key("กิน") != event_key("กัน")


@given(st.text(st.characters(exclude_categories=("Cs",))))
@example("J\u030c")
def test_a_key_is_its_own_key(name: str) -> None:
    assert event_key(event_key(name)) == event_key(name)
