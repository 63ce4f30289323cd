"""The house keeps its shape: who may import whom, who reads the clock, what never goes in."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("destinations", "orchestration")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in SOURCES]
MAX_LINES = 400
ENGINES = {"duckdb", "dbt", "dagster", "dagster_dbt", "dagster_shared"}


class Import(NamedTuple):
    """A module that a file imports; `late` inside a function."""

    module: str
    late: bool


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in SOURCES}


@cache
def imports(path: Path) -> tuple[Import, ...]:
    return tuple(_imports(tree(path), path, late=False))


def _imports(node: ast.AST, path: Path, *, late: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(alias.name, late) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert child.level == 0, f"{path}: imports are absolute"
            base = child.module or ""
            for alias in child.names:
                inner = f"{base}.{alias.name}"
                yield Import(inner if inner in MODULES else base, late)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        else:
            inside = late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(child, path, late=inside)


def within(module: str, *rooms: str) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


def ours(path: Path) -> set[str]:
    return {found.module for found in imports(path) if within(found.module, *PACKAGES)}


def outside(path: Path, package: str) -> list[Import]:
    return [found for found in imports(path) if within(found.module, package)]


def may_import(importer: str, imported: str) -> bool:
    """Say whether an arrow between two modules points the one way."""
    top = imported.split(".")[0]
    if within(importer, "orchestration"):
        rooms = ("orchestration.defs", "orchestration.cli", "orchestration.definitions")
        for room in rooms:
            if within(importer, room):
                return within(imported, room) or not within(imported, *rooms)
        return not within(imported, *rooms)
    if top != "destinations":
        return False
    if importer in ("destinations.scrub", "destinations.clock"):
        return False
    if importer in ("destinations.base", "destinations.errors"):
        return imported == "destinations.scrub"
    if importer == "destinations":
        return imported == "destinations.base"
    leaves = tuple(
        f"destinations.{leaf}" for leaf in ("base", "clock", "errors", "scrub", "private")
    )
    if within(importer, "destinations.delivery"):
        return imported in leaves or within(imported, "destinations.delivery")
    if within(importer, "destinations.sandbox"):
        return imported in leaves or within(imported, "destinations.sandbox")
    if importer == "destinations.testing":
        return imported in leaves or within(imported, "destinations.delivery")
    # A connector: data and pure functions; errors are words.
    return imported in ("destinations.base", "destinations.errors")


# What may be imported from where it would not be otherwise, and why.
ALLOWED = {
    ("orchestration.definitions", "orchestration.defs"),  # where Dagster looks for them
    ("orchestration.__main__", "orchestration.cli"),  # `python -m orchestration`
}


def allowed(importer: str, imported: str) -> bool:
    return any(
        importer == known and within(imported, room) for known, room in ALLOWED
    ) or may_import(importer, imported)


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_imports_point_one_way(path: Path) -> None:
    importer = module_of(path)
    wrong = sorted(module for module in ours(path) if not allowed(importer, module))
    assert not wrong, f"{importer} must not import {', '.join(wrong)}"


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("destinations.base", "destinations.errors"),
        ("destinations.scrub", "destinations.base"),
        ("destinations.iterable", "destinations.delivery.sender"),
        ("destinations.iterable", "destinations.clock"),
        ("destinations.delivery.sender", "destinations.iterable"),
        ("destinations.delivery.sender", "orchestration.project"),
        ("destinations.sandbox.app", "destinations.delivery.sender"),
        ("orchestration.planning", "orchestration.cli.render"),
        ("orchestration.planning", "orchestration.defs"),
        ("orchestration.cli.demo", "orchestration.defs.syncs"),
        ("orchestration.defs.syncs", "orchestration.cli.common"),
    ],
)
def test_the_arrows_that_are_refused(importer: str, imported: str) -> None:
    assert not allowed(importer, imported)


def test_there_is_no_circle() -> None:
    """Among imports made on loading; one made late is a way around nothing, and allowed."""
    graph = {
        module_of(path): {
            found.module for found in imports(path) if found.module in MODULES and not found.late
        }
        for path in SOURCES
    }
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module not in done:
            for imported in sorted(graph[module]):
                visit(imported, (*trail, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


def users_of(package: str, *, late: bool = True) -> set[str]:
    return {
        name
        for name, path in zip(NAMES, SOURCES, strict=True)
        if any(late or not found.late for found in outside(path, package))
    }


def test_one_module_talks_http() -> None:
    assert users_of("urllib3") == {"destinations/delivery/transport.py"}
    for client in ("requests", "httpx", "aiohttp"):
        assert users_of(client) == set()


def test_dagster_stays_in_its_room() -> None:
    users = users_of("dagster") | users_of("dagster_dbt")
    strangers = {
        name
        for name in users
        if not name.startswith("orchestration/defs/") and name != "orchestration/definitions.py"
    }
    assert strangers == set()


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("duckdb", ("orchestration/warehouse/duckdb.py", "orchestration/defs/")),
        ("dbt", ("orchestration/defs/",)),
    ],
)
def test_engines_are_imported_late_or_in_their_room(package: str, rooms: tuple[str, ...]) -> None:
    at_once = users_of(package, late=False)
    assert {name for name in at_once if not name.startswith(rooms)} == set()
    assert users_of(package), "the rule is about something"


def test_destinations_know_no_warehouse() -> None:
    for package in ("duckdb", "dbt", "dagster", "pyarrow", "sqlglot", "pandas"):
        assert not {name for name in users_of(package) if name.startswith("destinations/")}


CLOCKS = {
    "time.sleep", "time.time", "time.monotonic", "time.perf_counter", "time.time_ns",
    "time.monotonic_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today",
    "datetime.datetime.now", "datetime.datetime.utcnow", "datetime.date.today", "asyncio.sleep",
}  # fmt: skip


def clock_uses(path: Path) -> list[str]:
    """Names of `CLOCKS` that a file uses, however they were imported."""
    found = []
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in CLOCKS:
            found.append(f"line {node.lineno}: {ast.unparse(node)}")
        if isinstance(node, ast.ImportFrom) and node.module in ("time", "asyncio"):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found += [f"line {node.lineno}: {name}" for name in sorted(names & CLOCKS)]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_one_module_reads_the_clock_and_sleeps(path: Path) -> None:
    if path == ROOT / "destinations" / "clock.py":
        assert len(clock_uses(path)) == 2
    else:
        assert clock_uses(path) == []


@pytest.mark.parametrize("path", SOURCES, ids=NAMES)
def test_only_the_command_line_prints(path: Path) -> None:
    if (ROOT / "orchestration" / "cli") in path.parents:
        return
    prints = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert prints == []


@cache
def files() -> tuple[Path, ...]:
    """Everything that is, or could be, committed."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    paths = (ROOT / name for name in listed.decode().split("\0") if name)
    return tuple(sorted({path for path in paths if path.is_file()}))


