"""What every verb shares: where the project is, how to answer, how errors look."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from destinations.clock import SystemClock
from destinations.errors import ConfigError
from destinations.scrub import one_line, scrubbed_values, without_secrets
from orchestration.log_lines import log_line

if TYPE_CHECKING:
    from rich.console import Console

    from orchestration.dbt import DbtPaths
    from orchestration.engine import Engine
    from orchestration.warehouse import Connect


@dataclass(frozen=True)
class App:
    """One invocation of the command line."""

    project_dir: Path
    profiles_dir: Path
    target: str | None
    as_json: bool
    clock: SystemClock

    @property
    def dbt(self) -> DbtPaths:
        """Return where dbt finds the project."""
        from orchestration.dbt import DbtPaths

        artifacts = os.environ.get("DBT_TARGET_PATH")
        return DbtPaths(
            self.project_dir,
            self.profiles_dir,
            self.target,
            Path(artifacts) if artifacts else None,
        )

    @property
    def state_dir(self) -> Path:
        """Return where journals and the sandbox keep their state."""
        return Path(os.environ["TAILRACE_STATE_DIR"])

    @cached_property
    def connect(self) -> Connect:
        """Return how to open the warehouse; who waits long for another process is told so."""
        from orchestration.warehouse.profiles import connector

        return connector(self.dbt, os.environ, clock=self.clock, tell=self._waiting)

    def _waiting(self, said: str) -> None:
        if sys.stderr.isatty():
            click.echo(f"waiting: {one_line(said)}", err=True)
        else:
            log_line(self.clock, "waiting", {"for": said})

    def engine(self, *, new_journal: bool = False) -> Engine:
        """Read the project and return what the verbs work with."""
        from orchestration.setup import open_engine

        return open_engine(
            self.dbt, self.connect, os.environ, clock=self.clock, new_journal=new_journal
        )

    def emit(
        self, shape: Mapping[str, Any], render: Callable[[Console], None], *, code: int = 0
    ) -> None:
        """Answer with one JSON object on stdout, or text for a person, and an exit code."""
        if self.as_json:
            click.echo(as_json(shape))
        else:
            render(console())
        click.get_current_context().exit(code)


def as_json(shape: Mapping[str, Any]) -> str:
    """Return a shape as JSON, in which no text holds a secret or a character that is not ASCII."""
    return json.dumps(scrubbed_values(shape, without_secrets), default=str)


def console(*, stderr: bool = False) -> Console:
    """Return a console as wide as the terminal, or wide enough for a log."""
    from orchestration.cli.plain import Plain

    wide = Plain(stderr=stderr, emoji=False)
    return wide if wide.is_terminal else Plain(stderr=stderr, emoji=False, width=120)


def common(function: Callable[..., None]) -> Callable[..., None]:
    """Add the options that every verb has, and hand the verb an App."""

    @click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
    @click.option(
        "--project-dir",
        type=click.Path(path_type=Path),
        default=Path("dbt_project"),
        envvar="TAILRACE_PROJECT_DIR",
        help="The dbt project.  [default: dbt_project]",
    )
    @click.option(
        "--profiles-dir",
        type=click.Path(path_type=Path),
        help="Where profiles.yml is.  [default: the project]",
    )
    @click.option("--target", help="The target of the dbt profile.")
    @wraps(function)
    def verb(
        *,
        as_json: bool,
        project_dir: Path,
        profiles_dir: Path | None,
        target: str | None,
        **options: Any,
    ) -> None:
        from orchestration.warehouse.profiles import default_environment

        default_environment(project_dir)
        app = App(project_dir, profiles_dir or project_dir, target, as_json, SystemClock())
        function(app, **options)

    return verb


class Instant(click.ParamType[datetime]):
    """An ISO instant; without an offset it is UTC, and a bare date is its last second."""

    name = "instant"

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> datetime:
        """Parse the option.

        Raises:
            click.BadParameter: it is not an ISO date or instant.
        """
        if isinstance(value, datetime):
            return value
        from orchestration.setup import parse_instant

        try:
            return parse_instant(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


as_of_option = click.option(
    "--as-of", type=Instant(), help="Answer as of this instant.  [default: now]"
)

pii_option = click.option("--show-pii", is_flag=True, help="Show ids, addresses and texts.")


def shown_time(value: str | None) -> str | None:
    """Return an ISO instant as people read it, without its zone, which is UTC."""
    return value.replace("T", " ").removesuffix("Z") if value else None


def chosen(keys: tuple[str, ...], known: Mapping[str, Any], what: str) -> list[Any]:
    """Return the named items, or all of them.

    Raises:
        ConfigError: a name is not known.
    """
    for key in keys:
        if key not in known:
            raise ConfigError(f"there is no {what} {key!r}", key=key, accepted=sorted(known))
    return [item for key, item in known.items() if not keys or key in keys]
