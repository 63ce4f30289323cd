"""The verbs for whoever runs it: approve what was held, validate what is configured."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING

import click

from orchestration.cli.common import App, chosen, common

if TYPE_CHECKING:
    from rich.console import Console


@click.command()
@common
@click.argument("held_id", metavar="ID")
@click.option("--expect-exits", type=int, help="How many leave; must be right.")
@click.option("--by", help="Who approves.  [default: the user of this machine]")
def approve(app: App, held_id: str, expect_exits: int | None, by: str | None) -> None:
    """Let a held evaluation take effect, or a held plan be sent by the next sync."""
    from orchestration.activate import prepare
    from orchestration.approvals import approve_when_free

    prepare(app.connect, need_events=False)
    done = approve_when_free(
        app.connect, held_id, expect_exits=expect_exits, by=by or _user(), clock=app.clock
    )

    def show(out: Console) -> None:
        out.print(
            f"approved {done.what}: {done.entered:,} enter or change, {done.exited:,} leave. "
            "`tailrace sync` sends it",
            highlight=False,
        )

    app.emit(done.as_dict(), show)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


@click.command()
@common
@click.argument("syncs", nargs=-1)
@click.option("--code", help="Only what was refused with this code.")
@click.option(
    "--class",
    "class_",
    type=click.Choice(["rejected", "permanent", "later"]),
    help="Only rejects of this class; permanent is another word for rejected.",
)
def retry(app: App, syncs: tuple[str, ...], code: str | None, class_: str | None) -> None:
    """Send what was refused once more, although nothing of it has changed."""
    from orchestration.activate import prepare
    from orchestration.retrying import retry as take_up

    engine = app.engine()
    prepare(app.connect, need_events=False)
    known = {sync.key: sync for sync in engine.project.syncs}
    wanted = chosen(syncs, known, "sync")
    with app.connect() as warehouse:
        found = take_up(
            warehouse, wanted, code=code, class_="rejected" if class_ == "permanent" else class_
        )

    def show(out: Console) -> None:
        for one in found:
            field = f" {one.field}" if one.field else ""
            said = f"{one.sync}: {one.count:,} {one.class_} as {one.code}{field}"
            late = f"; {one.too_old:,} events are too old to be sent" if one.too_old else ""
            out.print(f"{said}{late}", markup=False, highlight=False)
        count = sum(one.count for one in found)
        keys = " ".join(sorted({one.sync for one in found if one.count}))
        said = f"`tailrace sync {keys}` sends {count:,} once more" if count else "nothing to retry"
        out.print(said, highlight=False)

    shape = {
        "retried": sum(one.count for one in found),
        "too_old": sum(one.too_old for one in found),
        "rejects": [one.as_dict() for one in found],
    }
    app.emit(shape, show)


@click.command()
@common
def validate(app: App) -> None:
    """Check the project, its audiences, syncs and destinations; no call is made."""
    from orchestration.validate import validate as check

    findings = check(app.dbt, os.environ)

    def show(out: Console) -> None:
        for finding in findings:
            place = f"{finding.file}:{finding.line}" if finding.line else finding.file
            out.print(
                f"{finding.severity} {finding.rule} {place}: {finding.message}",
                markup=False,
                highlight=False,
            )
        if not findings:
            out.print("all well")

    ok = not any(finding.severity == "error" for finding in findings)
    app.emit(
        {"ok": ok, "findings": [finding.as_dict() for finding in findings]},
        show,
        code=0 if ok else 2,
    )
