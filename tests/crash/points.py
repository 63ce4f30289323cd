"""The points at which a process of these tests dies: real functions, wrapped in that process."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from typing import Any

DELIVERING = "orchestration.delivering"
JOURNAL = "destinations.delivery.journal"
OPENING = "destinations.delivery.opening"
TRANSACTION = "orchestration.warehouse.duckdb:DuckDBWarehouse.transaction"
COMMIT = f"{JOURNAL}:Journal.transaction"


@dataclass(frozen=True, slots=True)
class Point:
    """A moment of a function.

    Attributes:
        target: module and, behind the colon, the function in it.
        moment: before or after the call; half of the bytes it sends; or, of a transaction, when
            all is written and not committed, or committed.
        within: counts only while this function runs.
    """

    target: str
    moment: str = "before"
    within: str = ""


POINTS = {
    "journal opened": Point(f"{DELIVERING}:open_journal", "after"),
    "journal made, not known": Point(f"{OPENING}:_set_up", "after"),
    "warehouse statement": Point("orchestration.warehouse.duckdb:DuckDBWarehouse.execute"),
    "plan not committed": Point(TRANSACTION, "uncommitted", f"{DELIVERING}:store_plan"),
    "plan committed": Point(TRANSACTION, "committed", f"{DELIVERING}:store_plan"),
    "plan stored": Point(f"{DELIVERING}:store_plan", "after"),
    "before the plan's status": Point(f"{DELIVERING}:set_status"),
    "after the plan's status": Point(f"{DELIVERING}:set_status", "after"),
    "before reading a chunk": Point("orchestration.warehouse.duckdb:DuckDBWarehouse.query"),
    "after reading a chunk": Point("orchestration.warehouse.duckdb:DuckDBWarehouse.query", "after"),
    "before the claim": Point(f"{JOURNAL}:Journal.claim"),
    "claim not committed": Point(COMMIT, "uncommitted", f"{JOURNAL}:Journal.claim"),
    "claim committed": Point(f"{JOURNAL}:Journal.claim", "after"),
    "before the permit": Point("destinations.delivery.limiter:Limiter.take"),
    "permit not committed": Point(
        COMMIT, "uncommitted", "destinations.delivery.limiter:Limiter.take"
    ),
    "permit taken": Point("destinations.delivery.limiter:Limiter.take", "after"),
    "before the first byte": Point("destinations.delivery.transport:HttpTransport.send"),
    "in the middle of the bytes": Point("http.client:HTTPConnection.send", "half"),
    "all bytes sent": Point("http.client:HTTPConnection.getresponse"),
    "answered, not read": Point("http.client:HTTPConnection.getresponse", "after"),
    "answer read": Point("destinations.delivery.transport:HttpTransport.send", "after"),
    "before settling": Point(f"{JOURNAL}:Journal.settle"),
    "settled, not written": Point(f"{JOURNAL}:Journal.settle", "after"),
    "settled, not committed": Point(COMMIT, "uncommitted", f"{JOURNAL}:Journal.write"),
    "settled": Point(f"{JOURNAL}:Journal.write", "after"),
    "waiting": Point("tests.support.clocks:SharedClock.sleep"),
    "before the fold": Point(f"{DELIVERING}:fold"),
    "fold not committed": Point(TRANSACTION, "uncommitted", f"{DELIVERING}:fold"),
    "fold committed": Point(TRANSACTION, "committed", f"{DELIVERING}:fold"),
    "fold not marked": Point(COMMIT, "uncommitted", f"{JOURNAL}:Journal.mark_exported"),
    "fold marked": Point(f"{JOURNAL}:Journal.mark_exported", "after"),
    "before closing": Point(f"{DELIVERING}:close_plan"),
    "closing not committed": Point(TRANSACTION, "uncommitted", f"{DELIVERING}:close_plan"),
    "closed": Point(f"{DELIVERING}:close_plan", "after"),
    "before the log": Point(f"{DELIVERING}:log_run"),
    "after the log": Point(f"{DELIVERING}:log_run", "after"),
    "evaluation not committed": Point(TRANSACTION, "uncommitted"),
    "evaluation committed": Point(TRANSACTION, "committed"),
}

STOPS = {
    "waited for a permit": Point(
        "destinations.clock:SystemClock.sleep", "after", "destinations.delivery.sender:run"
    ),
}
"""Points at which a process is only stopped, since they are about time that passes meanwhile."""


class Fate:
    """Sends this process a signal when it passes its point for the n-th time."""

    def __init__(self, name: str, times: int, number: int) -> None:
        self.point, self.left, self.number = (POINTS | STOPS)[name], times, number
        self.counts = not self.point.within

    def due(self) -> bool:
        self.left -= self.counts
        return self.counts and self.left == 0

    def pass_by(self) -> None:
        if self.due():
            self.strike()

    def strike(self) -> None:
        os.kill(os.getpid(), self.number)


def arm(name: str, times: int, number: int = signal.SIGKILL) -> None:
    """Have this process killed, or stopped, the n-th time that it passes a point."""
    fate = Fate(name, times, number)
    point = fate.point
    if point.within:
        _wrap(point.within, lambda real: _watched(real, fate))
    wrappers = {"half": _half, "uncommitted": _transaction, "committed": _transaction}
    _wrap(point.target, lambda real: wrappers.get(point.moment, _call)(real, fate))


def _wrap(target: str, wrapper: Callable[[Any], Any]) -> None:
    module, _, path = target.partition(":")
    *parents, name = path.split(".")
    owner: Any = import_module(module)
    for parent in parents:
        owner = getattr(owner, parent)
    setattr(owner, name, wrapper(getattr(owner, name)))


def _watched(real: Any, fate: Fate) -> Any:
    @wraps(real)
    def watched(*args: Any, **options: Any) -> Any:
        fate.counts = True
        try:
            return real(*args, **options)
        finally:
            fate.counts = False

    return watched


def _call(real: Any, fate: Fate) -> Any:
    @wraps(real)
    def called(*args: Any, **options: Any) -> Any:
        if fate.point.moment == "before":
            fate.pass_by()
        result = real(*args, **options)
        if fate.point.moment == "after":
            fate.pass_by()
        return result

    return called


def _half(real: Any, fate: Fate) -> Any:
    """Of two calls per request the first sends its head, the second its body."""

    @wraps(real)
    def sent(connection: Any, data: bytes) -> None:
        if fate.due():
            real(connection, data[: len(data) // 2])
            fate.strike()
        else:
            real(connection, data)

    return sent


def _transaction(real: Any, fate: Fate) -> Any:
    @contextmanager
    def held(*args: Any) -> Iterator[Any]:
        with real(*args) as value:
            yield value
            if fate.point.moment == "uncommitted":
                fate.pass_by()
        if fate.point.moment == "committed":
            fate.pass_by()

    return held
