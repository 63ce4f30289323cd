"""`share:` and `limits:` of an account in destinations.yml: how much of a limit is ours."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from destinations.base import Endpoint, Kind, Window
from destinations.errors import ConfigError

_PERCENT = re.compile(r"(\d{1,3}(?:\.\d+)?)\s*%")
_WINDOW = ("requests", "seconds")
_EXAMPLE = ["{requests: 100, seconds: 10}", "a list of those"]


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What an account says of its limits; `windows` take the place of the vendor's, by kind."""

    share: float = 1.0
    windows: Mapping[str, tuple[Window, ...]] = field(default_factory=dict)


def read_rate_limits(entry: Mapping[object, object], file: str, where: str) -> RateLimits:
    """Read `share` and `limits` of an account.

    Raises:
        ConfigError: one of them is not what it should be; which kinds there are is not known yet.
    """
    share = entry.get("share")
    limits = entry.get("limits", {})
    if not isinstance(limits, Mapping):
        raise ConfigError(
            "needs a mapping of kind (identify, track ...) to requests and seconds",
            file=file,
            key=f"{where}.limits",
        )
    return RateLimits(
        1.0 if share is None else _share(share, file, f"{where}.share"),
        {
            str(kind): _windows(found, file, f"{where}.limits.{kind}")
            for kind, found in limits.items()
        },
    )


def limited(
    endpoints: Mapping[Kind, Endpoint], limits: RateLimits, file: str, where: str
) -> dict[Kind, Endpoint]:
    """Return the endpoints under the account's own limits.

    Raises:
        ConfigError: the connector makes no call of a kind that has a limit.
    """
    for kind in limits.windows:
        if kind not in [str(known) for known in endpoints]:
            raise ConfigError(
                f"this destination makes no call of kind {kind!r}",
                file=file,
                key=f"{where}.limits.{kind}",
                accepted=[str(known) for known in endpoints],
            )
    return {
        kind: replace(endpoint, windows=_shared(limits, kind, endpoint))
        for kind, endpoint in endpoints.items()
    }


def _shared(limits: RateLimits, kind: Kind, endpoint: Endpoint) -> tuple[Window, ...]:
    windows = limits.windows.get(str(kind), endpoint.windows)
    return tuple(replace(window, requests=window.requests * limits.share) for window in windows)


def _share(value: object, file: str, where: str) -> float:
    share = 0.0
    if isinstance(value, str) and (percent := _PERCENT.fullmatch(value)):
        share = float(percent[1]) / 100
    elif isinstance(value, int | float) and not isinstance(value, bool):
        share = float(value)
    if not 0 < share <= 1:
        raise ConfigError(
            "must be the share of the limit that is ours, above 0 and at most 100%",
            file=file,
            key=where,
            accepted=["50%", "0.5"],
        )
    return share


def _windows(value: object, file: str, where: str) -> tuple[Window, ...]:
    listed = value if isinstance(value, list) else [value]
    if not listed or not all(isinstance(one, dict) and set(one) == set(_WINDOW) for one in listed):
        raise ConfigError(
            "needs requests and seconds: so many requests in any so many seconds",
            file=file,
            key=where,
            accepted=_EXAMPLE,
        )
    return tuple(
        Window(*(_positive(one[name], file, f"{where}.{name}") for name in _WINDOW))
        for one in listed
    )


def _positive(value: object, file: str, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _fit(value):
        raise ConfigError("must be a number above 0", file=file, key=where)
    return value


def _fit(value: float) -> bool:
    return math.isfinite(value) and value > 0
