"""The verbs that only read: preview, status, rejects, history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from orchestration.cli.common import App, as_of_option, chosen, common, pii_option, shown_time

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = {
    "audiences": ("audience", "status", "as_of", "members"),
    "syncs": ("sync", "last_run", "ended_at", "plan", "acked", "pending", "rejects"),
    "orphans": ("sync", "last_run", "ended_at", "acked"),
}
TIMES = ("as_of", "ended_at")


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
    prepare(app.connect, app.dbt)
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
    """Show where every audience and every sync stands, and what waits for somebody."""
    from orchestration.activate import prepare
    from orchestration.status import status as read

    engine = app.engine()
    prepare(app.connect, need_events=False)
    with app.connect() as warehouse:
        found = read(warehouse, engine.project)

    app.emit(found, lambda out: _show_status(out, found))


def _show_status(out: Console, found: Mapping[str, Any]) -> None:
    from orchestration.cli.render import coloured, say, table

    build = found["build"]
    if build is None:
        out.print("nothing has been built; start with `tailrace run`", highlight=False)
    else:
        failed = f"; failed: {', '.join(build['failed'])}" if build["failed"] else ""
        when = f"as of {shown_time(build['as_of'])} UTC, ended {shown_time(build['finished_at'])}"
        well = ("well", "") if build["success"] else ("with failures", "red")
        say(out, f"last build: {when}, ", well, failed)
    for title, columns in SHOWN.items():
        rows = [
            [shown_time(item[name]) if name in TIMES else coloured(item[name]) for name in columns]
            for item in found[title]
        ]
        if rows or title != "orphans":
            out.print(table(title.capitalize(), columns, rows))
    for item in (*found["audiences"], *found["syncs"]):
        _show_waiting(out, item)
    for item in found["orphans"]:
        said = f" is not in the project any more and sends nothing: {item['waits_for']}"
        say(out, (item["sync"], "yellow"), said)


def _show_waiting(out: Console, item: Mapping[str, Any]) -> None:
    """Say what an audience or sync waits for, why, and which command lets it through."""
    if not item["reason"] and not item["waits_for"]:
        return
    from orchestration.cli.render import say

    name = item.get("sync") or item["audience"]
    waits = f" waits for {item['waits_for']}" if item["waits_for"] else ""
    why = f": {item['reason']}" if item["reason"] else ""
    say(out, (name, "yellow"), waits, why)
    if item["approve"]:
        out.print(f"  if that is right: {item['approve']}", markup=False, highlight=False)


@click.command()
@common
@click.argument("syncs", nargs=-1)
@pii_option
def rejects(app: App, syncs: tuple[str, ...], show_pii: bool) -> None:
    """Show what destinations refused, by reason, and what to do about it."""
    from orchestration.activate import prepare
    from orchestration.cli.render import table
    from orchestration.rejects import open_rejects

    engine = app.engine()
    prepare(app.connect, need_events=False)
    known = {sync.key: sync for sync in engine.project.syncs}
    keys = [sync.key for sync in chosen(syncs, known, "sync")]
    with app.connect() as warehouse:
        found = open_rejects(warehouse, syncs=keys, show_pii=show_pii, now=app.clock.now())

    def show(out: Console) -> None:
        if not found:
            out.print("nothing is rejected")
            return
        columns = ("sync", "class", "code", "field", "count")
        out.print(table("Rejects", columns, [[one[name] for name in columns] for one in found]))
        for one in found:
            _show_reject(out, one)

    app.emit({"rejects": found}, show)


def _show_reject(out: Console, one: Mapping[str, Any]) -> None:
    """Say when rows were refused for one reason, whose they are, and what to do."""
    from orchestration.cli.render import say

    what = f" {one['code']}{' of ' + one['field'] if one['field'] else ''}"
    when = f": first {str(shown_time(one['first_at']))[:16]}, last {shown_time(one['last_at'])}"[
        :-3
    ]
    users = f"; users {', '.join(one['users'])}{' ...' if one['count'] > len(one['users']) else ''}"
    say(out, (one["sync"], "yellow"), what, when, users)
    out.print(f"  {one['todo']}", markup=False, highlight=False)
    if one["command"]:
        out.print(f"  {one['command']}", markup=False, highlight=False)


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
        unknown = past.unknown(warehouse, key)

    def show(out: Console) -> None:
        if not rows:
            what = "has no evaluation yet" if user is None else "never held that user"
            out.print(f"{key} {what}")
            return
        out.print(table(key, tuple(rows[0]), [tuple(row.values()) for row in rows]))
        for gap in unknown:
            between = f"{shown_time(str(gap['from']))} to {shown_time(str(gap['to']))}"
            out.print(f"unknown from {between}: nothing was evaluated", highlight=False)

    shape: dict[str, object] = {"audience": key, "unknown": unknown}
    if user is None:
        shape["days"] = rows
    else:
        shape |= {"user_id": user, "stays": rows}
    app.emit(shape, show)
