"""The verb that answers for past days."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from orchestration.cli.common import App, common

if TYPE_CHECKING:
    from rich.console import Console

DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.command()
@common
@click.argument("audience")
@click.option("--from", "first", type=DAY, required=True, help="The first day.")
@click.option("--to", "last", type=DAY, required=True, help="The last day; it has to be over.")
@click.option("--replace", is_flag=True, help="Also days that were evaluated live.")
def backfill(app: App, audience: str, first: datetime, last: datetime, replace: bool) -> None:
    """Work out who was in an audience at the end of each past day; nothing is ever sent for it."""
    from orchestration.activate import prepare
    from orchestration.backfilling import backfill as fill
    from orchestration.cli.progress import Days

    engine = app.engine()
    found = engine.project.audience(audience)
    prepare(app.connect, app.dbt)
    done = fill(
        app.dbt,
        app.connect,
        engine.project,
        found,
        first=first.date(),
        last=last.date(),
        replace=replace,
        clock=app.clock,
        progress=Days(found.key, app.clock),
    )

    def show(out: Console) -> None:
        out.print(
            f"{audience}: {done.evaluations:,} days from {done.first} to {done.last} in "
            f"{done.seconds:.1f} s; nothing was sent. `tailrace history {audience}` shows them",
            highlight=False,
        )

        if done.empty:
            out.print(
                f"[yellow]{done.empty:,} of these days had no users at all[/]: is that before your "
                "first event?",
                highlight=False,
            )

    app.emit(done.as_dict(), show)
