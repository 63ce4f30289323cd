"""A place in a JSON document, and what is wrong there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from destinations.errors import DataError
from orchestration.tracking_plan.rows import CONTROLS, is_scalar

_KINDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something is, written like `rules[3].jsonSchema`; the top is empty."""

    file: str
    path: str = ""

    def __truediv__(self, key: str) -> Place:
        dotted = key if key.isidentifier() or key.startswith("$") else f'"{key}"'
        return Place(self.file, f"{self.path}.{dotted}" if self.path else dotted)

    def __getitem__(self, index: int) -> Place:
        return Place(self.file, f"{self.path}[{index}]")

    def wrong(self, said: str, accepted: Sequence[str]) -> DataError:
        """Return an error about this place."""
        return DataError(said, file=self.file, key=self.path or None, accepted=accepted)

    def mapping(self, value: object, what: str, accepted: Sequence[str]) -> Mapping[str, Any]:
        """Return the object that is here.

        Raises:
            DataError: it is none.
        """
        if not isinstance(value, Mapping):
            raise self.wrong(f"{_kind(value)} where {what} has to be", accepted)
        return value

    def items(self, value: object, accepted: Sequence[str]) -> Sequence[Any]:
        """Return the list that is here.

        Raises:
            DataError: it is none.
        """
        if not isinstance(value, list):
            raise self.wrong(f"{_kind(value)} where a list has to be", accepted)
        return value

    def text(self, value: object, what: str) -> str:
        """Return the text that is here, which can be a cell.

        Raises:
            DataError: it is none, or holds what a cell of a CSV file cannot hold.
        """
        accepted = ("a text without line breaks and other control characters",)
        if not isinstance(value, str):
            raise self.wrong(f"{_kind(value)} where {what} has to be", accepted)
        if CONTROLS.search(value) or not is_scalar(value):
            raise self.wrong(f"{value!a} cannot be {what}", accepted)
        return value


def _kind(value: object) -> str:
    if value is None:
        return "null or nothing"
    return next((said for kind, said in _KINDS.items() if isinstance(value, kind)), "a number")
