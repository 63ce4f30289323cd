"""`tailrace load`: the sample or your own events into the raw tables."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestration.cli.common import App, Instant, common

if TYPE_CHECKING:
    from rich.console import Console

    from orchestration.load import LoadReport

_COLUMN_OPTIONS = {
    "user": "who did it",
    "anonymous": "the device or cookie, where nobody was signed in",
    "previous": "the id used before (aliases)",
    "event": "what was done",
    "time": "when: ISO 8601 (without an offset: UTC), or epoch seconds or milliseconds",
    "received": "when it arrived",
    "id": "what is unique per row; '' when nothing is",
    "properties": "a JSON object with the rest",
    "email": "e-mail address (identifies)",
    "phone": "phone number (identifies)",
    "country": "country (identifies)",
    "region": "region (identifies)",
    "time-zone": "time zone (identifies)",
    "plan": "plan (identifies)",
    "signup-at": "when the user signed up (identifies)",
}


def _column_options(function: Callable[..., None]) -> Callable[..., None]:
    for name, what in reversed(_COLUMN_OPTIONS.items()):
        function = click.option(f"--{name}", metavar="COL", help=f"Column: {what}.")(function)
    return function


@click.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--sample", is_flag=True, help="Load the bundled sample, moved to end now.")
@click.option("--end", type=Instant(), help="With --sample: its last event falls here.")
@click.option("--until", type=Instant(), help="With --sample: only what had arrived by then.")
@click.option(
    "--table", default="tracks", show_default=True, help="tracks, identifies, pages or aliases."
)
@_column_options
@click.option("--all-columns", is_flag=True, help="Every other column becomes a property.")
@click.option("--rename", multiple=True, metavar="OLD=NEW", help="Rename an event (repeatable).")
@click.option("--replace", is_flag=True, help="First drop all events and what came of them.")
@common
def load(
    app: App,
    *,
    files: tuple[Path, ...],
    sample: bool,
    end: datetime | None,
    until: datetime | None,
    table: str,
    rename: tuple[str, ...],
    replace: bool,
    **columns: Any,
) -> None:
    """Load FILES (CSV, TSV, NDJSON, JSON, each also .gz, or Parquet), or the sample.

    Columns with Segment's names (user_id, anonymous_id, event, timestamp, properties, ...) and
    a few other common ones need no option. All files are loaded or, on any error, none; loading
    a file again adds only what is new.
    """
    from orchestration.load import ColumnMap, load_files, load_sample, rename_from

    _check_usage(files, sample, sample_only=end or until, own_only=rename)
    with app.connect() as warehouse:
        if sample:
            report = load_sample(warehouse, clock=app.clock, end=end, until=until, replace=replace)
        else:
            report = load_files(
                warehouse,
                files,
                clock=app.clock,
                table=table,
                columns=ColumnMap(**columns),
                rename=rename_from(rename),
                replace=replace,
            )
    app.emit(report.as_dict(), lambda console: render(report, console))


def _check_usage(
    files: tuple[Path, ...], sample: bool, *, sample_only: object, own_only: object
) -> None:
    if sample and files:
        raise click.UsageError("give either --sample or files, not both")
    if not sample and not files:
        raise click.UsageError("nothing to load: name files, or say --sample")
    if not sample and sample_only:
        raise click.UsageError("--end and --until go with --sample")
    if sample and own_only:
        raise click.UsageError("--rename goes with files")


def render(report: LoadReport, console: Console) -> None:
    """Show what was loaded, for a person."""
    from rich.table import Table
    from rich.text import Text

    grid = Table(title="loaded", title_justify="left")
    for name in ("file", "table"):
        grid.add_column(name, overflow="fold")
    for name in ("read", "loaded", "already there", "skipped"):
        grid.add_column(name, justify="right")
    for name in ("first event (UTC)", "last event (UTC)"):
        grid.add_column(name)
    for row in report.loads:
        counts = (row.read, row.loaded, row.known, row.skipped)
        times = (row.first_at, row.last_at)
        grid.add_row(
            Text(row.file),
            row.table,
            *(f"{count:,}" for count in counts),
            *("-" if at is None else f"{at:%Y-%m-%d %H:%M:%S}" for at in times),
        )
    console.print(grid)
    for note in report.notes():
        console.print(Text(note))
