"""`tailrace demo`: the whole way on the bundled sample, against a sandbox on this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from destinations.clock import whole_second
from orchestration.cli.common import App, common, console

if TYPE_CHECKING:
    from rich.console import Console

    from orchestration.activate import Activation
    from orchestration.breaches import Breaches
    from orchestration.engine import Engine
    from orchestration.project import Sync

SANDBOX_KEY = "sandbox-key"
LAST_WEEK = timedelta(days=7)


@contextmanager
def sandbox_environment(app: App) -> Iterator[str]:
    """Serve a sandbox while the block runs, with the bundled destination pointed at it."""
    from destinations.base import Secret
    from destinations.sandbox import SandboxSettings, running

    settings = SandboxSettings(state=app.state_dir / "sandbox.sqlite", api_key=Secret(SANDBOX_KEY))
    with running(settings, app.clock) as url:
        before = {name: os.environ.get(name) for name in ("ITERABLE_BASE_URL", "ITERABLE_API_KEY")}
        os.environ.update(ITERABLE_BASE_URL=url, ITERABLE_API_KEY=SANDBOX_KEY)
        try:
            yield url
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


def keep_in_sandbox(engine: Engine, syncs: Iterable[Sync], url: str) -> None:
    """Refuse syncs whose account is not the sandbox at this address.

    Raises:
        ConfigError: it has an address of its own, of which the sandbox's variables know nothing.
    """
    from orchestration.accounts import check_rehearsal

    names = {sync.options.destination for sync in syncs}
    chosen = [account for name, account in engine.accounts.items() if name in names]
    check_rehearsal(chosen, engine.environment, url)


@click.command()
@common
def demo(app: App) -> None:
    """Run the sample end to end, twice: as of a week ago, then with the last week arrived.

    Works in data/local/demo, made anew each time; no account and no network is needed.
    """
    from orchestration.activate import activate, prepare
    from orchestration.breaches import breaches
    from orchestration.load import load_sample

    folder = app.project_dir.resolve().parent / "data" / "local" / "demo"
    shutil.rmtree(folder, ignore_errors=True)
    os.environ["TAILRACE_DUCKDB"] = str(folder / "warehouse.duckdb")
    os.environ["TAILRACE_STATE_DIR"] = str(folder / "state")
    end = whole_second(app.clock.now())
    out = console(stderr=app.as_json)
    runs: list[Activation] = []
    with sandbox_environment(app) as url:
        engine = app.engine()
        keep_in_sandbox(engine, engine.project.syncs, url)
        for title, until in (("a week ago", end - LAST_WEEK), ("today", end)):
            prepare(app.connect, need_events=False)
            with app.connect() as warehouse:
                loaded = load_sample(warehouse, end=end, until=until, clock=app.clock)
            rows = sum(load.loaded for load in loaded.loads)
            out.rule(f"[bold]{title}: as of {until:%Y-%m-%d %H:%M:%S} UTC")
            out.print(f"{rows:,} raw rows arrive; sandbox at {url}", highlight=False)
            runs.append(activate(replace(engine), until))
            _show(out, runs[-1], breaches(engine))
    _next_steps(out, folder)
    app.emit({"runs": [_shape(done) for done in runs]}, lambda _: None)


def _show(out: Console, done: Activation, broken: Breaches) -> None:
    from orchestration.cli import render

    render.show_build(out, done.build, broken)
    render.show_evaluations(out, done.evaluations)
    render.show_syncs(out, done.syncs)


def _shape(done: Activation) -> dict[str, object]:
    return {
        "as_of": f"{done.as_of:%Y-%m-%dT%H:%M:%SZ}",
        "audiences": [evaluation.as_dict() for evaluation in done.evaluations],
        "syncs": [run.as_dict() for run in done.syncs],
    }


def _next_steps(out: Console, folder: Path) -> None:
    relative = os.path.relpath(folder)
    out.print(
        f"""
The first run sent everybody (the bundled syncs allow it by `max_first`; by default a first plan
that starts sequences waits for approval). The second sent only what the week changed.

Look further:
  export TAILRACE_DUCKDB={relative}/warehouse.duckdb TAILRACE_STATE_DIR={relative}/state
  .venv/bin/tailrace status                      where every audience and sync stands
  .venv/bin/tailrace sandbox calls --limit 20    what the endpoint received
  .venv/bin/tailrace history re_engagement       the audience over time
  .venv/bin/tailrace preview depth_nudge         an audience that no sync sends yet
  dbt_project/models/audiences/                  the audiences: one SQL file each
""",
        markup=False,
        highlight=False,
    )
