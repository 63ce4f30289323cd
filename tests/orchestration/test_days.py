"""The last second of a local day, where clocks go back or forward around midnight."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destinations.errors import ConfigError
from orchestration.days import last_second, last_seconds, project_zone

ZONES = [
    "UTC", "Europe/Berlin", "America/Sao_Paulo", "America/Havana", "America/St_Johns",
    "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe", "Africa/Cairo",
]  # fmt: skip


@pytest.mark.parametrize(
    ("zone", "day", "expected"),
    [
        ("UTC", date(2026, 3, 1), "2026-03-01T23:59:59"),
        ("Europe/Berlin", date(2026, 3, 28), "2026-03-28T22:59:59"),
        ("Europe/Berlin", date(2026, 3, 29), "2026-03-29T21:59:59"),  # 23 hours
        ("Europe/Berlin", date(2026, 10, 25), "2026-10-25T22:59:59"),  # 25 hours
        ("America/Sao_Paulo", date(2018, 11, 3), "2018-11-04T02:59:59"),  # the next has no midnight
        ("America/Havana", date(2025, 11, 1), "2025-11-02T03:59:59"),  # the next has two
        ("America/St_Johns", date(2010, 11, 6), "2010-11-07T03:29:59"),  # goes back into this one
    ],
)
def test_known_days(zone: str, day: date, expected: str) -> None:
    at = datetime.fromisoformat(expected).replace(tzinfo=UTC)
    assert last_second(day, ZoneInfo(zone)) == at


@given(st.sampled_from(ZONES), st.dates(date(2000, 1, 1), date(2030, 12, 30)))
def test_it_is_that_day_and_no_later_second_is(name: str, day: date) -> None:
    if (name, day) == ("Pacific/Apia", date(2011, 12, 30)):
        return  # there was no such day
    zone = ZoneInfo(name)
    at = last_second(day, zone)
    assert at.astimezone(zone).date() == day
    for seconds in (1, 60, 1800, 3600, 7200, 86_400):
        assert (at + timedelta(seconds=seconds)).astimezone(zone).date() > day


def test_days_in_a_row() -> None:
    found = last_seconds(date(2026, 3, 28), date(2026, 3, 30), ZoneInfo("Europe/Berlin"))
    assert [after - before for before, after in pairwise(found)] == [
        timedelta(hours=23),
        timedelta(hours=24),
    ]


def test_a_day_that_never_was() -> None:
    found = last_seconds(date(2011, 12, 29), date(2011, 12, 31), ZoneInfo("Pacific/Apia"))
    assert [f"{at:%d %H:%M}" for at in found] == ["30 09:59", "31 09:59"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ("", "UTC"),
        ("vars: {time_zone: Europe/Berlin}", "Europe/Berlin"),
        ("vars: {time_zone: UTC, shop: {time_zone: Asia/Tokyo}}", "Asia/Tokyo"),
    ],
)
def test_the_zone_is_the_projects(tmp_path: Path, variables: str, expected: str) -> None:
    (tmp_path / "dbt_project.yml").write_text(f"name: shop\n{variables}\n")
    assert project_zone(tmp_path).key == expected


@pytest.mark.parametrize("name", ["Berlin", "../etc/passwd", "", "7"])
def test_a_zone_that_is_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "dbt_project.yml").write_text(f"name: shop\nvars: {{time_zone: '{name}'}}\n")
    with pytest.raises(ConfigError, match="there is no time zone") as raised:
        project_zone(tmp_path)
    assert (raised.value.file, raised.value.key) == ("dbt_project.yml", "vars.time_zone")
    assert raised.value.accepted == ("a name of the IANA database, such as Europe/Berlin",)


def test_a_zone_in_other_capitals(tmp_path: Path) -> None:
    """The engine knows it, the days of a backfill would not."""
    (tmp_path / "dbt_project.yml").write_text("vars: {time_zone: europe/berlin}")
    with pytest.raises(ConfigError, match="there is no time zone") as raised:
        project_zone(tmp_path)
    assert raised.value.accepted == ("Europe/Berlin",)
