"""Wire contracts and delivery; knows nothing of dbt, Dagster or warehouse SQL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

from destinations.base import Destination


class ConnectorType(NamedTuple):
    """A connector: its settings dataclass and how to make it from them."""

    settings: type[Any]
    create: Callable[[Any], Destination]


_MODULES: Mapping[str, tuple[str, str]] = {"iterable": ("destinations.iterable", "Iterable")}

CONNECTORS = tuple(_MODULES)
"""The values that `type:` accepts in destinations.yml."""


def connector(name: str) -> ConnectorType:
    """Return the connector of that name, one of `CONNECTORS`; imported when first asked for."""
    module_name, class_name = _MODULES[name]
    module = import_module(module_name)
    return ConnectorType(getattr(module, f"{class_name}Settings"), getattr(module, class_name))
