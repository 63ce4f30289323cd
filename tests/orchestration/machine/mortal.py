"""A warehouse whose process may die at any statement."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orchestration.warehouse import Connect, Warehouse
from tests.support.dying import Fuse

POINTS = ("execute", "rows", "query", "append")


class Mortal:
    """Burns the fuse before each statement and after the connection is closed."""

    def __init__(self, warehouse: Warehouse, fuse: Fuse) -> None:
        self._warehouse, self._fuse = warehouse, fuse

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._warehouse, name)
        return self._burning(found) if name in POINTS else found

    def _burning(self, act: Callable[..., Any]) -> Callable[..., Any]:
        def acting(*values: Any, **named: Any) -> Any:
            self._fuse.burn()
            return act(*values, **named)

        return acting

    def __enter__(self) -> Mortal:
        return self

    def __exit__(self, *exc: object) -> None:
        self._warehouse.close()
        if exc[0] is None:
            self._fuse.burn()


def mortal(connect: Connect, fuse: Fuse) -> Connect:
    """Return `connect`, to a warehouse that dies with the fuse."""

    def connecting(*values: Any, **named: Any) -> Any:
        return Mortal(connect(*values, **named), fuse)

    return connecting
