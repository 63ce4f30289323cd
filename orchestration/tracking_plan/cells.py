"""Reads a CSV file of the project wholly, as dbt loads it, and tells every mistake at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from destinations.errors import ConfigError
from orchestration.tracking_plan.seeding import misread

Row = TypeVar("Row")
Listed = Sequence[tuple[int, Mapping[str, str]]]
"""The rows, each with the line it begins in and its cells by column."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake: its line (from 1), its column if it is in one, and what is accepted."""

    line: int
    column: str
    said: str

    def __str__(self) -> str:
        column = f", {self.column}" if self.column else ""
        return f"line {self.line}{column}: {self.said}"


@dataclass(frozen=True, slots=True)
class SeedFile:
    """What a file is called where it is wrong, its columns, and what to do if there is none."""

    name: str
    columns: Sequence[str]
    missing: str


@dataclass(frozen=True, slots=True)
class _Record:
    line: int
    cells: list[str]


def read_content(path: Path, seed: SeedFile) -> bytes:
    """Return the bytes of the file.

    Raises:
        ConfigError: there is no such file, or it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        first = f"its first line is {','.join(seed.columns)}"
        raise ConfigError(f"there is no {seed.missing}{first}", file=str(path)) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None


def parse_cells(
    content: bytes,
    file: str,
    seed: SeedFile,
    check: Callable[[Listed, list[Problem]], list[Row]],
) -> list[Row]:
    """Return what `check` makes of the rows, which adds what is wrong with them to the problems.

    Raises:
        ConfigError: it is not a CSV file in UTF-8, or rows of it are wrong; names every bad line
            with its column and what is accepted.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        said = "not UTF-8; accepted: a CSV file in UTF-8"
        raise _wrong(file, seed, [Problem(line, "", said)]) from None
    problems: list[Problem] = []
    records = list(_records(text, problems))
    header = records[0] if records else _Record(1, [])
    in_header = [] if problems and not records else list(_header_problems(header, seed.columns))
    if in_header or not records:
        # Which cell is which cannot be told, and nothing more said of the rows.
        raise _wrong(file, seed, problems + in_header)
    listed = list(_named(header.cells, records[1:], problems))
    rows = check(listed, problems)
    problems = problems or list(_misread(content, header, listed))
    if problems:
        raise _wrong(file, seed, problems)
    return rows


def _records(text: str, problems: list[Problem]) -> Iterator[_Record]:
    """Yield the rows that are not blank, each with the line it begins in."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    try:
        for found in reader:
            if found:
                yield _Record(line, found)
            line = reader.line_num + 1
    except csv.Error as error:
        said = f"not CSV: {error}; accepted: commas, and double quotes around what holds a comma"
        problems.append(Problem(line, "", said))


def _header_problems(header: _Record, columns: Sequence[str]) -> Iterator[Problem]:
    accepted = f"accepted: {', '.join(columns)}"
    for column in dict.fromkeys(header.cells):
        if column not in columns:
            yield Problem(header.line, column, f"unknown column; {accepted}")
        elif header.cells.count(column) > 1:
            yield Problem(header.line, column, f"the column is given twice; {accepted}")
    for column in columns:
        if column not in header.cells:
            yield Problem(header.line, column, f"the column is missing; {accepted}")


def _named(
    header: list[str], records: list[_Record], problems: list[Problem]
) -> Iterator[tuple[int, Mapping[str, str]]]:
    for record in records:
        if len(record.cells) == len(header):
            yield record.line, dict(zip(header, record.cells, strict=True))
        else:
            said = f"{len(record.cells)} cells; accepted: {len(header)}, one for each column"
            problems.append(Problem(record.line, "", said))


def _misread(content: bytes, header: _Record, listed: Listed) -> Iterator[Problem]:
    """Yield a problem if dbt would load other cells than the ones there are."""
    index = misread(content, header.cells, [list(named.values()) for _, named in listed])
    if index is not None:
        line = listed[min(index, len(listed) - 1)][0] if listed else header.line
        said = (
            "from here on dbt would load other cells, as DuckDB guesses other quotes; accepted: "
            "double quotes around every cell that is not empty"
        )
        yield Problem(line, "", said)


def _wrong(file: str, seed: SeedFile, problems: list[Problem]) -> ConfigError:
    places = {column: place for place, column in enumerate(seed.columns)}
    listed = sorted(problems, key=lambda one: (one.line, places.get(one.column, len(places))))
    told = "\n".join(map(str, listed))
    lines = "1 mistake" if len(listed) == 1 else f"{len(listed):,} mistakes"
    return ConfigError(
        f"{seed.name} has {lines}\n{told}",
        file=file,
        key=listed[0].column or None,
        line=listed[0].line,
    )
