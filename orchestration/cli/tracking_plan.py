"""`tailrace tracking-plan`: which events and properties are expected."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestration.cli.common import App, common

if TYPE_CHECKING:
    from rich.console import Console

    from orchestration.tracking_plan.importing import Imported

LONGEST_LIST = 20
"""So many names or losses are shown to a person; `--json` has all."""


@click.group("tracking-plan")
def tracking_plan() -> None:
    """Which events and properties are expected: seeds/tracking_plan.csv of the project."""


@tracking_plan.command("import")
@common
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--replace", is_flag=True, help="Remove the events that FILE does not have.")
@click.option("--dry-run", is_flag=True, help="Only show what would change; write nothing.")
def import_(app: App, file: Path, replace: bool, dry_run: bool) -> None:
    """Bring the events of FILE, a tracking plan of Segment's as JSON, into the project's plan.

    Events of the same name are replaced, others stay; every enforcement that is set stays.
    """
    from orchestration.tracking_plan.importing import import_plan, plan_path

    done = import_plan(file, plan_path(app.project_dir), replace=replace, dry_run=dry_run)
    app.emit(done.as_dict(), lambda out: _show(out, done))


@tracking_plan.command()
@common
def check(app: App) -> None:
    """Check the project's plan and aliases; count its events and properties."""
    from orchestration.tracking_plan.aliases import aliases_path, read_aliases
    from orchestration.tracking_plan.importing import counted, plan_path
    from orchestration.tracking_plan.reading import read_plan

    path = plan_path(app.project_dir)
    found = counted(read_plan(path))
    aliases = aliases_path(app.project_dir)
    if aliases.exists():
        found["aliases"] = len(read_aliases(aliases))
    shape = {"file": str(path), **found}
    told = f"{path}: {_size(found)}; {found['block']:,} block, {found['alert']:,} alert"
    app.emit(shape, lambda out: out.print(told, markup=False, highlight=False))


def _size(found: dict[str, int]) -> str:
    return f"{found['events']:,} events with {found['properties']:,} properties"


def _show(out: Console, done: Imported) -> None:
    from orchestration.cli.render import say, table
    from orchestration.tracking_plan.importing import counted

    merged, source = done.merged, done.source
    for word, style, names in (
        ("added", "green", merged.added),
        ("changed", "yellow", merged.changed),
        ("removed", "red", merged.removed),
    ):
        if names:
            say(out, (word, style), f" {len(names):,}: {', '.join(names[:LONGEST_LIST])}")
            _show_more(out, len(names))
    say(out, f"unchanged {len(merged.unchanged):,}")
    for given, kept in merged.respelt[:LONGEST_LIST]:
        say(out, ("kept the name", "yellow"), f" {kept} ({given} in FILE), which traits may read")
    _show_more(out, len(merged.respelt))
    for one in source.skipped[:LONGEST_LIST]:
        name = f" {one.name}" if one.name else ""
        say(out, ("skipped", "yellow"), f" {one.place}{name}: {one.why}")
    _show_more(out, len(source.skipped))
    if source.not_carried:
        rows = [(one.event, one.property, one.keyword, one.why) for one in source.not_carried]
        columns = ("event", "property", "keyword", "why")
        out.print(table("Not carried over", columns, rows[:LONGEST_LIST]))
        _show_more(out, len(rows))
    if not source.whole:
        say(out, ("one page", "yellow"), ": FILE names further pages; import each of them")
    verb = "wrote" if done.written else "would hold" if done.dry_run else "has"
    told = _size(counted(merged.rows))
    say(out, f"{verb} {done.path}: {told}" if done.written else f"{done.path} {verb} {told}")
    if done.dry_run:
        say(out, "Nothing was written: --dry-run")


def _show_more(out: Console, count: int) -> None:
    if count > LONGEST_LIST:
        out.print(f"  and {count - LONGEST_LIST:,} more; --json names them", highlight=False)
