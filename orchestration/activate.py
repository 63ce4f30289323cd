"""The verbs that do the work: build, evaluate, sync, and all three in a row."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from destinations.clock import whole_second
from destinations.errors import ConfigError, DataError, TailraceError
from orchestration.accounts import endpoint_name, open_account
from orchestration.builds import latest_builds
from orchestration.dbt import DbtPaths, DbtRun, run_dbt
from orchestration.delivering import run_sync
from orchestration.desired.scope import Mode
from orchestration.engine import Engine
from orchestration.load import require_events
from orchestration.memberships import Evaluation, backwards, evaluate
from orchestration.project import Audience, Sync
from orchestration.project_vars import reads_loaded
from orchestration.sql.names import naive_utc
from orchestration.sync_runs import SyncRun, failed_run, log_unstarted
from orchestration.tracking_plan.files import check_files
from orchestration.warehouse import Connect
from orchestration.warehouse.locks import keep_trying
from orchestration.warehouse.raw import create_raw
from orchestration.warehouse.schema import create_tables

CLOCK_SKEW = timedelta(minutes=1)
WAIT_SECONDS = 60.0
BLOCKING = ("failed", "incomplete", "waiting")


@dataclass(frozen=True, slots=True)
class Activation:
    """What a run did, start to end."""

    as_of: datetime
    build: DbtRun
    evaluations: tuple[Evaluation, ...]
    syncs: tuple[SyncRun, ...]


def prepare(connect: Connect, dbt: DbtPaths | None = None, *, need_events: bool = True) -> None:
    """Make sure that the engine's and the raw tables exist, and that there is something in them.

    If the project `dbt` reads other tables than these raw ones, dbt is the one to say so.

    Raises:
        DataError: the raw tables are empty; names both ways to load.
    """
    with connect() as warehouse:
        create_raw(warehouse)
        create_tables(warehouse)
        if need_events and (dbt is None or reads_loaded(dbt.project_dir)):
            require_events(warehouse)


def build(
    engine: Engine, as_of: datetime | None, *, full_refresh: bool = False
) -> tuple[datetime, DbtRun]:
    """Build every dbt model at one as_of (default: now, in whole seconds).

    Without `full_refresh`, events are read only of the hours of arrival that have changed.
    """
    prepare(engine.connect, engine.dbt)
    instant = whole_second(as_of or engine.clock.now())
    _check_not_ahead(engine, instant)
    with engine.connect() as warehouse:
        tell = warehouse.tell
    return instant, _run_dbt_when_free(engine, instant, tell, full_refresh=full_refresh)


def _check_not_ahead(engine: Engine, as_of: datetime) -> None:
    """Refuse to act on a day that has not come, except towards a sandbox.

    Raises:
        ConfigError: as_of is later than now and an account is a real one.
    """
    if as_of <= engine.clock.now() + CLOCK_SKEW:
        return
    for account in engine.accounts.values():
        destination = open_account(account, engine.environment, secrets=False)
        if endpoint_name(destination) != "loopback":
            raise ConfigError(
                f"{as_of:%Y-%m-%d %H:%M:%S} UTC is not yet: everybody would be told now what is "
                "true then, and no run before that day would be taken any more. A later as_of is "
                "for a sandbox (--sandbox)",
                key="--as-of",
            )


def _check_forward(engine: Engine, as_of: datetime | None) -> None:
    """Refuse an instant before a live point, before the models are built for it.

    Raises:
        DataError: an audience of the project was evaluated as of later; without an as_of, the
            clock has gone back since, or the run before was one as of a day to come.
    """
    prepare(engine.connect, engine.dbt)
    instant = whole_second(as_of or engine.clock.now())
    with engine.connect() as warehouse:
        later = warehouse.rows(
            "select audience, max(as_of) from tailrace.evaluations where origin = 'live' "
            "and status = 'committed' and as_of > ? group by audience order by audience",
            [naive_utc(instant)],
        )
    known = {audience.key for audience in engine.project.audiences}
    for audience, last in later:
        if audience in known and as_of is None:
            raise DataError(
                f"{audience} was evaluated as of {last:%Y-%m-%d %H:%M:%S} already, and the clock "
                f"of this machine says {instant:%Y-%m-%d %H:%M:%S} UTC: has it gone back? Nothing "
                "was built or sent"
            )
        if audience in known:
            raise backwards(audience, last, instant)


def _run_dbt_when_free(
    engine: Engine, as_of: datetime, tell: Callable[[str], None], *, full_refresh: bool = False
) -> DbtRun:
    """Run dbt, waiting a minute for another process that holds the warehouse.

    Raises:
        ConfigError: the tracking plan or the list of aliases is wrong; names every line.
    """
    check_files(engine.dbt.project_dir)
    return keep_trying(
        lambda: run_dbt(engine.dbt, "build", as_of=as_of, full_refresh=full_refresh),
        clock=engine.clock,
        deadline=WAIT_SECONDS,
        every=1.0,
        tell=tell,
    )


def evaluate_audiences(
    engine: Engine, audiences: Iterable[Audience], as_of: datetime | None
) -> tuple[Evaluation, ...]:
    """Evaluate audiences at the instant they were built for; one that fails stops no other."""
    prepare(engine.connect, engine.dbt)
    with engine.connect() as warehouse:
        builds = latest_builds(warehouse)
        return tuple(
            evaluate(warehouse, engine.project, audience, builds, as_of=as_of, clock=engine.clock)
            for audience in audiences
        )


def check_accounts(engine: Engine, syncs: Iterable[Sync]) -> None:
    """Open every account once, so that a mistake shows before anything is built or sent.

    Raises:
        ConfigError: an account or an environment variable is wrong or missing.
    """
    listed = tuple(syncs)
    for sync in listed:
        try:
            engine.destination(sync)
        except TailraceError as error:
            same = [s for s in listed if s.options.destination == sync.options.destination]
            failed = [failed_run(each, error) for each in same]
            log_unstarted(engine.connect, failed, engine.clock.now())
            raise


def run_syncs(
    engine: Engine,
    syncs: Iterable[Sync],
    as_of: datetime | None,
    mode: Mode = Mode.NORMAL,
) -> tuple[SyncRun, ...]:
    """Run syncs in order; one waits if a sync it comes after did not get through."""
    chosen = tuple(syncs)
    check_accounts(engine, chosen)
    prepare(engine.connect, engine.dbt)
    runs: dict[str, SyncRun] = {}
    renewed: set[str] = set()
    for sync in chosen:
        waits = _why_it_waits(engine, sync, runs)
        if waits:
            account = sync.options.destination
            runs[sync.key] = SyncRun(sync.key, account, "waiting", reasons=[waits])
            continue
        try:
            account = sync.options.destination
            # A new journal is begun once per account, not once per sync.
            mine = replace(engine, new_journal=engine.new_journal and account not in renewed)
            renewed.add(account)
            engine.watch.started(sync.key)
            runs[sync.key] = run_sync(mine, sync, as_of=as_of, mode=mode)
        except TailraceError as error:
            runs[sync.key] = failed_run(sync, error)
            log_unstarted(engine.connect, [runs[sync.key]], engine.clock.now())
        engine.watch.finished(runs[sync.key])
    return tuple(runs.values())


def _why_it_waits(engine: Engine, sync: Sync, runs: Mapping[str, SyncRun]) -> str | None:
    if engine.ending.asked:
        return "the run was asked to end before it"
    blocked = [key for key in sync.options.after if key in runs and runs[key].status in BLOCKING]
    return f"comes after {', '.join(blocked)}, which did not get through" if blocked else None


def activate(engine: Engine, as_of: datetime | None, *, keep_going: bool = False) -> Activation:
    """Build, evaluate every audience, run every sync.

    An audience that could not be evaluated stops the run before the first call, unless
    `keep_going`: then the other audiences are sent and it keeps its last committed answer.
    """
    check_accounts(engine, engine.project.syncs)
    _check_forward(engine, as_of)
    instant, built = build(engine, as_of)
    evaluations = evaluate_audiences(engine, engine.project.audiences, instant)
    broken = [evaluation.audience for evaluation in evaluations if evaluation.status == "failed"]
    if broken and not keep_going:
        why = f"{', '.join(broken)} could not be evaluated (--keep-going sends the rest)"
        syncs = tuple(
            SyncRun(sync.key, sync.options.destination, "waiting", reasons=[why])
            for sync in engine.project.syncs
        )
    else:
        syncs = run_syncs(engine, engine.project.syncs, instant)
    return Activation(instant, built, evaluations, syncs)


def exit_code(evaluations: Iterable[Evaluation], runs: Iterable[SyncRun]) -> int:
    """Return the exit code: 2 configuration, 1 failed, 3 held, 4 incomplete, 0 all well."""
    listed = list(runs)
    seen = {evaluation.status for evaluation in evaluations} | {run.status for run in listed}
    errors = [run.error.exit_code for run in listed if run.error is not None]
    if "failed" in seen:
        return max(errors, default=1)
    if "held" in seen:
        return 3
    return 4 if seen & {"incomplete", "waiting"} else 0
