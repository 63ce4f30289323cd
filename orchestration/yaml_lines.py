"""Lines of a YAML file: where a key is, and which keys are given twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

_SYNC_KEY = ("config", "meta", "sync", "key")


def line_of(path: Path, key: str) -> int | None:
    """Return the line (from 1) of a key path such as `exposures.NAME.config.meta.sync.fields.x`.

    An entry of a list is found by its name, its sync's key or its place. Where the path ends
    before its time, that is the line of the last part there is. None if nothing of it is there,
    or the file is not YAML that can be read.
    """
    root = _composed(path) if path.suffix in (".yml", ".yaml") else None
    return _find(root, key) if root else None


def repeated_keys(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the path and line of each key that one mapping gives twice; YAML keeps the last."""
    root = _composed(path)
    if root:
        yield from _repeated(root, "")


def _composed(path: Path) -> yaml.Node | None:
    try:
        with path.open(encoding="utf-8") as file:
            root: yaml.Node | None = yaml.compose(file, yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    return root


def _find(node: yaml.Node, path: str) -> int | None:
    # A name may hold a dot: the longest that fits is the one that is meant.
    entries = [(name, line, inner) for name, line, inner in _entries(node) if _leads(name, path)]
    if not entries:
        return None
    name, line, inner = max(entries, key=lambda entry: len(entry[0]))
    return _find(inner, path[len(name) + 1 :]) or line


def _leads(name: str, path: str) -> bool:
    return bool(name) and (path == name or path.startswith(f"{name}."))


def _entries(node: yaml.Node) -> Iterator[tuple[str, int, yaml.Node]]:
    """Yield (name, line, value) of a mapping's keys or a list's items."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield str(key.value), key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            for name in (str(place), _scalar(item, "name"), _scalar(item, *_SYNC_KEY)):
                yield name, item.start_mark.line + 1, item


def _scalar(node: yaml.Node, *path: str) -> str:
    """Return the text at a path of keys, or nothing."""
    for step in path:
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        inner = next((value for key, value in pairs if key.value == step), None)
        if inner is None:
            return ""
        node = inner
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _repeated(node: yaml.Node, path: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.SequenceNode):
        for place, item in enumerate(node.value):
            yield from _repeated(item, f"{path}{_scalar(item, 'name') or place}.")
    elif isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for name, line, inner in _entries(node):
            if name in seen and name != "<<":
                yield f"{path}{name}", line
            seen.add(name)
            yield from _repeated(inner, f"{path}{name}.")
