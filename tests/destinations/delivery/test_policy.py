from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destinations.delivery import policy
from destinations.delivery.policy import Verdict, backoff, retry_after, verdict

NOW = datetime(2026, 11, 2, 12, 0, 0, tzinfo=UTC)
EXPECTED = {
    **dict.fromkeys(range(100, 200), Verdict.STOP),
    **dict.fromkeys(range(200, 300), Verdict.READ),
    **dict.fromkeys(range(300, 400), Verdict.STOP),
    **dict.fromkeys(range(400, 500), Verdict.READ),
    **dict.fromkeys(range(500, 600), Verdict.RETRY),
    401: Verdict.STOP,
    403: Verdict.STOP,
    404: Verdict.STOP,
    408: Verdict.RETRY,
    425: Verdict.RETRY,
    429: Verdict.THROTTLED,
}


def test_every_status_has_one_meaning() -> None:
    assert {status: verdict(status) for status in range(100, 600)} == EXPECTED


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("120", 120.0),
        ("Mon, 02 Nov 2026 12:00:30 GMT", 30.0),
        ("Monday, 02-Nov-26 12:00:30 GMT", 30.0),
        ("Mon, 02 Nov 2026 13:00:30 +0100", 30.0),
        ("Mon, 02 Nov 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("1,5", None),
        ("Mon, 02 Nov 2026 12:00:30", None),  # of no zone: it could be hours off
        ("Mon, 02 Nov 2026 12:00:30 -0000", None),
        ("Mon, 99 Nov 2026 12:00:30 GMT", None),
        ("Mon, 02 Nov 99999 12:00:30 GMT", None),
        ("Mon, 02 Nov 99999999999999999999 12:00:30 GMT", None),
        ("Mon, 02 Nov 2026 12:00:30 +9999999999", None),
    ],
)
def test_retry_after_in_every_form(value: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": value}, NOW) == seconds


@pytest.mark.parametrize("value", ["1e400", "inf", "9" * 400, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_a_wait_without_end_is_more_than_anybody_waits(value: str) -> None:
    told = retry_after({"retry-after": value}, NOW)
    assert told is not None
    assert told > policy.LONGEST_WAIT


def test_no_header_is_no_answer() -> None:
    assert retry_after({}, NOW) is None


@given(st.text(max_size=60))
def test_garbage_never_raises_and_never_waits_less_than_nothing(value: str) -> None:
    told = retry_after({"retry-after": value}, NOW)
    assert told is None or told >= 0


@given(st.integers(0, 10**7))
def test_an_http_date_is_seconds_from_now(seconds: int) -> None:
    value = format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)
    assert retry_after({"retry-after": value}, NOW) == seconds


@given(st.integers(0, 2_000), st.floats(0, 1, exclude_max=True))
def test_backoff_is_full_jitter_under_a_cap(attempt: int, draw: float) -> None:
    waited = backoff(attempt, draw)
    assert 0 <= waited <= policy.BACKOFF_CAP
    assert waited <= draw * policy.BACKOFF_BASE * 2 ** min(attempt, 10)
    assert policy.BACKOFF_CAP <= policy.LONGEST_WAIT <= policy.LONGEST_THROTTLE
