"""The verbs that only read: preview, status, rejects, history."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from orchestration.cli.common import App, as_of_option, chosen, common

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = {
    "audiences": ("audience", "status", "as_of", "members", "held"),
    "syncs": ("sync", "last_run", "ended_at", "acked", "pending", "rejects", "held"),
}
pii_option = click.option("--show-pii", is_flag=True, help="Show ids and addresses.")


@click.command()
@common
@click.argument("audience")
@as_of_option
@pii_option
def preview(app: App, audience: str, as_of: datetime | None, show_pii: bool) -> None:
    """Show who an audience would hold, from its file as it is now; nothing is written."""
    from orchestration.activate import prepare
    from orchestration.cli.render import table
    from orchestration.preview import preview as look

    engine = app.engine()
    prepare(app.connect)
    found = look(
        app.dbt,
        app.connect,
        engine.project,
        engine.project.audience(audience),
        as_of=as_of,
        show_pii=show_pii,
    )

    def show(out: Console) -> None:
        share = found.members / found.base if found.base else 0.0
        out.print(
            f"{audience}: {found.members:,} of {found.base:,} users ({share:.1%}) "
            f"as of {found.as_of:%Y-%m-%d %H:%M:%S} UTC"
        )
        if found.sample:
            columns = tuple(found.sample[0])
            out.print(table("Sample", columns, [tuple(row.values()) for row in found.sample]))

    app.emit(found.as_dict(), show)


@click.command()
@common
def status(app: App) -> None:
    """Show where every audience and every sync stands."""
    from orchestration.activate import prepare
    from orchestration.cli.render import coloured, table
    from orchestration.status import status as read

    engine = app.engine()
    prepare(app.connect, need_events=False)
    with app.connect() as warehouse:
        found = read(warehouse, engine.project)

    def show(out: Console) -> None:
        for title, columns in SHOWN.items():
            rows = [[coloured(item[name]) for name in columns] for item in found[title]]
            out.print(table(title.capitalize(), columns, rows))

    app.emit(found, show)


@click.command()
@common
@click.argument("syncs", nargs=-1)
@pii_option
def rejects(app: App, syncs: tuple[str, ...], show_pii: bool) -> None:
    """Show what destinations refused, by reason."""
    from orchestration.activate import prepare
    from orchestration.cli.render import table
    from orchestration.status import open_rejects

    engine = app.engine()
    prepare(app.connect, need_events=False)
    known = {sync.key: sync for sync in engine.project.syncs}
    keys = [sync.key for sync in chosen(syncs, known, "sync")]
    with app.connect() as warehouse:
        found = open_rejects(warehouse, syncs=keys, show_pii=show_pii)

    def show(out: Console) -> None:
        if not found:
            out.print("nothing is rejected")
            return
        columns = ("sync", "class", "code", "field", "count", "users")
        rows = [(*tuple(r.values())[:5], ", ".join(r["users"])) for r in found]
        out.print(table("Rejects", columns, rows))

    app.emit({"rejects": found}, show)


@click.command()
@common
@click.argument("audience")
@click.option("--user", help="The stays of one user instead.")
def history(app: App, audience: str, user: str | None) -> None:
    """Show an audience over time, or the stays of one user in it."""
    from orchestration import history as past
    from orchestration.activate import prepare
    from orchestration.cli.render import table

    engine = app.engine()
    key = engine.project.audience(audience).key
    prepare(app.connect, need_events=False)
    with app.connect() as warehouse:
        rows = past.points(warehouse, key) if user is None else past.stays(warehouse, key, user)

    def show(out: Console) -> None:
        if not rows:
            what = "has no evaluation yet" if user is None else "never held that user"
            out.print(f"{key} {what}")
            return
        out.print(table(key, tuple(rows[0]), [tuple(row.values()) for row in rows]))

    shape: dict[str, object] = {"audience": key}
    if user is None:
        shape["days"] = rows
    else:
        shape |= {"user_id": user, "stays": rows}
    app.emit(shape, show)
