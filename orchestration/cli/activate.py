"""The verbs that do the work: run, build, evaluate, plan, sync."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import click

from orchestration.cli.common import App, as_of_option, chosen, common, pii_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rich.console import Console

    from orchestration.breaches import Breaches
    from orchestration.dbt import DbtRun
    from orchestration.desired.scope import Mode
    from orchestration.engine import Engine
    from orchestration.project import Sync

new_journal_option = click.option(
    "--new-journal", is_flag=True, help="Begin a new journal; the old file is kept aside."
)
MODES = {
    "reassert": "Send the current truth again, under the ids it has.",
    "assume-sent": "Take what is due for sent; no call is made.",
    "all": "After a change of the mapping: send every profile.",
    "none": "After a change of the mapping: send nothing for it.",
}
sandbox_option = click.option(
    "--sandbox", "to_sandbox", is_flag=True, help="Send to a sandbox on this machine instead."
)


def _mode_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add what a plan can be for, besides what is due."""
    for name, meaning in reversed(MODES.items()):
        function = click.option(f"--{name}", is_flag=True, help=meaning)(function)
    return function


def _mode(syncs: tuple[str, ...], modes: dict[str, bool]) -> Mode:
    """Return what was asked for; anything but what is due is asked for one sync by name.

    Raises:
        click.UsageError: more than one was asked for, or for more than one sync.
    """
    from orchestration.desired.scope import Mode

    asked = [name.replace("_", "-") for name, wanted in modes.items() if wanted]
    if not asked:
        return Mode.NORMAL
    named = " and ".join(f"--{name}" for name in asked)
    if len(asked) > 1:
        raise click.UsageError(f"{named} exclude each other; ask for one of them")
    if len(syncs) != 1:
        raise click.UsageError(f"{named} is asked for one sync at a time, by its name")
    return Mode(asked[0])


@click.command()
@common
@as_of_option
@new_journal_option
@sandbox_option
@click.option("--keep-going", is_flag=True, help="Send the rest if an audience fails.")
def run(
    app: App, as_of: datetime | None, new_journal: bool, to_sandbox: bool, keep_going: bool
) -> None:
    """Build, evaluate every audience, run every sync."""
    from orchestration.activate import activate, exit_code
    from orchestration.breaches import breaches
    from orchestration.cli import render

    engine = _sending(app, new_journal=new_journal)
    with _sandbox(app, to_sandbox, engine, engine.project.syncs):
        done = activate(engine, as_of, keep_going=keep_going)
    broken = breaches(engine)

    def show(out: Console) -> None:
        render.show_build(out, done.build, broken)
        render.show_evaluations(out, done.evaluations)
        render.show_syncs(out, done.syncs)

    app.emit(
        {
            "as_of": f"{done.as_of:%Y-%m-%dT%H:%M:%SZ}",
            "build": _build_shape(done.build, broken),
            "audiences": [evaluation.as_dict() for evaluation in done.evaluations],
            "syncs": [sync_run.as_dict() for sync_run in done.syncs],
        },
        show,
        code=exit_code(done.evaluations, done.syncs),
    )


@click.command()
@common
@as_of_option
@click.option("--full-refresh", is_flag=True, help="Read all raw events again, not only new ones.")
def build(app: App, as_of: datetime | None, full_refresh: bool) -> None:
    """Build every dbt model at one as_of."""
    from orchestration import activate
    from orchestration.breaches import breaches
    from orchestration.cli import render

    engine = app.engine()
    instant, done = activate.build(engine, as_of, full_refresh=full_refresh)
    broken = breaches(engine)
    app.emit(
        {"as_of": f"{instant:%Y-%m-%dT%H:%M:%SZ}", **_build_shape(done, broken)},
        lambda out: render.show_build(out, done, broken),
        code=0 if done.success else 1,
    )


