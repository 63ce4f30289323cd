"""Days of a time zone as instants: a past day is answered for at its last second."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from destinations.errors import ConfigError
from orchestration.project_vars import project_vars

SECOND = timedelta(seconds=1)


def project_zone(project_dir: Path) -> ZoneInfo:
    """Return the zone whose days the project means: var `time_zone`, by default UTC.

    Raises:
        ConfigError: there is no such zone.
    """
    name = project_vars(project_dir).get("time_zone", "UTC")
    try:
        return ZoneInfo(str(name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"there is no time zone {name!r}",
            file="dbt_project.yml",
            key="vars.time_zone",
            accepted=[_nearest(str(name)) or "a name of the IANA database, such as Europe/Berlin"],
        ) from None


def _nearest(name: str) -> str | None:
    """Return the zone that is written so but for its capitals."""
    return next((zone for zone in available_timezones() if zone.lower() == name.lower()), None)


def last_second(day: date, zone: ZoneInfo) -> datetime:
    """Return the last whole second of a day there, in UTC.

    Where a clock goes back over midnight, what follows the next midnight may be on this day again.
    A day that was left out, as when the date line moved, ends with the day before.
    """
    midnight = datetime.combine(day + timedelta(days=1), time(), zone)
    ends = [midnight.replace(fold=fold).astimezone(UTC) - SECOND for fold in (0, 1)]
    return max((end for end in ends if end.astimezone(zone).date() == day), default=ends[0])


def last_seconds(first: date, last: date, zone: ZoneInfo) -> list[datetime]:
    """Return the last second of each day there was, from first to last."""
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return list(dict.fromkeys(last_second(day, zone) for day in days))
