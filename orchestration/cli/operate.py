"""The verbs for whoever runs it: approve what was held, validate what is configured."""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING

import click

from orchestration.cli.common import App, common

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
    from orchestration.approvals import approve as let_through

    prepare(app.connect, need_events=False)
    with app.connect() as warehouse:
        done = let_through(
            warehouse,
            held_id,
            expect_exits=expect_exits,
            by=by or _user(),
            now=app.clock.now(),
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
