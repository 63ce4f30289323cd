"""The verbs about people who are not to be written to: suppress, forget."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from orchestration.cli.common import App, common
from orchestration.spelling import one_spelling

if TYPE_CHECKING:
    from rich.console import Console

    from orchestration.forgetting import Forgetting

_NO_DOMAIN = re.compile(r"""[\s"',;|<>]""")


@click.command()
@common
@click.argument("users", metavar="USER...", nargs=-1)
@click.option("--reason", help="Why; kept beside the hash.")
@click.option("--lift", is_flag=True, help="End the suppression instead.")
@click.option(
    "--file",
    "listed",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="User ids or addresses, one a line.",
)
def suppress(
    app: App, users: tuple[str, ...], reason: str | None, lift: bool, listed: Path | None
) -> None:
    """Send nothing more of these user ids and addresses; only keyed hashes are kept.

    An id bars all that is sent of the user, an address the profile that it selects.
    """
    from orchestration.activate import prepare
    from orchestration.suppression import suppress as bar
    from orchestration.suppression import unsuppress

    values = _values(users, listed)
    if not lift and not (reason or "").strip():
        raise click.UsageError("say why, with --reason")
    prepare(app.connect, need_events=False)
    shape: dict[str, object] = {"given": len(values)}
    with app.connect() as warehouse:
        if lift:
            shape["lifted"] = unsuppress(warehouse, values)
            told = f"lifted {shape['lifted']:,} of {len(values):,} given"
        else:
            done = bar(warehouse, values, str(reason), app.clock.now())
            shape |= {"added": done.added, "ops": done.ops}
            told = (
                f"suppressed {len(values):,} given, {done.added:,} of them new; "
                f"{done.ops:,} ops of open plans will not be sent. A delivery that runs leaves "
                "them out of its next request"
            )
    app.emit(shape, lambda out: out.print(told, highlight=False))


def _values(users: tuple[str, ...], listed: Path | None) -> list[str]:
    try:
        lines = listed.read_text(encoding="utf-8-sig").splitlines() if listed else []
    except UnicodeDecodeError:
        raise click.UsageError("the file is not UTF-8") from None
    _check_lines(lines)
    values = [value for value in (*users, *lines) if value.strip()]
    if not values:
        raise click.UsageError("give user ids or addresses, or --file")
    return values


def _check_lines(lines: list[str]) -> None:
    """Refuse a line that holds more than an address: as a whole it would be nobody's.

    Raises:
        click.UsageError: names the first such line, and not what is in it.
    """
    for number, line in enumerate(lines, start=1):
        _, at, domain = one_spelling(line).partition("@")
        if at and _NO_DOMAIN.search(domain):
            raise click.UsageError(
                f"line {number} is not one address or user id: write one a line, without quotes "
                "or further columns. Nobody was suppressed"
            )


@click.command()
@common
@click.argument("user")
@click.option("--email", "by_email", is_flag=True, help="USER is an address, not a user id.")
@click.option("--yes", is_flag=True, help="Do it; without this it only shows what it would do.")
def forget(app: App, user: str, by_email: bool, yes: bool) -> None:
    """Forget a user: suppress, delete at the destinations, remove what is kept of them here."""
    from orchestration.activate import prepare
    from orchestration.forgetting import forget as let_go
    from orchestration.forgetting import would_forget

    engine = app.engine()
    prepare(app.connect, need_events=False)
    done = (let_go if yes else would_forget)(engine, user, by_email=by_email)
    code = 4 if done.status == "incomplete" else 0
    app.emit({**done.as_dict(), "notes": list(NOTES)}, lambda out: _show(out, done), code=code)


NOTES = (
    "raw and model tables are not touched: what is there of the user is yours to delete",
    "the user stays suppressed, even if raw rows stay (`tailrace suppress --lift` ends it)",
    "what is removed here is missing from histories of single users; counts that were recorded "
    "stay, so the two may differ from now on",
)


def _show(out: Console, done: Forgetting) -> None:
    from orchestration.cli.render import table

    verb = {"dry": "would be", "done": "was", "incomplete": "is to be"}[done.status]
    known = f"{done.users:,} user ids and {done.keys:,} identifiers at destinations"
    lines = [f"{known}: suppressed; nothing more is sent of them"]
    if done.status == "dry":
        lines = [f"{known} would be suppressed"]
    if done.shared:
        lines.append(f"{done.shared:,} of the addresses belong to other users too: barred as well")
    lines += [
        f"{name}: {count:,} profiles: deletion {verb} sent" for name, count in done.profiles.items()
    ]
    lines += [
        f"{name}: {count:,} profiles have to be deleted by hand there"
        for name, count in done.by_hand.items()
    ]
    lines += list(done.reasons)
    for line in lines:
        out.print(line, highlight=False, markup=False)
    rows = [(name, f"{count:,}") for name, count in done.rows.items()]
    removed = {"dry": "Rows to remove or make anonymous", "incomplete": "Rows not removed yet"}
    out.print(table(removed.get(done.status, "Rows removed or anonymous"), ("table", "rows"), rows))
    for note in NOTES:
        out.print(f"Note: {note}.", highlight=False)
    if done.status == "dry":
        out.print("Nothing was done. --yes does it.", highlight=False)
    elif done.status == "incomplete":
        out.print("Run it again to finish; until then nothing is sent of them.", highlight=False)
