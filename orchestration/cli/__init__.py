"""The `tailrace` command. Everything heavy is imported by the verb that needs it."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from traceback import format_exception

import click

from destinations.errors import TailraceError
from destinations.private import keep_to_ourselves
from destinations.scrub import one_line, scrubbed
from orchestration.cli.activate import build, evaluate, plan, run, sync
from orchestration.cli.backfill import backfill
from orchestration.cli.demo import demo
from orchestration.cli.forget import forget, suppress
from orchestration.cli.lifecycle import adopt, retire
from orchestration.cli.load import load
from orchestration.cli.look import history, preview, rejects, status
from orchestration.cli.operate import approve, retry, validate
from orchestration.cli.profile import profile
from orchestration.cli.sandbox import sandbox
from orchestration.cli.tracking_plan import tracking_plan
from orchestration.cli.traits import traits
from orchestration.memory import keep_to_few_heaps


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tailrace", message="%(prog)s %(version)s")
def cli() -> None:
    """Warehouse-native reverse ETL: dbt audiences in, identify and track calls out.

    Start with `tailrace demo`. Exit codes: 0 ok, 1 failed, 2 bad usage or configuration, 3 held
    until approved, 4 incomplete (the next run goes on).
    """


for verb in (
    demo, load, run, build, evaluate, plan, sync, preview, history, backfill, profile, status,
    rejects, retry, approve, adopt, retire, suppress, forget, validate, traits,
    tracking_plan, sandbox,
):  # fmt: skip
    cli.add_command(verb)


def main() -> None:
    """Run the command line; every expected error is a few lines and an exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    keep_to_ourselves()
    keep_to_few_heaps()
    try:
        code = cli.main(standalone_mode=False)
    except TailraceError as error:
        _show(error.as_dict(), error.accepted)
        code = error.exit_code
    except click.ClickException as error:
        _show_usage(error)
        code = 2
    except (click.Abort, KeyboardInterrupt):
        code = _interrupted()
    except Exception as error:  # noqa: BLE001 - told in our words, or in full if asked
        code = _interrupted() if "nterrupt" in repr(error) else _unexpected(error)
    sys.exit(code if isinstance(code, int) else 0)


def _show_usage(error: click.ClickException) -> None:
    if "--json" in sys.argv:
        message = scrubbed(error.format_message())
        click.echo(json.dumps({"error": {"kind": "usage", "message": message}}))
        return
    said = io.StringIO()
    error.show(said)
    click.echo(scrubbed(said.getvalue()), err=True, nl=False)


def _interrupted() -> int:
    message = "interrupted; the next run goes on from here"
    _show({"kind": "interrupted", "message": message, "file": None, "key": None, "line": None}, ())
    return 130


def _unexpected(error: Exception) -> int:
    if os.environ.get("TAILRACE_TRACEBACK"):
        click.echo(scrubbed("".join(format_exception(error))), err=True, nl=False)
    message = f"unexpected {type(error).__name__}; TAILRACE_TRACEBACK=1 shows where"
    _show({"kind": "unexpected", "message": message, "file": None, "key": None, "line": None}, ())
    return 1


def _show(error: dict[str, object], accepted: tuple[str, ...]) -> None:
    if "--json" in sys.argv:
        click.echo(json.dumps({"error": error}))
        return
    # Indented, so that no message can make up a line of ours.
    message = str(error["message"]).replace("\n", "\n  ")
    click.secho(f"error: {message}", err=True, fg="red")
    line = f":{error['line']}" if error.get("line") else ""
    for name, behind in (("file", line), ("key", "")):
        if error[name]:
            click.echo(f"  {name}: {error[name]}{behind}", err=True)
    if accepted:
        click.echo(f"  accepted: {', '.join(map(one_line, accepted))}", err=True)
