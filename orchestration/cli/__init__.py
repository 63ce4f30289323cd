"""The `tailrace` command. Everything heavy is imported by the verb that needs it."""

from __future__ import annotations

import json
import os
import signal
import sys

import click

from destinations.errors import TailraceError
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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tailrace", message="%(prog)s %(version)s")
def cli() -> None:
    """Warehouse-native reverse ETL: dbt audiences in, identify and track calls out.

    Start with `tailrace demo`. Exit codes: 0 ok, 1 failed, 2 bad usage or configuration, 3 held
    until approved, 4 incomplete (the next run goes on).
    """


for verb in (
    demo, load, run, build, evaluate, plan, sync, preview, history, backfill, profile, status,
    rejects, retry, approve, adopt, retire, suppress, forget, validate, sandbox,
):  # fmt: skip
    cli.add_command(verb)


def main() -> None:
    """Run the command line; every expected error is a few lines and an exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = cli.main(standalone_mode=False)
    except TailraceError as error:
        _show(error.as_dict(), error.accepted)
        code = error.exit_code
    except click.ClickException as error:
        if "--json" in sys.argv:
            click.echo(json.dumps({"error": {"kind": "usage", "message": error.format_message()}}))
        else:
            error.show()
        code = 2
    except (click.Abort, KeyboardInterrupt):
        code = _interrupted()
    except Exception as error:
        if os.environ.get("TAILRACE_TRACEBACK"):
            raise
        code = _interrupted() if "nterrupt" in repr(error) else _unexpected(error)
    sys.exit(code if isinstance(code, int) else 0)


def _interrupted() -> int:
    message = "interrupted; the next run goes on from here"
    _show({"kind": "interrupted", "message": message, "file": None, "key": None, "line": None}, ())
    return 130


def _unexpected(error: Exception) -> int:
    message = f"unexpected {type(error).__name__}; TAILRACE_TRACEBACK=1 shows where"
    _show({"kind": "unexpected", "message": message, "file": None, "key": None, "line": None}, ())
    return 1


def _show(error: dict[str, object], accepted: tuple[str, ...]) -> None:
    if "--json" in sys.argv:
        click.echo(json.dumps({"error": error}))
        return
    click.secho(f"error: {error['message']}", err=True, fg="red")
    line = f":{error['line']}" if error.get("line") else ""
    for name, behind in (("file", line), ("key", "")):
        if error[name]:
            click.echo(f"  {name}: {error[name]}{behind}", err=True)
    if accepted:
        click.echo(f"  accepted: {', '.join(map(str, accepted))}", err=True)
