"""Where the time of a delivery goes: the seconds spent inside each of its parts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from destinations.delivery.journal import Journal
from destinations.delivery.limiter import Limiter
from destinations.delivery.transport import HttpTransport
from destinations.iterable import Iterable
from orchestration import delivering
from orchestration.warehouse.duckdb import DuckDBWarehouse
from tests.bench.rows import CLOCK

PARTS: Mapping[str, tuple[tuple[Any, str], ...]] = {
    "journal": ((Journal, "claim"), (Journal, "settle")),
    "fold": ((delivering, "fold"),),
    "count": ((delivering, "settled"),),
    "read": ((DuckDBWarehouse, "query"),),
    "encode": ((Iterable, "encode"),),
    "decode": ((Iterable, "decode"),),
    "permit": ((Limiter, "take"),),
    "http": ((HttpTransport, "send"),),
}


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Yield the seconds by part, which grow while it is open; what is left is everything else."""
    spent = dict.fromkeys(PARTS, 0.0)
    with ExitStack() as open_patches:
        for part, places in PARTS.items():
            for owner, name in places:
                wrapped = _timed(getattr(owner, name), part, spent)
                open_patches.enter_context(patch.object(owner, name, wrapped))
        yield spent


def _timed(work: Callable[..., Any], part: str, spent: dict[str, float]) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        start = CLOCK.monotonic()
        try:
            return work(*args, **kwargs)
        finally:
            spent[part] += CLOCK.monotonic() - start

    return run
