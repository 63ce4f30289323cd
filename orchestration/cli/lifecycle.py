"""The verbs for a sync that changes its name or comes to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from orchestration.cli.common import App, common

if TYPE_CHECKING:
    from rich.console import Console


@click.command()
@common
@click.argument("old")
@click.argument("new")
def adopt(app: App, old: str, new: str) -> None:
    """Let sync NEW go on where OLD was: a sync that was renamed sends nothing for it."""
    from orchestration.activate import prepare
    from orchestration.lifecycle import adopt as move

    engine = app.engine()
    prepare(app.connect, need_events=False)
    with app.connect() as warehouse:
        done = move(engine, warehouse, old, new)

    def show(out: Console) -> None:
        out.print(f"{new} goes on where {old} was: {done.profiles:,} profiles are known to it")

    app.emit(done.as_dict(), show)


@click.command()
@common
@click.argument("sync")
@click.option("--expect-exits", type=int, help="How many are told that they left; does it.")
@click.option("--leave", is_flag=True, help="Tell nobody: leave profiles as they are.")
def retire(app: App, sync: str, expect_exits: int | None, leave: bool) -> None:
    """End a sync: show how many would be told that they left, then do it with --expect-exits."""
    from orchestration.activate import prepare
    from orchestration.lifecycle import retire as end

    engine = app.engine()
    prepare(app.connect, need_events=False)
    done = end(engine, sync, expect_exits=expect_exits, leave=leave, now=app.clock.now())

    def show(out: Console) -> None:
        if done.status == "dry":
            how = " --leave" if leave else ""
            out.print(
                f"{sync} would tell {done.exits:,} profiles that they left, and end. "
                f"`tailrace retire {sync}{how} --expect-exits {done.exits}` does it",
                highlight=False,
            )
        else:
            out.print(f"{sync}: {done.status}, {done.exits:,} profiles told", highlight=False)
        for reason in done.reasons:
            out.print(f"  {reason}", markup=False, highlight=False)

    codes = {"dry": 0, "retired": 0, "held": 3, "incomplete": 4}
    app.emit(done.as_dict(), show, code=codes.get(done.status, 1))
