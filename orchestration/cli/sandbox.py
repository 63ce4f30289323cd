"""`tailrace sandbox`: a messaging endpoint on this machine, and what it received."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from orchestration.cli.common import App, common

if TYPE_CHECKING:
    from rich.console import Console

state_option = click.option(
    "--state",
    type=click.Path(path_type=Path),
    help="The sandbox's file.  [default: sandbox.sqlite in the state directory]",
)


@click.group()
def sandbox() -> None:
    """A messaging endpoint to run on a laptop: it speaks Iterable's wire format."""


@sandbox.command()
@click.option("--port", default=8025, show_default=True, type=click.IntRange(0, 65535))
@state_option
@click.option(
    "--api-key",
    envvar="ITERABLE_API_KEY",
    default="sandbox-key",
    help="The key it takes.  [default: $ITERABLE_API_KEY, else sandbox-key]",
)
@click.option("--track-creates-users", is_flag=True, help="An event of an unknown user makes one.")
@click.option("--no-checks", is_flag=True, help="Answer success unread, keep nothing: to measure.")
@click.option("--no-limits", is_flag=True, help="Do not enforce the documented rates.")
@common
def serve(app: App, *, port: int, state: Path | None, no_checks: bool, **options: Any) -> None:
    """Serve on 127.0.0.1 until interrupted."""
    from destinations.base import Secret
    from destinations.sandbox import SandboxSettings
    from destinations.sandbox import serve as serve_forever

    path = _file(app, state)
    settings = SandboxSettings(
        state=path,
        api_key=Secret(options["api_key"]),
        track_creates_users=options["track_creates_users"],
        checks=not no_checks,
        limits=not options["no_limits"],
        store=not no_checks,
    )
    kept = "keeps nothing" if no_checks else f"keeps what it receives in {path}"

    def announce(url: str) -> None:
        shape = {"url": url, "state": None if no_checks else str(path)}
        text = f"sandbox at {url} {kept}; ctrl-C ends it"
        click.echo(json.dumps(shape) if app.as_json else text)

    try:
        serve_forever(settings, app.clock, port=port, announce=announce)
    except KeyboardInterrupt:
        click.echo("sandbox stopped", err=True)


@sandbox.command()
@click.option("--limit", type=click.IntRange(1), help="Only the last so many.")
@state_option
@common
def calls(app: App, *, limit: int | None, state: Path | None) -> None:
    """Show the calls it received, oldest first."""
    from destinations.sandbox import calls as read_calls

    found = read_calls(_file(app, state), limit=limit)
    columns = ("received_at", "method", "path", "status", "items", "accepted")
    app.emit(found, lambda out: _print_table(out, "calls", columns, found["calls"]))


@sandbox.command()
@click.argument("identifier", metavar="ID")
@state_option
@common
def profile(app: App, *, identifier: str, state: Path | None) -> None:
    """Show a user, by e-mail or user id, and the user's events."""
    from destinations.sandbox import profile as read_profile

    found = read_profile(_file(app, state), identifier)
    app.emit(found, lambda out: _print_profile(out, identifier, found))


def _file(app: App, state: Path | None) -> Path:
    return state or app.state_dir / "sandbox.sqlite"


def _print_profile(out: Console, identifier: str, found: Mapping[str, Any]) -> None:
    known = found["profile"]
    if known is None:
        out.print(f"no profile of {identifier}", markup=False)
        return
    ids = {name: known[name] for name in ("email", "userId") if known[name]}
    rows = [{"field": name, "value": value} for name, value in (ids | known["dataFields"]).items()]
    _print_table(out, "profile", ("field", "value"), rows)
    columns = ("created_at", "eventName", "dataFields", "times_received")
    _print_table(out, "events", columns, found["events"])


def _print_table(
    out: Console, title: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{title}: {len(rows)}", title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        # Text: what somebody typed into a field is not markup.
        table.add_row(*(Text(_shown(row[column])) for column in columns))
    out.print(table)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
