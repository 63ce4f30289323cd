"""Reads the tracking plan's CSV file wholly, and tells every mistake at once."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from destinations.errors import ConfigError
from orchestration.tracking_plan.checking import Problem, checked_row, problems_between
from orchestration.tracking_plan.rows import COLUMNS, PlanRow
from orchestration.tracking_plan.seeding import misread


@dataclass(frozen=True, slots=True)
class _Record:
    line: int
    cells: list[str]


def read_plan(path: Path) -> list[PlanRow]:
    """Return the rows of a tracking plan, in the order of the file.

    Raises:
        ConfigError: there is no such file, it is not a CSV file in UTF-8, or rows of it are
            wrong; names every bad line with its column and what is accepted.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            "there is no tracking plan; `tailrace tracking-plan import FILE` makes one, and its "
            f"first line is {','.join(COLUMNS)}",
            file=str(path),
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=str(path)) from None
    return parse_plan(content, str(path))


def parse_plan(content: bytes, file: str) -> list[PlanRow]:
    """Return the rows of a tracking plan; `file` is what a mistake is said to be in.

    Raises:
        ConfigError: as `read_plan`.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _wrong(
            file, [Problem(line, "", "not UTF-8; accepted: a CSV file in UTF-8")]
        ) from None
    problems: list[Problem] = []
    records = list(_records(text, problems))
    header = records[0] if records else _Record(1, [])
    in_header = [] if problems and not records else list(_header_problems(header))
    if in_header or not records:
        # Which cell is which cannot be told, and nothing more said of the rows.
        raise _wrong(file, problems + in_header)
    listed = list(_named(header.cells, records[1:], problems))
    rows = [checked_row(line, named, problems) for line, named in listed]
    problems += problems_between(listed)
    problems = problems or list(_misread(content, header, listed))
    if problems:
        raise _wrong(file, problems)
    return [row for row in rows if row]


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


def _header_problems(header: _Record) -> Iterator[Problem]:
    accepted = f"accepted: {', '.join(COLUMNS)}"
    for column in dict.fromkeys(header.cells):
        if column not in COLUMNS:
            yield Problem(header.line, column, f"unknown column; {accepted}")
        elif header.cells.count(column) > 1:
            yield Problem(header.line, column, f"the column is given twice; {accepted}")
    for column in COLUMNS:
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


def _misread(
    content: bytes, header: _Record, listed: Sequence[tuple[int, Mapping[str, str]]]
) -> Iterator[Problem]:
    """Yield a problem if dbt would load other cells than the ones there are."""
    index = misread(content, header.cells, [list(named.values()) for _, named in listed])
    if index is not None:
        line = listed[min(index, len(listed) - 1)][0] if listed else header.line
        said = (
            "from here on dbt would load other cells, as DuckDB guesses other quotes; accepted: "
            "double quotes around every cell that is not empty"
        )
        yield Problem(line, "", said)


def _place(problem: Problem) -> tuple[int, int]:
    known = problem.column in COLUMNS
    return problem.line, COLUMNS.index(problem.column) if known else len(COLUMNS)


def _wrong(file: str, problems: list[Problem]) -> ConfigError:
    listed = sorted(problems, key=_place)
    told = "\n".join(map(str, listed))
    lines = "1 mistake" if len(listed) == 1 else f"{len(listed):,} mistakes"
    return ConfigError(
        f"the tracking plan has {lines}\n{told}",
        file=file,
        key=listed[0].column or None,
        line=listed[0].line,
    )
