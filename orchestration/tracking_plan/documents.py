"""Reads a JSON file so that nothing in it is lost: no key twice, no number that is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from destinations.errors import DataError


def read_json(path: Path) -> Any:
    """Return what a JSON file says.

    Raises:
        DataError: it cannot be read or is not JSON; names the line and column, or the key that
            an object has twice.
    """
    file = str(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", file=file) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError("not UTF-8", file=file, line=line, accepted=["JSON in UTF-8"]) from None
    try:
        return json.loads(text, object_pairs_hook=_distinct, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        said = f"not JSON: {error.msg}, in line {error.lineno}, column {error.colno}"
        raise DataError(said, file=file, line=error.lineno, accepted=["a JSON document"]) from None
    except RecursionError:
        raise DataError("not read: the JSON is nested too deeply", file=file) from None
    except ValueError as error:
        raise DataError(f"not read: {error}", file=file) from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"an object has the key {twice!r} twice, and one of them would be lost")
    return found


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON; accepted: a finite number")