def _build_shape(done: DbtRun, broken: Breaches) -> dict[str, object]:
    return {
        "build_id": done.build_id,
        "success": done.success,
        "seconds": round(done.seconds, 2),
        "tracking_plan": broken.as_dict(),
        "failures": [
            {"model": node.name, "status": node.status, "file": node.file, "message": node.message}
            for node in done.failures
        ],
    }


@click.command()
@common
@click.argument("audiences", nargs=-1)
@as_of_option
def evaluate(app: App, audiences: tuple[str, ...], as_of: datetime | None) -> None:
    """Diff audiences, as they were built, with their open stays."""
    from orchestration.activate import evaluate_audiences, exit_code
    from orchestration.cli import render

    engine = app.engine()
    known = {audience.key: audience for audience in engine.project.audiences}
    done = evaluate_audiences(engine, chosen(audiences, known, "audience"), as_of)
    app.emit(
        {"audiences": [evaluation.as_dict() for evaluation in done]},
        lambda out: render.show_evaluations(out, done),
        code=exit_code(done, ()),
    )


@click.command()
@common
@click.argument("syncs", nargs=-1)
@as_of_option
@pii_option
@_mode_options
def plan(
    app: App, syncs: tuple[str, ...], as_of: datetime | None, show_pii: bool, **modes: bool
) -> None:
    """Show what a sync would send, at what cost; nothing is stored or sent."""
    from orchestration.activate import prepare
    from orchestration.cli import render
    from orchestration.sync_plans import plan_sync

    mode = _mode(syncs, modes)
    engine = app.engine()
    prepare(engine.connect, engine.dbt)
    known = {item.key: item for item in engine.project.syncs}
    with engine.connect() as warehouse:
        plans = [
            plan_sync(
                engine, warehouse, item, as_of=as_of, secrets=False, mode=mode, show_pii=show_pii
            )
            for item in chosen(syncs, known, "sync")
        ]
    held = any(made.verdict == "held" for made in plans)
    app.emit(
        {
            "as_of": f"{plans[0].as_of:%Y-%m-%dT%H:%M:%SZ}" if plans else None,
            "syncs": [made.as_dict() for made in plans],
        },
        lambda out: render.show_plans(out, plans),
        code=3 if held else 0,
    )


@click.command()
@common
@click.argument("syncs", nargs=-1)
@as_of_option
@new_journal_option
@sandbox_option
@_mode_options
def sync(
    app: App,
    syncs: tuple[str, ...],
    as_of: datetime | None,
    new_journal: bool,
    to_sandbox: bool,
    **modes: bool,
) -> None:
    """Finish what is unfinished, then plan and deliver what is due."""
    from orchestration.activate import exit_code, run_syncs
    from orchestration.cli import render

    mode = _mode(syncs, modes)
    engine = _sending(app, new_journal=new_journal)
    known = {item.key: item for item in engine.project.syncs}
    wanted = chosen(syncs, known, "sync")
    with _sandbox(app, to_sandbox, engine, wanted):
        done = run_syncs(engine, wanted, as_of, mode)
    app.emit(
        {"syncs": [sync_run.as_dict() for sync_run in done]},
        lambda out: render.show_syncs(out, done),
        code=exit_code((), done),
    )


@contextmanager
def _sandbox(app: App, wanted: bool, engine: Engine, syncs: Iterable[Sync]) -> Iterator[None]:
    """Run a sandbox for the length of a run and point the bundled destinations at it."""
    if not wanted:
        yield
        return
    from orchestration.cli.demo import keep_in_sandbox, sandbox_environment

    with sandbox_environment(app) as url:
        keep_in_sandbox(engine, syncs, url)
        yield


def _sending(app: App, *, new_journal: bool) -> Engine:
    """Return an engine that shows how far it is and comes to an end when it is asked to."""
    from orchestration.cli.ending import end_on_sigterm
    from orchestration.cli.progress import watch

    engine = app.engine(new_journal=new_journal)
    end_on_sigterm(engine.ending, app.clock)
    return replace(engine, watch=watch(app.clock))