def texts() -> Iterator[tuple[Path, str]]:
    for path in files():
        content = path.read_bytes()
        if b"\0" not in content[:8000]:
            yield path.relative_to(ROOT), content.decode("utf-8")


def test_no_file_of_code_is_long() -> None:
    code = {".py", ".sql", ".yml", ".yaml", ".toml", ".sh"}
    long = {
        str(path): text.count("\n")
        for path, text in texts()
        if (path.suffix in code or path.name == "Makefile") and text.count("\n") > MAX_LINES
    }
    assert long == {}


# Written in pieces, so that this file is not the first to break its own rule.
FORBIDDEN = {
    "a path of one machine": "|".join(
        rf"(?<![\w.-])/{room}/" for room in ("work", "root", "home", "tmp" + "/lab", "Users")
    ),
    "an address of a package index": "|".join(
        (r"py" + r"pi\.(org|python)", r"python" + r"hosted", r"https?://[^\s\"']*/sim" + r"ple\b")
    ),
    "a place to install from": r"--?(extra-)?index" + r"-url[ =]+\S*:|--find" + r"-links|trusted"
    r"-host",
    "a private key": "-----BEGIN [A-Z ]*PRIVATE" + " KEY-----",
}


@pytest.mark.parametrize("what", FORBIDDEN)
def test_nothing_in_the_repository_names(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for path, text in texts()
        for match in pattern.finditer(text)
    ]
    assert found == []


def test_every_requirement_is_pinned_with_hashes_and_nothing_says_from_where() -> None:
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert "://" not in text
    entries = text.replace("\\\n", " ").strip().splitlines()
    assert len(entries) > 50
    for entry in entries:
        requirement, *hashes = entry.split("--hash=")
        assert re.match(r"^[A-Za-z0-9._-]+(\[[a-z0-9,_-]+\])?==\S+", requirement), entry
        assert hashes, f"{requirement} has no hash"
        assert all(re.match(r"^sha256:[0-9a-f]{64}$", digest.strip()) for digest in hashes), entry


def test_no_large_file() -> None:
    large = {path.name: path.stat().st_size for path in files() if path.stat().st_size > 5_000_000}
    assert large == {}
