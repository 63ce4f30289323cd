"""Instants as people write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchestration.setup import parse_instant

END = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-01-31", END), ("20260131", END),
        ("2026-01-31T12", NOON), ("2026-01-31 12:00", NOON), ("20260131T120000Z", NOON),
        ("2026-01-31T13:00:00+01:00", NOON),
    ],
)  # fmt: skip
def test_a_bare_date_is_its_last_second_however_it_is_written(
    written: str, meant: datetime
) -> None:
    assert parse_instant(written) == meant


@pytest.mark.parametrize("written", ["", "31.01.2026", "2026-02-30", "tomorrow", "2026-01-31Z"])
def test_what_is_no_instant_says_how_to_write_one(written: str) -> None:
    with pytest.raises(ValueError, match="write 2026-03-01T12:00:00Z"):
        parse_instant(written)
