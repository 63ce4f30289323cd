"""Reads seeds/event_aliases.csv, the other names of events, and tells every mistake at once."""

from __future__ import annotations

from pathlib import Path

from orchestration.tracking_plan.cells import Listed, Problem, SeedFile, parse_cells, read_content
from orchestration.tracking_plan.names import event_key

ALIASES = SeedFile(
    "the list of aliases", ("alias", "event"), "list of aliases; it may be empty, but "
)
_NAME = "accepted: a name with a letter or a digit in it"


def aliases_path(project_dir: Path) -> Path:
    """Return where a project has the other names of its events."""
    return project_dir / "seeds" / "event_aliases.csv"


def read_aliases(path: Path) -> list[tuple[str, str]]:
    """Return (alias, event) in the order of the file.

    Raises:
        ConfigError: there is no such file, it is not a CSV file in UTF-8, or rows of it are
            wrong; names every bad line with its column and what is accepted.
    """
    return parse_aliases(read_content(path, ALIASES), str(path))


def parse_aliases(content: bytes, file: str) -> list[tuple[str, str]]:
    """Return (alias, event); `file` is what a mistake is said to be in.

    Raises:
        ConfigError: as `read_aliases`.
    """
    return parse_cells(content, file, ALIASES, _checked)


def _checked(listed: Listed, problems: list[Problem]) -> list[tuple[str, str]]:
    meant: dict[str, tuple[int, str]] = {}
    given: set[str] = set()
    for line, named in listed:
        empty = [column for column in ALIASES.columns if not event_key(named[column])]
        problems += [Problem(line, column, f"{named[column]!r}; {_NAME}") for column in empty]
        if empty:
            continue
        alias, event = named["alias"], named["event"]
        first, other = meant.setdefault(event_key(alias), (line, event))
        if first != line and (alias in given or event_key(other) != event_key(event)):
            said = f"{alias!r} is {other!r} by line {first}; accepted: one row for each alias"
            problems.append(Problem(line, "alias", said))
        given.add(alias)
    for line, named in listed:
        key = event_key(named["event"])
        first, other = meant.get(key, (line, named["event"]))
        if event_key(other) != key:
            said = f"{named['event']!r} is itself an alias, by line {first}; accepted: "
            problems.append(Problem(line, "event", f"{said}the name under which the event counts"))
    return [(named["alias"], named["event"]) for _, named in listed]
