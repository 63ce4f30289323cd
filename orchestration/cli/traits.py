"""`tailrace traits`: what is known of the traits themselves."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING

import click

from orchestration.cli.common import App, as_of_option, common, shown_time

if TYPE_CHECKING:
    from rich.console import Console

    from orchestration.trait_checks import TraitCheck


@click.group()
def traits() -> None:
    """How far the traits that foretell something can be believed."""


@traits.command()
@common
@as_of_option
def check(app: App, as_of: datetime | None) -> None:
    """Compare what traits foretold 30 days before with what happened since; writes nothing.

    Exits 1 if a trait could not be checked, for instance because the log is too short.
    """
    from destinations.clock import whole_second
    from orchestration.activate import prepare
    from orchestration.trait_checks import check_traits

    prepare(app.connect, app.dbt)
    moment = whole_second(as_of or app.clock.now())
    found = check_traits(app.dbt, app.connect, moment)
    unknown = any(one.status == "unknown" for one in found)
    shape = {
        "as_of": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
        "checks": [one.as_dict() for one in found],
    }
    app.emit(shape, lambda out: _show(out, found), code=int(unknown))


def _show(out: Console, found: Iterable[TraitCheck]) -> None:
    from orchestration.cli.render import say

    for one in found:
        if one.reason:
            say(out, (one.status, "yellow"), f" {one.trait}: {one.reason}")
        else:
            _show_measures(out, one)


def _show_measures(out: Console, one: TraitCheck) -> None:
    from orchestration.cli.render import say, table

    found = one.measures
    say(
        out,
        f"{one.trait}, told at {shown_time(found['told_at'])} UTC from {found['learnt_from']:,} "
        f"observations; what happened is known to {shown_time(found['as_of'])}",
    )
    say(
        out,
        f"  {found['churned']:,} of {found['users']:,} users churned ({found['base_rate']:.1%}; "
        f"{found['predicted']:.1%} foretold)",
    )
    say(
        out,
        f"  AUC {found['auc']:.3f} (0.5 is chance, 1 is perfect); Brier score {found['brier']:.3f} "
        f"(telling everybody {found['base_rate']:.1%}: {found['brier_of_base_rate']:.3f})",
    )
    rows = [
        (row["tenth"], row["users"], f"{row['predicted']:.1%}", f"{row['observed']:.1%}")
        for row in found["calibration"]
    ]
    out.print(table("By tenth of risk", ("tenth", "users", "foretold", "churned"), rows))
    if found["log_may_be_cut"]:
        last = shown_time(found["last_session_at"])
        say(out, ("the log ends early", "yellow"), f": its last session is of {last} UTC, and who")
        say(out, "  came after that counts as gone")
